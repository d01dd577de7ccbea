"""Memory kills as the kernel itself logs them: the one witness that is never late and never gone.

The engine listens for memory kills only some time after a container's first process runs, and a container's counters
vanish with it. The kernel log keeps a line for each kill (Linux 5.0 and later, mm/oom_kill.c), which names the control
group of the victim and the one whose limit was reached: so it also tells a container that reached its own limit from
one that fell to the need of a parent or of the whole host.

Only root may read /dev/kmsg, usually; elsewhere there is nothing to read, and the other witnesses stand alone. The
kernel leaves lines out where many kills come at once, so silence proves nothing.

The stamps of lines are of a clock that nobody sets right: it may be seconds away from all others, by how much nobody
can say. So it is compared with no other clock. What comes while we listen was written now, and what the log held before
is old; of that the stamps say how much earlier than the newest line it was.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio

KMSG = Path("/dev/kmsg")
RECORD_BYTES = 8192
"""The longest record that the kernel gives (CONSOLE_EXT_LOG_MAX); a shorter buffer would be refused."""
CONTAINERS_KEPT = 4096
"""Victims that are remembered; the oldest go first. An ending is asked for within moments."""

LINES_AT_MOST, LINES_WITHIN_S = 10, 5.0
"""The kernel's bound on such lines (DEFAULT_RATELIMIT_BURST and _INTERVAL)."""

DRIFT = 500e-6
"""The most by which a clock that is being set right runs faster than one that is not (MAXFREQ of adjtimex(2))."""

_KILL = re.compile(r"oom-kill:constraint=CONSTRAINT_(?P<constraint>\w+),(?P<rest>.*)")
_STAMP = re.compile(r"\d+,\d+,(\d+),")
_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The kills in one container so far.

    Attributes:
        kills: how many the log told, at least 1.
        own_limit: of the last one, as in `MemoryKill`.
        at: the latest that the last one can have been: for one that was logged while we listen, when it was read of, at
            once as long as `run` runs.
    """

    kills: int
    own_limit: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryKill:
    """One process of a container that the kernel killed for memory.

    Attributes:
        container_id: whose control group it was in.
        own_limit: True where the container's own limit was reached; False where that of a parent group was, or where
            the host as a whole had no memory left.
        logged_s: seconds on the log's own clock, to be compared with other lines only.
    """

    container_id: str
    own_limit: bool
    logged_s: float


def parse_record(record: bytes) -> MemoryKill | None:
    """The kill of a container's process that a record of /dev/kmsg tells, None for any other record."""
    head, _, text = record.decode("utf-8", "replace").partition(";")
    found = _KILL.match(text.partition("\n")[0])
    logged_s = _stamp_s(head)
    if found is None or logged_s is None:
        return None
    fields = dict(part.partition("=")[::2] for part in found["rest"].split(","))
    victim = fields.get("task_memcg", "")
    ids = _ID.findall(victim)
    if not ids:
        return None
    reached = fields.get("oom_memcg", "")
    own = found["constraint"] == "MEMCG" and ids[-1] in reached
    return MemoryKill(container_id=ids[-1], own_limit=own, logged_s=logged_s)


def _stamp_s(head: str) -> float | None:
    stamp = _STAMP.match(head)
    return int(stamp[1]) / 1e6 if stamp is not None else None


class KernelLog:
    """The memory kills that the kernel's log still holds, also those from before this was opened: a container's id is
    its own for ever, so that a resumed run learns what happened while nobody watched. Close it. Reading never blocks.
    """

    def __init__(self, path: Path = KMSG) -> None:
        self._kills: OrderedDict[str, Tally] = OrderedDict()
        self._recent: deque[Tally] = deque(maxlen=4 * LINES_AT_MOST)
        self._descriptor: int | None = None
        with contextlib.suppress(OSError):  # not allowed, or not there: then nothing is ever known
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._read_old()

    async def run(self) -> None:
        """Read each record as it comes, until cancelled; returns at once where nothing can be read."""
        while self._descriptor is not None:
            self._read()
            if self._descriptor is not None:
                await anyio.wait_readable(self._descriptor)

    def tally(self, container_id: str) -> Tally | None:
        """The kills in this container so far, None where none is known."""
        self._read()
        return self._kills.get(container_id)

    def spares(self, container_id: str, oom_at: datetime) -> bool:
        """True where what the engine told of this container at `oom_at` was a kill in another one.

        Where a parent group or the host is short of memory, cgroup v1 notifies every group below, and the engine marks
        them all. Only a log that left no line out can tell: the kernel writes of ten kills in five seconds at most.
        """
        self._read()
        if container_id in self._kills:
            return False
        near = [kill for kill in self._recent if abs((kill.at - oom_at).total_seconds()) < LINES_WITHIN_S]
        return 0 < len(near) < LINES_AT_MOST and any(not kill.own_limit for kill in near)

    def close(self) -> None:
        """Give the descriptor back. Safe to repeat."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _read_old(self) -> None:
        """Take in what the log holds. Each kill was before now, by at least its distance to the newest line.

        That is exact where something was logged just now, and else too late: then a kill and a death count as near
        each other that may not have been, as where nobody knows when the kill was.
        """
        kills: list[MemoryKill] = []
        newest_s = 0.0
        for record in self._records():
            newest_s = max(newest_s, _stamp_s(record.partition(b";")[0].decode("ascii", "replace")) or 0.0)
            kill = parse_record(record)
            if kill is not None:
                kills.append(kill)
        now = datetime.now(UTC)
        for kill in kills:
            self._note(kill, now - timedelta(seconds=(newest_s - kill.logged_s) * (1 - DRIFT)))

    def _read(self) -> None:
        for record in self._records():
            kill = parse_record(record)
            if kill is not None:
                self._note(kill, datetime.now(UTC))

    def _records(self) -> Iterator[bytes]:
        """What has not been read yet; ends where one would have to wait."""
        while self._descriptor is not None:
            try:
                record = os.read(self._descriptor, RECORD_BYTES)
            except BrokenPipeError:
                continue  # records were overwritten before they were read: the next read begins after the gap
            except BlockingIOError:
                return
            except OSError:
                self.close()
                return
            if not record:
                return
            yield record

    def _note(self, kill: MemoryKill, at: datetime) -> None:
        before = self._kills.get(kill.container_id)
        count = 1 if before is None else before.kills + 1
        self._kills[kill.container_id] = Tally(kills=count, own_limit=kill.own_limit, at=at)
        self._kills.move_to_end(kill.container_id)
        self._recent.append(self._kills[kill.container_id])
        if len(self._kills) > CONTAINERS_KEPT:
            self._kills.popitem(last=False)
