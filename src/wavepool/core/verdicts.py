"""From how an attempt ended, and what was asked of it, to its verdict. Pure values."""

from __future__ import annotations

from dataclasses import replace

from wavepool.core.agentwords import heard
from wavepool.core.softlimits import advice, measured
from wavepool.core.state import AttemptState, TaskState
from wavepool.model import (
    TIMEOUT_EXIT_CODE,
    AgentReport,
    Ending,
    Evidence,
    LogRecord,
    SidecarTrouble,
    StopReason,
    Verdict,
    VerdictKind,
)

_STOPPED = {
    StopReason.TIMEOUT: "it reached its timeout and was stopped",
    StopReason.CANCELLED: "the run was cancelled",
    StopReason.WATCHDOG: "the watchdog stopped it",
}


def verdict_of(
    attempt: AttemptState, entry: TaskState, ending: Ending, log: LogRecord, agent: AgentReport | None
) -> Verdict:
    """A stop of ours beats what the driver saw, because the signal came from us; the exit code stays as evidence."""
    kind, evidence = (ending.kind, ending.evidence) if agent is None else heard(ending, agent)
    if attempt.stop_reason is not None and evidence.signal_sender == "wavepool" and not evidence.child_oom:
        evidence = replace(
            evidence, reason=""
        )  # it says that we sent the signal, which the reason of our stop does too
    if entry.task.commands and log.failed_command is not None and kind is not VerdictKind.SUCCESS:
        evidence = _naming_command(evidence, log.failed_command, len(entry.task.commands))
    if attempt.stop_reason is not None:
        kind = VerdictKind(attempt.stop_reason.value)
        sentence, finding, what_to_do = _STOPPED[attempt.stop_reason], attempt.finding, ""
        if attempt.stop_reason is StopReason.CANCELLED and entry.cancelled:
            sentence = "the task was cancelled"
        if finding is not None:
            sentence, what_to_do = measured(finding), f": {advice(finding)}"
            evidence = replace(
                evidence,
                rule=finding.rule,
                reading=finding.reading,
                threshold=finding.threshold,
                whole_run=finding.whole_run or None,
            )
        seen = f"; {evidence.reason.rstrip('.')}" if evidence.reason else ""
        evidence = replace(evidence, stop_reason=attempt.stop_reason, reason=f"{sentence}{seen}{what_to_do}")
    if entry.may_repeat:
        evidence = replace(evidence, repeats_work=True)
    exit_code = TIMEOUT_EXIT_CODE if kind is VerdictKind.TIMEOUT else evidence.exit_code
    return Verdict(kind=kind, exit_code=exit_code, evidence=evidence)


def with_sidecars(ending: Ending, sidecars: tuple[SidecarTrouble, ...]) -> Ending:
    """Those that had ended before their task are evidence: they may be why it failed, or what it did not notice."""
    if not sidecars:
        return ending
    told = "; ".join(f"sidecar {each.name}: {each.reason}" for each in sidecars)
    reason = f"{ending.evidence.reason}; {told}" if ending.evidence.reason else told
    return replace(ending, evidence=replace(ending.evidence, reason=reason, sidecars=sidecars))


def _naming_command(evidence: Evidence, number: int, count: int) -> Evidence:
    which = f"command {number} of {count}"
    reason = f"{which}: {evidence.reason}" if evidence.reason else f"{which} failed"
    return replace(evidence, command=number, reason=reason)
