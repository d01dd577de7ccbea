"""What a warm run parks containers for, in which order, and what it gives up."""

from __future__ import annotations

import pytest

from wavepool.core import events
from wavepool.core.warming import GiveUp, Park, next_step, upcoming
from wavepool.model import AttemptId, Isolation, LogRecord, Node, Resources, Schedule, VerdictKind, Wave
from wavepool.units import GIB, MIB


def anything(attempt, task):
    return True


def coming(run, suits=anything):
    return [str(attempt) for attempt in upcoming(run.state, suits)]


def step(run, *parked, busy=(), suits=anything):
    names = [AttemptId(*name) if isinstance(name, tuple) else AttemptId(name, 1) for name in parked]
    return next_step(run.state, names, [name for name in names if name.task_id in busy], suits)


@pytest.fixture
def narrow(new_run, make_task):
    """Room for two tasks at once beside three parked containers: `a` and `b` run, `c` and two of wave 2 wait."""

    def make(warm=3, **rules):
        tasks = [make_task(name) for name in "abc"] + [make_task(name, 2) for name in "de"]
        room = Resources(2 * GIB + warm * 32 * MIB)
        return new_run(tasks, nodes=(Node(name="n", capacity=room),), warm=warm, **rules)

    return make


def test_first_the_rest_of_this_wave_and_then_the_next_one(narrow):
    assert coming(narrow()) == ["c#1", "d#1", "e#1"]


def test_what_is_parked_is_kept_of_the_budget(narrow):
    run = narrow()
    assert run.started() == ["a#1", "b#1"]
    assert [free.memory_bytes for free in run.state.free] == [0]
    assert run.state.memory_held_bytes() == 2 * GIB


def test_one_step_after_the_other_until_all_are_parked(narrow):
    run = narrow()
    assert step(run) == Park(attempt=AttemptId("c", 1))
    assert step(run, "c", busy="c") == Park(attempt=AttemptId("d", 1))
    assert step(run, "c", "d", "e") is None


def test_no_more_are_parked_than_the_rules_allow_whatever_is_done_about_them(narrow):
    run = narrow()
    assert step(run, "x", "y", "d", busy="xy") is None
    assert step(run, "a", "b", "d") is None  # a and b are being claimed


def test_a_retry_comes_before_the_next_wave_with_its_next_number(narrow):
    run = narrow(max_attempts=2)
    run.runs("a")
    run.ends("a", VerdictKind.FAILED)
    run.runs("b")
    assert run.started() == ["a#1", "b#1", "c#1"]
    assert coming(run) == ["a#2", "d#1", "e#1"]


def test_what_comes_sooner_takes_the_place_of_what_comes_last(narrow):
    run = narrow(warm=2, max_attempts=2)
    run.runs("a")
    run.ends("a", VerdictKind.FAILED)  # c starts, and a waits for its second attempt
    assert coming(run) == ["a#2", "d#1"]
    assert step(run, "c", "d") is None  # while c is claimed, its place is not free
    assert step(run, "d") == Park(attempt=AttemptId("a", 2))
    assert step(run, "d", "e") == GiveUp(attempt=AttemptId("e", 1))
    assert step(run, "d", "e", busy="e") is None  # d is wanted too


def test_a_task_that_will_have_no_such_attempt_gives_its_container_up(new_run, make_task):
    run = new_run([make_task("a"), make_task("b", 2, depends_on=("a",)), make_task("c", 2)], warm=2, keep_going=True)
    assert coming(run) == ["c#1", "b#1"]  # b waits for one more thing
    run.runs("a")
    run.exits("a", VerdictKind.FAILED)
    assert step(run, "b", "c") is None
    run.feed(events.Archived(attempt=AttemptId("a", 1), log=LogRecord()), advance=False)
    assert step(run, "b", "c") == GiveUp(attempt=AttemptId("b", 1))
    assert step(run, ("c", 2), "c") == GiveUp(attempt=AttemptId("c", 2))


@pytest.mark.parametrize("force", [False, True])
def test_after_an_interrupt_everything_is_given_up(narrow, force):
    run = narrow()
    run.feed(events.Interrupted(force=force))
    assert coming(run) == []
    assert step(run, "c", "d") == GiveUp(attempt=AttemptId("c", 1))
    assert step(run, "c", "d", busy="c") == GiveUp(attempt=AttemptId("d", 1))


def test_a_wave_that_will_not_be_reached_is_not_prepared_for(narrow):
    run = narrow()
    run.runs("a")
    run.ends("a", VerdictKind.FAILED)
    assert run.started() == ["a#1", "b#1", "c#1"]
    assert coming(run) == []  # after this wave the run stops
    going_on = narrow(keep_going=True)
    going_on.runs("a")
    going_on.ends("a", VerdictKind.FAILED)
    assert coming(going_on) == ["d#1", "e#1"]


def test_what_does_not_suit_is_passed_over(narrow):
    assert coming(narrow(), lambda attempt, task: task.id not in ("c", "d")) == ["e#1"]


def test_networks_are_made_ahead_for_one_wave_only(new_run, make_task):
    tasks = [make_task(f"t{wave}", wave) for wave in (1, 2, 3)]
    run = new_run(tasks, warm=3, isolation=Isolation.WAVE)
    assert step(run) is None  # the first wave is being prepared, and starts at once then
    run.feed(events.WaveReady(wave=1))
    assert coming(run) == ["t2#1"]
    assert step(run) == Park(attempt=AttemptId("t2", 1))
    assert coming(new_run(tasks, warm=3)) == ["t2#1", "t3#1"]


def test_a_rolling_run_parks_for_what_waits_for_room_before_what_waits_for_others(new_run, make_task):
    tasks = [
        make_task("long"),
        make_task("after", depends_on=("long",)),
        make_task("slot", 2),
        make_task("full", 2),
        make_task("late", 3, depends_on=("after",)),
        make_task("free", 3),
        make_task("last", 3),
    ]
    room = (Node(name="n", capacity=Resources(2 * GIB + 5 * 32 * MIB)),)
    waves = [Wave(number=1), Wave(number=2, parallelism=1), Wave(number=3)]
    run = new_run(tasks, waves, schedule=Schedule.ROLLING, nodes=room, warm=5)
    run.runs("long")
    run.runs("slot")
    assert run.started() == ["long#1", "slot#1"]
    assert coming(run) == ["free#1", "last#1", "after#1", "full#1"]  # late waits for what has not begun


def test_of_a_long_queue_only_the_beginning_is_looked_at(new_run, make_task):
    looked = []
    run = new_run([make_task(f"t{n}", gib=100) for n in range(1000)], warm=2, parked_bytes=0)

    def never(attempt, task):
        looked.append(attempt)
        return False

    assert coming(run, never) == []
    assert 0 < len(looked) <= 16
