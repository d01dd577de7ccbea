"""What a run leaves for the next one: samples of its settled attempts, and the order that they give."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import anyio

from wavepool.learning import Sample, kind_of, twin_of
from wavepool.learning.store import Store
from wavepool.model import Isolation, Node, Resources, Rules, Schedule, Surroundings, VerdictKind
from wavepool.plan import TierMap, parse_plan
from wavepool.units import GIB
from wavepool.wiring import RunRequest
from wavepool.wiring.learning import learned_places, places_of, read_history


def request_of(directory: Path, **fields: object) -> RunRequest:
    batches = [{"batch_id": name, "memory": "64m", "command": ["run", name], "files": []} for name in "abc"]
    waves = [
        {"wave_number": 1, "batches": batches[:2]},
        {"wave_number": 2, "batches": batches[2:]},
    ]
    plan = parse_plan(json.dumps({"waves": waves}).encode(), source="p", tiers=TierMap())
    rules = Rules(schedule=Schedule.ROLLING, nodes=(Node(name="n", capacity=Resources(GIB)),))
    around = Surroundings(image="i", workspace="/", network="n")
    return replace(RunRequest(plan=plan, rules=rules, surroundings=around, state_dir=directory), **fields)


def teach(directory: Path, request: RunRequest, **durations_s: float) -> None:
    by_id = {task.id: task for task in request.plan.tasks}
    Store(directory).add(
        [
            Sample(
                kind=kind_of(by_id[name], "i"),
                twin=twin_of(by_id[name], "i"),
                tier=1,
                limit_bytes=GIB,
                verdict=VerdictKind.SUCCESS,
                duration_s=duration_s,
            )
            for name, duration_s in durations_s.items()
        ]
    )


def places(request: RunRequest, **rules: object) -> tuple[int, ...]:
    told: list[str] = []
    found = anyio.run(places_of, request, replace(request.rules, **rules), told.append)
    assert told == []
    return found


def test_a_rolling_run_starts_with_what_took_longest(tmp_path):
    request = request_of(tmp_path)
    assert places(request) == ()
    teach(tmp_path, request, a=1.0, b=2.0, c=9.0)
    assert places(request) == (2, 1, 0)
    assert places(request, isolation=Isolation.WAVE) == (1, 0, 2)


def test_waves_as_written_and_the_plans_order_stay(tmp_path):
    request = request_of(tmp_path)
    teach(tmp_path, request, c=9.0)
    assert places(request, schedule=Schedule.BARRIER) == ()
    assert places(replace(request, start_order="plan")) == ()
    assert learned_places(replace(request, start_order="plan"), request.rules, read_history(tmp_path, print)) == ()


def test_tasks_of_which_nothing_is_known_count_like_their_kind(tmp_path):
    request = request_of(tmp_path)
    teach(tmp_path, request, b=1.0, c=5.0)
    assert places(request) == (1, 2, 0)  # a: 3 s, the mean of `run, tier 1`
