"""How many starts may be under way, by the pressure on the host: what is allowed, that it reacts, that none starves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavepool.core import events, facts
from wavepool.core.gates.base import Wait
from wavepool.core.gates.ramp import Ramp as RampGate
from wavepool.core.gates.starts import Starts
from wavepool.core.ramp import FIRST, Ramp, first_ramp, level_of, next_ramp
from wavepool.model import AUTO_STARTS, Pressure, PressureLevel, VerdictKind
from wavepool.testing.simulation import Simulation, Violation
from wavepool.testing.simulation.fingerprint import fingerprint
from wavepool.testing.simulation.scenarios import random_scenario

EASY, BUSY, FULL = PressureLevel
CALM = Pressure(cpu_stalled=1, memory_stalled=0, io_stalled=2, cpu_used=20, memory_used=40)
HOT = CALM._replace(cpu_stalled=90)
WARM = CALM._replace(cpu_stalled=45)
SHORT = CALM._replace(memory_stalled=20)
percent = st.none() | st.floats(0, 100)
readings = st.none() | st.builds(
    Pressure, cpu_stalled=percent, memory_stalled=percent, io_stalled=percent, cpu_used=percent, memory_used=percent
)


def after(ramp, *told, most=AUTO_STARTS, used_up=True):
    for reading in told:
        ramp, _ = next_ramp(ramp, reading, most=most, used_up=used_up)
    return ramp


# -- the policy --


def test_it_begins_with_the_seeds_number_and_never_above_the_users() -> None:
    assert first_ramp(AUTO_STARTS) == Ramp(FIRST, AUTO_STARTS)
    assert first_ramp(3).allowed == 3
    assert after(first_ramp(3), *[CALM] * 20, most=3).allowed == 3


def test_on_a_calm_host_it_doubles_up_to_the_bound_within_seconds() -> None:
    ramp, seen = first_ramp(AUTO_STARTS), []
    for _ in range(4):
        ramp = after(ramp, CALM)
        seen.append(ramp.allowed)
    assert seen == [10, 20, 32, 32]


def test_what_is_not_used_up_raises_nothing() -> None:
    assert after(first_ramp(32), *[CALM] * 20, used_up=False).allowed == FIRST


def test_pressure_halves_it_down_to_one_start_and_it_comes_back_carefully() -> None:
    ramp = after(Ramp(32, 32), HOT)
    assert ramp == Ramp(16, 16, BUSY)
    assert after(ramp, *[HOT] * 9) == Ramp(1, 16, BUSY)
    back = after(Ramp(1, 16, BUSY), *[CALM] * 4)
    assert back == Ramp(16, 16, EASY), "doubled up to half of what was too much"
    assert after(back, CALM, CALM).allowed == 18, "then one by one"


def test_between_calm_and_pressed_nothing_changes() -> None:
    assert after(Ramp(8, 32), WARM) == Ramp(8, 32)
    assert after(Ramp(8, 32, BUSY), WARM) == Ramp(8, 32, BUSY)
    assert level_of(WARM, EASY).level is EASY
    assert level_of(WARM, BUSY).level is BUSY, "one that was pressed stays so until it is calm"


@pytest.mark.parametrize(
    ("reading", "level", "why"),
    [
        (CALM, EASY, ""),
        (HOT, BUSY, "tasks waited for a CPU 90% of the time"),
        (CALM._replace(io_stalled=75), BUSY, "tasks waited for a disk 75% of the time"),
        (SHORT, FULL, "tasks waited for memory 20% of the time"),
        (CALM._replace(memory_used=96), FULL, "96% of the memory is in use"),
        (CALM._replace(memory_used=94), EASY, ""),
        (CALM._replace(cpu_used=100), EASY, ""),
        (Pressure(cpu_used=81, memory_used=50), BUSY, "81% of the CPUs is in use"),
        (Pressure(cpu_used=50, memory_used=86), FULL, "86% of the memory is in use"),
        (Pressure(), EASY, ""),
    ],
)
def test_what_a_reading_means(reading: Pressure, level: PressureLevel, why: str) -> None:
    assert level_of(reading, EASY) == (level, why)


def test_short_memory_is_over_when_all_of_it_is_calm() -> None:
    full = after(Ramp(20, 32), SHORT)
    assert full == Ramp(1, 10, FULL)
    for reading in (CALM._replace(memory_stalled=6), CALM._replace(memory_used=92), SHORT):
        assert after(full, reading) == full
    assert after(full, CALM) == Ramp(2, 10, EASY), "it begins with one, and doubles"


def test_a_host_that_cannot_be_read_is_not_waited_for() -> None:
    assert after(Ramp(1, 10, FULL), None) == first_ramp(AUTO_STARTS)


@given(st.lists(st.tuples(readings, st.booleans()), max_size=40), st.integers(1, 100))
def test_whatever_is_read_it_stays_in_its_bounds_and_recovers(told, most) -> None:
    ramp = first_ramp(most)
    for reading, used_up in told:
        before = ramp
        ramp, why = next_ramp(ramp, reading, most=most, used_up=used_up)
        assert 1 <= ramp.allowed <= most
        assert (ramp.level is EASY) == (why == "") or reading is None
        if reading is not None and level_of(reading, EASY).level is not EASY:
            assert ramp.allowed <= before.allowed, "pressure never raises it"
    for _ in range(most + 10):
        ramp = after(ramp, CALM, most=most)
    assert ramp == Ramp(most, ramp.doubles_to), "calm for long enough it has all of it again"


# -- the gate --


def press(run, reading) -> list:
    return run.feed(events.Pressed(reading=reading))


def test_starts_follow_the_pressure(new_run, make_task) -> None:
    run = new_run([make_task(f"t{n}") for n in range(40)], ramp=True, parallel=32)
    assert len(run.started()) == FIRST
    assert len(run.started(press(run, CALM))) == 5, "ten at once"
    assert run.started(press(run, HOT)) == []
    assert run.state.ramp.allowed == 5
    for n in range(5):
        assert run.started(run.runs(f"t{n}")) == [], "as many as are allowed are still under way"
    assert len(run.started(run.runs("t5"))) == 1


def test_where_memory_is_short_one_runs_at_a_time_until_it_eases(new_run, make_task) -> None:
    run = new_run([make_task(name) for name in "abcd"], ramp=True, parallel=1)
    press(run, SHORT)
    assert run.started(run.runs("a")) == []
    assert run.started(run.ends("a")) == ["b#1"], "nothing ran"
    assert run.started(run.runs("b")) == []
    assert run.started(press(run, CALM)) == ["c#1"]


def test_a_run_comes_to_its_end_however_short_memory_stays(new_run, make_task) -> None:
    run = new_run([make_task(f"t{n}", n // 3 + 1) for n in range(9)], ramp=True, parallel=32)
    press(run, SHORT)
    order = []
    while run.state.outcome is None:
        assert run.state.live, f"nothing runs and {run.state.pending} are pending"
        attempt = next(iter(run.state.live))
        order.append(attempt.task_id)
        run.ends(attempt.task_id)
    assert run.state.verdicts == {VerdictKind.SUCCESS: 9}


def test_a_reading_that_changes_nothing_is_no_fact(new_run, make_task) -> None:
    run = new_run([make_task("a")], ramp=True, parallel=32)
    assert press(run, CALM) == []
    assert [type(fact) for fact in press(run, HOT)] == [facts.StartsPaced]
    assert press(run, WARM) == []


def test_with_a_number_of_the_users_readings_mean_nothing(new_run, make_task) -> None:
    run = new_run([make_task(name) for name in "abc"], parallel=2)
    assert press(run, SHORT) == []
    assert run.started(run.runs("a")) == ["c#1"]


def test_a_replay_knows_what_was_allowed_without_a_reading(new_run, make_task) -> None:
    run = new_run([make_task(f"t{n}") for n in range(40)], ramp=True, parallel=32)
    press(run, CALM)
    press(run, SHORT)
    assert run.replayed().ramp == Ramp(1, 5, FULL)
    run.crash()
    assert run.state.ramp == first_ramp(32), "another process finds out by itself"


# -- whole runs --


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 80))
def test_any_weather_ends_and_replays_to_the_same_state(seed, how_many) -> None:
    scenario = random_scenario(seed)
    scenario = replace(
        scenario, rules=replace(scenario.rules, ramp=True), troubles=replace(scenario.troubles, readings=how_many)
    )
    one, other = Simulation(scenario).run(), Simulation(scenario).run()
    assert one.journal == other.journal
    assert fingerprint(one.state) == fingerprint(other.state)


def run_many(count: int) -> None:
    for seed in range(count):
        Simulation(random_scenario(seed)).run()


def test_the_net_catches_a_gate_that_heeds_no_pressure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RampGate, "check", lambda self, state, entry: Starts().check(state, entry))
    with pytest.raises(Violation, match=r"while memory is short|the pressure allows"):
        run_many(300)


def test_the_net_catches_a_run_that_waits_for_memory_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def starving(self, state, entry):
        return Wait("never", blocks=True) if state.ramp.level is FULL else heeding(self, state, entry)

    heeding = RampGate.check
    monkeypatch.setattr(RampGate, "check", starving)
    with pytest.raises(Violation, match="nothing will ever happen again"):
        run_many(400)
