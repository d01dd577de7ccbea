"""How a container ended: the one place of this driver that decides between a result and a loss.

Pure. It weighs the engine's record of the container with what its events showed and with what we did ourselves.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from wavepool.drivers.docker.trouble import find_trouble, is_wreck
from wavepool.drivers.docker.watching.unwatched import DAEMON_AWAY, Unwatched
from wavepool.model import Ending, Evidence, VerdictKind

KILLED = 128 + signal.SIGKILL
TERMINATED = 128 + signal.SIGTERM
UNKNOWN_CODE = 255
"""The engine's own where it could not learn the exit code."""
OOM_TO_DEATH = timedelta(seconds=1)
"""An OOM kill of the main process is followed by its death at once; measured 30 ms on API 1.41."""

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """A container's last state, as `inspect` or its die event tells it.

    Attributes:
        status: the engine's word: created, running, paused, restarting, exited, removing, dead.
        oom_flag: ``State.OOMKilled``: something in the container was killed for memory; None where not asked.
        error: the engine's own words where it could not start it.
    """

    status: str
    exit_code: int
    started_at: datetime | None = None
    finished_at: datetime | None = None
    oom_flag: bool | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """What events showed of it, and what we did.

    Attributes:
        complete: True where every event since its start was seen.
        oom_at: when something in it was last killed for memory, by the engine's clock.
        oom_kills: at least so many processes in it were killed for memory.
        own_limit: False where the last of them fell though the container was below its own limit; None: not known.
        oom_elsewhere: the engine's mark is about a kill in another container below the same parent group.
        kills: numbers of the signals that were sent through the API, by anyone.
        stopped_by_us: we asked the engine to stop or kill it.
        daemon_was_away: it ended in a gap, by a daemon that may have ended it.
        daemon_began: when a daemon was started that may have ended it; None where it was seen all along.
        unwatched: the gap in which an earlier daemon may have ended it, before anyone watched; None: there is none.
        code_unproven: nobody saw it end, and its exit code may be the one that an engine writes which did not either.
    """

    complete: bool = False
    oom_at: datetime | None = None
    oom_kills: int = 0
    own_limit: bool | None = None
    oom_elsewhere: bool = False
    kills: tuple[int, ...] = ()
    stopped_by_us: bool = False
    daemon_was_away: bool = False
    daemon_began: datetime | None = None
    unwatched: Unwatched | None = None
    code_unproven: bool = False


def ending(final: Final, seen: Witnessed) -> Ending | None:
    """How it ended, or None where it has not: it runs, or was created and nothing went wrong yet."""
    if final.status in ("removing", "dead"):
        return lost("its container was being removed by someone else before its result was known", final)
    if final.started_at is None:
        return _start_error(final) if final.error else None
    if final.status != "exited":
        return None
    if seen.daemon_was_away and not seen.stopped_by_us:
        return lost(
            "it ended while the Docker daemon was restarted, which ends what runs: that it had completed is not proven",
            final,
        )
    if seen.unwatched is not None and not seen.stopped_by_us and not seen.unwatched.ended_by_itself(final.finished_at):
        return lost(
            "it ended while nobody watched it, and the Docker daemon was restarted since, which ends what runs: "
            "that it had completed is not proven",
            final,
        )
    if seen.code_unproven and final.exit_code == UNKNOWN_CODE and not seen.stopped_by_us:
        return lost(
            "it ended while the Docker daemon was away, which kept it running and does not know how it ended: "
            f"it writes {UNKNOWN_CODE} then",
            final,
        )
    if final.exit_code == 0:
        return _result(VerdictKind.SUCCESS, final, _with_child_oom("", final, seen))
    if _is_oom(final, seen):
        return _result(VerdictKind.OOM, final, _oom_evidence(final, seen))
    if _fell_with_daemon(final, seen):
        return lost("it ended by a signal about when the Docker daemon was restarted, which ends what runs", final)
    return _result(VerdictKind.FAILED, final, _with_child_oom(_failure(final), final, seen))


def lost(reason: str, final: Final | None = None) -> Ending:
    """The ending of one whose result cannot be known any more."""
    if final is None:
        return Ending(kind=VerdictKind.LOST, evidence=Evidence(reason=reason))
    evidence = Evidence(
        reason=reason,
        exit_code=final.exit_code if final.status == "exited" else None,
        oom_flag=final.oom_flag,
        daemon_error=final.error or None,
    )
    return _result(VerdictKind.LOST, final, evidence)


def read_final(state: Mapping[str, Any]) -> Final:
    """`inspect`'s ``State`` as a `Final`."""
    return Final(
        status=str(state.get("Status", "")),
        exit_code=int(state.get("ExitCode", 0)),
        started_at=parse_time(state.get("StartedAt")),
        finished_at=parse_time(state.get("FinishedAt")),
        oom_flag=bool(state.get("OOMKilled")),
        error=str(state.get("Error") or ""),
    )


def parse_time(text: str | None) -> datetime | None:
    """An RFC 3339 time of the engine (nanoseconds are cut to microseconds); None for its zero time or none at all."""
    match = _TIME.fullmatch(text or "")
    if match is None or match[1].startswith("0001-"):
        return None
    seconds, fraction, zone = match.groups()
    whole = datetime.fromisoformat(seconds + ("+00:00" if zone == "Z" else zone))
    return whole.replace(microsecond=int((fraction or "0").ljust(9, "0")[:6])).astimezone(UTC)


def _result(kind: VerdictKind, final: Final, evidence: Evidence) -> Ending:
    started, finished = final.started_at, final.finished_at
    if started is not None and finished is not None:
        started = min(started, finished)  # the engine notes a start when it hears of it: a short task has ended by then
    return Ending(kind=kind, evidence=evidence, started_at=started, finished_at=finished)


def _start_error(final: Final) -> Ending:
    if is_wreck(final.error):
        return lost("its start was cut in two by a restart of the Docker daemon, and it may have run", final)
    trouble = find_trouble(final.error)
    evidence = Evidence(
        reason=f"the container could not be started: {final.error}",
        exit_code=trouble.program_exit_code if trouble else None,
        daemon_error=final.error,
    )
    transient = trouble.transient if trouble else False
    return Ending(kind=VerdictKind.START_ERROR, evidence=evidence, transient=transient)


def _is_oom(final: Final, seen: Witnessed) -> bool:
    """137 alone is not OOM, and the mark alone is not either: a child may have died of memory long before."""
    marked = _is_marked(final, seen)
    if final.exit_code != KILLED or not marked or signal.SIGKILL in seen.kills:
        return False
    return not _oom_long_before(final, seen)


def _is_marked(final: Final, seen: Witnessed) -> bool:
    """Something in this container was killed for memory."""
    return seen.oom_at is not None or (bool(final.oom_flag) and not seen.oom_elsewhere)


def _fell_with_daemon(final: Final, seen: Witnessed) -> bool:
    """It ran when the daemon went, and ended as one does that is told to end.

    A daemon with live-restore tells its containers to end too, where it saw none running as it began to stop.
    """
    if seen.daemon_began is None or final.started_at is None or final.finished_at is None or seen.stopped_by_us:
        return False
    around = final.started_at < seen.daemon_began < final.finished_at + DAEMON_AWAY
    return around and final.exit_code in (KILLED, TERMINATED, UNKNOWN_CODE)


def _oom_long_before(final: Final, seen: Witnessed) -> bool:
    if seen.oom_at is None or final.finished_at is None:
        return False
    return final.finished_at - seen.oom_at > OOM_TO_DEATH


_OOM_REASONS = {
    None: "the kernel killed it for memory: it reached its limit. Give it more memory, or less to do at once.",
    "own": "the kernel killed it for memory: it reached its own limit. Give it more memory, or less to do at once.",
    "host": "the kernel killed it for memory below its own limit: the host, or a control group that it is in, had none "
    "left. Run less at once (a smaller --budget), or find what else uses the memory.",
}


def _oom_evidence(final: Final, seen: Witnessed) -> Evidence:
    scope = None if seen.own_limit is None else "own" if seen.own_limit else "host"
    return Evidence(
        reason=_OOM_REASONS[scope],
        exit_code=final.exit_code,
        signal="SIGKILL",
        signal_sender="kernel",
        oom_kills=seen.oom_kills or None,
        oom_flag=final.oom_flag,
        oom_scope=scope,
    )


def _with_child_oom(reason: str, final: Final, seen: Witnessed) -> Evidence:
    child_oom = _is_marked(final, seen) or None
    name, sender = _signal(final, seen)
    if sender in ("other", "wavepool"):
        by = "someone else" if sender == "other" else "Wavepool"
        reason = f"exit code {final.exit_code}: {name} was sent to it through the Docker API by {by}"
    if child_oom:
        after = "the kernel killed a child of it for memory, and it went on"
        reason = f"{reason}; {after}" if reason else after
    return Evidence(
        reason=reason,
        exit_code=final.exit_code,
        signal=name,
        signal_sender=sender,
        oom_kills=seen.oom_kills or None,
        child_oom=child_oom,
        oom_flag=final.oom_flag,
    )


def _signal(final: Final, seen: Witnessed) -> tuple[str | None, str | None]:
    """(name, sender) of the signal that ended it, as far as an exit code above 128 can tell; else (None, None).

    A name is given only where the signal was seen on its way: a task may return such a code by its own will, and the
    engine reports both alike. Without a full view of its events a kill from outside cannot be ruled out: then the
    sender stays unknown.
    """
    number = final.exit_code - 128
    name = _name(number)
    if name is None:
        return None, None
    if seen.stopped_by_us and number in (signal.SIGTERM, signal.SIGKILL):
        return name, "wavepool"
    if number in seen.kills:
        return name, "other"
    return None, "task" if seen.complete else None


def _name(number: int) -> str | None:
    try:
        return signal.Signals(number).name
    except ValueError:
        return None


def _failure(final: Final) -> str:
    if final.exit_code == 127:
        return "exit code 127: the program, or one that it calls, was not found in the image"
    if final.exit_code == 126:
        return "exit code 126: the program, or one that it calls, was found but is not executable"
    if final.exit_code == KILLED:
        return "exit code 137 without a memory kill: it was killed, or returned 137 by its own will"
    if name := _name(final.exit_code - 128):
        return f"exit code {final.exit_code}: {name} ended it, or it returned that by its own will"
    return f"exit code {final.exit_code}"
