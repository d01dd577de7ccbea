"""From an exit record to an ending. Pure.

137 alone is not OOM: the program may return it by its own will. It is OOM where SIGKILL came and the kernel counted a
kill for memory, or where a shell returned 137 because the child it waited for was killed so just before.
"""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime

from wavepool.drivers.process.records import ExitRecord
from wavepool.model import Ending, Evidence, VerdictKind

OOM_EXIT_CODE = 128 + signal.SIGKILL
OOM_FRESH_S = 1.0
"""A shell passes the end of its child on at once: an older kill is not what ended it."""


def ending_of(record: ExitRecord) -> Ending:
    """How the attempt ended. LOST where nobody knows; START_ERROR where nothing was ever executed."""
    kind, evidence = _judged(record)
    return Ending(
        kind=kind, evidence=evidence, started_at=_time(record.started_at), finished_at=_time(record.finished_at)
    )


def _judged(record: ExitRecord) -> tuple[VerdictKind, Evidence]:
    if record.lost is not None:
        return VerdictKind.LOST, Evidence(reason=record.lost)
    if record.setup_error is not None:
        return VerdictKind.START_ERROR, Evidence(
            reason=f"it could not be started: {record.setup_error}", daemon_error=record.setup_error
        )
    if record.exec_error is not None:
        return VerdictKind.FAILED, _not_executed(record.exec_error["exit_code"], record.exec_error["text"])
    if record.status is None:
        return VerdictKind.LOST, Evidence(reason="its exit record holds no status")
    if os.WIFSIGNALED(record.status):
        return _signalled(record, signal.Signals(os.WTERMSIG(record.status)))
    return _exited(record, os.WEXITSTATUS(record.status))


def _not_executed(code: int, text: str) -> Evidence:
    advice = (
        "the program was not found; check the command and PATH"
        if code == 127
        else "the program could not be executed; check its mode and format"
    )
    return Evidence(reason=f"exit code {code}: {advice} ({text})", exit_code=code, daemon_error=text)


def _signalled(record: ExitRecord, number: signal.Signals) -> tuple[VerdictKind, Evidence]:
    if number.name in record.signals_sent:
        reason = f"Wavepool ended it with {number.name}"
        return VerdictKind.FAILED, _evidence(record, reason, 128 + number, number.name, "wavepool")
    if number is signal.SIGKILL and record.oom_kills and _is_fresh(record):
        reason = "the kernel killed it because it reached its memory limit; give it more memory"
        return VerdictKind.OOM, _evidence(record, reason, OOM_EXIT_CODE, number.name, "kernel")
    reason = f"{number.name} ended it; who sent it, the task itself or another process, cannot be known"
    child_oom = bool(record.oom_kills) or None
    if child_oom:
        reason = f"{reason}; the kernel had killed a child of it for memory, and it went on"
    return VerdictKind.FAILED, _evidence(record, reason, 128 + number, number.name, "other", child_oom=child_oom)


def _is_fresh(record: ExitRecord) -> bool:
    """The kernel's kill came just before the end, and so may have caused it."""
    return record.oom_age_s is None or record.oom_age_s <= OOM_FRESH_S


def _exited(record: ExitRecord, code: int) -> tuple[VerdictKind, Evidence]:
    child_oom = bool(record.oom_kills)
    if code == OOM_EXIT_CODE and child_oom and _is_fresh(record):
        reason = "the kernel killed its child because it reached the memory limit; give it more memory"
        return VerdictKind.OOM, _evidence(record, reason, code, None, "kernel", child_oom=True)
    kind = VerdictKind.SUCCESS if code == 0 else VerdictKind.FAILED
    reason = "" if code == 0 else f"exit code {code}{_hint(code)}"
    if child_oom:
        after = "the kernel killed a child of it for memory, and it went on"
        reason = f"{reason}; {after}" if reason else after
    sender = "task" if code else None
    return kind, _evidence(record, reason, code, None, sender, child_oom=child_oom or None)


def _hint(code: int) -> str:
    if code == 127:
        return ": the program, or one that it calls, was not found"
    if code == 126:
        return ": the program, or one that it calls, was found but is not executable"
    if 128 < code < 128 + signal.NSIG:
        return ", by its own will: no signal ended it"
    return ""


def _evidence(
    record: ExitRecord, reason: str, code: int, name: str | None, sender: str | None, *, child_oom: bool | None = None
) -> Evidence:
    return Evidence(
        reason=reason,
        exit_code=code,
        signal=name,
        signal_sender=sender,
        oom_kills=record.oom_kills,
        child_oom=child_oom,
        memory_peak_bytes=record.memory_peak_bytes,
    )


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
