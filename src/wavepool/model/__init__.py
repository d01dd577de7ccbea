"""The values that every part speaks about: tasks, limits, attempts, verdicts, runs; one file for each.

All are frozen. Times are aware UTC datetimes, durations are seconds, sizes are bytes.
"""

from __future__ import annotations

from wavepool.model.agents import AgentEvent, AgentEventKind, AgentOrder, AgentReason, AgentReport, Tokens
from wavepool.model.attempts import ATTEMPT_TRANSITIONS, HANDLE_VERSION, AttemptId, AttemptPhase, Handle
from wavepool.model.limits import Limits, Resources
from wavepool.model.pools import PARKED_BYTES, AgentType, AlertRules, PoolsConfig, PoolSettings, PoolSpec
from wavepool.model.pressure import Pressure, PressureLevel
from wavepool.model.runs import AUTO_STARTS, LOG_LIMIT_BYTES, Isolation, Node, Rules, Schedule, Surroundings
from wavepool.model.sidecars import SIDECAR_CAPABILITIES, Healthcheck, Port, Sidecar, Volume
from wavepool.model.tasks import Mount, SecretSource, Task, Wave
from wavepool.model.verdicts import (
    DEFAULT_RETRY_ON,
    TIMEOUT_EXIT_CODE,
    Ending,
    Evidence,
    LogRecord,
    SidecarTrouble,
    StopReason,
    Verdict,
    VerdictKind,
)
from wavepool.model.watchdog import Act, Bound, Finding, Watchdog, WatchdogRule
from wavepool.model.workspaces import Changes, WorkspaceKind

__all__ = [
    "ATTEMPT_TRANSITIONS",
    "AUTO_STARTS",
    "DEFAULT_RETRY_ON",
    "HANDLE_VERSION",
    "LOG_LIMIT_BYTES",
    "PARKED_BYTES",
    "SIDECAR_CAPABILITIES",
    "TIMEOUT_EXIT_CODE",
    "Act",
    "AgentEvent",
    "AgentEventKind",
    "AgentOrder",
    "AgentReason",
    "AgentReport",
    "AgentType",
    "AlertRules",
    "AttemptId",
    "AttemptPhase",
    "Bound",
    "Changes",
    "Ending",
    "Evidence",
    "Finding",
    "Handle",
    "Healthcheck",
    "Isolation",
    "Limits",
    "LogRecord",
    "Mount",
    "Node",
    "PoolSettings",
    "PoolSpec",
    "PoolsConfig",
    "Port",
    "Pressure",
    "PressureLevel",
    "Resources",
    "Rules",
    "Schedule",
    "SecretSource",
    "Sidecar",
    "SidecarTrouble",
    "StopReason",
    "Surroundings",
    "Task",
    "Tokens",
    "Verdict",
    "VerdictKind",
    "Volume",
    "Watchdog",
    "WatchdogRule",
    "Wave",
    "WorkspaceKind",
]
