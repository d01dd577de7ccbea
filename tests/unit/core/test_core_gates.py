"""The reasons to wait: capacity of several nodes, parallelism, starts under way, dependencies."""

from __future__ import annotations

from dataclasses import replace

from wavepool.core.gates.capacity import find_node
from wavepool.model import Limits, Node, Resources, Schedule, VerdictKind, Wave
from wavepool.units import GIB


def nodes(*gib, milli_cpus=0):
    return tuple(Node(name=f"n{i}", capacity=Resources(g * GIB, milli_cpus)) for i, g in enumerate(gib))


def test_the_first_node_with_room_is_taken():
    three = nodes(4, 8, 8)
    free = [Resources(1 * GIB), Resources(2 * GIB), Resources(8 * GIB)]
    assert find_node(three, free, Resources(2 * GIB)) == 1
    assert find_node(three, free, Resources(3 * GIB)) == 2
    assert find_node(three, free, Resources(9 * GIB)) is None
    assert find_node(three, free, Resources(0)) == 0


def test_cpu_counts_only_where_the_node_budgets_it():
    one = nodes(8, milli_cpus=2000)
    assert find_node(one, [Resources(8 * GIB, 500)], Resources(GIB, 501)) is None
    assert find_node(one, [Resources(8 * GIB, 500)], Resources(GIB, 500)) == 0
    assert find_node(nodes(8), [Resources(8 * GIB, -9000)], Resources(GIB, 4000)) == 0


def test_memory_is_not_added_up_over_nodes(new_run, make_task):
    run = new_run([make_task("a", gib=3), make_task("b", gib=3), make_task("c", gib=3)], nodes=nodes(4, 4))
    assert run.started() == ["a#1", "b#1"]
    assert [attempt.node for attempt in run.state.live.values()] == [0, 1]
    assert run.state.memory_held_bytes() == 6 * GIB
    assert run.started(run.exits("b")) == ["c#1"]
    assert run.state.free[1].memory_bytes == GIB


def test_one_that_lacks_room_is_not_passed_over(new_run, make_task):
    tasks = [make_task("a", gib=2), make_task("big", gib=4), make_task("small", gib=1)]
    for schedule in Schedule:
        run = new_run(tasks, nodes=nodes(4), schedule=schedule)
        assert run.started() == ["a#1"]
        assert run.started(run.ends("a")) == ["big#1"]
        assert run.started(run.ends("big")) == ["small#1"]


def test_cpu_holds_back_as_memory_does(new_run, make_task):
    tasks = [replace(make_task(name), limits=Limits(memory_bytes=GIB, cpus=1.5)) for name in "ab"]
    run = new_run(tasks, nodes=nodes(8, milli_cpus=2000))
    assert run.started() == ["a#1"]
    assert run.started(run.exits("a")) == ["b#1"]


def test_what_is_held_comes_back_with_the_exit_and_not_before(new_run, make_task):
    run = new_run([make_task("a"), make_task("b")], nodes=nodes(1))
    assert run.runs("a")
    assert run.started() == ["a#1"]
    assert run.started(run.exits("a")) == ["b#1"], "its logs need no memory budget"


def test_starts_under_way_are_capped(new_run, make_task):
    run = new_run([make_task(name) for name in "abcd"], parallel=2)
    assert run.started() == ["a#1", "b#1"]
    assert run.started(run.runs("b")) == ["c#1"]
    assert run.started(run.exits("a", VerdictKind.START_ERROR)) == ["d#1"]


def test_a_stopped_start_is_still_under_way(new_run, make_task):
    run = new_run([make_task("a", timeout_s=5.0), make_task("b")], parallel=1, wave_timeout_s=10.0, max_attempts=2)
    run.at(10.0)
    assert run.started() == ["a#1"], "its start call may still be under way"
    assert run.started(run.runs("a")) == ["b#1"]


def test_parallelism_of_a_wave(new_run, make_task):
    waves = [Wave(number=1, parallelism=2), Wave(number=2)]
    tasks = [make_task(name) for name in "abcd"] + [make_task("z", 2)]
    barrier = new_run(tasks, waves)
    assert barrier.started() == ["a#1", "b#1"]
    assert barrier.started(barrier.exits("a")) == ["c#1"]
    rolling = new_run(tasks, waves, schedule=Schedule.ROLLING)
    assert rolling.started() == ["a#1", "b#1", "z#1"], "other waves pass"
    assert rolling.started(rolling.exits("b")) == ["c#1"]
    assert rolling.started(rolling.exits("z")) == []


def test_after_a_replay_a_retried_task_takes_nobodys_place(new_run, make_task):
    """Two entries of one task in the index would use up the wake-up of the next one."""
    waves = [Wave(number=1, parallelism=1)]
    tasks = [make_task(name) for name in "abc"]
    run = new_run(tasks, waves, schedule=Schedule.ROLLING, keep_going=True, max_attempts=3)
    run.ends("a", VerdictKind.FAILED)
    run.crash()
    run.at(1.0)
    order = []
    while run.state.outcome is None:
        assert run.state.live, f"nothing runs and {run.state.pending} are pending"
        attempt = next(iter(run.state.live))
        order.append(str(attempt))
        run.ends(attempt.task_id, number=attempt.number)
    assert sorted(order) == ["a#2", "b#1", "c#1"]


def test_a_task_that_waits_for_another_is_passed_over(new_run, make_task):
    run = new_run([make_task("a", depends_on=("c",)), make_task("b"), make_task("c")], nodes=nodes(1))
    assert run.started() == ["b#1"]
    assert run.started(run.ends("b")) == ["c#1"]
    assert run.started(run.ends("c")) == ["a#1"]
