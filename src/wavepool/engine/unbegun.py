"""A run that was refused before its first fact: nothing of it was ever started, so nothing of it is kept."""

from __future__ import annotations

import contextlib

from wavepool.engine.history.runs import RunHistory
from wavepool.errors import InfrastructureError
from wavepool.statedir import SPAWN_RECORD, RunDir, StateDir


def forget_unbegun(state_dir: StateDir, files: RunDir, *, although_logged: bool = False) -> None:
    """Remove the run's directory if its journal holds no fact; the caller holds the run's lock, and not its journal.

    Raises nothing: what resists, or cannot be read, stays as it is.

    Args:
        although_logged: also where `detached.log` is there, as somebody has read why it was refused.
    """
    if (files.artifacts / SPAWN_RECORD).exists() or (files.detached_log.exists() and not although_logged):
        return
    with contextlib.suppress(InfrastructureError):
        history = RunHistory(files)
        if not history.has_journal() or next(history.facts(), None) is None:
            state_dir.remove_run(files.id)
