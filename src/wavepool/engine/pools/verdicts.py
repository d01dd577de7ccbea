"""From how a container ended to the verdict on its task."""

from __future__ import annotations

from dataclasses import replace

from wavepool.drivers.parking import Execution
from wavepool.errors import NotStarted, in_one_line
from wavepool.model import TIMEOUT_EXIT_CODE, Ending, Evidence, StopReason, Verdict, VerdictKind

KILLED = 137
"""The exit code of what got a SIGKILL."""

_STOPPED = {
    StopReason.TIMEOUT: "it reached its timeout and was stopped",
    StopReason.CANCELLED: "it was cancelled, and stopped",
}


def verdict_of(ending: Ending, stopped: StopReason | None = None) -> Verdict:
    """The verdict. A stop of ours beats what the driver saw, because the signal came from us."""
    if stopped is None:
        return Verdict(kind=ending.kind, exit_code=ending.evidence.exit_code, evidence=ending.evidence)
    seen = f"; {ending.evidence.reason}" if ending.evidence.reason else ""
    evidence = replace(ending.evidence, stop_reason=stopped, reason=f"{_STOPPED[stopped]}{seen}")
    exit_code = TIMEOUT_EXIT_CODE if stopped is StopReason.TIMEOUT else evidence.exit_code
    return Verdict(kind=VerdictKind(stopped.value), exit_code=exit_code, evidence=evidence)


def lost(reason: str) -> Ending:
    """The ending of a task of which nobody can say whether, or how, it ended."""
    return Ending(kind=VerdictKind.LOST, evidence=Evidence(reason=reason))


def start_error(words: str) -> Ending:
    """The ending of a task that never ran, through no fault of its own."""
    reason = f"it could not be started: {in_one_line(words)}"
    return Ending(kind=VerdictKind.START_ERROR, evidence=Evidence(reason=reason, daemon_error=words))


def not_started(error: NotStarted) -> Ending:
    """The program itself could not be executed: that is the task's failure; all else is the machine's."""
    if error.program_exit_code is None:
        return start_error(str(error))
    evidence = Evidence(reason=str(error), exit_code=error.program_exit_code)
    return Ending(kind=VerdictKind.FAILED, evidence=evidence)


def never_began() -> Ending:
    """The ending of a task that its pool's end kept from running."""
    return Ending(kind=VerdictKind.CANCELLED, evidence=Evidence(reason="nothing of it ran"))


def killed() -> Ending:
    """The ending of a task in a reused container that was killed with it."""
    return Ending(kind=VerdictKind.FAILED, evidence=Evidence(signal="SIGKILL", signal_sender="wavepool"))


def executed(execution: Execution) -> Ending:
    """The ending of a task in a reused container."""
    code, kills = execution.exit_code, execution.oom_kills
    if code == KILLED and kills:
        return Ending(
            kind=VerdictKind.OOM,
            evidence=Evidence(
                reason="the kernel killed it for memory; give it more (memory)",
                exit_code=code,
                signal="SIGKILL",
                signal_sender="kernel",
                oom_kills=kills,
            ),
        )
    kind = VerdictKind.FAILED if code else VerdictKind.SUCCESS
    reason = f"it ended with exit code {code}"
    if kills:
        reason += "; the kernel killed a child of it for memory"
    evidence = Evidence(reason=reason, exit_code=code, oom_kills=kills, child_oom=bool(kills) or None)
    return Ending(kind=kind, evidence=evidence)
