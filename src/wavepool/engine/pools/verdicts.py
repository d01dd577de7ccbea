"""From how a container ended to the verdict on its task."""

from __future__ import annotations

from dataclasses import replace

from wavepool.errors import NotStarted
from wavepool.model import TIMEOUT_EXIT_CODE, Ending, Evidence, StopReason, Verdict, VerdictKind

_STOPPED = {
    StopReason.TIMEOUT: "it reached its timeout and was stopped",
    StopReason.CANCELLED: "it was cancelled, as its pool was closed",
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
    reason = " ".join(f"it could not be started: {words}".split())
    return Ending(kind=VerdictKind.START_ERROR, evidence=Evidence(reason=reason, daemon_error=words))


def not_started(error: NotStarted) -> Ending:
    """The program itself could not be executed: that is the task's failure; all else is the machine's."""
    if error.program_exit_code is None:
        return start_error(str(error))
    evidence = Evidence(reason=str(error), exit_code=error.program_exit_code)
    return Ending(kind=VerdictKind.FAILED, evidence=evidence)


def exited(exit_code: int) -> Ending:
    """The ending of a task in a reused container, of which only the exit code is known."""
    signal = f" (signal {exit_code - 128})" if 128 < exit_code < 193 else ""
    kind = VerdictKind.FAILED if exit_code else VerdictKind.SUCCESS
    evidence = Evidence(reason=f"it ended with exit code {exit_code}{signal}", exit_code=exit_code)
    return Ending(kind=kind, evidence=evidence)
