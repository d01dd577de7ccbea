"""What a run uses is written down as it runs, by whoever holds it, and gone on with after its process was killed."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from wavepool.drivers.base import Usage
from wavepool.drivers.memory import MemoryWorld
from wavepool.engine.usage.record import ATTEMPTS, read_record
from wavepool.engine.usage.recorder import LONGEST_S, UsageRecorder
from wavepool.model import AttemptId, Node, Resources, Rules
from wavepool.plan import TierMap, parse_plan
from wavepool.testing.kill_points import KillSwitch
from wavepool.testing.virtual_time import run_virtual
from wavepool.testing.whole_runs import SimulatedRun, VirtualClock
from wavepool.units import MIB

FIRST, SECOND = AttemptId("first", 1), AttemptId("second", 1)


def used(mib: int, cpu_s: float) -> Usage:
    return Usage(memory_bytes=mib * MIB, memory_limit_bytes=512 * MIB, memory_peak_bytes=None, pids=1, cpu_s=cpu_s)


async def every_second(recorder: UsageRecorder, seconds: int, read: Any) -> None:
    for second in range(seconds):
        await anyio.sleep(1)
        readings = read(second)
        recorder.hear(set(readings), readings)


def record_while(path: Path, seconds: int, read: Any) -> None:
    async def main() -> None:
        recorder = UsageRecorder(path, VirtualClock())
        async with anyio.create_task_group() as group:
            await group.start(recorder.run)
            await every_second(recorder, seconds, read)
            group.cancel_scope.cancel()

    run_virtual(main)


def test_peaks_means_and_cpu_are_what_was_read(tmp_path: Path) -> None:
    def read(second: int) -> dict[AttemptId, Usage]:
        readings = {FIRST: used(900 if second == 33 else 100, second * 0.5)}
        if 20 <= second < 60:
            readings[SECOND] = used(50, (second - 19) * 1.0)
        return readings

    record_while(tmp_path / "usage", 100, read)
    record = read_record(tmp_path / "usage")
    assert record.problem == ""
    whole, first, second = record.together.whole(), *(record.attempts[each].series.whole() for each in (FIRST, SECOND))
    assert whole is not None
    assert first is not None
    assert second is not None
    assert whole.memory_peak_bytes == 950 * MIB
    assert whole.attempts == 2
    assert (whole.read_s, first.read_s, second.read_s) == pytest.approx((100, 100, 40))
    assert first.memory_mean_bytes == pytest.approx(108 * MIB, rel=0.001)
    assert second.cpu_percent == pytest.approx(100, rel=0.01)
    assert whole.cpu_s == pytest.approx(99 * 0.5 + 40)
    assert record.attempts[SECOND].limit_bytes == 512 * MIB
    (peak,) = (each for each in record.attempts[FIRST].series if each.memory_peak_bytes == 900 * MIB)
    assert peak.end_s - peak.begin_s <= 8


def test_a_time_in_which_nothing_ran_or_nobody_looked_is_a_gap(tmp_path: Path) -> None:
    record_while(tmp_path / "usage", 90, lambda second: {} if 30 <= second < 60 else {FIRST: used(1, second)})
    together = list(read_record(tmp_path / "usage").together)
    gaps = [later.begin_s - each.end_s for each, later in pairwise(together)]
    assert max(gaps) == pytest.approx(30)
    assert sum(each.read_s for each in together) == pytest.approx(60)


def test_an_hour_is_a_few_kilobytes_in_few_writes(tmp_path: Path) -> None:
    path = tmp_path / "usage"
    record_while(path, 3600, lambda second: {FIRST: used(second % 500, second)})
    assert path.stat().st_size < 50_000
    record = read_record(path)
    whole = record.together.whole()
    assert whole is not None
    assert whole.memory_peak_bytes == 499 * MIB
    assert whole.read_s == pytest.approx(3600)
    assert max(each.end_s - each.begin_s for each in record.together) <= LONGEST_S


def test_of_too_many_at_once_all_are_counted_and_some_kept_apart(tmp_path: Path) -> None:
    readings = {AttemptId(f"t{n}", 1): used(1, 1.0) for n in range(ATTEMPTS + 20)}
    record_while(tmp_path / "usage", 5, lambda _: readings)
    record = read_record(tmp_path / "usage")
    whole = record.together.whole()
    assert whole is not None
    assert whole.memory_peak_bytes == (ATTEMPTS + 20) * MIB
    assert whole.attempts == ATTEMPTS + 20
    assert len(record.attempts) == ATTEMPTS


def test_what_begins_under_our_eyes_is_counted_from_its_beginning(tmp_path: Path) -> None:
    record_while(tmp_path / "usage", 10, lambda second: {FIRST: used(1, 0.7 + second)} if second else {})
    whole = read_record(tmp_path / "usage").together.whole()
    assert whole is not None
    assert whole.cpu_s == pytest.approx(9.7)


def test_who_goes_on_counts_no_cpu_twice(tmp_path: Path) -> None:
    path = tmp_path / "usage"
    record_while(path, 20, lambda second: {FIRST: used(1, 1.0 + second)})  # it had used 1 s before anybody looked
    record_while(path, 20, lambda second: {FIRST: used(2, 30.0 + second), SECOND: used(1, 5.0)})
    record = read_record(path)
    first, second = (record.attempts[each].series.whole() for each in (FIRST, SECOND))
    assert first is not None
    assert second is not None
    assert first.cpu_s == pytest.approx(19 + (49 - 19))  # of what it used meanwhile too
    assert second.cpu_s == 0, "what it used before it was first seen by somebody who adopts it may be counted already"


@pytest.mark.parametrize("broken", ["directory", "gone"])
def test_what_cannot_be_written_harms_nothing(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "there" / "usage"
    if broken == "directory":
        path.mkdir(parents=True)
    record_while(path, 10, lambda second: {FIRST: used(1, second)})
    assert read_record(path).problem


def test_what_could_not_be_written_for_a_while_is_gone_on_with(tmp_path: Path) -> None:
    path, away = tmp_path / "there" / "usage", tmp_path / "away"
    path.parent.mkdir()

    def read(second: int) -> dict[AttemptId, Usage]:
        if second == 20:
            path.parent.rename(away)
        if second == 40:
            away.rename(path.parent)
        return {FIRST: used(second + 1, second)}

    record_while(path, 60, read)
    record = read_record(path)
    assert record.problem == ""
    series = list(record.attempts[FIRST].series)
    assert series[0].memory_peak_bytes <= 5 * MIB
    assert series[-1].memory_peak_bytes == 60 * MIB


def simulated(directory: Path) -> SimulatedRun:
    batches = [{"batch_id": name, "memory": "64m", "files": [], "command": ["sim", "duration=60"]} for name in "abc"]
    document = json.dumps({"waves": [{"wave_number": 1, "batches": batches}]}).encode()
    rules = Rules(nodes=(Node(name="local", capacity=Resources(1024 * MIB)),))
    plan = parse_plan(document, source="plan", tiers=TierMap())
    return SimulatedRun(plan=plan, rules=rules, world=MemoryWorld(), directory=directory, records_usage=True)


@pytest.mark.parametrize("killed", [None, "after start c#1"])
def test_a_run_without_a_page_or_a_soft_limit_is_recorded_by_each_of_its_processes(
    tmp_path: Path, killed: str | None
) -> None:
    run, switch = simulated(tmp_path / "whole"), KillSwitch()
    assert run.process(switch) is not None
    if killed is not None:
        run = simulated(tmp_path / "killed")
        assert run.process(KillSwitch(switch.points.index(killed) + 1)) is None
        assert run.process() is not None
    whole = read_record(run.files.usage)
    assert whole.problem == ""
    assert {each.task_id for each in whole.attempts} == {"a", "b", "c"}
    assert 50 <= sum(each.read_s for each in whole.together) <= 75
    assert max(each.attempts for each in whole.together) == 3


def test_of_what_ends_while_nothing_can_be_written_no_more_is_gathered_than_a_file_keeps(tmp_path: Path) -> None:
    path, away = tmp_path / "there" / "usage", tmp_path / "away"
    path.parent.mkdir()

    def read(second: int) -> dict[AttemptId, Usage]:
        if second == 5:
            path.parent.rename(away)
        if second == 35:
            away.rename(path.parent)
        return {AttemptId(f"t{second}-{n}", 1): used(1, 1.0) for n in range(60 if 5 < second < 35 else 1)}

    record_while(path, 60, read)
    assert path.read_bytes().count(b'["attempt",') <= ATTEMPTS + 60
    assert AttemptId("t34-0", 1) in read_record(path).attempts
