"""What a verdict rests on, in words; machines read the fields themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wavepool.listeners.wording import count
from wavepool.model import Evidence, StopReason, Verdict
from wavepool.units import human_size

_SENDERS: Mapping[str, str] = {
    "task": "by its own will",
    "kernel": "by the kernel",
    "wavepool": "by Wavepool",
    "other": "by somebody else",
}
_STOPS: Mapping[StopReason, str] = {
    StopReason.TIMEOUT: "stopped for its timeout",
    StopReason.CANCELLED: "stopped by a cancel",
    StopReason.WATCHDOG: "stopped by the watchdog",
}
_SCOPES: Mapping[str, str] = {
    "own": "it was at its own memory limit",
    "host": "it was below its own memory limit, and the host had no memory left",
}


def evidence_words(verdict: Verdict, *, peak: bool = True) -> Iterator[str]:
    """Each reading that there is, one short phrase; not the reason, nor an exit code that begins the reason or is 0.

    Without `peak` not the highest reading of memory: for who shows that as a figure.
    """
    evidence = verdict.evidence
    code = evidence.exit_code if evidence.exit_code is not None else verdict.exit_code
    if code and not evidence.reason.startswith(f"exit code {code}"):
        yield f"exit code {code}"
    if evidence.signal is not None:
        yield f"ended by {evidence.signal}" + _sent(evidence)
    if evidence.stop_reason is not None:
        yield _STOPS[evidence.stop_reason]
    yield from _memory_words(evidence)
    if peak and evidence.memory_peak_bytes is not None:
        yield f"at most {human_size(evidence.memory_peak_bytes)} of memory seen"
    if evidence.command is not None:
        yield f"its command {evidence.command} failed"
    if evidence.repeats_work:
        yield "an earlier attempt was lost, and may have done the work already"
    if evidence.daemon_error and evidence.daemon_error not in evidence.reason:
        yield f"the system said: {evidence.daemon_error}"
    for sidecar in evidence.sidecars:
        yield f"sidecar {sidecar.name}: {sidecar.reason}"


def _sent(evidence: Evidence) -> str:
    return "" if evidence.signal_sender is None else f", sent {_SENDERS.get(evidence.signal_sender, 'by somebody')}"


def _memory_words(evidence: Evidence) -> Iterator[str]:
    if evidence.oom_kills:
        yield f"{count(evidence.oom_kills, 'kill')} for memory by the kernel"
    elif evidence.oom_flag:
        yield "the engine marked it as out of memory"
    if evidence.child_oom:
        yield "a child of it was killed for memory, and it went on"
    if evidence.oom_scope is not None:
        yield _SCOPES.get(evidence.oom_scope, evidence.oom_scope)
