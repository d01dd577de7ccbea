"""The results of a run: the seed's monitor result for each wave, with more beside it, and totals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from wavepool.drivers.memory import MemoryWorld
from wavepool.model import Node, Resources, Rules
from wavepool.plan import TierMap, parse_plan
from wavepool.testing.whole_runs import SimulatedRun
from wavepool.units import GIB, MIB

SEED_ENTRY = {"container_id", "batch_id", "status", "exit_code", "exit_status", "started_at", "completed_at"}
SEED_METRICS = {"total", "running", "exited", "success", "failed", "timeout"}


def batch(batch_id: str, *words: str, **fields: object) -> dict[str, object]:
    return {"batch_id": batch_id, "memory": "64m", "files": [], "command": ["sim", *words], **fields}


PLAN = {
    "waves": [
        {
            "wave_number": 1,
            "batches": [
                batch("good", "duration=4"),
                batch("bad", "exit=3"),
                batch("hungry", "oom"),
                batch("slow", "duration=100", timeout=5),
                batch("after bad", depends_on=["bad"]),
            ],
        },
        {"wave_number": 7, "batches": [batch("last", "duration=1")]},
    ]
}


def result_of(plan: Mapping[str, Any], directory: Path, **rules: Any) -> dict[str, Any]:
    run = SimulatedRun(
        plan=parse_plan(json.dumps(plan).encode(), source="plan", tiers=TierMap()),
        rules=Rules(nodes=(Node(name="local", capacity=Resources(GIB)),), **rules),
        world=MemoryWorld(),
        directory=directory,
        durable=False,
    )
    report = run.process()
    assert report is not None
    return report.result()


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return result_of(PLAN, tmp_path_factory.mktemp("run"), keep_going=True)


def test_a_wave_of_the_results_is_the_seeds_monitor_result(result: dict[str, Any]) -> None:
    first, last = result["waves"]
    assert (first["wave_number"], last["wave_number"]) == (1, 7)
    assert (first["completion_status"], last["completion_status"]) == ("timeout", "complete")
    assert isinstance(first["monitoring_duration"], int)
    assert set(first["metrics"]) == SEED_METRICS | {"pending"}
    assert [entry["batch_id"] for entry in first["containers"]] == ["good", "bad", "hungry", "slow", "after bad"]
    for entry in (*first["containers"], *last["containers"]):
        assert set(entry) >= SEED_ENTRY
        ran = entry["batch_id"] != "after bad"
        assert [bool(entry[name]) for name in ("container_id", "started_at", "completed_at", "log")] == [ran] * 4


def test_every_verdict_has_one_of_the_seeds_words_and_its_code(result: dict[str, Any]) -> None:
    said = {
        entry["batch_id"]: (entry["status"], entry["exit_code"], entry["exit_status"], entry["verdict"])
        for wave in result["waves"]
        for entry in wave["containers"]
    }
    assert said == {
        "good": ("exited", 0, "success", "success"),
        "bad": ("exited", 3, "failed", "failed"),
        "hungry": ("exited", 137, "failed", "oom"),
        "slow": ("exited", 124, "timeout", "timeout"),
        "after bad": ("skipped", None, "failed", "skipped"),
        "last": ("exited", 0, "success", "success"),
    }
    skipped = result["waves"][0]["containers"][4]
    assert (skipped["attempts"], skipped["evidence"]) == (0, {"reason": "its dependency 'bad' ended as failed"})


def test_totals_add_up_over_waves(result: dict[str, Any]) -> None:
    expected = {"total": 6, "running": 0, "exited": 5, "success": 2, "failed": 3, "timeout": 1, "pending": 0}
    assert result["metrics"] == expected
    for name, count in expected.items():
        assert count == sum(wave["metrics"][name] for wave in result["waves"])
    assert (result["status"], result["exit_code"], result["stopped_because"]) == ("failed", 1, None)
    assert (result["schedule"], result["budget"], result["left_behind"]) == ("barrier", {"local": "1.0GB"}, [])
    assert result["duration_s"] >= 6


def test_a_wave_that_was_never_reached_is_skipped_with_the_cause(tmp_path: Path) -> None:
    stopped = result_of(PLAN, tmp_path)
    (last,) = stopped["waves"][1]["containers"]
    assert (last["status"], last["verdict"], last["exit_status"]) == ("skipped", "skipped", "failed")
    assert stopped["stopped_because"] == "wave 1 ended with 4 of its tasks not successful"
    assert stopped["stopped_because"] in last["evidence"]["reason"]


def test_retries_are_counted_and_their_reasons_kept(tmp_path: Path) -> None:
    plan = {"waves": [{"wave_number": 1, "batches": [batch("bad", "exit=3", memory=64 * MIB)]}]}
    (entry,) = result_of(plan, tmp_path, max_attempts=3)["waves"][0]["containers"]
    assert (entry["attempts"], entry["log"]) == (3, "logs/bad.3.log")
    assert entry["retried_because"] == ["failed (attempt 1 of 3)", "failed (attempt 2 of 3)"]


def test_an_empty_plan_has_an_empty_result(tmp_path: Path) -> None:
    empty = result_of({"waves": []}, tmp_path)
    assert (empty["status"], empty["exit_code"], empty["metrics"], empty["waves"]) == ("success", 0, {}, [])
