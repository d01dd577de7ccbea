"""How agents are called, and how they are found by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from wavepool.agents import ADAPTERS, AgentAdapter, adapter, argv, names
from wavepool.errors import InputError
from wavepool.model import AgentOrder, Limits, Task


def called(order: AgentOrder) -> list[str]:
    """The program's own argv, without the shell that gives it its prompt."""
    shell, option, script, zero, *own = adapter(order.name).command(order)
    assert (shell, option, zero) == ("/bin/sh", "-c", own[0])
    assert script.endswith('exec "$@" <"$TASK_PROMPT_FILE"\n')
    return own


def task(**fields: object) -> Task:
    plain = {"id": "t", "key": "t", "wave": 1, "tier": 1, "limits": Limits(memory_bytes=64 << 20)}
    return Task(**{**plain, **fields})  # type: ignore[arg-type]


def test_claude_is_called_as_the_seed_calls_it_with_its_prompt_on_stdin() -> None:
    assert called(AgentOrder(name="claude", max_turns=50)) == [
        "claude",
        "-p",
        "--dangerously-skip-permissions",
        "--verbose",
        "--max-turns=50",
        "--output-format=stream-json",
    ]


def test_bounds_and_model_become_options_of_claude() -> None:
    own = called(AgentOrder(name="claude", model="opus", max_cost_usd=0.25))
    assert "--model=opus" in own
    assert "--max-budget-usd=0.250000" in own
    assert not [each for each in own if each.startswith("--max-turns")]


@pytest.mark.parametrize(
    ("flags", "gone"),
    [
        (("--max-turns=7",), "--max-turns=50"),
        (("--max-turns", "7"), "--max-turns=50"),
        (("--output-format=json",), "--output-format=stream-json"),
        (("--permission-mode", "plan"), "--dangerously-skip-permissions"),
        (("--print",), "-p"),
    ],
)
def test_an_option_of_the_user_takes_the_place_of_ours(flags: tuple[str, ...], gone: str) -> None:
    own = called(AgentOrder(name="claude", max_turns=50, flags=flags))
    assert gone not in own
    assert own[-len(flags) :] == list(flags)


def test_the_flags_of_the_seed_give_each_option_once() -> None:
    seed = ("--dangerously-skip-permissions", "--verbose", "--max-turns=50", "--output-format=json", "--custom=value")
    own = called(AgentOrder(name="claude", max_turns=50, flags=seed))
    assert own == ["claude", "-p", *seed]


def test_claude_calls_nobody_but_its_model_and_repeats_calls_a_bounded_number_of_times() -> None:
    told = adapter("claude").environment(AgentOrder(name="claude"))
    assert told["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] == "1"
    assert told["DISABLE_TELEMETRY"] == told["DISABLE_AUTOUPDATER"] == told["DISABLE_ERROR_REPORTING"] == "1"
    assert 0 < int(told["CLAUDE_CODE_MAX_RETRIES"]) <= 15


def test_codex_is_called_with_its_prompt_on_stdin_and_its_output_as_json() -> None:
    own = called(AgentOrder(name="codex", model="gpt", flags=("--add-dir", "/data")))
    assert own[:2] == ["codex", "exec"]
    assert {"--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "--model=gpt"} <= set(own)
    assert own[-3:] == ["-", "--add-dir", "/data"]
    sandboxed = called(AgentOrder(name="codex", model="gpt", flags=("-s", "read-only", "-m", "other")))
    assert not {"--dangerously-bypass-approvals-and-sandbox", "--model=gpt"} & set(sandboxed)


def test_no_value_of_a_secret_and_no_prompt_is_in_an_argv() -> None:
    for each in ADAPTERS.values():
        order = AgentOrder(name=each.name, flags=("work",) if each.name == "command" else ())
        script = each.command(order)[2]
        assert all(f"{name}={variable}" in script for name, variable in each.secrets.items())


def test_a_command_runs_the_argv_of_its_order() -> None:
    assert called(AgentOrder(name="command", flags=("python3", "work.py"))) == ["python3", "work.py"]
    with pytest.raises(InputError, match="needs a program"):
        adapter("command").command(AgentOrder(name="command"))


def test_a_task_with_a_command_of_its_own_runs_that_one() -> None:
    order = AgentOrder(name="claude")
    assert argv(task(agent=order)) == adapter("claude").command(order)
    assert argv(task(agent=order, command=("my-claude",))) == ("my-claude",)
    assert argv(task(agent=AgentOrder(name="command"), command=("work",))) == ("work",)
    assert argv(task()) is None
    with pytest.raises(InputError):
        argv(task(agent=AgentOrder(name="command")))


def test_an_unknown_agent_is_told_with_those_that_there_are() -> None:
    with pytest.raises(InputError) as caught:
        adapter("cluade")
    assert str(caught.value).startswith("there is no agent 'cluade'; did you mean claude?\nThere are: claude, ")
    assert set(ADAPTERS) <= set(names())


def test_each_adapter_says_what_the_others_need_to_know() -> None:
    for name, each in ADAPTERS.items():
        assert each.name == name
        assert each.image
        assert all("/" not in host for host in each.hosts)
        assert all(secret == secret.lower() for secret in each.secrets)


MODULE = """
from wavepool.agents.command import Command

class Mine(Command):
    name = "mine"

class Broken:
    def __init__(self):
        raise RuntimeError("no licence")

odd = 3
"""
ENTRIES = """
[wavepool.agents]
mine = brought_agents:Mine
claude = brought_agents:Mine
broken = brought_agents:Broken
odd = brought_agents:odd
gone = brought_agents:nothing_there
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that brings agents, as an installer lays it down."""
    about = tmp_path / "brought_agents-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: brought-agents\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRIES)
    (tmp_path / "brought_agents.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("installed")
def test_packages_bring_agents_and_cannot_take_our_names() -> None:
    assert isinstance(adapter("mine"), AgentAdapter)
    assert adapter("claude") is ADAPTERS["claude"]
    assert names() == [*ADAPTERS, "broken", "gone", "mine", "odd"]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "why"), [("broken", "no licence"), ("gone", "nothing_there"), ("odd", "no adapter: .* is int")]
)
def test_a_package_that_is_broken_is_named(name: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        adapter(name)
