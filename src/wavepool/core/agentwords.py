"""What an agent's own report makes of the way in which its process ended."""

from __future__ import annotations

from dataclasses import replace

from wavepool.model import AgentReport, Ending, Evidence, VerdictKind

SPENT = "its account had no more to give"


def heard(ending: Ending, report: AgentReport) -> tuple[VerdictKind, Evidence]:
    """Success needs both: exit code 0, and a report that does not deny it. What the driver knows better stays.

    An agent that had no more to give is `RATE_LIMITED` whatever its exit code, unless it says that it succeeded.
    """
    kind, evidence = ending.kind, ending.evidence
    if kind not in (VerdictKind.SUCCESS, VerdictKind.FAILED):
        return kind, evidence
    if kind is VerdictKind.SUCCESS and (report.succeeded or (report.succeeded is None and not report.rate_limited)):
        return kind, evidence
    if report.rate_limited:
        return VerdictKind.RATE_LIMITED, _saying(evidence, SPENT, report.problem)
    return VerdictKind.FAILED, _saying(evidence, report.problem)


def _saying(evidence: Evidence, *words: str) -> Evidence:
    """The agent's words first: an exit code says less."""
    parts = [part for part in (*words, evidence.reason.rstrip(".")) if part]
    return replace(evidence, reason=": ".join(parts[:2]) + "".join(f"; {part}" for part in parts[2:]))
