"""Containers of `spawn` are shown as runs, though no journal tells of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
from pydantic import TypeAdapter

from wavepool import labels
from wavepool.core.events import Now
from wavepool.drivers.base import Observation, Phase
from wavepool.engine.history.runs import Standing
from wavepool.model import AttemptId, Ending, Evidence, Handle, VerdictKind
from wavepool.monitoring.documents.runs import RunDocument
from wavepool.monitoring.runs.document import RunChannel
from wavepool.monitoring.runs.folds import TaskFold
from wavepool.monitoring.runs.followed import FollowedRun
from wavepool.monitoring.runs.lines import run_line
from wavepool.monitoring.runs.spawned import fold_of
from wavepool.monitoring.usage.readings import RunUsage
from wavepool.statedir import SPAWN_RECORD, StateDir
from wavepool.testing.whole_runs import VirtualClock
from wavepool.units import MIB

DOCUMENT = TypeAdapter(RunDocument)
START = datetime(2026, 11, 20, 23, 15, 30, tzinfo=UTC)
NOW = Now(5000.0, START + timedelta(seconds=60))


def seen(task_id: str, phase: Phase, *, wave: int = 1, exit_code: int | None = None, began_s: int = 0) -> Observation:
    kind = VerdictKind.SUCCESS if exit_code == 0 else VerdictKind.FAILED
    ending = Ending(
        kind=kind,
        evidence=Evidence(exit_code=exit_code),
        started_at=START + timedelta(seconds=began_s),
        finished_at=START + timedelta(seconds=began_s + 20),
    )
    return Observation(
        handle=Handle(driver="docker", id=f"id-{task_id}", name=f"n-{task_id}", attempt=AttemptId(task_id, 1)),
        run_id="r",
        wave=wave,
        phase=phase,
        started_at=None if phase is Phase.CREATED else START + timedelta(seconds=began_s),
        ending=None if exit_code is None else ending,
        labels={labels.TASK_KEY: task_id, labels.SEED_TIER: "2", labels.SEED_MEMORY: "64MB"},
    )


FIRST = [seen("a", Phase.RUNNING), seen("b", Phase.CREATED), seen("c", Phase.EXITED, exit_code=3, began_s=5)]
THEN = [seen("a", Phase.EXITED, exit_code=0), seen("c", Phase.EXITED, exit_code=3, began_s=5)]


def test_what_runs_is_told_with_its_memory_and_time() -> None:
    fold = fold_of("r", "o", FIRST, NOW)
    line = run_line("r", Standing.SPAWNED, fold.progress, NOW)
    counts = line["tasks"]
    assert (counts["total"], counts["starting"], counts["running"], counts["failed"]) == (3, 1, 1, 1)
    assert line["held_bytes"] == 2 * 64 * MIB
    assert line["took_s"] == 60.0
    assert "ended_at" not in line
    assert "budget_bytes" not in line
    assert [handle.name for handle in fold.running.values()] == ["n-a"]
    assert fold.entry("c")["tier"] == 2
    over = run_line("r", Standing.SPAWNED, fold_of("r", "o", THEN, NOW).progress, NOW)
    assert (over["took_s"], over["ended_at"]) == (25.0, "2026-11-20T23:15:55.000Z")


def test_the_peak_of_an_ended_attempt_is_a_figure_and_no_sentence() -> None:
    ended = seen("c", Phase.EXITED, exit_code=3)
    assert ended.ending is not None
    evidence = replace(ended.ending.evidence, memory_peak_bytes=3 * MIB)
    known = replace(ended, ending=replace(ended.ending, evidence=evidence))
    attempt = fold_of("r", "o", [known, seen("a", Phase.RUNNING)], NOW).entry("c")["attempts"]["1"]
    assert attempt["memory_peak_bytes"] == 3 * MIB
    assert not any("memory" in sentence for sentence in attempt.get("evidence", ()))
    assert "memory_peak_bytes" not in fold_of("r", "o", [ended], NOW).entry("c")["attempts"]["1"]


def test_each_look_leads_to_a_patch(tmp_path: Path) -> None:
    files = StateDir(tmp_path).run("r")
    files.create()
    (files.artifacts / SPAWN_RECORD).write_text("{}")
    run = FollowedRun(files, TaskFold, anyio.CapacityLimiter(1))

    async def main() -> tuple[RunDocument, RunDocument, RunDocument]:
        run.put_seen(fold_of("r", "o", FIRST, NOW))
        await run.look()
        await run.catch_up()
        channel = RunChannel(run, RunUsage(), VirtualClock())
        before = channel.document()
        assert channel.take_patch() is None
        run.put_seen(fold_of("r", "o", THEN, NOW))
        patch = channel.take_patch()
        assert patch is not None
        assert patch["tasks"]["b"] is None  # it was removed
        assert patch["tasks"]["c"] == {"place": 1}
        assert patch["waves"]["1"]["state"] == "settled"
        return before, channel.document(), channel.whole()

    before, after, whole = anyio.run(main)
    assert before["run"]["state"] == after["run"]["state"] == "spawned"
    assert set(DOCUMENT.validate_python(after)["tasks"]) == {"a", "c"}
    assert {name: value for name, value in after.items() if name != "as_of"} == {
        name: value for name, value in whole.items() if name != "as_of"
    }
