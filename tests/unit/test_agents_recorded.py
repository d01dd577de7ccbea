"""What real CLIs wrote (Claude 2.1.197, Codex 0.171.0, against a server of ours), and what it is read as.

The files of `agent_outputs` are their stdout; of the first line only what is read was left.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wavepool.agents import AgentReader, adapter
from wavepool.model import AgentEvent, AgentEventKind, AgentOrder, AgentReason, AgentReport, Tokens

OUTPUTS = Path(__file__).parent / "agent_outputs"
Kind = AgentEventKind


def events_of(name: str) -> tuple[list[AgentEvent], AgentReader]:
    agent = name.split("-")[0]
    reader = adapter(agent).reader(AgentOrder(name=agent))
    return reader.feed((OUTPUTS / f"{name}.jsonl").read_bytes()), reader


def report_of(name: str, exit_code: int) -> AgentReport:
    return events_of(name)[1].report(exit_code)


def kinds(name: str) -> Iterator[str]:
    return (event.kind for event in events_of(name)[0])


@pytest.mark.parametrize("name", ["claude-success", "claude-success-json"])
def test_a_success_of_claude(name: str) -> None:
    events, reader = events_of(name)
    told = reader.report(0)
    assert (told.succeeded, told.problem, told.rate_limited, told.retries) == (True, "", False, 0)
    assert told.tokens == Tokens(input=306, output=150, cache_read=3000, cache_write=30)
    assert (told.turns, told.cost_usd, told.model) == (3, 0.0069675, "claude-opus-4-8[1m]")
    assert told.session_id
    assert told.final_text == "All done."
    assert [(event.kind, event.turns, event.tokens.total, event.cost_usd) for event in events] == [
        (Kind.STARTED, 0, 0, None),
        (Kind.TEXT, 1, 1112, None),  # two lines of one message: its usage counts once
        (Kind.TOOL, 1, 1112, None),
        (Kind.TEXT, 2, 2225, None),
        (Kind.TOOL, 2, 2225, None),
        (Kind.TEXT, 3, 3339, None),
        (Kind.RESULT, 3, 3486, 0.0069675),
    ]
    assert [event.text for event in events if event.kind == Kind.TOOL] == ["Bash", "Bash"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("claude-max-turns", "used up the turns that it may have; give it more (--max-turns)"),
        ("claude-max-budget", "used up the money that it may cost; give it more (--max-cost)"),
        ("claude-key-refused", "its key was refused; give a valid one (--secret ANTHROPIC_API_KEY"),
        ("claude-no-credit", "no credit left; top it up"),
        ("claude-overloaded", "overloaded at each try; try again later"),
        ("codex-key-refused", "its key was refused; give a valid one (--secret CODEX_API_KEY"),
        ("codex-no-credit", "no credit left; top it up"),
        ("codex-overloaded", "overloaded at each try; try again later"),
        ("codex-answer-cut-off", "its connection to the model broke at each try"),
    ],
)
def test_a_failure_says_what_to_do_and_is_no_limit(name: str, words: str) -> None:
    told = report_of(name, 1)
    assert told.succeeded is False
    assert words in told.problem
    assert "(it said: " in told.problem
    assert told.errors
    assert not told.rate_limited
    assert Kind.RATE_LIMITED not in kinds(name)


def test_what_was_used_until_a_bound_is_all_told() -> None:
    for name in ("claude-max-turns", "claude-max-budget"):  # in the latter the last turn is in one of two sums only
        told = report_of(name, 1)
        assert (told.turns, told.tokens.total, told.cost_usd) == (2, 2323, 0.00464), name


@pytest.mark.parametrize(
    ("name", "resets_at"),
    [
        ("claude-429", None),
        ("claude-session-limit", datetime(2026, 11, 27, 8, 39, 42, tzinfo=UTC)),
        ("claude-spending-limit", datetime(2026, 12, 1, tzinfo=UTC)),
        ("codex-429", None),
        ("codex-usage-limit", None),  # it names an hour, and no day
        ("codex-limit-in-stream", None),
    ],
)
def test_a_limit_of_the_account_is_told_at_once_and_at_the_end(name: str, resets_at: datetime | None) -> None:
    events, reader = events_of(name)
    limits = [event for event in events if event.kind == Kind.RATE_LIMITED]
    assert limits
    assert limits[-1].resets_at == resets_at
    told = reader.report(1)
    assert (told.succeeded, told.rate_limited, told.resets_at) == (False, True, resets_at)
    assert "has reached its limit" in told.problem
    assert not resets_at or f"until {resets_at:%Y-%m-%d %H:%M} UTC" in told.problem


def test_a_429_that_was_overcome_pauses_others_and_is_no_failure() -> None:
    events, reader = events_of("claude-429-once")
    assert [event.retry_in_s for event in events if event.kind == Kind.RATE_LIMITED] == [1.0]
    told = reader.report(0)
    assert (told.succeeded, told.rate_limited, told.retries) == (True, False, 1)


def test_a_limit_that_is_only_near_is_nothing() -> None:
    assert Kind.RATE_LIMITED not in kinds("claude-limit-allowed")
    assert report_of("claude-limit-allowed", 0).succeeded


def test_overload_is_a_retry() -> None:
    assert [event.retry_in_s for event in events_of("claude-overloaded")[0] if event.kind == Kind.RETRY] == [
        pytest.approx(0.606, abs=0.001)
    ]
    assert report_of("claude-overloaded", 1).retries == 1
    assert report_of("codex-overloaded", 1).retries == 1


def test_exit_0_on_a_sigint_is_no_success() -> None:
    told = report_of("claude-interrupted", 0)
    assert told.succeeded is False
    assert told.problem.startswith("claude ended with exit code 0 without its result line: it was interrupted, or")
    assert report_of("codex-interrupted", 1).problem.startswith("codex ended with exit code 1 without completing")


def test_an_answer_that_was_cut_off_is_no_success_whatever_claude_says() -> None:
    assert b'"subtype":"success","is_error":false' in (OUTPUTS / "claude-answer-cut-off.jsonl").read_bytes()
    told = report_of("claude-answer-cut-off", 0)
    assert told.succeeded is False
    assert "was cut off" in told.problem


def test_a_success_of_codex() -> None:
    events, reader = events_of("codex-success")
    told = reader.report(0)
    assert (told.succeeded, told.problem, told.turns, told.final_text) == (True, "", 1, "All done.")
    assert told.tokens == Tokens(input=186, output=60, cache_read=120)
    assert told.cost_usd is None
    assert told.session_id
    assert [event.kind for event in events if event.kind == Kind.TOOL] == [Kind.TOOL] * 2


@pytest.mark.parametrize("name", ["claude-success", "codex-success"])
def test_success_with_another_exit_code_is_none(name: str) -> None:
    told = report_of(name, 3)
    assert told.succeeded is False
    assert "ended with exit code 3" in told.problem


@pytest.mark.parametrize(
    ("name", "exit_code"),
    [
        ("claude-key-refused", 1),
        ("claude-max-turns", 1),
        ("claude-session-limit", 1),
        ("claude-interrupted", 0),
        ("claude-answer-cut-off", 0),
    ],
)
def test_the_page_tells_the_words_that_are_said(name: str, exit_code: int) -> None:
    page = Path(__file__).parents[2] / "docs" / "agents.md"
    assert f"| {exit_code} | {report_of(name, exit_code).problem} |" in page.read_text()


@pytest.mark.parametrize(
    ("name", "exit_code", "reason"),
    [
        ("claude-success", 0, None),
        ("claude-success", 1, AgentReason.EXIT_CODE),
        ("claude-429", 1, AgentReason.LIMIT),
        ("claude-answer-cut-off", 0, AgentReason.CUT_OFF),
        ("claude-interrupted", 0, AgentReason.NO_RESULT),
        ("claude-key-refused", 1, AgentReason.KEY_REFUSED),
        ("claude-max-budget", 1, AgentReason.MONEY_SPENT),
        ("claude-max-turns", 1, AgentReason.TURNS_SPENT),
        ("claude-no-credit", 1, AgentReason.NO_CREDIT),
        ("claude-overloaded", 1, AgentReason.SERVERS_FAILED),
        ("claude-session-limit", 1, AgentReason.LIMIT),
        ("codex-success", 0, None),
        ("codex-key-refused", 1, AgentReason.KEY_REFUSED),
        ("codex-no-credit", 1, AgentReason.NO_CREDIT),
        ("codex-overloaded", 1, AgentReason.SERVERS_FAILED),
        ("codex-usage-limit", 1, AgentReason.LIMIT),
        ("codex-interrupted", 1, AgentReason.NO_RESULT),
    ],
)
def test_programs_are_told_why_in_one_word(name: str, exit_code: int, reason: AgentReason | None) -> None:
    assert report_of(name, exit_code).reason == reason


@pytest.mark.parametrize(
    ("exit_code", "said", "reason"),
    [
        (127, b"sh: claude: not found", AgentReason.NOT_FOUND),
        (1, b"cannot be used with root/sudo privileges", AgentReason.ROOT_REFUSED),
    ],
)
def test_so_are_they_of_what_did_not_begin(exit_code: int, said: bytes, reason: AgentReason) -> None:
    reader = adapter("claude").reader(AgentOrder(name="claude"))
    reader.feed_stderr(said)
    assert reader.report(exit_code).reason == reason
