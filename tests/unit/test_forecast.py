"""Runs rehearsed in virtual time: the core's own schedule, with durations that were seen."""

from __future__ import annotations

import json
from dataclasses import replace

import anyio
import pytest

from wavepool.cli.learned import lesson_json, lesson_of, print_lesson
from wavepool.cli.prediction import opening, predict, prediction_json, prediction_lines
from wavepool.config import load_settings
from wavepool.core import actions
from wavepool.drivers.memory import MemoryDriver, MemoryWorld
from wavepool.engine.clock import SystemClock
from wavepool.engine.dryrun import Lasting, rehearse
from wavepool.engine.forecast import DRAWS_MAX, TASKS_DRAWN, by_means, forecast, grounds_of
from wavepool.learning import Basis, History, Sample, kind_of, twin_of
from wavepool.model import Isolation, Node, Resources, Rules, Schedule, Surroundings, VerdictKind
from wavepool.plan import TierMap, parse_plan
from wavepool.units import GIB, MIB
from wavepool.wiring import RunRequest

NOW = SystemClock().now()
IMAGE = "i"


def batch(name, **fields):
    return {"batch_id": name, "memory": "1g", "command": ["run", name], "files": [], **fields}


def request_of(*waves, budget_gib=2, **rules):
    document = {"waves": [{"wave_number": n, "batches": list(batches)} for n, batches in enumerate(waves, 1)]}
    plan = parse_plan(json.dumps(document).encode(), source="p", tiers=TierMap())
    nodes = (Node(name="n", capacity=Resources(budget_gib * GIB)),)
    rules = Rules(nodes=nodes, isolation=Isolation.NONE, parallel=100, **rules)
    around = Surroundings(image=IMAGE, workspace="/", network="n")
    return RunRequest(plan=plan, rules=rules, surroundings=around, state_dir="/none")


def history(request, peak_mib=None, **durations_s):
    """What was seen of each task: one duration, or several."""
    return History(
        Sample(
            kind=kind_of(task, IMAGE),
            twin=twin_of(task, IMAGE),
            tier=task.tier,
            limit_bytes=task.limits.memory_bytes,
            verdict=VerdictKind.SUCCESS,
            duration_s=seen,
            peak_bytes=None if peak_mib is None else peak_mib * MIB,
        )
        for task in request.plan.tasks
        for seen in (durations_s.get(task.id, ()))
    )


@pytest.fixture(scope="module")
def found():
    async def probe():
        async with MemoryDriver(MemoryWorld()) as driver:
            return await driver.probe()

    return anyio.run(probe)


@pytest.fixture
def predicted(found):
    return lambda request, known: predict(request, request.rules, found, known, NOW)


THREE = ([batch("a"), batch("b"), batch("c")], [batch("d")])


def test_attempts_last_as_they_are_told_and_the_core_fills_what_they_leave(found):
    request = request_of(*THREE)
    opened = opening(request, request.rules, found, History(), "r")
    lasts = {"a": Lasting(1.0, 4.0, 0.5), "b": Lasting(1.0, 9.0, 0.5), "c": Lasting(1.0, 2.0, 0.5), "d": Lasting()}
    told = [
        (step.at_s, type(step.action).__name__, step.action.attempt.task_id)
        for step in rehearse(opened, NOW, lambda attempt: lasts[attempt.task_id])
        if hasattr(step.action, "attempt")
    ]
    assert [(at, name) for at, kind, name in told if kind == "StartAttempt"] == [
        (0.0, "a"), (0.0, "b"), (5.0, "c"), (10.5, "d"),
    ]  # fmt: skip
    assert [(at, name) for at, kind, name in told if kind == "RemoveAttempt"] == [
        (5.5, "a"), (8.5, "c"), (10.5, "b"), (10.5, "d"),
    ]  # fmt: skip


def test_without_durations_everything_happens_at_once_in_the_plans_order(found):
    request = request_of(*THREE)
    steps = list(rehearse(opening(request, request.rules, found, History(), "r"), NOW))
    assert {step.at_s for step in steps} == {0.0}
    starts = [step.action.attempt.task_id for step in steps if isinstance(step.action, actions.StartAttempt)]
    assert starts == list("abcd")
    assert max(step.memory_held_bytes for step in steps) == 2 * GIB


def test_both_schedules_are_predicted_from_what_was_seen(predicted):
    request = request_of(*THREE)
    known = history(request, peak_mib=100, a=(5.0,), b=(10.0,), c=(2.0,), d=(6.0,))
    found = predicted(request, known)
    barrier, rolling = found.forecasts[Schedule.BARRIER], found.forecasts[Schedule.ROLLING]
    assert found.chosen is Schedule.BARRIER
    assert (barrier.makespan_s, barrier.draws) == (16.0, 1)
    assert rolling.makespan_s == 12.0  # the longest first: b and then c beside d and then a
    assert (rolling.held_bytes, rolling.used_bytes) == (2 * GIB, 200 * MIB)
    assert found.grounds.by_basis == {Basis.TWIN: 4}


def test_durations_that_vary_are_drawn_many_times(predicted):
    request = request_of([batch(f"t{n}") for n in range(8)], budget_gib=8)
    known = history(request, **{f"t{n}": (1.0, 100.0) for n in range(8)})
    found = predicted(request, known).forecasts[Schedule.BARRIER]
    assert found.draws == DRAWS_MAX
    assert found.makespan_s == 100.0, "the longest of eight is longer than their means"
    assert found == predicted(request, known).forecasts[Schedule.BARRIER], "the same again"


def test_large_plans_are_rehearsed_less_often(found):
    request = request_of([batch(f"t{n}") for n in range(200)], budget_gib=50)
    known = history(request, t0=(1.0, 9.0))
    grounds = grounds_of(request.plan.tasks, IMAGE, request.rules, known)
    opened = opening(request, request.rules, found, known, "r")
    assert forecast(opened, grounds, NOW).draws == DRAWS_MAX
    assert TASKS_DRAWN // 10_000 == 1, "one rehearsal of ten thousand"


def test_a_cycle_of_waves_has_no_barrier(predicted):
    request = request_of([batch("a", depends_on=["b"])], [batch("b")], schedule=Schedule.ROLLING)
    found = predicted(request, history(request, a=(2.0,), b=(3.0,)))
    assert found.forecasts[Schedule.BARRIER] is None
    assert found.forecasts[Schedule.ROLLING].makespan_s == 5.0
    assert "not possible" in prediction_lines(found)[1]
    assert prediction_json(found)["schedules"]["barrier"] is None


def test_what_nothing_is_known_of_is_said(predicted):
    request = request_of([batch("a"), batch("b"), batch("c", memory="600m", command=["x"])])
    found = predicted(request, history(request, a=(5.0,)))
    told = prediction_json(found)
    assert told["history"] == {
        "tasks": 3, "twin": 1, "kind": 1, "tier": 0, "none": 1, "assumed_s": 60.0, "without_memory": 3,
    }  # fmt: skip
    assert prediction_lines(found)[-1] == (
        "this rests on: 1 task that ran before; 1 task of a kind that ran before; 1 task without history, taken to "
        "last 1m00s; 3 tasks taken to use all of their limit"
    )


def test_tasks_that_will_run_into_their_timeout_are_named(predicted):
    request = request_of([batch("a", timeout=4), batch("b")], task_timeout_s=50.0)
    found = predicted(request, history(request, a=(5.0,), b=(40.0,)))
    assert found.grounds.too_long == ("a",)
    assert prediction_lines(found)[-1].endswith("not part of the prediction: 'a'")


def test_memory_is_never_predicted_above_a_limit(found):
    request = request_of([batch("a")])
    grounds = grounds_of(request.plan.tasks, IMAGE, request.rules, history(request, peak_mib=5000, a=(1.0,)))
    assert forecast(opening(request, request.rules, found, History(), "r"), grounds, NOW).used_bytes == GIB
    assert by_means(grounds.expected)(next(iter(opening_attempts(found, request)))).run_s == 1.0


def opening_attempts(found, request):
    for step in rehearse(opening(request, request.rules, found, History(), "r"), NOW):
        if isinstance(step.action, actions.StartAttempt):
            yield step.action.attempt


# -- what --learn shows --


class Paper:
    """Stands for a console."""

    def __init__(self):
        self.lines = []

    def print(self, text, **_):
        self.lines.append(str(text))


def test_the_table_and_the_result_say_the_same(tmp_path):
    settings = load_settings({"state_dir": str(tmp_path)}, environ={}, cwd=tmp_path)
    request = request_of([batch("a"), batch("b", memory="600m", tier=2), batch("c", command=["other"])])
    known = history(request, peak_mib=100, a=(5.0,), b=(1.0, 2.0, 3.0))
    lesson = lesson_of(request.plan.tasks, IMAGE, known, settings)
    paper = Paper()
    print_lesson(lesson, paper)
    assert [line.split("  ")[0] for line in paper.lines[:4]] == [
        "kind", "run, tier 4", "run, tier 2", "other, tier 4",
    ]  # fmt: skip
    assert "too few were seen to lower it" in paper.lines[1]
    assert paper.lines[2].endswith("tier 1, 512m  the peak and 47% on top")
    assert paper.lines[3].endswith("no memory was seen of it")
    assert paper.lines[4].endswith('tier_2_memory = "160m"')
    told = lesson_json(lesson)
    assert told["settings"] == {"tier_2_memory": "160m"}
    assert [each["change"] for each in told["proposals"]] == ["unknown", "lower", "unknown"]
    assert told["proposals"][1]["proposed_tier"] == 1


def test_a_long_table_is_cut_and_says_so(tmp_path):
    settings = load_settings({"state_dir": str(tmp_path)}, environ={}, cwd=tmp_path)
    request = request_of([batch(f"t{n}", command=[f"p{n}"]) for n in range(50)])
    paper = Paper()
    print_lesson(lesson_of(request.plan.tasks, IMAGE, History(), settings), paper)
    assert paper.lines[-2:] == ["… and 10 more, in the result", "Nothing was changed."]


def test_timeouts_of_the_rules_bound_tasks_without_one(found):
    request = request_of([batch("a")], task_timeout_s=4.0)
    grounds = grounds_of(request.plan.tasks, IMAGE, request.rules, history(request, a=(5.0,)))
    assert grounds.too_long == ("a",)
    assert grounds_of(request.plan.tasks, IMAGE, replace(request.rules, task_timeout_s=None), History()).too_long == ()
