"""`run --warm`: containers are parked for the attempts that come next, so that their starts become claims.

A help that may fail, and never the run: whatever cannot be parked starts cold. Nothing of it is in the journal. The
core says what to park (`core.warming`); a start of a parked attempt is a start like any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import structlog

from wavepool.core.state import RunState
from wavepool.core.warming import GiveUp, Park, next_step
from wavepool.drivers.base import Driver
from wavepool.drivers.parking import SupportsParking
from wavepool.engine.attempts.spec import SpecBuilder
from wavepool.engine.attempts.waves import WaveNetworks
from wavepool.errors import CannotPark, InfrastructureError, InputError
from wavepool.model import AttemptId, Handle, Task, WorkspaceKind
from wavepool.statedir import RunDir

ABREAST = 2
"""Containers that are made or removed at once: a daemon that is busy with these lets the starts wait."""

YIELD_S = 1.0
"""While starts are under way, at most one container is parked in so long: they come first, but a start that hangs does
not end the parking."""

REFUSALS = 3
"""After so many in a row no further container of that image is tried: it may be the image, or only these tasks."""

FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 30.0
"""After a failure nothing is parked for a while: doubled with each further one in a row."""

_log = structlog.get_logger(__name__)


class _Place:
    """One container that is parked, or about to be. Whoever does something about it holds `turn`."""

    __slots__ = ("busy", "handle", "turn")

    def __init__(self, handle: Handle | None = None) -> None:
        self.handle = handle
        self.busy = False
        self.turn = anyio.Lock()


class Warmer:
    """Parks containers of one run, and gives them up when they are not wanted any more.

    Args:
        state: of the run; only read.
        driver, parking: the same driver, open; closed by its owner.
        specs, files: as the performer has them: a parked container is that of the very attempt.
        networks: of the waves.
        notice: is told, once for each image, that it starts cold.
    """

    def __init__(
        self,
        *,
        state: RunState,
        driver: Driver,
        parking: SupportsParking,
        specs: SpecBuilder,
        files: RunDir,
        networks: WaveNetworks,
        notice: Callable[[str], None],
    ) -> None:
        self._state = state
        self._driver = driver
        self._parking = parking
        self._specs = specs
        self._shares_workspace = specs.surroundings.workspace_kind is WorkspaceKind.SHARED
        self._files = files
        self._networks = networks
        self._notice = notice
        self._places: dict[AttemptId, _Place] = {}
        self._refused: Counter[str] = Counter()
        """How often in a row containers of an image could not be parked."""
        self._cold: set[AttemptId] = set()
        """Attempts whose parking failed: they are not tried again."""
        self._told: set[str] = set()
        """Images of which it was said that they start cold."""
        self._changed = anyio.Event()
        self._failures = 0
        self._not_before_s = 0.0
        self._yields_until_s: float | None = None

    async def run(self) -> None:
        """Keep parked what should be, until it is cancelled. What is parked then goes with the rest of the run."""
        async with anyio.create_task_group() as group:
            for _ in range(ABREAST):
                group.start_soon(self._work)

    def look(self) -> None:
        """The run may have changed: think again. Returns at once."""
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    def left_over(self, handle: Handle) -> None:
        """An earlier process parked this, and it was never claimed: it will be removed."""
        if handle.attempt not in self._state.live:  # else its start finds it
            self._places.setdefault(handle.attempt, _Place(handle))

    @asynccontextmanager
    async def starting(self, attempt: AttemptId) -> AsyncIterator[Handle | None]:
        """Around the start of an attempt: yields the handle of its parked container, None where there is none.

        Waits for what is being done about it: a container that is being parked will be claimed, and one that is being
        removed must not be.
        """
        place = self._places.get(attempt)
        if place is None:
            yield None
            return
        try:
            async with place.turn:
                yield place.handle
        finally:
            self._places.pop(attempt, None)
            self.look()

    # -- inside --

    async def _work(self) -> None:
        while True:
            changed, step = self._changed, self._next()
            if isinstance(step, GiveUp):
                await self._give_up(step.attempt)
            elif step is not None and (wait_s := self._wait_s()) <= 0:
                await self._park(step.attempt)
            else:
                with anyio.move_on_after(None if step is None else wait_s):
                    await changed.wait()

    def _next(self) -> Park | GiveUp | None:
        for attempt, place in self._places.items():
            if self._has_ended(attempt, place):
                return GiveUp(attempt=attempt)
        busy = {attempt for attempt, place in self._places.items() if place.busy}
        return next_step(self._state, self._places, busy, self._suits)

    def _has_ended(self, attempt: AttemptId, place: _Place) -> bool:
        if place.busy or place.handle is None or attempt in self._state.live:
            return False
        return not self._parking.is_parked(place.handle)

    def _suits(self, attempt: AttemptId, task: Task) -> bool:
        if task.sidecars or task.agent is not None or not self._shares_workspace:
            return False  # these wait for other things than containers, or for a workspace of their own
        return attempt not in self._cold and self._refused[self._image(task)] < REFUSALS

    def _wait_s(self) -> float:
        """How long a container that is to be parked must wait; 0 or less where its turn is now."""
        now_s = anyio.current_time()
        if not self._state.starting:
            self._yields_until_s = None
        elif self._yields_until_s is None:
            self._yields_until_s = now_s + YIELD_S
        return max(self._not_before_s, self._yields_until_s or 0.0) - now_s

    async def _park(self, attempt: AttemptId) -> None:
        self._yields_until_s = None
        place = self._places[attempt] = _Place()
        place.busy = True
        async with place.turn:
            task = self._state.tasks[attempt.task_id].task
            try:
                await self._networks.ensure(task.wave)
                slot = self._files.slot(task.key, attempt.number)
                node = self._state.rules.nodes[0].name
                place.handle = await self._parking.park(self._specs.build(task, attempt, slot, node))
            except CannotPark as error:
                self._stays_cold(attempt, self._image(task), error)
            except (InfrastructureError, InputError, OSError) as error:
                self._failed(attempt, error)
            else:
                self._failures = self._refused[self._image(task)] = 0
            if place.handle is None:
                await self._remove(attempt, None)
        self._done(attempt, place)

    async def _give_up(self, attempt: AttemptId) -> None:
        place = self._places[attempt]
        place.busy = True
        async with place.turn:
            handle, place.handle = place.handle, None
            await self._remove(attempt, handle)
        self._done(attempt, place)

    def _done(self, attempt: AttemptId, place: _Place) -> None:
        place.busy = False
        if place.handle is None and self._places.get(attempt) is place:
            del self._places[attempt]
        self.look()

    async def _remove(self, attempt: AttemptId, handle: Handle | None) -> None:
        """Its container, and its slot. What resists has ended by itself, and goes with the rest of the run."""
        task = self._state.tasks[attempt.task_id].task
        try:
            if handle is not None:
                await self._parking.unpark(handle)
            removed = await self._driver.remove(handle or self._specs.handle(self._driver.name, task, attempt))
            problem = "; ".join(removed.errors)
        except InfrastructureError as error:
            problem = str(error)
        if problem:
            self._cold.add(attempt)
            _log.warning("parked container not removed", attempt=str(attempt), problem=problem)
        self._files.drop_slot(task.key, attempt.number)

    def _stays_cold(self, attempt: AttemptId, image: str, error: CannotPark) -> None:
        self._cold.add(attempt)
        self._refused[image] += 1
        if image not in self._told:
            self._told.add(image)
            self._notice(f"tasks of {image} start cold, --warm cannot help them: {error}")

    def _failed(self, attempt: AttemptId, error: Exception) -> None:
        self._cold.add(attempt)
        pause_s = min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures, 16))
        self._failures += 1
        self._not_before_s = anyio.current_time() + pause_s
        _log.warning("not parked", attempt=str(attempt), problem=str(error), pause_s=pause_s)

    def _image(self, task: Task) -> str:
        return task.image or self._specs.surroundings.image


def open_warmer(
    *,
    state: RunState,
    driver: Driver,
    specs: SpecBuilder,
    files: RunDir,
    networks: WaveNetworks,
    notice: Callable[[str], None],
) -> Warmer | None:
    """What parks for the run; None where its rules, or its driver, park nothing."""
    if not state.rules.warm or not isinstance(driver, SupportsParking):
        return None
    return Warmer(
        state=state, driver=driver, parking=driver, specs=specs, files=files, networks=networks, notice=notice
    )
