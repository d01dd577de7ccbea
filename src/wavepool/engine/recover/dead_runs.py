"""Dead runs, told in a line each when another run starts. Only looks: `resume` adopts, `recover` reaps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from wavepool.core.facts import RunFinished
from wavepool.engine.recover.runs import last_fact
from wavepool.errors import InfrastructureError
from wavepool.statedir import RunDir, StateDir
from wavepool.units import format_duration

LINES = 5
"""Dead runs that are named; of further ones only their number."""
LOOKED_AT = 500
"""Run directories that are looked at, the newest first."""
BUDGET_S = 0.25
"""After this long the start goes on, whatever has not been looked at."""


def dead_run_lines(state_dir: StateDir, *, but: str | None = None, now: datetime | None = None) -> list[str]:
    """A sentence for each run of this state directory that died in the middle, with the command that goes on with it.

    One small read for each run that has left slots behind, and none for the others: a run that comes to its end removes
    them. Blocks for some milliseconds, never for much longer than `BUDGET_S`. Raises nothing: whoever starts a run must
    not be kept from it by an old one.

    Args:
        but: a run that is about to be gone on with.
    """
    give_up = time.monotonic() + BUDGET_S
    at = now or datetime.now(UTC)
    lines: list[str] = []
    more = 0
    for files in _candidates(state_dir):
        if time.monotonic() > give_up:
            break
        if files.id == but:
            continue
        line = _line(files, at)
        if line is not None and len(lines) < LINES:
            lines.append(line)
        elif line is not None:
            more += 1
    if more:
        lines.append(f"{more} more runs died before their end: `wavepool recover --dry-run` tells of all")
    return lines


def _candidates(state_dir: StateDir) -> Iterator[RunDir]:
    try:
        names = state_dir.runs()
    except InfrastructureError:
        return
    for name in sorted(names, reverse=True)[:LOOKED_AT]:
        files = state_dir.run(name)
        if files.slots.is_dir() and files.journal.is_file():
            yield files


def _line(files: RunDir, at: datetime) -> str | None:
    try:
        if files.is_live():
            return None
        last = last_fact(files)
    except InfrastructureError as error:
        return (
            f"run {files.id} died, and its journal cannot be read ({error.message}): see `wavepool recover --dry-run`"
        )
    if last is None or isinstance(last.fact, RunFinished):
        return None
    signs = [last.utc, files.last_sign_of_life() or last.utc]
    age = format_duration(max(0.0, (at - max(signs)).total_seconds()))
    return f"run {files.id} died {age} ago: `wavepool resume {files.id}` goes on with it"
