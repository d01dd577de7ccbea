"""What the real Claude CLI (2.1.332) wrote in a container against the model server, read by its adapter.

The transcripts lie in tests/transcripts; ids and times in them were made the same.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from wavepool.agents.claude import Claude
from wavepool.model import AgentEventKind, AgentOrder, AgentReport

TRANSCRIPTS = Path(__file__).parents[1] / "transcripts" / "claude"


def report(name: str, exit_code: int) -> AgentReport:
    order = AgentOrder(name="claude")
    reader = Claude().reader(order)
    reader.feed((TRANSCRIPTS / f"{name}.jsonl").read_bytes())
    return reader.report(exit_code)


def test_an_edit_with_two_calls_that_were_repeated() -> None:
    found = report("edited", 0)
    assert (found.succeeded, found.turns, found.retries, found.final_text) == (True, 4, 2, "All is better now.")
    assert (found.tokens.input, found.tokens.output, found.tokens.cache_read) == (1300, 80, 500)
    assert found.cost_usd == pytest.approx(0.0069)


@pytest.mark.parametrize(
    ("name", "exit_code", "limited", "words"),
    [
        ("turns", 1, False, "used up the turns"),
        ("limited", 1, True, "reached its limit"),
        ("overloaded", 1, False, "overloaded"),
        ("unreachable", 1, False, "Connection refused"),
        ("refused_key", 124, False, "without its result line"),
    ],
)
def test_what_failed_says_why(name: str, exit_code: int, limited: bool, words: str) -> None:
    found = report(name, exit_code)
    assert (found.succeeded, found.rate_limited) == (False, limited)
    assert words in found.problem


def test_a_refused_key_is_told_at_the_first_of_its_many_retries() -> None:
    events = Claude().reader(AgentOrder(name="claude")).feed((TRANSCRIPTS / "refused_key.jsonl").read_bytes())
    told = [event for event in events if event.kind is not AgentEventKind.STARTED]
    assert [event.kind for event in told] == [AgentEventKind.ERROR, *[AgentEventKind.RETRY] * 7]
    assert told[0].text.startswith("authentication_failed (401): retry 1 of ")
    assert "its key was refused; give a valid one (--secret ANTHROPIC_API_KEY" in told[0].text
    assert told[0].retry_in_s is not None
