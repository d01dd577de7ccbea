"""What comes of a task, in the seed's fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from wavepool.core.facts import AttemptSettled
from wavepool.engine.attempts.streams import read_streams
from wavepool.model import AgentReport, Changes, Evidence, Handle, VerdictKind

Status = Literal["success", "failed", "timeout", "cancelled"]

_STATUS: Mapping[VerdictKind, Status] = {
    VerdictKind.SUCCESS: "success",
    VerdictKind.TIMEOUT: "timeout",
    VerdictKind.CANCELLED: "cancelled",
    VerdictKind.SKIPPED: "cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionResult:
    """What became of one task.

    Attributes:
        task_id, task_name: as they were given.
        status: the seed's word; `verdict` says it more finely.
        start_time, end_time: aware UTC; None where nothing ran.
        duration: seconds from start to end; 0 where nothing ran.
        exit_code: 124 for a timeout; None where nothing ran, or nobody knows.
        stdout, stderr: what the last attempt wrote, invalid bytes replaced.
        output_file: where all of its output is kept; None where there is none.
        error_message: what happened, in a sentence; empty for a success.
        resource_usage: what was measured: ``memory_peak_bytes``, and of agents ``turns``, ``tokens``, ``cost_usd``.
        container_id: None without a container.
        logs: all output in its order, as `output_file` has it.
        verdict, evidence: the engine's own words.
        execution_mode: ``containerized`` or ``subprocess``.
        agent: what its agent said in all; None without one.
        changes: what came back out of a workspace of its own; None where it worked in the user's directory.
    """

    task_id: str
    task_name: str
    status: Status
    start_time: datetime | None = None
    end_time: datetime | None = None
    duration: float = 0.0
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    output_file: str | None = None
    error_message: str = ""
    resource_usage: Mapping[str, float] = field(default_factory=dict)
    container_id: str | None = None
    logs: str = ""
    verdict: VerdictKind
    evidence: Evidence = field(default_factory=Evidence)
    execution_mode: str
    agent: AgentReport | None = None
    changes: Changes | None = None

    @property
    def success(self) -> bool:
        """True where it did what it should."""
        return self.status == "success"


def never_ran(task_id: str, name: str, verdict: VerdictKind, why: str, mode: str) -> ExecutionResult:
    """Of a task that had no attempt."""
    return ExecutionResult(
        task_id=task_id,
        task_name=name,
        status=_STATUS.get(verdict, "failed"),
        error_message=why,
        verdict=verdict,
        execution_mode=mode,
    )


def result_of(
    settled: AttemptSettled, *, name: str, handle: Handle | None, directory: Path, mode: str
) -> ExecutionResult:
    """Of a task whose last attempt ended; reads its output from the run's `directory`."""
    verdict = settled.verdict
    log = None if settled.log.path is None else directory / settled.log.path
    streams = read_streams(log)
    started, finished = settled.started_at, settled.finished_at
    ran_s = (finished - started).total_seconds() if started is not None and finished is not None else 0.0
    return ExecutionResult(
        task_id=settled.attempt.task_id,
        task_name=name,
        status=_STATUS.get(verdict.kind, "failed"),
        start_time=started,
        end_time=finished,
        duration=max(0.0, ran_s),
        exit_code=verdict.exit_code,
        stdout=_text(streams.stdout),
        stderr=_text(streams.stderr),
        output_file=None if log is None else str(log),
        error_message="" if verdict.succeeded else verdict.evidence.reason or f"it ended as {verdict.kind}",
        resource_usage=_usage(settled),
        container_id=handle.id if handle is not None and mode == "containerized" else None,
        logs=_text(streams.together),
        verdict=verdict.kind,
        evidence=verdict.evidence,
        execution_mode=mode,
        agent=settled.agent,
        changes=settled.changes,
    )


def _usage(settled: AttemptSettled) -> dict[str, float]:
    found: dict[str, float] = {}
    peak = settled.verdict.evidence.memory_peak_bytes
    if peak is not None:
        found["memory_peak_bytes"] = peak
    if settled.agent is not None:
        found |= {"turns": settled.agent.turns, "tokens": settled.agent.tokens.total}
        if settled.agent.cost_usd is not None:
            found["cost_usd"] = settled.agent.cost_usd
    return found


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
