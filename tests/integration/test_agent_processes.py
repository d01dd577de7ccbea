"""Agents as real processes: what reaches them and how, and how their odd ends are read."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from wavepool.agents import adapter
from wavepool.model import AgentEvent, AgentEventKind, AgentOrder, AgentReport
from wavepool.testing.fake_cli import install, prompt

DEADLINE_S = 60
SHOWS_WHAT_IT_GOT = """#!/bin/sh
cat >stdin
tr '\\0' '\\n' </proc/$$/cmdline >argv
env >variables
"""


@dataclass(frozen=True)
class Ended:
    exit_code: int
    events: list[AgentEvent]
    report: AgentReport
    stderr: bytes

    def told(self, kind: AgentEventKind) -> list[str]:
        return [event.text for event in self.events if event.kind is kind]


class Ground:
    """A directory that agents work in, with a PATH of their own."""

    def __init__(self, root: Path) -> None:
        self.bin, self.work, self.secrets = root / "bin", root / "work", root / "secrets"
        for directory in (self.bin, self.work, self.secrets):
            directory.mkdir()
        self.prompt_file = root / "prompt"
        self.calls = root / "calls"

    @contextmanager
    def begun(self, order: AgentOrder, text: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
        self.prompt_file.write_bytes(text.encode("utf-8", "surrogatepass"))
        variables = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(self.work),
            "TASK_PROMPT_FILE": str(self.prompt_file),
            "WAVEPOOL_SECRETS_DIR": str(self.secrets),
            "FAKE_CLI_CALLS": str(self.calls),
            **adapter(order.name).environment(order),
            **env,
        }
        argv = adapter(order.name).command(order)
        with subprocess.Popen(
            argv, cwd=self.work, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, order: AgentOrder, text: str, stop: signal.Signals | None = None, **env: str) -> Ended:
        """Run it to its end; `stop` is sent once it has written its first line."""
        reader = adapter(order.name).reader(order)
        with self.begun(order, text, **env) as process:
            events: list[AgentEvent] = []
            if stop is not None:
                assert process.stdout is not None
                events += reader.feed(process.stdout.readline())
                process.send_signal(stop)
            stdout, stderr = process.communicate(timeout=DEADLINE_S)
        events += reader.feed(stdout)
        reader.feed_stderr(stderr)
        return Ended(process.returncode, events, reader.report(process.returncode), stderr)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def order(name: str = "claude", *flags: str, max_turns: int | None = None) -> AgentOrder:
    return AgentOrder(name=name, flags=flags, max_turns=max_turns)


@pytest.mark.parametrize(
    ("name", "secret", "variable"),
    [
        ("claude", "ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY"),
        ("claude", "claude_code_oauth_token", "CLAUDE_CODE_OAUTH_TOKEN"),
        ("codex", "OPENAI_API_KEY", "CODEX_API_KEY"),
    ],
)
def test_prompt_and_secrets_reach_it_and_are_in_no_argv(ground: Ground, name: str, secret: str, variable: str) -> None:
    program = ground.bin / name
    program.write_text(SHOWS_WHAT_IT_GOT)
    program.chmod(0o755)
    (ground.secrets / secret).write_text('sk-very "secret" $(id)\'\n')
    text = "--help\n'quoted' \"$(id)\" `id` ünï\n\n-x"
    ended = ground.run(order(name, "--custom='a b'"), text, **{variable: "of the environment"})
    assert (ground.work / "stdin").read_text() == text
    argv = (ground.work / "argv").read_text()
    assert "--custom='a b'\n" in argv
    assert "sk-very" not in argv
    assert "--help" not in argv
    variables = (ground.work / "variables").read_text()
    assert f'{variable}=sk-very "secret" $(id)\'\n' in variables
    assert "wavepool_" not in variables
    assert ended.stderr == b""


def test_without_secrets_the_environment_stands(ground: Ground) -> None:
    install(ground.bin)
    ended = ground.run(order(), prompt("run printenv ANTHROPIC_API_KEY >key"), ANTHROPIC_API_KEY="mine")
    assert ended.report.succeeded is True
    assert (ground.work / "key").read_text() == "mine\n"


@pytest.mark.parametrize("name", ["claude", "codex"])
def test_a_prompt_of_plain_words_is_worked_on(ground: Ground, name: str) -> None:
    install(ground.bin, name)
    ended = ground.run(order(name), 'Say "hello" \\ to all\n')
    assert (ended.report.succeeded, ended.report.final_text) == (True, "All done.")
    assert (ground.work / "answer.txt").read_text() == 'Say "hello" \\ to all\n'
    assert "Say" not in ground.calls.read_text()


def test_costs_grow_turn_by_turn_and_bounds_hold(ground: Ground) -> None:
    install(ground.bin)
    acts = ("price 0.5", "usage 1000 20", "write a.txt one", "run cat a.txt", "say done")
    ended = ground.run(order(), prompt(*acts))
    assert (ended.report.turns, ended.report.cost_usd, ended.report.tokens.total) == (3, 1.5, 3060)
    assert ended.told(AgentEventKind.TOOL) == ["Write", "Bash"]
    bounded = ground.run(order(max_turns=2), prompt(*acts))
    assert (bounded.exit_code, bounded.report.succeeded, bounded.report.turns) == (1, False, 2)
    assert "give it more (--max-turns)" in bounded.report.problem


def test_json_at_the_users_wish(ground: Ground) -> None:
    install(ground.bin)
    ended = ground.run(order("claude", "--output-format=json"), prompt("say one", "say two"))
    assert "--output-format=stream-json" not in ground.calls.read_text()
    assert (ended.report.succeeded, ended.report.turns, ended.report.final_text) == (True, 2, "two")


@pytest.mark.parametrize(
    ("acts", "exit_code", "words"),
    [
        (("error 500 server_error API Error: 500",), 1, "the model's servers failed"),
        (("say half", "no-result"), 0, "without its result line: it was interrupted, or its output was cut off"),
        (("say half", "cut"), 0, "without its result line"),
        (("say ok", "exit 4"), 4, "told of success, and yet ended with exit code 4"),
        (("result error_during_execution it broke",), 1, "(it said: it broke)"),
        (("stderr error: it is full", "no-result 5"), 5, "(it said: error: it is full)"),
    ],
)
def test_no_odd_end_is_a_success(ground: Ground, acts: tuple[str, ...], exit_code: int, words: str) -> None:
    install(ground.bin)
    ended = ground.run(order(), prompt(*acts))
    assert (ended.exit_code, ended.report.succeeded) == (exit_code, False)
    assert words in ended.report.problem


def test_a_limit_has_its_reset_and_a_retry_is_none(ground: Ground) -> None:
    install(ground.bin)
    ended = ground.run(order(), prompt("retry 529 overloaded 250", "limit 1795768782"))
    assert (ended.report.rate_limited, ended.report.retries) == (True, 1)
    assert ended.report.resets_at is not None
    assert ended.report.resets_at.timestamp() == 1795768782
    kinds = [event.kind for event in ended.events]
    assert kinds.index(AgentEventKind.RETRY) < kinds.index(AgentEventKind.RATE_LIMITED)


def test_garbage_floods_and_huge_lines_do_not_hide_a_success(ground: Ground) -> None:
    install(ground.bin)
    ended = ground.run(order(), prompt("garbage", "flood 50000", "big 9000000", "stderr noise", "say through"))
    assert (ended.report.succeeded, ended.report.final_text) == (True, "through")
    assert len(ended.told(AgentEventKind.UNREADABLE)) == 5


@pytest.mark.parametrize(("stop", "exit_code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_one_that_hangs_and_is_stopped_is_no_success(ground: Ground, stop: signal.Signals, exit_code: int) -> None:
    install(ground.bin)
    ended = ground.run(order(), prompt("hang"), stop=stop)
    assert (ended.exit_code, ended.report.succeeded) == (exit_code, False)
    assert "without its result line" in ended.report.problem


@pytest.mark.parametrize("name", ["claude", "codex"])
def test_a_program_that_is_not_there(ground: Ground, name: str) -> None:
    ended = ground.run(order(name), "hello")
    assert ended.exit_code == 127
    assert f"{name} was not found where the task ran" in ended.report.problem


def test_any_command_is_judged_by_its_exit_code(ground: Ground) -> None:
    ended = ground.run(order("command", "sh", "-c", "cat; exit 3"), "first\nlast words\n")
    assert (ended.exit_code, ended.report.succeeded, ended.report.problem) == (3, None, "")
    assert ended.report.final_text == "first\nlast words"
