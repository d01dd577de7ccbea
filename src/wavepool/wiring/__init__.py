"""The one place that names implementations: which driver, which journal, which clock, and how they fit together."""

from __future__ import annotations

from wavepool.wiring.agents import adapters_of, refuse_work_as_root, workspaces_of
from wavepool.wiring.beside import RecoveryTools, commands_into, journal_of, open_recovery
from wavepool.wiring.engines import (
    check_keeping,
    driver_named,
    open_driver,
    open_engine,
    process_driver,
    room_of,
    with_budget,
)
from wavepool.wiring.pools import ContainerPool
from wavepool.wiring.requests import GoingOn, Hooks, RunRequest
from wavepool.wiring.runs import RUNS_NAMED, end_run, known_run, resume_run, retry_run, run_plan
from wavepool.wiring.warmth import with_warmth

__all__ = [
    "RUNS_NAMED",
    "ContainerPool",
    "GoingOn",
    "Hooks",
    "RecoveryTools",
    "RunRequest",
    "adapters_of",
    "check_keeping",
    "commands_into",
    "driver_named",
    "end_run",
    "journal_of",
    "known_run",
    "open_driver",
    "open_engine",
    "open_recovery",
    "process_driver",
    "refuse_work_as_root",
    "resume_run",
    "retry_run",
    "room_of",
    "run_plan",
    "with_budget",
    "with_warmth",
    "workspaces_of",
]
