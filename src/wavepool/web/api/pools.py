"""Warm pools: ``/api/pools``. All but the look need the `wavepool serve` that holds them."""

from __future__ import annotations

from typing import Annotated, Any, cast

import anyio
from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, Field, StrictStr
from typing_extensions import TypedDict

from wavepool.engine.control.pools import TaskOrder, open_client
from wavepool.engine.control.pools.protocol import unpacked
from wavepool.errors import InfrastructureError, InputError, SettingError
from wavepool.inputs import parse_timeout
from wavepool.monitoring.documents.overview import PoolEntry
from wavepool.units import parse_size
from wavepool.web.api.errors import answers
from wavepool.web.api.launch_order import Text
from wavepool.web.api.routes import Services, Serving, routes

router = routes("pools")

SIZE_MAX = 10_000
GRACE_S = 10.0
"""Between SIGTERM and SIGKILL, for a task that is stopped."""

ACTED = answers(400, 404, 502, 503)
AgentType = Annotated[str, Path(description="An agent type, as coder.", max_length=256)]


class Pools(TypedDict):
    """All pools, by agent type; empty without a server."""

    pools: dict[str, PoolEntry]


class PoolAnswer(TypedDict):
    """All pools as they are now, as `wavepool pool status --json` tells them.

    `done` is false where it takes longer than is waited for: the server goes on with it.
    """

    done: bool
    pools: list[dict[str, Any]]


class WarmOrder(BaseModel):
    """How many are to be ready; the minimum of the type unless told."""

    model_config = ConfigDict(extra="forbid")

    count: int | None = Field(default=None, strict=True, ge=0, le=SIZE_MAX)


class ScaleOrder(BaseModel):
    """How many to keep ready from now on."""

    model_config = ConfigDict(extra="forbid")

    count: int = Field(strict=True, ge=0, le=SIZE_MAX)


class DrainOrder(BaseModel):
    """Nothing need be said."""

    model_config = ConfigDict(extra="forbid")


class PoolTask(BaseModel):
    """A task for a container that is ready. Secrets are files in memory there; they are kept nowhere else."""

    model_config = ConfigDict(extra="forbid")

    command: list[StrictStr] | None = Field(default=None, min_length=1, max_length=1000)
    env: dict[str, StrictStr] = Field(default_factory=dict, max_length=1000)
    secrets: dict[str, StrictStr] = Field(default_factory=dict, max_length=100)
    prompt: StrictStr = ""
    directory: StrictStr = Field(default="", max_length=4096)
    memory: Text | None = None
    cpus: float | None = Field(default=None, ge=0.01, le=1024, allow_inf_nan=False)
    timeout: Text | None = None


class PoolTaskResult(TypedDict):
    """What became of it. `stdout` and `stderr` are the newest MiB of each as text, `dropped_bytes` what they lack."""

    agent_type: str
    verdict: str
    exit_code: int | None
    where: str
    warm: bool
    dispatch_s: float | None
    started_at: str | None
    finished_at: str | None
    evidence: dict[str, Any]
    stdout: str
    stderr: str
    dropped_bytes: int
    gap: str | None


@router.get("/pools", responses=answers())
async def pools(serving: Serving) -> Pools:
    """All pools with their sizes, hits and dispatch latency."""
    return Pools(pools=serving.monitor.overview.document()["pools"])


@router.post("/pools/{agent_type}/warm", responses=ACTED)
async def warm(serving: Serving, agent_type: AgentType, order: WarmOrder | None = None) -> PoolAnswer:
    """Have so many ready; a pool that was drained is opened again."""
    return _answer(await serving.actions.warm(agent_type, None if order is None else order.count))


@router.post("/pools/{agent_type}/scale", responses=ACTED)
async def scale(serving: Serving, agent_type: AgentType, order: ScaleOrder) -> PoolAnswer:
    """Keep so many ready from now on, until the demand asks for others."""
    return _answer(await serving.actions.scale(agent_type, order.count))


@router.post("/pools/{agent_type}/drain", responses=ACTED)
async def drain(serving: Serving, agent_type: AgentType, _: DrainOrder | None = None) -> PoolAnswer:
    """Take no more tasks of this type, let those end that run, and remove its containers."""
    return _answer(await serving.actions.drain(agent_type))


@router.post("/pools/{agent_type}/run", responses=answers(400, 404, 409, 502, 503))
async def run(serving: Serving, request: Request, agent_type: AgentType, task: PoolTask) -> PoolTaskResult:
    """Run a task to its end in a container that is ready, or where none is in a new one. Hanging up stops it."""
    order = _order(agent_type, task)
    async with serving.pool_tasks, anyio.create_task_group() as group:
        group.start_soon(_until_hung_up, request, group.cancel_scope)
        found = await _result(serving, order)
        group.cancel_scope.cancel()
        return found
    raise InfrastructureError("the client hung up, and its task was stopped")


async def _result(serving: Services, order: TaskOrder) -> PoolTaskResult:
    async def read(stream: str, data: bytes) -> None:
        """Nothing comes before the result: it is not asked for."""

    async with open_client(serving.state_dir.server()) as client:
        found = await client.run(order, read)
    texts = {name: unpacked(found[name]).decode("utf-8", "replace") for name in ("stdout", "stderr")}
    dropped = found["dropped_bytes"]
    whole = {**found, **texts, "dropped_bytes": sum(dropped.values()) if isinstance(dropped, dict) else int(dropped)}
    return cast(PoolTaskResult, {name: whole[name] for name in PoolTaskResult.__annotations__})


async def _until_hung_up(request: Request, waiting: anyio.CancelScope) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    waiting.cancel()


def _order(agent_type: str, task: PoolTask) -> TaskOrder:
    """Raises InputError. What the server of the pools checks it checks itself."""
    limits: dict[str, float] = {} if task.cpus is None else {"cpus": task.cpus}
    if task.memory is not None:
        try:
            limits["memory_bytes"] = parse_size(str(task.memory))
        except InputError:
            raise SettingError("memory", task.memory, "a size such as 512m or 1g") from None
    return TaskOrder(
        agent_type=agent_type,
        command=None if task.command is None else tuple(task.command),
        env=task.env,
        secrets={name: value.encode("utf-8", "surrogatepass") for name, value in task.secrets.items()},
        prompt=task.prompt,
        directory=task.directory,
        limits=limits,
        timeout_s=None if task.timeout is None else parse_timeout(str(task.timeout), option="timeout"),
        grace_s=GRACE_S,
        stream=False,
    )


def _answer(found: dict[str, Any]) -> PoolAnswer:
    return PoolAnswer(done=bool(found["done"]), pools=list(found["pools"]))
