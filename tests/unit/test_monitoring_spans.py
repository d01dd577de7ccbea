"""Why nothing of a run began for a time: told from its facts alone, in any order of pauses, ends and resumes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from wavepool.core import facts
from wavepool.core.facts import Fact, Outcome, Stamped
from wavepool.listeners.progress import Progress
from wavepool.monitoring.documents.runs import RunSpan
from wavepool.monitoring.runs.entries import iso
from wavepool.monitoring.runs.spans import KEPT_SPANS, LEAST_AWAY_S, SpanFold
from wavepool.testing.simulation import Simulation
from wavepool.testing.simulation.scenarios import random_scenario

START = datetime(2026, 11, 20, 23, 15, 30, tzinfo=UTC)
AT = START  # what facts say of themselves; spans go by when they were written

PAUSED = facts.RunPaused(at_s=0.0, at=AT)
UNPAUSED = facts.RunUnpaused(at_s=0.0, at=AT)
RESUMED = facts.RunResumed(boot_id="b", shift_s=0.0, at=AT)
REOPENED = facts.RunReopened(tasks=(), at=AT)
REOPENED_LIVE = facts.RunReopened(tasks=(), live=True, at=AT)
FINISHED = facts.RunFinished(outcome=Outcome.FAILED, at=AT)


def told(moments: Sequence[tuple[float, Fact]]) -> list[tuple[str, float, float | None]]:
    """(kind, from, to) of each span, in seconds since the start."""
    progress, fold = Progress(), SpanFold()
    for at_s, fact in moments:
        stamped = Stamped(at_s, START + timedelta(seconds=at_s), fact)
        progress.take(stamped)
        fold.take(stamped, paused=progress.course.is_paused)
    return [read(span) for span in fold.all().values()]


def read(span: RunSpan) -> tuple[str, float, float | None]:
    end = span.get("to")
    return span["kind"], seconds(span["from"]), None if end is None else seconds(end)


def seconds(text: str) -> float:
    return (datetime.fromisoformat(text) - START).total_seconds()


@pytest.mark.parametrize(
    ("moments", "spans"),
    [
        ([(5, PAUSED)], [("paused", 5, None)]),
        ([(5, PAUSED), (9, UNPAUSED), (20, PAUSED)], [("paused", 5, 9), ("paused", 20, None)]),
        ([(5, PAUSED), (9, FINISHED)], [("paused", 5, 9)]),
        ([(5, FINISHED), (60, RESUMED)], [("away", 5, 60)]),
        ([(5, FINISHED), (5.5, RESUMED)], []),
        ([(5, FINISHED), (60, REOPENED), (62.5, RESUMED)], [("away", 5, 62.5)]),
        ([(5, FINISHED), (60, REOPENED), (60.1, RESUMED)], [("away", 5, 60.1)]),
        ([(5, FINISHED), (60, REOPENED_LIVE)], []),
        ([(5, FINISHED), (60, RESUMED), (90, RESUMED)], [("away", 5, 90)]),
        (
            [(5, UNPAUSED), (60, RESUMED), (70, PAUSED), (90, RESUMED)],
            [("away", 5, 60), ("away", 70, 90), ("paused", 70, None)],
        ),
        ([(5, PAUSED), (30, RESUMED), (30, UNPAUSED)], [("away", 5, 30), ("paused", 5, 30)]),
        ([(60, FINISHED), (5, RESUMED)], []),  # somebody put the clock back
    ],
)
def test_what_held_a_run_back(moments: list[tuple[float, Fact]], spans: list[tuple[str, float, float | None]]) -> None:
    assert sorted(told(moments)) == sorted(spans)


def test_they_are_bounded_and_the_last_are_kept() -> None:
    moments: list[tuple[float, Fact]] = []
    for number in range(KEPT_SPANS + 20):
        moments += [(number * 10, PAUSED), (number * 10 + 3, UNPAUSED)]
    spans = told(moments)
    assert len(spans) == KEPT_SPANS
    assert spans[0] == ("paused", 200, 203)
    assert spans[-1] == ("paused", (KEPT_SPANS + 19) * 10, (KEPT_SPANS + 19) * 10 + 3)


def test_one_that_was_told_is_not_changed_behind_who_was_told() -> None:
    fold = SpanFold()
    fold.take(Stamped(1.0, START, PAUSED), paused=True)
    before = fold.all()
    fold.take(Stamped(2.0, START + timedelta(seconds=1), UNPAUSED), paused=False)
    assert "to" not in before["1"]
    assert "to" in fold.all()["1"]


@pytest.mark.parametrize("seed", range(0, 200, 5))
def test_they_fit_to_the_facts_of_any_run(seed: int) -> None:
    """With crashes, retries, and pauses at any moment."""
    progress, fold = Progress(), SpanFold()
    last_at, pauses = START, 0
    absences: list[tuple[float, float]] = []
    for stamped in Simulation(random_scenario(seed)).run().journal:
        progress.take(stamped)
        fold.take(stamped, paused=progress.course.is_paused)
        spans = [read(span) for span in fold.all().values()]
        assert [kind for kind, _, to in spans if to is None] == ["paused"] * progress.course.is_paused
        if isinstance(stamped.fact, facts.RunResumed) and (stamped.utc - last_at).total_seconds() >= LEAST_AWAY_S:
            absences.append((seconds(iso(last_at)), seconds(iso(stamped.utc))))
        pauses += isinstance(stamped.fact, facts.RunPaused)
        last_at = stamped.utc
    spans = [read(span) for span in fold.all().values()]
    assert sum(kind == "paused" for kind, _, _ in spans) == pauses
    away = [(begin, to) for kind, begin, to in spans if kind == "away" and to is not None]
    for last_s, next_s in absences:
        assert any(begin <= last_s and next_s <= to for begin, to in away)
    assert all(to is None or begin <= to for _, begin, to in spans)
