"""One process's hold on a pool: a directory with a lock like a run's, its networks, and the end of all it made."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from itertools import count

import anyio
import anyio.to_thread
import structlog

from wavepool.drivers.base import AttemptSpec, Driver, Needs, PullProgress, Scope
from wavepool.drivers.parking import ReusableContainer, SupportsReuse
from wavepool.engine.clock import Clock
from wavepool.engine.pools.containers import Container
from wavepool.engine.pools.output import Output
from wavepool.engine.pools.specs import SpecMaker
from wavepool.errors import InfrastructureError
from wavepool.labels import task_key
from wavepool.statedir import LOOK_PATIENCE_S, RunDir, StateDir, new_run_id

RELEASE_S = 90.0
"""For the whole end of a session; whatever resists longer is told, and `wavepool cleanup` takes it up."""

PAUSE_S = 1.0
"""Before what could not be removed is tried again."""

SESSION_PREFIX = "pool-"
"""Of the ids of sessions; runs may have such ids too."""

_log = structlog.get_logger(__name__)


def new_session_id(clock: Clock) -> str:
    """The id of a pool's session; to everybody else it is a run without a journal."""
    return f"{SESSION_PREFIX}{new_run_id(clock.now().utc)}"


class PoolSession:
    """What one pool holds of the state directory, and of the engine.

    Args:
        driver: open; closed by its owner.
        files: the session's directory; it need not exist.
        output_limit_bytes: of each stream of a task so much is kept.
    """

    def __init__(self, *, driver: Driver, state_dir: StateDir, files: RunDir, output_limit_bytes: int) -> None:
        self.driver = driver
        self.files = files
        self.owner = state_dir.owner()
        self.scope = Scope(owner=self.owner, run_id=files.id)
        self._state_dir = state_dir
        self._output_limit_bytes = output_limit_bytes
        self._numbers = count(1)
        self._reusables: set[ReusableContainer] = set()
        self._leases = ExitStack()
        self._leased: set[str] = set()

    @property
    def id(self) -> str:
        """As containers carry it."""
        return self.files.id

    @asynccontextmanager
    async def held(self) -> AsyncIterator[list[str]]:
        """Hold the session's lock. At the end nothing is left; the list that is given then has what is, in sentences.

        Raises:
            RunLocked, InfrastructureError: the directory cannot be made or locked.
        """
        left: list[str] = []
        with self.files.lock():
            try:
                yield left
            finally:
                with anyio.move_on_after(RELEASE_S, shield=True) as bound:
                    left += await self._release()
                if bound.cancelled_caught:
                    left.append(f"the end of pool session {self.id} took longer than {RELEASE_S:.0f} s")
                for problem in left:
                    _log.error("something of a pool is left", session=self.id, problem=problem)

    async def prepare(self, specs: SpecMaker, pull: str, progress: PullProgress | None) -> None:
        """See that an agent type's image and network are there. Safe to repeat.

        Raises:
            PrepareError: one of them cannot be had.
            DriverUnavailable: the engine cannot be reached.
        """
        need = specs.network_need()
        await self.driver.prepare(Needs(images=(specs.agent.image,), pull=pull), progress)
        if need is None:
            return
        if (shared := specs.shared_network) is not None and shared not in self._leased:
            # waits for whoever removes it
            await anyio.to_thread.run_sync(self._leases.enter_context, self._state_dir.network_lease(shared))
            self._leased.add(shared)
        with ExitStack() as making:
            if shared is not None:
                await anyio.to_thread.run_sync(making.enter_context, self._state_dir.making(shared))
            await self.driver.prepare(Needs(networks=(need,)))

    def new_container(self, specs: SpecMaker) -> Container:
        """A place for the next container of this type: its name, its slot and its workspace.

        Raises:
            InputError: the shared workspace of its type is no directory.
            InfrastructureError: the state directory cannot be written to.
        """
        key = f"{specs.agent.name}-{next(self._numbers)}"
        slot_key = task_key(key)
        spec = specs.parked(key, self.files.slot(slot_key, 1))
        specs.make_workspace(spec)
        return Container(key=key, slot_key=slot_key, spec=spec, output=Output(self._output_limit_bytes))

    def drop_slot(self, container: Container) -> None:
        """Remove the slot of a container that is gone. Blocks."""
        self.files.drop_slot(container.slot_key, 1)

    async def open_reusable(self, driver: SupportsReuse, spec: AttemptSpec) -> ReusableContainer:
        """Start one; it is closed with the session, unless `close_reusable` did before. Raises as the driver's."""
        opened = await driver.open_reusable(spec)
        self._reusables.add(opened)
        return opened

    async def close_reusable(self, reusable: ReusableContainer) -> None:
        """Close its connection. Safe to repeat."""
        self._reusables.discard(reusable)
        await reusable.close()

    async def _release(self) -> list[str]:
        with self._leases:
            try:
                left = await self._remove_until_gone(self.scope)
            finally:
                for reusable in list(self._reusables):
                    await self.close_reusable(reusable)
        for name in sorted(self._leased):
            with self._state_dir.try_exclusive(name, patience_s=LOOK_PATIENCE_S) as alone:
                if alone:
                    left += await self._remove(Scope(owner=self.owner, shared_network=name))
        if not left:  # else its directory stays, for `wavepool recover` to know whose that is
            left += await anyio.to_thread.run_sync(self._remove_directory)
        return left

    async def _remove_until_gone(self, scope: Scope) -> list[str]:
        """An engine that is away, or busy, is waited for as long as the release may take."""
        while left := await self._remove(scope):
            _log.warning("not everything of a pool could be removed; it is tried again", problem=left[0])
            await anyio.sleep(PAUSE_S)
        return []

    async def _remove(self, scope: Scope) -> list[str]:
        try:
            return list((await self.driver.remove(scope)).errors)
        except InfrastructureError as error:
            return [str(error)]

    def _remove_directory(self) -> list[str]:
        shutil.rmtree(self.files.slots, ignore_errors=True)
        try:
            self._state_dir.remove_run(self.id)
        except InfrastructureError as error:
            return [str(error)]
        return []
