"""Which driver serves a run, and what it can hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from wavepool.budget import budget_nodes
from wavepool.core.facts import RunOpened
from wavepool.drivers.base import Driver, DriverFacts
from wavepool.drivers.docker import DockerDriver
from wavepool.drivers.docker.remains.records import DockerRecords
from wavepool.drivers.keeping import SupportsKeeping
from wavepool.drivers.process import ProcessDriver
from wavepool.engine.control.pools import PoolDriver
from wavepool.engine.control.pools.driver import PREFIX as POOL_PREFIX
from wavepool.engine.session import BARE_HOST
from wavepool.errors import DriverUnavailable, SettingError
from wavepool.host import read_memory
from wavepool.model import Node, Rules, Task
from wavepool.plan import Plan, check_capacity
from wavepool.statedir import StateDir
from wavepool.wiring.agents import refuse_loose_agents
from wavepool.wiring.requests import RunRequest


@asynccontextmanager
async def open_engine() -> AsyncIterator[tuple[Driver, DockerRecords]]:
    """The Docker driver, and read-only looks at the same engine; both closed at the end."""
    async with DockerDriver() as driver, DockerRecords() as records:
        yield driver, records


def process_driver(directory: Path) -> Driver:
    """A driver for plain processes that keeps its records in `directory`; the caller opens and closes it."""
    return ProcessDriver(base_dir=directory)


async def open_driver(
    stack: AsyncExitStack, request: RunRequest, state_dir: StateDir, notice: Callable[[str], None]
) -> tuple[Driver, DriverFacts]:
    """The driver that was asked for, open and probed; for ``auto`` Docker, else processes if the plan can do without.

    Raises:
        DriverUnavailable: as the driver says; a batch needs its image, and there are processes; for ``auto`` where one
            must not have the host.
        InputError: a batch has an agent that must not have the host, and processes were asked for.
    """
    if request.driver.startswith(POOL_PREFIX):
        driver, found = await _open(stack, driver_named(request.driver, state_dir))
        if found.execution_mode == BARE_HOST:
            refuse_loose_agents(request.plan, allow_host=request.allow_host)
        return driver, found
    if request.driver == "process":
        _refuse_sidecars(request.plan)
        _refuse_images(request.plan)
        refuse_loose_agents(request.plan, allow_host=request.allow_host)
        return await _open(stack, process_driver(state_dir.processes()))
    try:
        return await _open(stack, DockerDriver(reconcile_s=request.reconcile_s))
    except DriverUnavailable as error:
        if request.driver == "docker":
            raise
        _refuse_fallback(request.plan, error)
        refuse_loose_agents(request.plan, allow_host=request.allow_host, instead_of=error)
        notice(f"{error.message.rstrip('.')}. Falling back to plain processes: no isolation, images are not used.")
    return await _open(stack, process_driver(state_dir.processes()))


async def docker_is_there() -> bool:
    """Whether ``auto`` would come to Docker now."""
    try:
        async with DockerDriver() as driver:
            await driver.probe()
    except DriverUnavailable:
        return False
    return True


async def journaled_driver(stack: AsyncExitStack, run: RunOpened, state_dir: StateDir) -> tuple[Driver, DriverFacts]:
    """The driver that the run began on; another one cannot go on with it."""
    try:
        return await _open(stack, driver_named(run.driver, state_dir))
    except DriverUnavailable as error:
        error.add_note(f"Run {run.run_id} was started on the {run.driver} driver, and goes on there alone.")
        raise


def refuse_bare_host(run: RunOpened, found: DriverFacts) -> None:
    """See that what began in containers goes on in containers: the server of a pool may have come back without.

    Raises:
        DriverUnavailable: its tasks would get this host itself, which nobody allowed.
    """
    if found.execution_mode == BARE_HOST != run.execution_mode:
        raise DriverUnavailable(
            f"Run {run.run_id} began in containers, and {found.driver} has plain processes of this host now.",
            advice="Bring Docker back and start `wavepool serve` anew, or begin a new run.",
        )


def driver_named(name: str, state_dir: StateDir) -> Driver:
    """A driver by the name that journals know it by; the caller opens and closes it.

    Raises:
        DriverUnavailable: this release has none of that name.
    """
    if name == "docker":
        return DockerDriver()
    if name == "process":
        return process_driver(state_dir.processes())
    if name.startswith(POOL_PREFIX):
        return PoolDriver(state_dir.server(), name.removeprefix(POOL_PREFIX))
    raise DriverUnavailable(
        f"there is no driver called {name!r}",
        advice="The run was started by another release of Wavepool: use that one.",
    )


async def _open(stack: AsyncExitStack, driver: Driver) -> tuple[Driver, DriverFacts]:
    async with AsyncExitStack() as attempt:
        await attempt.enter_async_context(driver)
        found = await driver.probe()
        await stack.enter_async_context(attempt.pop_all())
    return driver, found


def check_keeping(rules: Rules, driver: Driver) -> None:
    """See that what a run is to keep can be kept.

    Raises:
        SettingError: its attempts have no file system of their own.
    """
    if rules.keep_failed and not isinstance(driver, SupportsKeeping):
        raise SettingError(
            "--keep-failed",
            True,
            f"a driver whose attempts have a file system of their own, and {driver.name} has none",
            advice="Leave it out: what a plain process leaves is in the workspace. Or run with --driver docker.",
        )


def _refuse_sidecars(plan: Plan) -> None:
    for path, task in plan.paths():
        if task.sidecars:
            names = ", ".join(each.name for each in task.sidecars)
            raise DriverUnavailable(
                f"{path} has sidecars ({names}), and plain processes have none.",
                advice="Use --driver docker, or take the sidecars out of the plan.",
            )


def _refuse_images(plan: Plan) -> None:
    """A batch without a command would be done by its image, which processes have not."""
    for path, task in plan.paths():
        if _needs_image(task):
            raise DriverUnavailable(
                f"{path} has no command, only its image has one, and plain processes have no images.",
                advice="Use --driver docker, or give the batch a command.",
            )


def _needs_image(task: Task) -> bool:
    return task.command is None and not task.commands and task.agent is None


def _refuse_fallback(plan: Plan, error: DriverUnavailable) -> None:
    """A batch without a command would have been done by its image: there is nothing to fall back to. Nor beside it."""
    for path, task in plan.paths():
        if task.sidecars:
            raise DriverUnavailable(
                f"{error.message.rstrip('.')}. Processes cannot stand in: {path} has sidecars, which need Docker.",
                advice=error.advice,
            ) from error
        if _needs_image(task):
            raise DriverUnavailable(
                f"{error.message.rstrip('.')}. Processes cannot stand in: {path} has no command, its image has.",
                advice=error.advice,
            ) from error


def with_budget(request: RunRequest, found: DriverFacts, *, resumed: bool = False) -> Rules:
    """The rules with the budget as their nodes.

    A run that is resumed keeps the budget that it began with; what is free now is less by what it left running.

    Raises:
        SettingError: the budget is not one, or above what the host has.
        PlanError: a batch is above the host or the budget.
    """
    host = found.nodes if request.budget_cpus else _without_cpus(found.nodes)
    check_capacity(request.plan, host)
    nodes = budget_nodes(request.budget, host, _available_bytes(found))
    if not resumed:
        check_capacity(request.plan, nodes)
    return replace(request.rules, nodes=nodes)


def room_of(found: DriverFacts) -> tuple[Node, ...]:
    """What ``--budget auto`` would come to now."""
    return budget_nodes("auto", found.nodes, _available_bytes(found))


async def room_here(driver: str, state_dir: StateDir) -> tuple[Node, ...]:
    """What ``--budget auto`` would come to now on this driver; for ``auto`` on Docker, else on this host.

    Raises:
        DriverUnavailable: a driver that was named is not there.
    """
    try:
        async with driver_named("docker" if driver == "auto" else driver, state_dir) as opened:
            return room_of(await opened.probe())
    except DriverUnavailable:
        if driver != "auto":
            raise
    async with process_driver(state_dir.processes()) as opened:
        return room_of(await opened.probe())


def _without_cpus(nodes: Sequence[Node]) -> tuple[Node, ...]:
    return tuple(replace(node, capacity=node.capacity._replace(milli_cpus=0)) for node in nodes)


def _available_bytes(found: DriverFacts) -> int:
    """A remote engine does not say what is free, so all of it counts."""
    if found.remote:
        return sum(node.capacity.memory_bytes for node in found.nodes)
    return read_memory().available_bytes
