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

from wavepool.engine.control import Control, NobodyHolds, open_control, until_free
from wavepool.engine.control.pools import PoolClient, open_client
from wavepool.engine.history.runs import RunHistory, Standing, find_run
from wavepool.errors import RunLocked, RunOver, WavepoolError
from wavepool.monitoring.verbs import run_verb, start_detached
from wavepool.statedir import RunDir, StateDir

PATIENCE_S = 10.0
"""How long a process that holds a run, or the pools, may take until it listens."""

POOL_WAIT_S = 20.0
"""How long a pool may take to be warm, or empty, until the answer says that it is not yet."""


class Actions:
    """Acts on the runs and pools of one state directory. Keeps nothing open; every method may be called at any time.

    Each returns a small object that is JSON as it stands. Where nothing else is said, each raises UnknownRun (there is
    no such run), RunOver, NobodyHolds (no process works on it), ConnectionCut (it ended while it was
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

    async def pause(self, run_id: str) -> dict[str, Any]:
        """Start nothing new of a run until `unpause`: `pid`, `paused`, `changed`, `running`.

        Raises:
            OlderProcess: who works on it cannot.
        """
        return await self._ask(run_id, lambda control: control.pause())

    async def unpause(self, run_id: str) -> dict[str, Any]:
        """Let starts go on: as `pause`."""
        return await self._ask(run_id, lambda control: control.unpause())

    async def cancel_tasks(self, run_id: str, tasks: Sequence[str]) -> dict[str, Any]:
        """End these tasks, as people name them (`naming.tasks_named`), and let the run go on without them.

        The ids of those that are `stopped` (they ran) and `skipped` (they had not begun), of `dependents` that are
        skipped with them, and of those that had `ended` before.

        Raises:
            UnknownTask: one is no task of this run.
            NotNow: all of them have ended.
            OlderProcess: as `pause`.
        """
        return await self._ask(run_id, lambda control: control.cancel_tasks(tasks))

    async def retry(self, run_id: str, tasks: Sequence[str] | None = None) -> dict[str, Any]:
        """Try these tasks again, as people name them (None: all that failed), and what was skipped because of them.

        A process that works on the run does it (`tasks`, `waiting`: ids; `paused`); else one of its own (`detached`),
        with the `log` of what it says.

        Raises:
            InputError: one of them cannot be tried again.
            NotNow: nothing has failed, or the run is ending.
            RunLocked: somebody else was faster.
            OlderProcess: as `pause`.
        """
        files = await self._find(run_id)
        try:
            async with open_control(files, patience_s=PATIENCE_S) as control:
                return _told(files, await control.retry(tasks or ()), detached=False)
        except (NobodyHolds, RunOver):
            await until_free(files)
        chosen = ["--failed"] if tasks is None else ["--", *tasks]
        return await self._go_on("retry", files, chosen)

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
        """A connection to who works on the run. Raises RunOver."""
        try:
            async with open_control(files, patience_s=PATIENCE_S) as control:
                yield control
        except NobodyHolds:
            standing = await anyio.to_thread.run_sync(RunHistory(files).standing)
            if standing.is_over:
                raise _over(files, standing) from None
            raise

    async def _ask(self, run_id: str, order: Callable[[Control], Awaitable[Mapping[str, Any]]]) -> dict[str, Any]:
        files = await self._find(run_id)
        async with self._held(files) as control:
            return _told(files, await order(control))

    async def _end_nobodys(self, files: RunDir) -> dict[str, Any]:
        ended = await run_verb(["cancel", files.id, "--force", "--json", *self._here()])
        return ended.result()

    async def _go_on(self, verb: str, files: RunDir, more: Sequence[str]) -> dict[str, Any]:
        if await anyio.to_thread.run_sync(files.is_live):
            raise RunLocked(files.id, files.holder())
        try:
            found = await start_detached(verb, [*self._here(), *more[:1], files.id, *more[1:]])
            return {**found, "detached": True}
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


def _told(files: RunDir, reply: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    said = {name: value for name, value in reply.items() if name not in ("ok", "facts")}
    return {"run_id": files.id, **said, **more}


def _over(files: RunDir, standing: Standing) -> RunOver:
    show = f"`wavepool show {files.id}` tells it."
    return RunOver(files.id, f"run {files.id} is over: {standing.value}", advice=show)
