"""The seed's executors: a task and an agent in, a result out; in a container that is ready, or in a new one each time.

::

    async with PooledDockerExecutor({"poolSize": 2, "warmupAgentTypes": ["coder"]}) as executor:
        result = await executor.execute_task(TaskDefinition(id="t1", command=("make",)), AgentState(type="coder"))

`DockerizedTaskExecutor` takes the same settings, and has the same methods but for those that are about pools. Settings
are given as a mapping or as keywords, by our names or the seed's (``poolSize``, ``timeoutMs``: milliseconds).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio

from wavepool.core.pools import PoolMetrics
from wavepool.drivers.base import Driver, PullProgress
from wavepool.drivers.parking import OutputSink
from wavepool.engine.pools import TaskExecution
from wavepool.errors import InfrastructureError, InputError, WavepoolError, first_of_ours
from wavepool.inputs.pools import parse_pools
from wavepool.model import Limits, PoolsConfig, PoolSpec, VerdictKind
from wavepool.wiring import ContainerPool

__all__ = ["AgentState", "DockerizedTaskExecutor", "PooledDockerExecutor", "TaskDefinition", "TaskResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefinition:
    """What is to be done.

    Attributes:
        id: the caller's own; told in the result, and to the task as TASK_ID and BATCH_ID.
        name: for people; empty for the id.
        command: argv; None for the image's own entrypoint, which then finds the prompt.
        prompt: delivered byte for byte as the file that TASK_PROMPT_FILE names.
        env: variables over the agent's.
        secrets: name -> value; files in /run/secrets.
        directory: where it runs inside; empty for /workspace.
        limits: other limits than its agent type's.
        timeout_s: None for the setting `timeout`.
    """

    id: str
    name: str = ""
    command: tuple[str, ...] | None = None
    prompt: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    directory: str = ""
    limits: Limits | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentState:
    """Who does it: one of a type, whose containers are apart from those of every other type.

    Attributes:
        type: as ``coder``.
        id: the caller's own; told to the task as AGENT_ID where it is given.
        env: variables over the type's.
    """

    type: str
    id: str = ""
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """What became of a task.

    Attributes:
        task_id, task_name, agent_id, agent_type: as they were given.
        status: the verdict: success, failed, timeout, oom, cancelled, lost or start_error.
        exit_code: 124 for a timeout; None where nothing ran, or nobody knows.
        stdout, stderr: the newest of each, invalid bytes replaced; `execution` has the bytes.
        error_message: what happened, in a sentence; empty for a success.
        start_time, end_time: None where the engine did not tell.
        duration_s: from its start to its end.
        container_id: the container's name; empty where there was none.
        execution: all that is known.
    """

    task_id: str
    task_name: str
    agent_id: str
    agent_type: str
    status: VerdictKind
    exit_code: int | None
    stdout: str
    stderr: str
    error_message: str
    start_time: datetime | None
    end_time: datetime | None
    duration_s: float
    container_id: str
    execution: TaskExecution

    @property
    def success(self) -> bool:
        """True where it did what it should."""
        return self.status is VerdictKind.SUCCESS


class _Executor:
    """`initialize` and `shutdown`, or ``async with``, which calls them; between them, tasks.

    They may be called from different tasks of one event loop: the pools live in a task of their own.

    Args:
        config: settings of pools by name, and agent types with settings of their own, as in a file of them. What it
            does not say is the seed's default. No file is read.
        state_dir: None for the one of the settings.
        driver: ``docker``, ``process`` or ``auto``, or an open driver, which stays its owner's.
        pull: ``missing``, ``always`` or ``never``.
        notice: takes sentences for a person, warnings among them.
        pulling: told how image pulls go on.
        settings: more settings by name, over `config`.

    Raises:
        SettingError: one of them is wrong: named, with what was expected.
    """

    def __init__(
        self,
        config: Mapping[str, object] | None = None,
        /,
        *,
        state_dir: Path | None = None,
        driver: str | Driver = "docker",
        pull: str = "missing",
        notice: Callable[[str], None] = lambda text: None,
        pulling: PullProgress | None = None,
        **settings: object,
    ) -> None:
        self.config = self._as_kept(parse_pools({**(config or {}), **settings}))
        self._made: Callable[[], ContainerPool] = partial(
            ContainerPool,
            config=self.config,
            state_dir=state_dir,
            driver=driver,
            pull=pull,
            notice=notice,
            pulling=pulling,
        )
        self._keeper: _Keeper | None = None

    def _as_kept(self, config: PoolsConfig) -> PoolsConfig:
        return config

    async def initialize(self) -> None:
        """Open the pools, and return when the containers of the types that are to be warm are ready.

        Raises:
            InputError: it is open, or something of a type cannot be.
            InfrastructureError: no Docker, or an image cannot be had; nothing is left.
        """
        if self._keeper is not None:
            raise InputError("the executor is open already", advice="Call `shutdown` first.")
        self._keeper = _Keeper(self._made())
        try:
            async with self._keeper.using() as pool:
                await pool.filled()
        except BaseException:
            await self.shutdown()
            raise

    async def execute_task(
        self, task: TaskDefinition, agent: AgentState, *, on_output: OutputSink | None = None
    ) -> TaskResult:
        """Run one task, at most once. What fails in it is in its result. Cancelled, it stops the task.

        Args:
            on_output: told each piece of its output as it comes, from the event loop: it must not block.

        Raises:
            InputError: what is asked for cannot be, or the executor is not open; nothing was started.
            InfrastructureError: the pools take no tasks, or have ended.
        """
        env = {**agent.env, **task.env, "TASK_ID": task.id, "BATCH_ID": task.id}
        async with self._open().using() as pool:
            done = await pool.execute(
                agent.type,
                task.command,
                env={**env, "AGENT_ID": agent.id} if agent.id else env,
                secrets=task.secrets,
                prompt=task.prompt,
                directory=task.directory,
                limits=task.limits,
                timeout_s=task.timeout_s,
                on_output=on_output,
            )
        return _result(task, agent, done)

    async def shutdown(self) -> None:
        """Stop what still runs, and remove everything. Safe to repeat; then `initialize` may be called again.

        Raises:
            InfrastructureError: something is left, or the pools had ended for a failure of their own.
        """
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            await keeper.close()

    async def __aenter__(self) -> Self:
        await self.initialize()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.shutdown()

    def _open(self) -> _Keeper:
        if self._keeper is None:
            raise InputError(
                "the executor is not open", advice="`await initialize()` first, or use it with `async with`."
            )
        return self._keeper


class PooledDockerExecutor(_Executor):
    """Runs each task in a container of its agent's type that is ready, or, where none is, in a new one at once."""

    async def scale_pool(self, agent_type: str, size: int) -> None:
        """Keep so many containers of a type, until the demand asks for others; returns when they are there.

        Raises:
            InputError: not within its pool's bounds, or the executor is not open.
            InfrastructureError: they cannot be made.
        """
        async with self._open().using() as pool:
            pool.scale(agent_type, size)
            await pool.warm([agent_type], count=size)

    async def get_pool_metrics(self) -> PoolMetrics:
        """The seed's metrics, all measured; `as_seed` has its names."""
        async with self._open().using() as pool:
            return pool.metrics()

    async def get_containers(self) -> list[dict[str, object]]:
        """The seed's nine fields of each container of the pools."""
        async with self._open().using() as pool:
            return pool.containers()


class DockerizedTaskExecutor(_Executor):
    """Runs each task in a new container, with the same isolation. Settings that are of pools alone change nothing."""

    def _as_kept(self, config: PoolsConfig) -> PoolsConfig:
        return replace(
            config,
            types={name: _cold(spec) for name, spec in config.types.items()},
            fallback=_cold(config.fallback),
            warm=(),
        )


class _Keeper:
    """Pools in a task of their own: whoever opens them need not be who closes them."""

    def __init__(self, pool: ContainerPool) -> None:
        self._pool = pool
        self._opened = anyio.Event()
        self._closing = anyio.Event()
        self._over = anyio.Event()
        self._problem: BaseException | None = None
        self._users: set[anyio.CancelScope] = set()
        # The one task of Wavepool outside a task group: its callers decide when it ends, in any task, by `close`.
        self._task = asyncio.get_running_loop().create_task(self._keep(), name="wavepool-pools")

    @asynccontextmanager
    async def using(self) -> AsyncIterator[ContainerPool]:
        """The pools, open. The block is cancelled, and an error raised, where they end under it.

        Raises:
            InfrastructureError: they could not be opened, or have ended.
        """
        await self._opened.wait()
        self._check()
        with anyio.CancelScope() as scope:
            self._users.add(scope)
            try:
                yield self._pool
            finally:
                self._users.discard(scope)
        if scope.cancelled_caught:
            self._check()

    async def close(self) -> None:
        """End it; raises what it ended with, InfrastructureError where something is left."""
        self._closing.set()
        with anyio.CancelScope(shield=True):
            await self._over.wait()
        if self._problem is not None:
            raise self._problem
        if self._pool.left_behind:
            raise InfrastructureError(
                f"something of the pools is still there: {self._pool.left_behind[0]}",
                advice="`wavepool recover --grace 0s` takes it away as soon as that is possible.",
            )

    async def _keep(self) -> None:
        try:
            async with self._pool:
                self._opened.set()
                await self._closing.wait()
        except Exception as error:
            self._problem = first_of_ours(error)  # raised where somebody waits for it
        finally:
            self._over.set()
            self._opened.set()
            for scope in self._users:
                scope.cancel()

    def _check(self) -> None:
        if isinstance(self._problem, WavepoolError):
            raise self._problem
        if self._over.is_set():
            raise InfrastructureError(f"the pools have ended: {self._problem or 'they were closed'}") from self._problem


def _cold(spec: PoolSpec) -> PoolSpec:
    kept = replace(spec.settings, size=0, min_size=0, auto_scaling=False, learning=False, reuse=False)
    return replace(spec, settings=kept)


def _result(task: TaskDefinition, agent: AgentState, done: TaskExecution) -> TaskResult:
    ended_s = done.timings.total_s if done.timings.ended_s is None else done.timings.ended_s
    return TaskResult(
        task_id=task.id,
        task_name=task.name or task.id,
        agent_id=agent.id,
        agent_type=agent.type,
        status=done.verdict.kind,
        exit_code=done.exit_code,
        stdout=done.stdout.decode("utf-8", "replace"),
        stderr=done.stderr.decode("utf-8", "replace"),
        error_message="" if done.succeeded else done.verdict.evidence.reason or f"it ended as {done.verdict.kind}",
        start_time=done.started_at,
        end_time=done.finished_at,
        duration_s=0.0 if done.dispatch_s is None else max(0.0, ended_s - done.dispatch_s),
        container_id=done.container,
        execution=done,
    )
