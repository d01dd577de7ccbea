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
    words = [SPENT, report.problem] if report.rate_limited else [report.problem]
    said = ": ".join(word for word in words if word)
    seen = evidence.reason.rstrip(".") if kind is VerdictKind.FAILED else ""  # that it returned 0 explains nothing
    reason = "; ".join(part for part in (said, seen) if part)
    kind = VerdictKind.RATE_LIMITED if report.rate_limited else VerdictKind.FAILED
    return kind, replace(evidence, reason=reason or evidence.reason)
