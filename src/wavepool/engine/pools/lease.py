"""A container of a pool, for one task: files can be placed in it before, and taken out of it after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio.to_thread

from wavepool.drivers.parking import OutputSink
from wavepool.engine.pools.orders import GRACE_S, order_of
from wavepool.engine.pools.results import TaskExecution, Where
from wavepool.engine.pools.stock import Stock
from wavepool.engine.pools.tasks import TaskRun
from wavepool.errors import InputError
from wavepool.model import Limits


class Lease:
    """What `ContainerPool.claim` gives. It is over, with all that is in its workspace, when the block ends."""

    def __init__(self, stock: Stock, task: TaskRun, timeout_s: float | None) -> None:
        self._stock = stock
        self._task = task
        self._timeout_s = timeout_s
        self._used = False

    @property
    def agent_type(self) -> str:
        """Whose it is."""
        return self._stock.name

    @property
    def warm(self) -> bool:
        """True while its container is one that was ready."""
        return self._task.progress.where is not Where.COLD

    @property
    def workspace(self) -> Path:
        """The host's side of its /workspace. Ask again after `run`: another container may have had to stand in."""
        return self._task.progress.container.workspace

    async def run(
        self,
        command: Sequence[str] | None,
        *,
        env: Mapping[str, str] | None = None,
        secrets: Mapping[str, bytes] | None = None,
        prompt: str = "",
        directory: str = "",
        limits: Limits | None = None,
        timeout_s: float | None = None,
        grace_s: float = GRACE_S,
        on_output: OutputSink | None = None,
    ) -> TaskExecution:
        """Run its one task to the verdict; arguments, result and errors are those of `ContainerPool.execute`.

        Raises:
            InputError: it was used already.
        """
        order = order_of(
            self._stock,
            command,
            env=env,
            secrets=secrets,
            prompt=prompt,
            directory=directory,
            limits=limits,
            timeout_s=self._timeout_s if timeout_s is None else timeout_s,
            grace_s=grace_s,
            on_output=on_output,
        )
        if self._used:
            raise InputError("this lease was used already", advice="Claim another one: each is for one task.")
        self._used = True
        if any(self.workspace.iterdir()):
            await anyio.to_thread.run_sync(self._stock.specs.give_all, self.workspace)
        return await self._task.run(order)
