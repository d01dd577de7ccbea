"""A run as one line: where it stands, and its figures."""

from __future__ import annotations

from typing import Any

from wavepool.core.events import Now
from wavepool.engine.history.runs import Standing
from wavepool.engine.report import stamp
from wavepool.listeners.heldback import held_back
from wavepool.listeners.progress import Progress
from wavepool.monitoring.documents.runs import RunLine, TaskCounts
from wavepool.monitoring.runs.entries import counts_of
from wavepool.monitoring.wellformed import well_formed

NO_TASKS: TaskCounts = {
    "total": 0,
    "pending": 0,
    "starting": 0,
    "running": 0,
    "succeeded": 0,
    "failed": 0,
    "skipped": 0,
}


def run_line(
    run_id: str, standing: Standing, progress: Progress, now: Now, *, pid: int | None = None, problem: str | None = None
) -> RunLine:
    """The line of a run. What changes by time alone (`took_s`, `left_s`) is as of `now` while the run is live."""
    line: RunLine = {"id": run_id, "state": standing.value, "tasks": counts_of(progress.totals)}
    live = standing is Standing.LIVE
    busy = live or (standing is Standing.SPAWNED and progress.totals.running + progress.totals.starting > 0)
    _add(line, **_of_run(progress), **_of_end(progress, busy=busy))
    if progress.run is not None:
        took_s = progress.elapsed_s(now) if busy else progress.work.seconds
        _add(line, took_s=round(took_s, 3), budget_bytes=progress.budget_bytes or None, held_bytes=progress.held_bytes)
    if progress.spent is not None:
        spent_usd = round(progress.spent.cost_usd, 6) if progress.is_cost_told else None
        _add(line, spent_usd=spent_usd, tokens=progress.spent.tokens)
    if live:
        _add(line, **_of_life(progress, now), pid=pid)
    _add(line, problem=problem, resume=f"wavepool resume {run_id}" if standing.resumable else None)
    return line


def blank_line(run_id: str, standing: Standing, *, problem: str | None = None) -> RunLine:
    """Of a run of which no fact is known."""
    line: RunLine = {"id": run_id, "state": standing.value, "tasks": NO_TASKS}
    _add(line, problem=problem)
    return line


def _of_run(progress: Progress) -> dict[str, Any]:
    run = progress.run
    if run is None:
        return {}
    return {
        "driver": run.driver,
        "execution_mode": run.execution_mode,
        "schedule": run.rules.schedule.value,
        "started_at": stamp(run.at),
    }


def _of_end(progress: Progress, *, busy: bool) -> dict[str, Any]:
    if progress.outcome is not None:
        return {"ended_at": stamp(progress.course.finished_at)}
    return {} if busy else {"ended_at": stamp(progress.work.last_at)}


def _of_life(progress: Progress, now: Now) -> dict[str, Any]:
    left_s = progress.time_left_s(now)
    return {
        "paused": progress.course.is_paused or None,
        "draining": progress.course.draining or None,
        "held_back": "; ".join(held_back(progress, now)) or None,
        "left_s": None if left_s is None else round(left_s, 1),
    }


def _add(line: RunLine, **members: Any) -> None:
    line.update((name, well_formed(value)) for name, value in members.items() if value is not None)  # type: ignore[typeddict-item]  # as the tests see
