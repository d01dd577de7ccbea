"""What a watch has seen of each container, and what this driver did itself: the memory behind a verdict's evidence."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from wavepool import labels
from wavepool.drivers.base import Handle, Phase, Scope
from wavepool.drivers.docker.parking.claim_mark import claimed_at
from wavepool.drivers.docker.watching.kernel_log import Tally
from wavepool.drivers.docker.watching.unwatched import Unwatched
from wavepool.drivers.docker.watching.verdict import Witnessed
from wavepool.model import AttemptId

DRIVER_NAME = "docker"
KILLS_KEPT = 8
OOM_EVENTS_KEPT = 256
ORDER = {None: -1, Phase.CREATED: 0, Phase.RUNNING: 1, Phase.EXITED: 2, Phase.GONE: 3}
"""Phases only go forward."""
REMEMBERED = 20_000
"""Own acts beyond this many are forgotten, the oldest first; then a stop of ours may be reported as another's."""
DIGEST_BYTES = 16
"""So long that no two texts ever have the same, nor one that of two others' halves."""


class Recent:
    """The newest `limit` of the texts that were added, as digests in one block of memory.

    Kept as texts they would lie all over the heap, between what is freed again: 5,000 ids of containers cost 5 MB.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._block = bytearray()
        self._next = 0

    def add(self, text: str) -> None:
        """Add it as the newest, unless it is there; the oldest goes where there is no room."""
        digest = _digest(text)
        if digest in self._block:
            return
        self._block[self._next : self._next + DIGEST_BYTES] = digest
        self._next = (self._next + DIGEST_BYTES) % (self._limit * DIGEST_BYTES)

    def __contains__(self, text: str) -> bool:
        return _digest(text) in self._block


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()


class OwnActs:
    """What this driver alone knows of containers, by id: which it is starting (by name), has stopped, has removed, and
    which ran on while it found no daemon, which parked ones never ran.
    """

    def __init__(self) -> None:
        self.starting: set[str] = set()
        self._stopped = Recent(REMEMBERED)
        self._removed = Recent(REMEMBERED)
        self._unread = Recent(REMEMBERED)
        self._unclaimed = Recent(REMEMBERED)
        self._hearing: list[Callable[[str], None]] = []

    def note_stop(self, container_id: str) -> None:
        """Call before the stop is sent: its event may be faster than its answer."""
        self._stopped.add(container_id)

    def note_remove(self, container_id: str) -> None:
        """Call before the removal is sent."""
        self._removed.add(container_id)

    def note_unread(self, container_id: str) -> None:
        """It ran on while no daemon could be reached, which reads its output."""
        self._unread.add(container_id)

    def note_claim(self, container_id: str) -> None:
        """A parked container runs its task: no event tells it."""
        for heard in tuple(self._hearing):
            heard(container_id)

    @contextmanager
    def hearing_claims(self, heard: Callable[[str], None]) -> Iterator[None]:
        """Call `heard` with the id of each parked container whose task begins."""
        self._hearing.append(heard)
        try:
            yield
        finally:
            self._hearing.remove(heard)

    def note_unclaimed(self, container_id: str) -> None:
        """A parked container that has proven never to have run, and never will."""
        self._unclaimed.add(container_id)

    def unclaimed(self, container_id: str) -> bool:
        return container_id in self._unclaimed

    def unread(self, container_id: str) -> bool:
        return container_id in self._unread

    def stopped(self, container_id: str) -> bool:
        return container_id in self._stopped

    def removed(self, container_id: str) -> bool:
        return container_id in self._removed


@dataclass(slots=True, kw_only=True)
class Sighting:
    """One container in scope, as far as events and listings have shown it.

    Attributes:
        complete: True where its start was seen as an event, and no event can have been missed since.
        died: exit code and time of its die event.
        told: the last phase that was reported.
        in_gap: it had not ended when a daemon that ends its containers was lost, and was not seen running since.
        unlisted: a listing left it out, and nobody has looked yet whether it is gone.
        daemon_began: when the daemon was started that told of it after a gap, or in a first listing.
        slot: of a parked one, until its task is known to have begun.
        unwatched: set where it had ended in the first listing, and was started under an earlier daemon.
        code_unproven: it was found ended with an exit code that its daemon may have made up.
    """

    handle: Handle
    run_id: str
    wave: int
    labels: Mapping[str, str]
    phase: Phase = Phase.CREATED
    complete: bool = False
    started_at: datetime | None = None
    died: tuple[int, datetime] | None = None
    oom_at: datetime | None = None
    oom_kills: int = 0
    oom_times: set[datetime] = field(default_factory=set)
    own_limit: bool | None = None
    oom_elsewhere: bool = False
    kills: list[int] = field(default_factory=list)
    told: Phase | None = None
    in_gap: bool = False
    unlisted: bool = False
    daemon_began: datetime | None = None
    unwatched: Unwatched | None = None
    code_unproven: bool = False
    slot: Path | None = None

    def waits(self) -> bool:
        """Whether it is parked and has no start mark. Looks for that, and changes nothing."""
        return self.slot is not None and claimed_at(self.slot) is None

    def is_unclaimed(self) -> bool:
        """As `waits`: then nothing that its container does matters. Where it has begun, that is noted; so tell it."""
        if self.slot is None:
            return False
        began = claimed_at(self.slot)
        if began is None:
            return True
        self.started_at, self.slot = began, None  # from now on it is like any other
        if self.phase is Phase.CREATED:
            self.phase = Phase.RUNNING
        return False

    def apply(self, action: str, attributes: Mapping[str, str], at: datetime) -> bool:
        """Take in an event; True where it may have changed the state."""
        match action:
            case "start":
                if self.slot is None:
                    self.phase, self.started_at = Phase.RUNNING, at
                self.complete, self.in_gap = True, False
            case "die":
                self.phase, self.died = Phase.EXITED, (int(attributes.get("exitCode", "0")), at)
            case "destroy":
                self.phase = Phase.GONE
            case "oom":
                self.oom_at = max(self.oom_at or at, at)
                if len(self.oom_times) < OOM_EVENTS_KEPT:
                    self.oom_times.add(at)  # one that is told twice counts once
                self.oom_kills = max(self.oom_kills, len(self.oom_times))
                return False
            case "kill":
                self._note_kill(attributes.get("signal", ""))
                return False
            case "create":
                pass
            case _:
                return False
        return True

    def witnessed(self, own: OwnActs) -> Witnessed:
        return Witnessed(
            complete=self.complete,
            oom_at=self.oom_at,
            oom_kills=self.oom_kills,
            own_limit=self.own_limit,
            oom_elsewhere=self.oom_elsewhere,
            kills=tuple(self.kills),
            stopped_by_us=own.stopped(self.handle.id),
            daemon_was_away=self.in_gap,
            daemon_began=self.daemon_began,
            unwatched=self.unwatched,
            code_unproven=self.code_unproven,
        )

    def note_counter(self, kills: int, at: datetime) -> None:
        """Its cgroup counts so many memory kills at this time: those that nobody told of are new."""
        if kills > self.oom_kills:
            self.oom_at, self.oom_kills = max(self.oom_at or at, at), kills

    def note_kernel(self, tally: Tally | None) -> None:
        """Take in what the kernel's log says of it."""
        if tally is not None:
            self.oom_at = max(self.oom_at or tally.at, tally.at)
            self.oom_kills = max(self.oom_kills, tally.kills)
            self.own_limit = tally.own_limit

    def spare(self) -> None:
        """The memory kills that the engine told of it were another container's."""
        self.oom_at, self.oom_kills, self.oom_elsewhere = None, 0, True

    def _note_kill(self, number: str) -> None:
        try:
            sent = int(number)
        except ValueError:
            sent = getattr(signal, number, signal.SIGTERM)
        if len(self.kills) < KILLS_KEPT or sent == signal.SIGKILL:
            self.kills = [*self.kills[-KILLS_KEPT + 1 :], int(sent)]


def sight(container_id: str, name: str, found: Mapping[str, str]) -> Sighting | None:
    """A sighting from a container's id, name and labels; None where it is no attempt (a sidecar, or foreign)."""
    if labels.ROLE in found:
        return None
    try:
        attempt = AttemptId(found[labels.TASK], int(found[labels.ATTEMPT]))
        run_id, wave = found[labels.RUN], int(found[labels.WAVE])
    except (KeyError, ValueError):
        return None
    handle = Handle(driver=DRIVER_NAME, id=container_id, name=name, attempt=attempt)
    slot = Path(found[labels.SLOT]) if labels.PARKED in found and labels.SLOT in found else None
    return Sighting(handle=handle, run_id=run_id, wave=wave, labels=found, slot=slot)


def in_scope(found: Mapping[str, str], scope: Scope) -> bool:
    """True where labels say that a container belongs to `scope`.

    A development stack belongs to none, and neither does a container in which somebody looks into a kept image (the
    image's labels are its own, unless it was made by `wavepool exec`): its end is that of the command in it.
    """
    if labels.STACK in found or found.get(labels.ROLE) in (labels.EXEC, labels.KEPT):
        return False
    wanted = {labels.OWNER: scope.owner}
    if scope.run_id is not None:
        wanted[labels.RUN] = scope.run_id
    if scope.wave is not None:
        wanted[labels.WAVE] = str(scope.wave)
    if any(found.get(key) != value for key, value in wanted.items()):
        return False
    return scope.detached is None or scope.detached == (labels.DETACHED in found)


def scope_filter(scope: Scope) -> list[str]:
    """The part of `scope` that the daemon can filter by: ``label=value`` texts."""
    wanted = [f"{labels.OWNER}={scope.owner}"]
    if scope.run_id is not None:
        wanted.append(f"{labels.RUN}={scope.run_id}")
    if scope.wave is not None:
        wanted.append(f"{labels.WAVE}={scope.wave}")
    if scope.detached:
        wanted.append(labels.DETACHED)
    return wanted


def container_name(summary: Mapping[str, Any]) -> str:
    """The own name of a container in a listing: links of old show up as further names with two slashes."""
    names = [str(name).lstrip("/") for name in summary.get("Names") or [] if str(name).count("/") == 1]
    return names[0] if names else ""


def event_time(event: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(event["timeNano"]) / 1e9, UTC)
