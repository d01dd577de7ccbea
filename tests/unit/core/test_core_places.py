"""The order in which tasks start: longest chains first, kept in the journal, and obeyed by everything that waits."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from wavepool.core import events
from wavepool.core.decide import apply, decide, open_run
from wavepool.core.events import Now
from wavepool.core.facts import Stamped, StartIntended, TasksAdded
from wavepool.engine.replay import replay
from wavepool.model import Isolation, Limits, Node, Resources, Rules, Schedule, Task, Wave
from wavepool.plan.precedence import chain_lengths_s, longest_first
from wavepool.testing.simulation import Simulation
from wavepool.testing.simulation.fingerprint import fingerprint
from wavepool.testing.simulation.scenarios import NO_TROUBLES, Scenario
from wavepool.units import GIB

NAMES = "abcdefgh"


def task(name, wave=1, *needs, gib=1):
    return Task(id=name, key=name, wave=wave, tier=1, limits=Limits(memory_bytes=gib * GIB), depends_on=needs)


def test_the_longest_starts_first_and_ties_keep_their_order():
    tasks = [task(name) for name in "abcd"]
    assert longest_first(tasks, [1.0, 3.0, 3.0, 2.0]) == (3, 0, 1, 2)
    assert longest_first([], []) == ()


def test_what_others_wait_for_counts_with_all_that_waits():
    tasks = [task("a"), task("b"), task("c", 1, "b"), task("d", 2, "c", "a")]
    assert chain_lengths_s(tasks, [5.0, 1.0, 1.0, 6.0]) == [11.0, 8.0, 7.0, 6.0]
    assert longest_first(tasks, [5.0, 1.0, 1.0, 6.0]) == (0, 1, 2, 3)
    assert longest_first(tasks, [1.0, 9.0, 1.0, 1.0]) == (1, 0, 2, 3)


def test_within_waves_nothing_leaves_its_wave():
    tasks = [task("a", 2), task("b", 2), task("c", 1), task("d", 1)]
    assert longest_first(tasks, [1.0, 2.0, 8.0, 9.0], within_waves=True) == (1, 0, 3, 2)


@st.composite
def plans(draw):
    """Tasks of a few waves that wait for some of those before them, and how long each may take."""
    count = draw(st.integers(1, len(NAMES)))
    tasks = []
    for index in range(count):
        needs = draw(st.sets(st.sampled_from(NAMES[:index]), max_size=2)) if index else set()
        tasks.append(task(NAMES[index], draw(st.integers(1, 3)), *sorted(needs), gib=draw(st.integers(1, 3))))
    shuffled = draw(st.permutations(sorted(tasks, key=lambda each: each.wave)))
    tasks = sorted(shuffled, key=lambda each: each.wave)
    return tasks, draw(st.lists(st.floats(0, 100), min_size=count, max_size=count))


@given(plans(), st.booleans())
def test_places_are_an_order_in_which_nobody_precedes_a_longer_chain(plan, within_waves):
    tasks, expected_s = plan
    places = longest_first(tasks, expected_s, within_waves=within_waves)
    assert sorted(places) == list(range(len(tasks)))
    chains_s = chain_lengths_s(tasks, expected_s)
    ordered = sorted(range(len(tasks)), key=places.__getitem__)
    for one, next_one in pairwise(ordered):
        if not within_waves or tasks[one].wave == tasks[next_one].wave:
            assert chains_s[one] >= chains_s[next_one]
        else:
            assert tasks[one].wave < tasks[next_one].wave
    for index, each in enumerate(tasks):
        longest = max((chains_s[i] for i, other in enumerate(tasks) if each.id in other.depends_on), default=0.0)
        assert chains_s[index] == expected_s[index] + longest


def opened(core_run, tasks, places):
    """(the state, its facts) of a rolling run whose tasks start by `places`, added in two pieces."""
    run = core_run([task("unused")], schedule=Schedule.ROLLING, nodes=(Node(name="n", capacity=Resources(3 * GIB)),))
    first = run.facts[0]
    waves = tuple(Wave(number=number) for number in sorted({each.wave for each in tasks}))
    half = len(tasks) // 2
    pieces = (
        TasksAdded(waves=waves, tasks=()),
        TasksAdded(waves=(), tasks=tuple(tasks[:half]), places=places[:half]),
        TasksAdded(waves=(), tasks=tuple(tasks[half:]), places=places[half:]),
    )
    state, facts = open_run(first), [first]
    for event in (events.Opened(run=first, tasks=pieces), events.Advance()):
        for fact in decide(state, event, Now(0.0, first.at)):
            apply(state, fact)
            facts.append(fact)
    return state, facts


def started(facts):
    return [fact.attempt.task_id for fact in facts if isinstance(fact, StartIntended)]


def test_places_order_the_starts_and_not_the_plan(new_run):
    tasks = [task(name) for name in "abcde"]
    state, facts = opened(new_run, tasks, (4, 1, 0, 3, 2))
    assert started(facts) == ["c", "b", "e"]
    assert [entry.task.id for entry in state.order] == list("abcde")
    assert [entry.task.id for entry in state.coming()] == ["d", "a"]


def test_a_replay_needs_nothing_but_the_journal(new_run):
    tasks = [task(name) for name in "abcde"]
    state, facts = opened(new_run, tasks, (4, 1, 0, 3, 2))
    again = replay([Stamped(0.0, facts[0].at, fact) for fact in facts]).state
    assert fingerprint(again) == fingerprint(state)
    assert [entry.task.id for entry in again.coming()] == ["d", "a"]


@given(plans(), st.integers(0, 2**32))
def test_runs_in_any_order_meet_every_rule(plan, seed):
    """The simulation checks dependencies, the budget, and that a replay comes to the same state."""
    tasks, expected_s = plan
    rules = Rules(
        schedule=Schedule.ROLLING,
        nodes=(Node(name="n", capacity=Resources(4 * GIB)),),
        isolation=Isolation.NONE,
        max_attempts=2,
        keep_going=True,
    )
    waves = tuple(Wave(number=number) for number in sorted({each.wave for each in tasks}))
    troubles = replace(NO_TROUBLES, crash=0.05, fails=0.1, resumes=3)
    scenario = Scenario(
        seed=seed,
        waves=waves,
        tasks=tuple(tasks),
        rules=rules,
        troubles=troubles,
        places=longest_first(tasks, expected_s),
    )
    assert Simulation(scenario).run().outcome is not None
