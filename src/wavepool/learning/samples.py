"""What one attempt tells of those that come after it, and which verdicts tell anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from wavepool.core.facts import AttemptSettled
from wavepool.learning.kinds import kind_of, twin_of
from wavepool.model import Task, Verdict, VerdictKind

TELLING = frozenset(
    {VerdictKind.SUCCESS, VerdictKind.FAILED, VerdictKind.TIMEOUT, VerdictKind.OOM, VerdictKind.WATCHDOG}
)
"""Verdicts of attempts that did their work, or a good part of it, by their own doing. One that was lost, cancelled,
refused by its account or never started says nothing of its kind."""

LASTING = frozenset({VerdictKind.SUCCESS, VerdictKind.TIMEOUT})
"""Verdicts whose duration counts. One that failed may have failed at once; one that ran into its timeout would have
taken at least as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One attempt, as far as it tells of others.

    Attributes:
        kind, twin: of its task, by `kind_of` and `twin_of`.
        tier: 1 to 4.
        limit_bytes: its memory limit.
        verdict: one of `TELLING`.
        own_oom: it was killed for memory at its own limit, so that it needs more than that.
        peak_bytes: the most memory that was seen of it; None where nobody saw any.
        duration_s: from its start to its end, at least 0; None where that does not count.
        start_s: from the decision to start it until it ran; None where one of the two is not known.
        end_s: from its end until its verdict.
    """

    kind: str
    twin: str
    tier: int
    limit_bytes: int
    verdict: VerdictKind
    own_oom: bool = False
    peak_bytes: int | None = None
    duration_s: float | None = None
    start_s: float | None = None
    end_s: float | None = None


def sample_of(
    task: Task, image: str, settled: AttemptSettled, *, intended_at: datetime | None, settled_at: datetime
) -> Sample | None:
    """The sample of a settled attempt; None where it tells nothing.

    Args:
        task, image: the task, and the image of tasks that name none.
        settled: its verdict.
        intended_at: when its start was decided, None where nobody remembers.
        settled_at: when the verdict was.
    """
    verdict = settled.verdict
    if verdict.kind not in TELLING:
        return None
    started, finished = settled.started_at, settled.finished_at
    lasted = verdict.kind in LASTING and started is not None and finished is not None
    return Sample(
        kind=kind_of(task, image),
        twin=twin_of(task, image),
        tier=task.tier,
        limit_bytes=task.limits.memory_bytes,
        verdict=verdict.kind,
        own_oom=_met_its_limit(verdict),
        peak_bytes=verdict.evidence.memory_peak_bytes,
        duration_s=_between(started, finished) if lasted else None,
        start_s=_between(intended_at, started),
        end_s=_between(finished, settled_at),
    )


def _met_its_limit(verdict: Verdict) -> bool:
    """Where the host had no memory left, its own limit was not too low."""
    evidence = verdict.evidence
    met = verdict.kind is VerdictKind.OOM or bool(evidence.child_oom)
    return met and evidence.oom_scope != "host"


def _between(before: datetime | None, after: datetime | None) -> float | None:
    """Seconds; the driver's clock and ours may differ, so never below 0."""
    if before is None or after is None:
        return None
    return max(0.0, (after - before).total_seconds())
