"""What a person does to runs and pools from elsewhere: the same over a page, an interface, or the command line.

A run that a process works on is asked over its control socket. One that nobody works on is gone on with by a process
of its own, which outlives us.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from wavepool.engine.control import Control, NobodyHolds, open_control
from wavepool.engine.control.pools import PoolClient, open_client
from wavepool.engine.history.runs import RunHistory, Standing, find_run
from wavepool.errors import NotNow, RunLocked, WavepoolError
from wavepool.monitoring.verbs import run_verb, start_detached
from wavepool.statedir import RunDir, StateDir

PATIENCE_S = 10.0
"""How long a process that holds a run, or the pools, may take until it listens."""

POOL_WAIT_S = 20.0
"""How long a pool may take to be warm, or empty, until the answer says that it is not yet."""


class Actions:
    """Acts on the runs and pools of one state directory. Keeps nothing open; every method may be called at any time.

    Each returns a small object that is JSON as it stands. Where nothing else is said, each raises UnknownRun (there is
    no such run), NotNow (the run is over), NobodyHolds (no process works on it), ConnectionCut (it ended while it was
    asked), and InfrastructureError.

    Args:
        state_dir: its path.
    """

    def __init__(self, state_dir: Path) -> None:
        self._state = StateDir(state_dir)

    # -- runs --

    async def cancel(self, run_id: str, *, force: bool = False) -> dict[str, Any]:
        """Drain a run, or with `force` stop what runs: `taken`, `pid`, `ended`, `status`.

        With `force` also what a dead process left running; that returns when nothing of it runs any more.
        """
        files = await self._find(run_id)
        try:
            async with self._held(files) as control:
                status = await control.status()
                taken = await control.cancel(force=force)
        except NobodyHolds:
            if not force:
                raise
            return await self._end_nobodys(files)
        return {"run_id": files.id, "pid": status["pid"], "taken": taken["taken"], "ended": False, "status": None}

    async def retry(self, run_id: str, tasks: Sequence[str] | None = None) -> dict[str, Any]:
        """Try these tasks again (None: all that failed), and what was skipped because of them: `pid`, `log`.

        Raises:
            SettingError: one of them cannot be tried again.
            RunLocked: another process works on the run.
        """
        chosen = ["--failed"] if tasks is None else ["--", *tasks]
        return await self._go_on("retry", await self._find(run_id), chosen)

    async def resume(self, run_id: str) -> dict[str, Any]:
        """Go on with a run that no process works on, in a process of its own: `pid`, `log`.

        Raises:
            RunLocked: a process works on it.
        """
        files = await self._find(run_id)
        history = RunHistory(files)
        standing = await anyio.to_thread.run_sync(history.standing)
        if standing.is_over:
            raise _over(files, standing)
        return await self._go_on("resume", files, [])

    # -- pools --

    async def warm(self, agent_type: str, count: int | None = None) -> dict[str, Any]:
        """Have so many (its minimum) ready: `done`, `pools`. Raises InputError, NoServer, InfrastructureError."""
        return await self._pools(lambda client: client.warm(agent_type, count))

    async def scale(self, agent_type: str, count: int) -> dict[str, Any]:
        """Keep so many from now on: `done`, `pools`. Raises as `warm`."""
        return await self._pools(lambda client: client.scale(agent_type, count))

    async def drain(self, agent_type: str | None = None) -> dict[str, Any]:
        """No more tasks of this type (of all): `done` when none is left, `pools`. Raises as `warm`."""
        return await self._pools(lambda client: client.drain(agent_type))

    # -- inside --

    async def _find(self, run_id: str) -> RunDir:
        history = await anyio.to_thread.run_sync(find_run, self._state, run_id)
        return history.files

    @asynccontextmanager
    async def _held(self, files: RunDir) -> AsyncIterator[Control]:
        """A connection to who works on the run. Raises NotNow where it is over."""
        try:
            async with open_control(files, patience_s=PATIENCE_S) as control:
                yield control
        except NobodyHolds:
            standing = await anyio.to_thread.run_sync(RunHistory(files).standing)
            if standing.is_over:
                raise _over(files, standing) from None
            raise

    async def _end_nobodys(self, files: RunDir) -> dict[str, Any]:
        ended = await run_verb(["cancel", files.id, "--force", "--json", *self._here()])
        return ended.result()

    async def _go_on(self, verb: str, files: RunDir, more: Sequence[str]) -> dict[str, Any]:
        if await anyio.to_thread.run_sync(files.is_live):
            raise RunLocked(files.id, files.holder())
        try:
            return await start_detached(verb, [*self._here(), *more[:1], files.id, *more[1:]])
        except WavepoolError:
            if await anyio.to_thread.run_sync(files.is_live):  # somebody else was faster
                raise RunLocked(files.id, files.holder()) from None
            raise

    def _here(self) -> list[str]:
        return ["--state-dir", str(self._state.path)]

    async def _pools(self, ask: Callable[[PoolClient], Awaitable[Mapping[str, Any]]]) -> dict[str, Any]:
        """Ask the server; where it takes longer than we wait it goes on with it, and the answer is how far it is."""
        found: Mapping[str, Any] | None = None
        with anyio.move_on_after(POOL_WAIT_S):
            async with open_client(self._state.server(), patience_s=PATIENCE_S) as client:
                found = await ask(client)
        done = found is not None
        if found is None:
            async with open_client(self._state.server(), patience_s=PATIENCE_S) as client:
                found = await client.status()
        return {"done": done, "pools": list(found["pools"])}


def _over(files: RunDir, standing: Standing) -> NotNow:
    return NotNow(files.id, f"run {files.id} is over: {standing.value}", advice=f"`wavepool show {files.id}` tells it.")
