"""The simulated engine: its containers, networks and clock. It outlives its drivers, as a daemon its clients.

It has no tasks of its own. What will happen stands in a heap; whoever looks at the world first brings it up to date
(`advance`), each event at its own time. So it works in real and in virtual time, and a second event loop can go on
with the world of a first one that was killed, from the moment of its last look.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Protocol

import anyio

from wavepool import labels
from wavepool.drivers.base import AttemptSpec, Handle, Phase, Scope
from wavepool.drivers.keeping import Kept
from wavepool.drivers.memory.containers import Container, in_scope, killed_by
from wavepool.drivers.memory.hazards import Fault, Hazards, NoHazards
from wavepool.drivers.memory.script import Script, in_turn
from wavepool.model import AttemptId, Ending, Evidence, Node, Resources, VerdictKind
from wavepool.units import GIB

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""What the world's wall clock shows at its second 0."""

TICK_S = 1e-6
"""Times closer than this are the same: sums of floats that should be equal are not."""

DEFAULT_NODES = (Node(name="local", capacity=Resources(64 * GIB, 16_000)),)
DEFAULT_ENTRYPOINT = ("sim",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """How long the engine takes, in seconds.

    `reappear_s`: after this a create that was cut off has its effect all the same (150 ms was seen on a real one).
    `claim_s`: from a claim to its task.
    `deadline_s`: how long a hanging call is waited for, beside a stop's grace.
    """

    prepare_s: float = 0.02
    create_s: float = 0.01
    start_s: float = 0.02
    claim_s: float = 0.001
    stop_s: float = 0.005
    remove_s: float = 0.01
    reappear_s: float = 0.15
    deadline_s: float = 30.0


class Watcher(Protocol):
    """Is told of each change of a container, at the moment of the change."""

    def changed(self, container: Container) -> None: ...


class MemoryWorld:
    """A simulated engine with its ground truth for tests.

    Args:
        nodes: where containers run; one whose spec names none is placed where most memory is left.
        absent_images: references that cannot be had; every other image exists.
        entrypoints: image reference -> argv of tasks without a command (default: ``("sim",)``, which succeeds).
        latencies, hazards: how slow and how unreliable the engine is.
        clock: seconds, never going back within one event loop.

    Attributes:
        executions: how often each attempt was really executed, by (run id, attempt).
        held_bytes: the limits of the containers that run now, by node.
        peak_memory_bytes: the highest that `held_bytes` ever was, by node.
        peak_running: the most containers that ever ran at one moment.
        networks: name -> labels.
        kept: reference -> what was kept of an attempt, and the owner.
        claims: slot -> when the task of a parked container out of it began.
        never_claimed: ids of parked containers that were removed before anything ran in them.
    """

    def __init__(
        self,
        *,
        nodes: tuple[Node, ...] = DEFAULT_NODES,
        absent_images: Iterable[str] = (),
        entrypoints: Mapping[str, tuple[str, ...]] | None = None,
        latencies: Latencies | None = None,
        hazards: Hazards | None = None,
        clock: Callable[[], float] = anyio.current_time,
    ) -> None:
        self.nodes = nodes
        self.absent_images = frozenset(absent_images)
        self.latencies = latencies or Latencies()
        self.hazards = hazards or NoHazards()
        self.executions: Counter[tuple[str, AttemptId]] = Counter()
        self.held_bytes = {node.name: 0 for node in nodes}
        self.peak_memory_bytes = dict(self.held_bytes)
        self.running = 0
        self.peak_running = 0
        self.networks: dict[str, Mapping[str, str]] = {}
        self.kept: dict[str, tuple[str, Kept]] = {}
        self.claims: dict[Path, datetime] = {}
        self.never_claimed: set[str] = set()
        self._entrypoints = dict(entrypoints or {})
        self._by_id: dict[str, Container] = {}
        self._by_name: dict[str, Container] = {}
        self._appearing: set[str] = set()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._ids = count(1)
        self._watchers: dict[Watcher, None] = {}
        self._sleepers: dict[anyio.Event, None] = {}
        self._clock = clock
        self._shift_s: float | None = None
        self._time_s = 0.0

    # ---- time ----

    @property
    def time_s(self) -> float:
        """Seconds since the world began; while an event is handled, the time of that event."""
        return self._time_s

    def wall(self, time_s: float) -> datetime:
        return EPOCH + timedelta(seconds=time_s)

    def at(self, time_s: float, action: Callable[[], None]) -> None:
        """Do `action` at a time of the world."""
        heapq.heappush(self._heap, (time_s, next(self._order), action))

    def advance(self) -> bool:
        """Let everything happen that is due by now; True if anything did."""
        now_s, happened = self._read_clock(), False
        while self._heap and self._heap[0][0] <= now_s + TICK_S:
            due_s, _, action = heapq.heappop(self._heap)
            self._time_s = max(self._time_s, due_s)
            action()
            happened = True
        self._time_s = max(self._time_s, now_s)
        return happened

    async def wait(self) -> None:
        """Until something has changed, or the next thing is due; then up to date. May return early."""
        if self.advance():
            return
        event = anyio.Event()
        self._sleepers[event] = None
        try:
            if self._heap:
                with anyio.move_on_after(self._heap[0][0] - self._time_s):
                    await event.wait()
            else:
                await event.wait()
        finally:
            self._sleepers.pop(event, None)
        self.advance()

    def _read_clock(self) -> float:
        reading_s = self._clock()
        if self._shift_s is None or reading_s + self._shift_s < self._time_s - TICK_S:
            # the first look, or another event loop whose clock began anew: the world's time goes on
            self._shift_s = self._time_s - reading_s
        return reading_s + self._shift_s

    # ---- looking ----

    def named(self, name: str) -> Container | None:
        return self._by_name.get(name)

    def find(self, handle: Handle) -> Container | None:
        """The container of a handle, by id, or by name where only that is known."""
        return self._by_id.get(handle.id) if handle.id else self._by_name.get(handle.name)

    def has_run(self, spec: AttemptSpec) -> bool:
        """True if this attempt was ever executed: what a mark in its slot says of a real one."""
        return self.executions[spec.run_id, spec.attempt] > 0

    def is_appearing(self, name: str) -> bool:
        """True while a create that was cut off has yet to have its effect."""
        return name in self._appearing

    def container_names(self) -> list[str]:
        """All that exist, whoever they belong to."""
        return list(self._by_name)

    def within(self, scope: Scope) -> list[Container]:
        return [each for each in self._by_id.values() if in_scope(each.spec, scope)]

    def networks_within(self, scope: Scope) -> list[str]:
        """Networks of this scope that no container uses."""
        used = {each.spec.network for each in self._by_id.values()}
        return [name for name, marks in self.networks.items() if name not in used and _marks_fit(name, marks, scope)]

    def watch(self, watcher: Watcher) -> None:
        self._watchers[watcher] = None

    def unwatch(self, watcher: Watcher) -> None:
        self._watchers.pop(watcher, None)

    # ---- changing ----

    def create(self, spec: AttemptSpec) -> Container:
        """A container that does not run yet. Its name must be free."""
        assert spec.name not in self._by_name
        made = Container(id=f"sim-{next(self._ids):08d}", spec=spec, script=self._script(spec), node=self._place(spec))
        self._by_id[made.id] = self._by_name[spec.name] = made
        self._tell(made)
        return made

    def tell_late(self, container: Container, spec: AttemptSpec) -> None:
        """A parked container learns what it is for."""
        container.spec, container.script = spec, self._script(spec)

    def end_waiting(self, container: Container) -> None:
        """A parked container ends without a task."""
        container.waits = False
        self.wake()

    def changed(self, container: Container) -> None:
        """Tell all watchers of it."""
        self._tell(container)

    def create_late(self, spec: AttemptSpec, delay_s: float) -> None:
        """A create that was cut off: it has its effect after `delay_s`."""
        self._appearing.add(spec.name)

        def appear() -> None:
            self._appearing.discard(spec.name)
            self.create(spec)

        self.at(self._time_s + delay_s, appear)

    def run(self, container: Container) -> None:
        """Start it, if it was never started."""
        if container.phase is not Phase.CREATED or not container.exists:
            return
        container.phase, container.started_s = Phase.RUNNING, self._time_s
        if container.is_parked:
            container.waits = False
            self.claims[container.spec.slot] = self.wall(self._time_s)
        self.executions[container.spec.run_id, container.spec.attempt] += 1
        self._hold(container)
        container.write_output(self._time_s)
        self.at(self._time_s + container.script.duration_s, lambda: self._end(container, *container.own_end()))
        self._await_foreigner(container)
        self._tell(container)

    def signal(self, container: Container, signal: str) -> None:
        """SIGTERM or SIGKILL from us; nothing where it does not run."""
        script = container.script
        if signal == "SIGKILL":
            self._end(container, *killed_by("wavepool", signal, 137))
        elif not script.ignores_term:
            end = killed_by("wavepool", signal, script.term_code)
            self.at(self._time_s + script.term_delay_s, lambda: self._end(container, *end))
            self.advance()

    def destroy(self, container: Container) -> None:
        """Remove it, running or not."""
        if not container.exists:
            return
        if container.phase is Phase.RUNNING:
            self._release(container)
        if container.is_unclaimed:
            container.waits = False
            self.never_claimed.add(container.id)
        container.exists = False
        container.phase = Phase.EXITED if container.ending else Phase.GONE
        del self._by_id[container.id], self._by_name[container.spec.name]
        self._tell(container)

    def wake(self) -> None:
        """Let everyone who waits look again."""
        sleepers, self._sleepers = self._sleepers, {}
        for event in sleepers:
            event.set()

    # ---- inside ----

    def _script(self, spec: AttemptSpec) -> Script:
        argv = spec.command if spec.command is not None else self._entrypoints.get(spec.image, DEFAULT_ENTRYPOINT)
        return in_turn(spec.commands) if spec.commands else Script.parse(argv)

    def _end(self, container: Container, kind: VerdictKind, evidence: Evidence) -> None:
        if container.phase is not Phase.RUNNING:
            return
        self._release(container)
        container.phase = Phase.EXITED
        container.ending = Ending(
            kind=kind,
            evidence=evidence,
            started_at=self.wall(container.started_s or 0.0),
            finished_at=self.wall(self._time_s),
        )
        self._tell(container)

    def _await_foreigner(self, container: Container) -> None:
        if self.hazards.strikes(Fault.FOREIGN_REMOVAL, container.key):
            span_s = container.script.duration_s * 1.25 + 0.1
            delay_s = span_s * self.hazards.fraction(Fault.FOREIGN_REMOVAL, container.key)
            self.at(self._time_s + delay_s, lambda: self.destroy(container))

    def _tell(self, container: Container) -> None:
        for watcher in tuple(self._watchers):
            watcher.changed(container)
        self.wake()

    def _place(self, spec: AttemptSpec) -> str:
        if spec.node:
            return spec.node
        return max(self.nodes, key=lambda node: node.capacity.memory_bytes - self.held_bytes[node.name]).name

    def _hold(self, container: Container) -> None:
        node = container.node
        self.running += 1
        self.peak_running = max(self.peak_running, self.running)
        self.held_bytes[node] += container.spec.limits.memory_bytes
        self.peak_memory_bytes[node] = max(self.peak_memory_bytes[node], self.held_bytes[node])

    def _release(self, container: Container) -> None:
        self.running -= 1
        self.held_bytes[container.node] -= container.spec.limits.memory_bytes


def _marks_fit(name: str, marks: Mapping[str, str], scope: Scope) -> bool:
    return (
        labels.is_ours(marks, scope.owner)
        and scope.shared_network in (None, name)
        and (scope.run_id is None or marks.get(labels.RUN) == scope.run_id or scope.shared_network is not None)
        and (scope.wave is None or marks.get(labels.WAVE) == str(scope.wave) or scope.shared_network is not None)
    )
