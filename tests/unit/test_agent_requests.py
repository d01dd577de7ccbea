"""`wavepool task` and `tasks` before anything starts: what they ask for, and every refusal with what to do instead."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from wavepool.agents import adapter
from wavepool.cli import app, task, tasks
from wavepool.cli.agent_options import AgentOptions
from wavepool.config import Settings
from wavepool.errors import InputError, WavepoolError
from wavepool.model import Isolation, Schedule, WorkspaceKind
from wavepool.plan import Plan
from wavepool.units import GIB, MIB
from wavepool.wiring import RunRequest

KEY = "ANTHROPIC_API_KEY"
KEYS = (*adapter("claude").key_variables, *adapter("codex").key_variables)


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory of its own, and no keys but a dummy."""
    monkeypatch.chdir(tmp_path)
    for variable in KEYS:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(KEY, "dummy")
    monkeypatch.setenv("HOME", str(tmp_path))


class Asked:
    """What one command line would have run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.request: RunRequest | None = None
        self.notices: Sequence[str] = ()
        for module in (task, tasks):
            monkeypatch.setattr(module, "run_agents", self._run)

    def _run(self, plan: Plan, settings: Settings, shared: AgentOptions, *, pool: str | None = None) -> None:
        from wavepool.cli.agent_run import asked_for

        found = asked_for(plan, settings, shared, pool=pool)
        self.request, self.notices = found.request, found.notices

    def __call__(self, *words: str, stdin: bytes = b"") -> RunRequest:
        done = CliRunner().invoke(app, words, input=stdin)
        if done.exception is not None:
            raise done.exception
        assert self.request is not None
        return self.request


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


def refused(*words: str, stdin: bytes = b"") -> WavepoolError:
    done = CliRunner().invoke(app, words, input=stdin)
    assert isinstance(done.exception, InputError), (done.exception, done.output)
    assert done.exception.exit_code == 2
    return done.exception


# -- what is asked for --


def test_a_prompt_becomes_one_task_of_a_rolling_run_in_a_clone(asked: Asked, tmp_path: Path) -> None:
    request = asked("task", "Fix it")
    (only,) = request.plan.tasks
    assert (only.id, only.prompt, only.image) == ("task-1", "Fix it", adapter("claude").image)
    assert only.agent is not None
    assert (only.agent.name, only.agent.max_turns, only.limits.memory_bytes) == ("claude", 50, 2 * GIB)
    assert (request.rules.schedule, request.rules.keep_going) == (Schedule.ROLLING, True)
    assert request.rules.task_timeout_s == 3600
    assert (request.surroundings.workspace, request.surroundings.workspace_kind) == (str(tmp_path), WorkspaceKind.CLONE)
    assert request.surroundings.egress == ()
    assert not request.allow_host


def test_the_key_is_a_secret_from_its_variable_and_said(asked: Asked) -> None:
    request = asked("task", "Fix it")
    assert request.secrets == {"anthropic_api_key": b"dummy"}
    assert asked.notices == (f"claude gets its key from {KEY}, as the secret anthropic_api_key",)
    assert "dummy" not in repr(request)


@pytest.mark.parametrize(
    "words",
    [("--secret", "anthropic_api_key=env:MINE"), ("--secret", f"{KEY}=env:MINE"), ("--environment", f"{KEY}=mine")],
)
def test_a_key_that_is_given_is_not_looked_for(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("MINE", "mine")
    request = asked("task", "Fix it", *words)
    assert list(request.secrets.values()) in ([b"mine"], [])
    assert asked.notices == ()


def test_codex_gets_the_key_of_openai_where_that_is_what_is_set(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-open")
    request = asked("task", "Fix it", "--agent", "codex")
    assert request.secrets == {"openai_api_key": b"sk-open"}
    assert asked.notices == ("codex gets its key from OPENAI_API_KEY, as the secret openai_api_key",)
    assert asked("task", "Fix it", "--agent", "codex", "--secret", "OPENAI_API_KEY").secrets == {
        "OPENAI_API_KEY": b"sk-open"
    }
    monkeypatch.setenv("CODEX_API_KEY", "sk-own")
    assert asked("task", "Fix it", "--agent", "codex").secrets == {"codex_api_key": b"sk-own"}


def test_a_key_of_codex_that_is_missing_is_named_once() -> None:
    error = refused("task", "Fix it", "--agent", "codex")
    names = "OPENAI_API_KEY, CODEX_ACCESS_TOKEN"
    assert error.message == f"CODEX_API_KEY is not set (nor {names}), so codex gets no key"


def test_every_option_arrives(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    request = asked(
        *("task", "One", "Two", "-n", "2", "--name", "fix", "--model", "large", "--max-turns", "7"),
        *("--max-cost", "1.5", "--max-tokens", "1000", "--run-max-cost", "5", "--run-max-tokens", "9000"),
        *("--account", "team", "--repo", "sub", "--workspace-kind", "worktree", "--image", "mine:1", "--memory", "64m"),
        *("--egress", "Docs.example.org", "--egress", "files.example.org", "--timeout", "90", "--allow-host"),
        *("--retries", "2", "--", "--append-system-prompt", "Be brief"),
    )
    assert [each.id for each in request.plan.tasks] == ["fix-1-1", "fix-1-2", "fix-2-1", "fix-2-2"]
    order = request.plan.tasks[0].agent
    assert order is not None
    assert (order.model, order.max_turns, order.max_cost_usd, order.max_tokens) == ("large", 7, 1.5, 1000)
    assert (order.account, order.flags) == ("team", ("--append-system-prompt", "Be brief"))
    assert (request.rules.max_cost_usd, request.rules.max_tokens, request.rules.max_attempts) == (5.0, 9000, 2)
    assert request.rules.task_timeout_s == 90
    around = request.surroundings
    assert (around.workspace, around.workspace_kind) == (str(tmp_path / "sub"), WorkspaceKind.WORKTREE)
    assert around.egress == ("docs.example.org", "files.example.org")
    assert {(each.image, each.limits.memory_bytes) for each in request.plan.tasks} == {("mine:1", 64 * MIB)}
    assert request.allow_host


def test_variables_and_the_file_of_settings_count_too(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wavepool.toml").write_text('agent_memory = "1g"\negress = ["docs.example.org"]\nmax_turns = 3\n')
    monkeypatch.setenv("WAVEPOOL_MAX_TURNS", "4")
    request = asked("task", "Fix it")
    order = request.plan.tasks[0].agent
    assert order is not None
    assert order.max_turns == 4
    assert request.plan.tasks[0].limits.memory_bytes == GIB
    assert request.surroundings.egress == ("docs.example.org",)


@pytest.mark.parametrize(
    ("words", "isolation", "network"),
    [
        (("--network", "bridge"), Isolation.SHARED, "bridge"),
        (("--network", "none"), Isolation.NONE, "cfn-network"),
        (("--egress", "any"), Isolation.SHARED, "cfn-network"),
    ],
)
def test_a_network_of_the_users_is_instead_of_sealing(
    asked: Asked, words: tuple[str, ...], isolation: Isolation, network: str
) -> None:
    request = asked("task", "Fix it", *words)
    assert request.surroundings.egress is None
    assert (request.rules.isolation, request.surroundings.network) == (isolation, network)


def test_prompts_come_from_words_files_and_standard_input(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "one.md").write_bytes("\ufeffErstens: ß\r\n".encode())
    (tmp_path / "two.md").write_text("Second")
    request = asked("task", "@one.md", "@@home", "-", "--prompt-file", "two.md", stdin=b"drei\n")
    assert [each.prompt for each in request.plan.tasks] == ["\ufeffErstens: ß\r\n", "@home", "drei\n", "Second"]


def test_a_program_of_the_users_works_on_the_prompt(asked: Asked) -> None:
    request = asked("task", "Fix it", "--agent", "command", "--", "python3", "work.py", "--", "-x")
    order = request.plan.tasks[0].agent
    assert order is not None
    assert (order.name, order.flags) == ("command", ("python3", "work.py", "--", "-x"))
    assert request.secrets == {}  # it has no key of its own


def test_a_list_reads_its_prompts_from_beside_it(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "lists" / "prompts").mkdir(parents=True)
    (tmp_path / "lists" / "prompts" / "a.md").write_text("Do A")
    (tmp_path / "lists" / "work.yaml").write_text(
        "- id: a\n- {id: b, prompt: Do B, dependencies: a, agent: command, flags: [x]}\n"
    )
    request = asked("tasks", "lists/work.yaml")
    assert [(each.id, each.prompt, each.depends_on) for each in request.plan.tasks] == [
        ("a", "Do A", ()),
        ("b", "Do B", ("a",)),
    ]


def test_a_list_may_come_from_standard_input(asked: Asked) -> None:
    request = asked("tasks", "-", stdin=json.dumps([{"id": "a", "prompt": "Do A"}]).encode())
    assert [each.id for each in request.plan.tasks] == ["a"]


# -- what is refused --


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("task",), "PROMPT: got nothing, expected what the agent shall do"),
        (("task", ""), "PROMPT: got '', expected a prompt that is not empty"),
        (("task", "fine", " \n\t"), "PROMPT 2: got ' \\n\\t', expected a prompt that is not empty"),
        (("task", "-"), "PROMPT: got '', expected a prompt that is not empty"),
        (("task", "-", "--prompt-file", "-"), "PROMPT: got '-', expected standard input once"),
        (("task", "@no.md"), "PROMPT: cannot read no.md: No such file or directory"),
        (("task", "--prompt-file", "bad.md"), "--prompt-file: cannot read bad.md: byte 0xff at offset 2 is no UTF-8"),
        (("task", "x", "--agent", "claud"), "--agent: there is no agent 'claud'; did you mean claude?"),
        (("task", "x", "--agent", "command"), "--agent: the agent 'command' needs a program to run"),
        (("task", "x", "--agent", "Claude Code"), "--agent: got 'Claude Code', expected the name of an agent"),
        (("task", "x", "--max-turns", "0"), "--max-turns: got '0', expected a whole number from 1"),
        (("task", "x", "--max-cost", "free"), "--max-cost: got 'free', expected an amount of US dollars above zero"),
        (("task", "x", "--max-tokens", "-5"), "--max-tokens: got '-5', expected a whole number from 1"),
        (("task", "x", "--run-max-cost", "inf"), "--run-max-cost: got 'inf', expected an amount of US dollars"),
        (("task", "x", "--workspace-kind", "copy"), "--workspace-kind: got 'copy', expected shared, worktree or clone"),
        (("task", "x", "--egress", "https://a.b/"), "--egress: got ['https://a.b/'], expected names of hosts"),
        (
            ("task", "x", "--egress", "any", "--network", "none"),
            "--egress any and --network none contradict each other",
        ),
        (("task", "x", "--egress", "a.b", "--network", "n"), "--egress a.b and --network n contradict each other"),
        (("task", "x", "--network", "host"), "--network: got 'host', expected a network's name (not host)"),
        (("task", "x", "--image", "a b"), "--image: got 'a b', expected an image reference"),
        (("task", "x", "--memory", "1k"), "--memory: got '1k', expected a size of at least 6m"),
        (("task", "x", "--timeout", "0"), "--timeout: got '0', expected a duration above zero"),
        (("task", "x", "--repo", "nowhere"), "--repo: "),
        (("task", "x", "--name", "n" * 300), "--name: got "),
        (("task", "x", "--secret", "a=b"), "--secret: got 'a=…'"),
        (("task", "x", "--pool", "a b"), "--pool: got 'a b', expected"),
        (("task", "x", "--pool", "coder", "--image", "y"), "--pool: got --image beside it, and a parked container is"),
        (("task", "x", "--pool", "coder", "--memory", "1g"), "--pool: got --memory beside it"),
        (
            ("task", "x", "--pool", "coder", "--workspace-kind", "worktree"),
            "--pool: got --workspace-kind worktree",
        ),
        (("task", "x", "--pool", "coder", "--workspace-kind", "shared"), "--pool: got --workspace-kind shared"),
        (("tasks", "no.json"), "FILE: cannot read no.json: No such file or directory"),
        (("tasks", "plan.json"), "plan.json: got a wave plan, expected a task list"),
        (("tasks", "codex.yaml"), "[0].agent: there is no agent 'codeks'"),
        (
            ("tasks", "missing.yaml"),
            "[0].prompt: got nothing, expected a prompt, or the name of its file in prompt_file",
        ),
    ],
)
def test_bad_input(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "bad.md").write_bytes(b"ab\xff")
    (tmp_path / "plan.json").write_text('{"waves": []}')
    (tmp_path / "codex.yaml").write_text("- {id: a, prompt: x, agent: codeks}")
    (tmp_path / "missing.yaml").write_text("- {id: a}")
    assert str(refused(*words)).startswith(said)
    assert not (tmp_path / ".local").exists()  # nothing was made


@pytest.mark.parametrize("number", ["0", "-1", "x", "1001"])
def test_a_number_of_agents_that_is_none(number: str) -> None:
    said = str(refused("task", "x", "-n", number))
    assert said.startswith(f"--agents: got {number!r}, expected a whole number from 1 to 1000")


def test_a_missing_key_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch, asked: Asked) -> None:
    monkeypatch.delenv(KEY)
    error = refused("task", "x")
    assert error.message.startswith(f"{KEY} is not set")
    assert error.message.endswith("so claude gets no key")
    assert "--secret anthropic_api_key=file:PATH" in error.advice
    assert "--no-key" in error.advice
    assert asked("task", "x", "--no-key").secrets == {}
    assert asked.notices[0].startswith(f"warning: {KEY} is not set")


def test_the_words_of_an_undecodable_argument_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(refused("task", "\udcff")).startswith("prompt 1: got a text that is no UTF-8 at character 0")


def test_a_prompt_of_many_megabytes_comes_whole(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "x" * (3 << 20) + "\0ende"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert asked("task", "-", stdin=text.encode()).plan.tasks[0].prompt == text
