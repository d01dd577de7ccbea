"""The arithmetic of the benchmarks; their figures are no tests."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest

from bench.__main__ import main
from bench.harness import Figure, Goal, compare, interleave, median_ratio, percentile
from bench.makespan import learned_places, lower_bound_s
from bench.report import as_json, as_table, number
from bench.simulation import Simulation, make_task, rules_for
from wavepool.model import Schedule
from wavepool.units import MIB


@pytest.mark.anyio
async def test_ways_take_turns_and_the_order_turns_round() -> None:
    seen: list[str] = []

    def way(name: str) -> Callable[[], Awaitable[float]]:
        async def measure() -> float:
            seen.append(name)
            return float(len(seen))

        return measure

    readings = await interleave({"a": way("a"), "b": way("b"), "slow": way("slow")}, rounds=3, only_first={"slow": 1})
    assert seen == ["a", "b", "slow", "b", "a", "a", "b"]
    assert readings == {"a": [1.0, 5.0, 6.0], "b": [2.0, 4.0, 7.0], "slow": [3.0]}


def test_a_ratio_is_the_median_within_rounds() -> None:
    assert median_ratio([2.0, 30.0, 3.0], [1.0, 10.0, 2.0]) == 2.0
    assert median_ratio([1.0], []) is None


def test_what_is_missed_is_said() -> None:
    figure = compare(
        {"ours": [3.0, 2.0, 4.0], "raw": [2.0, 2.0, 2.0], "loop": [9.0], "fast": [1.0]},
        name="spawn",
        unit="s",
        floor="raw",
        ratio_goal=Goal(bound=1.1, of="ratio"),
        beats_rivals=True,
    )
    assert (figure.ours, figure.floor, figure.ratio) == (3.0, 2.0, 1.5)
    assert figure.rivals == {"loop": 9.0, "fast": 1.0}
    assert figure.missed == ("ratio <= 1.1", "below fast (3.00 of it)")
    assert figure.met is False
    assert "MISSED" in as_table([figure])
    assert json.loads(as_json([figure], {}))["figures"][0]["met"] is False


def test_a_figure_without_a_goal_is_neither_met_nor_missed() -> None:
    assert Figure(name="x", unit="s", ours=1.0).met is None
    assert Goal(bound=5, at_least=True).is_met(5)
    assert not Goal(bound=5, at_least=True).is_met(None)


def test_percentiles_and_numbers() -> None:
    assert [percentile([4, 1, 3, 2], percent) for percent in (0, 50, 99, 100)] == [1, 2, 4, 4]
    assert [number(value) for value in (None, 0.1234, 12.34, 123.4, 12345.6)] == ["", "0.123", "12.3", "123", "12,346"]


@pytest.mark.parametrize(("schedule", "makespan_s"), [(Schedule.ROLLING, 4.0), (Schedule.BARRIER, 5.0)])
def test_a_simulated_run_is_as_long_as_it_must_be(schedule: Schedule, makespan_s: float) -> None:
    durations_s = dict(zip(("batch-0", "batch-1", "batch-2", "batch-3"), (3.0, 1.0, 2.0, 1.0), strict=True))
    tasks = [make_task(number, wave=number // 2 + 1, memory_bytes=64 * MIB) for number in range(4)]
    simulation = Simulation(
        tasks, rules_for(128 * MIB, schedule=schedule), lambda attempt: durations_s[attempt.task_id]
    )
    counts = simulation.finish()
    assert counts.makespan_s == pytest.approx(makespan_s)
    assert counts.events == 16
    assert lower_bound_s(tasks, durations_s) == 3.0


def test_what_was_learned_orders_a_simulated_run() -> None:
    durations_s = {f"batch-{number}": float(number + 1) for number in range(4)}
    tasks = [make_task(number, wave=1, memory_bytes=64 * MIB) for number in range(4)]
    assert sorted(learned_places(tasks, durations_s, seed=1)) == [0, 1, 2, 3]
    rules = rules_for(128 * MIB)
    in_plan_order = Simulation(tasks, rules, lambda attempt: durations_s[attempt.task_id]).finish()
    longest_first = Simulation(tasks, rules, lambda attempt: durations_s[attempt.task_id], (3, 2, 1, 0)).finish()
    assert (in_plan_order.makespan_s, longest_first.makespan_s) == (6.0, 5.0)


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nonsense"]) == 2
    assert "decisions" in capsys.readouterr().err
    assert main(["--list"]) == 0
