"""The attempts that ended last, and why."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime

from wavepool.core import facts
from wavepool.model import LogRecord, VerdictKind

RECENT = 16
"""Ended attempts that are remembered, the latest first to be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One ended attempt, or a task that was skipped (then `attempt` is 0)."""

    task_id: str
    attempt: int
    verdict: VerdictKind
    reason: str
    log: LogRecord
    at: datetime
    again: bool = False
    """Another attempt follows."""


class Endings:
    """The latest of them, oldest first.

    Attributes:
        recent: attempts that ended and tasks that were skipped.
        troubled: those without success.
    """

    def __init__(self) -> None:
        self.recent: deque[Ended] = deque(maxlen=RECENT)
        self.troubled: deque[Ended] = deque(maxlen=RECENT)

    def settled(self, fact: facts.AttemptSettled, at: datetime) -> None:
        """An attempt has its verdict."""
        self._remember(
            Ended(
                task_id=fact.attempt.task_id,
                attempt=fact.attempt.number,
                verdict=fact.verdict.kind,
                reason=_reason(fact),
                log=fact.log,
                at=at,
            )
        )

    def skipped(self, fact: facts.TaskSkipped, at: datetime) -> None:
        """A task will have no attempt."""
        skipped = VerdictKind.SKIPPED
        self._remember(
            Ended(task_id=fact.task_id, attempt=0, verdict=skipped, reason=fact.cause, log=LogRecord(), at=at)
        )

    def requeued(self, task_id: str) -> None:
        """Another attempt follows the one that ended just now."""
        for ended in (self.recent, self.troubled):
            if ended and ended[-1].task_id == task_id:
                ended[-1] = replace(ended[-1], again=True)

    def _remember(self, ended: Ended) -> None:
        self.recent.append(ended)
        if ended.verdict is not VerdictKind.SUCCESS:
            self.troubled.append(ended)


def _reason(fact: facts.AttemptSettled) -> str:
    """The evidence's sentence, else the exit code or what else there is."""
    evidence = fact.verdict.evidence
    if evidence.reason:
        return evidence.reason
    if evidence.daemon_error:
        return evidence.daemon_error
    return f"exit code {fact.verdict.exit_code}" if fact.verdict.exit_code is not None else ""
