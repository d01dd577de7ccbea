"""A second Ctrl-C reaches what is being stopped already: its long grace becomes a short one."""

from __future__ import annotations

from datetime import UTC, datetime

from wavepool.core import decide, events, facts
from wavepool.core.events import Now
from wavepool.model import (
    AttemptId,
    Handle,
    Limits,
    Node,
    Resources,
    Rules,
    StopReason,
    Surroundings,
    Task,
    Wave,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)
ATTEMPT = AttemptId("slow", 1)


def run(grace_s: float) -> facts.RunOpened:
    return facts.RunOpened(
        run_id="r",
        owner="o",
        rules=Rules(nodes=(Node(name="n", capacity=Resources(100)),), grace_s=grace_s),
        surroundings=Surroundings(image="i", workspace="/w", network="n"),
        driver="memory",
        execution_mode="simulated",
        plan_digest="",
        boot_id="b",
        at=AT,
    )


def test_a_forced_interrupt_shortens_the_stop_of_a_timeout() -> None:
    opened = run(grace_s=600)
    state = decide.open_run(opened)
    task = Task(id="slow", key="slow", wave=1, tier=1, limits=Limits(memory_bytes=10), timeout_s=5)
    added = facts.TasksAdded(waves=(Wave(number=1),), tasks=(task,))

    def feed(event: events.Event, boot_s: float) -> list[facts.Fact]:
        decided = []
        for fact in decide.decide(state, event, Now(boot_s, AT)):
            decide.apply(state, fact)
            decided.append(fact)
        return decided

    feed(events.Opened(run=opened, tasks=(added,)), 0)
    feed(events.Advance(), 0)
    handle = Handle(driver="memory", id="1", name="slow", attempt=ATTEMPT)
    feed(events.Running(attempt=ATTEMPT, handle=handle, started_at=AT), 0)
    (stop,) = feed(events.DeadlinePassed(), 5)
    assert isinstance(stop, facts.StopIntended)
    assert stop.grace_s == 600
    feed(events.Interrupted(force=False), 6)
    _, again = feed(events.Interrupted(force=True), 7)
    assert isinstance(again, facts.StopIntended)
    assert again.grace_s == 1
    assert again.reason is StopReason.TIMEOUT
