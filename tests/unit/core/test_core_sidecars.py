"""What sidecars mean for the core: they hold of the budget until they are gone, and what became of them is evidence."""

from __future__ import annotations

import pytest

from wavepool.core import events, facts
from wavepool.model import (
    AttemptId,
    Limits,
    LogRecord,
    Node,
    Resources,
    Sidecar,
    SidecarTrouble,
    VerdictKind,
)
from wavepool.units import GIB

BESIDE = (Sidecar(name="db", image="i", limits=Limits(memory_bytes=2 * GIB)),)
SMALL = (Node(name="n", capacity=Resources(4 * GIB)),)


@pytest.mark.parametrize("kind", [VerdictKind.SUCCESS, VerdictKind.LOST, VerdictKind.START_ERROR])
def test_the_budget_holds_a_tasks_sidecars_until_they_are_removed(new_run, make_task, kind):
    run = new_run([make_task("a", sidecars=BESIDE), make_task("b", gib=2)], nodes=SMALL, keep_going=True)
    assert (run.started(), run.state.memory_held_bytes()) == (["a#1"], 3 * GIB)
    if kind is not VerdictKind.START_ERROR:
        run.runs("a")
    assert run.started(run.exits("a", kind)) == []
    run.feed(events.Archived(attempt=AttemptId("a", 1), log=LogRecord()))
    assert run.state.memory_held_bytes() == 3 * GIB
    run.replayed()
    assert run.started(run.feed(events.Cleared(attempt=AttemptId("a", 1)))) == ["b#1"]
    assert run.state.memory_held_bytes() == 2 * GIB
    run.replayed()


def test_without_sidecars_the_room_is_free_at_the_end(new_run, make_task):
    run = new_run([make_task("a", gib=3), make_task("b", gib=2)], nodes=SMALL)
    run.runs("a")
    assert run.started(run.exits("a")) == ["b#1"]


def test_a_sidecar_that_ended_before_its_task_is_evidence_and_no_other_verdict(new_run, make_task):
    run = new_run([make_task("a", sidecars=BESIDE)])
    run.runs("a")
    run.exits("a")
    gone = SidecarTrouble(name="db", reason="it ended with exit code 1 while the task ran", exit_code=1)
    run.feed(events.Archived(attempt=AttemptId("a", 1), log=LogRecord(), sidecars=(gone,)))
    verdict = run.of(facts.AttemptSettled)[0].verdict
    assert verdict.kind is VerdictKind.SUCCESS
    assert verdict.evidence.sidecars == (gone,)
    assert verdict.evidence.reason == "sidecar db: it ended with exit code 1 while the task ran"
