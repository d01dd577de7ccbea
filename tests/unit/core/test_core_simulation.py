"""Any mix of tasks, waves, limits, nodes and troubles: it ends, with the right verdicts, within the budget."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wavepool.core import decide, facts, warming
from wavepool.core.facts import Outcome
from wavepool.core.gates.accounts import Accounts
from wavepool.core.gates.parallelism import Parallelism
from wavepool.core.gates.pause import Pause
from wavepool.core.slices import accounts, agents
from wavepool.core.timers import TimerKey, TimerKind, Timers
from wavepool.engine.replay import replay
from wavepool.errors import InvariantBroken
from wavepool.model import Isolation, Limits, Node, Resources, Rules, Schedule, Task, VerdictKind, Wave
from wavepool.testing.simulation import Simulation, Violation, main
from wavepool.testing.simulation import run as simulation
from wavepool.testing.simulation.fingerprint import fingerprint
from wavepool.testing.simulation.scenarios import NO_TROUBLES, Scenario, Troubles, random_scenario, warmed
from wavepool.units import MIB

SCHEDULES = 300


def test_random_schedules_violate_nothing(capsys):
    assert main(["--schedules", str(SCHEDULES), "--seed", "1000000"]) == 0
    assert f"{SCHEDULES} random schedules, 0 violations" in capsys.readouterr().out


def test_the_net_catches_a_gate_that_lets_everything_through(monkeypatch):
    """A proof that cannot fail proves nothing."""
    monkeypatch.setattr(Parallelism, "check", lambda self, state, entry: None)
    with pytest.raises(Violation, match="its parallelism is"):
        run_many(200)


def test_the_net_catches_a_fact_that_replay_forgets(monkeypatch):
    def forgetful(journal):
        return replay([s for s in journal if not isinstance(s.fact, facts.WaveTimedOut)])

    monkeypatch.setattr(simulation, "replay", forgetful)
    with pytest.raises(Violation, match="replayed state differs"):
        run_many(400)


def test_the_net_catches_a_budget_that_keeps_nothing_for_parked_containers(monkeypatch):
    monkeypatch.setattr(Rules, "for_attempts", lambda self: self.nodes)
    with pytest.raises(Violation, match="its budget is"):
        run_many(200)


def test_the_net_catches_a_container_that_is_parked_for_a_later_attempt(monkeypatch):
    number_too_high = warming._next_attempt
    monkeypatch.setattr(
        warming, "_next_attempt", lambda entry: number_too_high(entry)._replace(number=entry.attempts + 2)
    )
    with pytest.raises(Violation, match="no end after"):
        run_many(100)


def test_where_parking_never_fails_the_later_waves_start_warm():
    tasks = tuple(
        Task(id=f"{wave}-{n}", key=f"{wave}-{n}", wave=wave, tier=1, limits=Limits(memory_bytes=64 * MIB))
        for wave in (1, 2, 3)
        for n in range(4)
    )
    rules = warmed(Rules(nodes=(Node(name="n", capacity=Resources(256 * MIB)),)), 4)
    waves = tuple(Wave(number=wave) for wave in (1, 2, 3))
    result = Simulation(Scenario(waves=waves, tasks=tasks, rules=rules, troubles=NO_TROUBLES, seed=1)).run()
    assert (result.executions, result.warm_starts) == (12, 8)
    started = [stamped.fact for stamped in result.journal if isinstance(stamped.fact, facts.AttemptStarted)]
    assert [fact.warm for fact in started] == [False] * 4 + [True] * 8


def run_many(count):
    for seed in range(count):
        Simulation(random_scenario(seed)).run()


@st.composite
def scenarios(draw) -> Scenario:
    schedule = draw(st.sampled_from(list(Schedule)))
    units = st.integers(1, 16)
    nodes = tuple(
        Node(name=f"n{n}", capacity=Resources(size * 64 * MIB, draw(st.sampled_from([0, 1000, 4000]))))
        for n, size in enumerate(draw(st.lists(units, min_size=1, max_size=3)))
    )
    largest = max(nodes, key=lambda node: node.capacity.memory_bytes).capacity
    fits_cpu = 4.0 if largest.milli_cpus == 0 else largest.milli_cpus / 1000
    numbers = sorted(draw(st.sets(st.integers(1, 30), min_size=1, max_size=5)))
    waves = tuple(Wave(number=n, parallelism=draw(st.sampled_from([None, 1, 2]))) for n in numbers)
    chosen = sorted(draw(st.lists(st.sampled_from(numbers), max_size=12)))
    rank = draw(st.permutations(range(len(chosen)))) if schedule is Schedule.ROLLING else range(len(chosen))
    tasks = []
    for index, wave in enumerate(chosen):
        before = [other for other in range(len(chosen)) if rank[other] < rank[index]]
        needs = draw(st.sets(st.sampled_from(before), max_size=3)) if before else set()
        tasks.append(
            Task(
                id=f"t{index}",
                key=f"t{index}",
                wave=wave,
                tier=1,
                limits=Limits(
                    memory_bytes=draw(st.integers(1, largest.memory_bytes)),
                    cpus=draw(st.sampled_from([None, 0.5, fits_cpu])),
                ),
                timeout_s=draw(st.sampled_from([None, 5.0, 30.0])),
                depends_on=tuple(f"t{need}" for need in sorted(needs)),
            )
        )
    rules = Rules(
        schedule=schedule,
        nodes=nodes,
        isolation=draw(st.sampled_from(list(Isolation))),
        keep_going=draw(st.booleans()),
        max_attempts=draw(st.integers(1, 3)),
        start_retries=draw(st.integers(0, 2)),
        parallel=draw(st.integers(1, 6)),
        wave_timeout_s=draw(st.sampled_from([None, 20.0])),
        task_timeout_s=draw(st.sampled_from([None, 20.0])),
    )
    if len(nodes) == 1:
        rules = warmed(rules, draw(st.sampled_from([0, 0, 1, 4])))
    return Scenario(
        waves=waves, tasks=tuple(tasks), rules=rules, troubles=NO_TROUBLES, seed=draw(st.integers(0, 2**32))
    )


SHARES = st.sampled_from([0.0, 0.05, 0.3])
TROUBLES = st.builds(
    Troubles,
    refused=SHARES,
    refused_for_now=SHARES,
    fails=SHARES,
    oom=SHARES,
    lost=SHARES,
    duplicate=SHARES,
    crash=SHARES,
    reboot=SHARES,
    interrupt=SHARES,
    not_prepared=SHARES,
    driver_fails=SHARES,
    left_behind=SHARES,
    not_parked=SHARES,
    dies_parked=SHARES,
    resumes=st.integers(0, 2),
    retries=st.integers(0, 2),
    pauses=st.integers(0, 3),
    cancels=st.integers(0, 3),
    live_retries=st.integers(0, 3),
)
DOSE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@DOSE
@given(scenarios(), TROUBLES)
def test_anything_ends_and_replays_to_the_same_state(scenario, troubles):
    result = Simulation(replace(scenario, troubles=troubles)).run()
    replayed = replay(result.journal)
    assert replayed is not None
    assert fingerprint(replayed.state) == fingerprint(result.state)
    assert result.peak_bytes <= sum(node.capacity.memory_bytes for node in scenario.rules.nodes)


@DOSE
@given(scenarios())
def test_without_troubles_and_bounds_everything_succeeds_at_the_first_attempt(scenario):
    unbounded = replace(
        scenario,
        rules=replace(scenario.rules, wave_timeout_s=None, task_timeout_s=None),
        tasks=tuple(replace(task, timeout_s=None) for task in scenario.tasks),
    )
    result = Simulation(unbounded).run()
    assert result.outcome is Outcome.SUCCESS
    assert result.executions == len(scenario.tasks)
    assert result.state.verdicts == ({VerdictKind.SUCCESS: len(scenario.tasks)} if scenario.tasks else {})


@DOSE
@given(scenarios(), TROUBLES)
def test_the_same_inputs_decide_the_same_facts(scenario, troubles):
    troubled = replace(scenario, troubles=troubles)
    assert Simulation(troubled).run().journal == Simulation(troubled).run().journal


@given(
    st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 20))), max_size=60), st.integers(0, 21)
)
def test_timers_agree_with_a_plain_table(steps, now_s):
    timers, table = Timers(), {}
    for number, at_s in steps:
        key = TimerKey(TimerKind.WAVE, number)
        if at_s is None:
            timers.clear(key)
            table.pop(key, None)
        else:
            timers.set(key, float(at_s))
            table[key] = float(at_s)
        assert timers.next_s() == min(table.values(), default=None)
    due = timers.due(float(now_s))
    assert set(due) == {key for key, at_s in table.items() if at_s <= now_s}
    assert [table[key] for key in due] == sorted(table[key] for key in due)
    timers.shift(2.5)
    assert timers.deadlines() == {key: at_s + 2.5 for key, at_s in table.items()}
    assert timers.next_s() == min((at_s + 2.5 for at_s in table.values()), default=None)


def test_the_net_catches_a_start_on_an_account_that_has_no_more(monkeypatch):
    monkeypatch.setattr(Accounts, "check", lambda self, state, entry: None)
    with pytest.raises(Violation, match="its account has nothing before"):
        run_many(300)


def test_the_net_catches_places_that_are_kept_for_what_waits_for_its_account(monkeypatch):
    monkeypatch.setattr(accounts, "_sort_out", lambda state: None)
    with pytest.raises(Violation, match="waits for nothing"):
        run_many(2000)


def test_the_net_catches_a_budget_that_nobody_looks_at(monkeypatch):
    monkeypatch.setattr(agents, "_check_run", lambda state: iter(()))
    with pytest.raises(Violation, match="the run goes on after"):
        run_many(2000)


def test_the_net_catches_a_pause_that_a_replay_forgets(monkeypatch):
    def forgetful(journal):
        return replay([s for s in journal if not isinstance(s.fact, facts.AccountPaused)])

    monkeypatch.setattr(simulation, "replay", forgetful)
    with pytest.raises(Violation, match="replayed state differs in"):
        run_many(400)


def test_the_net_catches_a_start_of_a_paused_run(monkeypatch):
    monkeypatch.setattr(Pause, "check", lambda self, state, entry: None)
    with pytest.raises(Violation, match="starts although the run is paused"):
        run_many(300)


@pytest.mark.parametrize("kind", [facts.RunPaused, facts.RunUnpaused, facts.TasksCancelled, facts.RunReopened])
def test_the_net_catches_what_somebody_asked_for_and_a_replay_forgets(monkeypatch, kind):
    monkeypatch.setattr(simulation, "replay", lambda journal: replay(s for s in journal if type(s.fact) is not kind))
    with pytest.raises(
        (Violation, InvariantBroken), match=r"replayed state differs in|cannot|is not live|after the end"
    ):
        run_many(400)


def test_the_net_catches_a_cancelled_task_that_is_tried_again(monkeypatch):
    def forgets(state, fact):
        for task_id in fact.tasks:
            state.tasks[task_id].excused = True

    monkeypatch.setitem(decide._APPLY, facts.TasksCancelled, forgets)
    with pytest.raises(Violation, match="starts although its task was cancelled"):
        run_many(400)


def test_the_net_catches_a_wave_whose_time_runs_on_while_nothing_may_start(monkeypatch):
    def forgets_the_waves(state, fact):
        state.course.paused = fact.at

    monkeypatch.setitem(decide._APPLY, facts.RunPaused, forgets_the_waves)
    with pytest.raises(Violation, match="of a paused run: WaveTimedOut"):
        run_many(2000)


@DOSE
@given(scenarios(), st.integers(1, 6))
def test_pauses_at_any_moment_lose_nothing_and_double_nothing(scenario, pauses):
    unbounded = replace(
        scenario,
        rules=replace(scenario.rules, wave_timeout_s=None, task_timeout_s=None),
        tasks=tuple(replace(task, timeout_s=None) for task in scenario.tasks),
        troubles=replace(NO_TROUBLES, pauses=pauses),
    )
    result = Simulation(unbounded).run()
    assert result.outcome is Outcome.SUCCESS
    assert result.executions == len(scenario.tasks)
    assert result.state.verdicts == ({VerdictKind.SUCCESS: len(scenario.tasks)} if scenario.tasks else {})
