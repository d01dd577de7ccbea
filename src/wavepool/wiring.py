"""The one place that names implementations: which driver, which journal, which clock, and how they fit together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from wavepool.budget import Budget, budget_nodes
from wavepool.drivers.base import Driver, DriverFacts, PullProgress
from wavepool.drivers.docker import DockerDriver
from wavepool.drivers.docker.records import DockerRecords
from wavepool.drivers.process import ProcessDriver
from wavepool.engine.clock import SystemClock
from wavepool.engine.listener import Listener
from wavepool.engine.report import RunReport
from wavepool.engine.session import Session
from wavepool.errors import DriverUnavailable, WavepoolError, first_of_ours
from wavepool.host import read_memory
from wavepool.journal.sqlite import SqliteJournal
from wavepool.model import Rules, Surroundings
from wavepool.plan import Plan, check_capacity, check_schedule
from wavepool.statedir import StateDir, new_run_id


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """Everything that `wavepool run` was asked for, checked.

    Attributes:
        plan: what to run.
        rules: what to decide by; its nodes are replaced by the budget's.
        surroundings: what every attempt gets.
        secrets: name -> value.
        driver: ``auto``, ``docker`` or ``process``.
        budget: ``auto`` or bytes.
        run_id: None for a new one. An existing run is gone on with.
        state_dir: where journals, logs and locks live.
        signals: the run owns SIGINT and SIGTERM (main thread only).
    """

    plan: Plan
    rules: Rules
    surroundings: Surroundings
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    driver: str = "auto"
    budget: Budget = "auto"
    run_id: str | None = None
    state_dir: Path
    signals: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Who is told what. `notice` gets sentences for a person; `pulling` the progress of image pulls."""

    listeners: Sequence[Listener] = ()
    notice: Callable[[str], None] = lambda text: None
    pulling: PullProgress | None = None


async def run_plan(request: RunRequest, hooks: Hooks) -> RunReport:
    """Run the plan to its end; what comes out is read from the journal.

    Raises:
        InputError: the plan does not fit the schedule, the budget or the driver. Nothing was started.
        InfrastructureError: no driver, an image or network that cannot be had, a journal that cannot be written.
            Notes on it say what still runs, and how to go on.
    """
    try:
        return await _run_plan(request, hooks)
    except BaseExceptionGroup as group:
        error = first_of_ours(group)
        if isinstance(error, WavepoolError):
            raise error from group
        raise


async def _run_plan(request: RunRequest, hooks: Hooks) -> RunReport:
    check_schedule(request.plan, request.rules.schedule)
    state_dir = StateDir(request.state_dir)
    clock = SystemClock()
    files = state_dir.run(request.run_id or new_run_id(clock.now().utc))
    async with AsyncExitStack() as stack:
        driver, found = await open_driver(stack, request, state_dir, hooks.notice)
        rules = with_budget(request, found, resumed=files.journal.exists())
        stack.enter_context(files.lock())
        journal = await stack.enter_async_context(
            SqliteJournal(files.journal, owner=state_dir.owner(), run_id=files.id)
        )
        session = Session(
            plan=request.plan,
            rules=rules,
            surroundings=request.surroundings,
            secrets=request.secrets,
            driver=driver,
            driver_facts=found,
            journal=journal,
            clock=clock,
            state_dir=state_dir,
            files=files,
            listeners=hooks.listeners,
            pulling=hooks.pulling,
            signals=request.signals,
        )
        return await session.run()


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
        DriverUnavailable: as the driver says; for ``auto`` where a batch needs its image.
    """
    if request.driver == "process":
        return await _open(stack, process_driver(state_dir.processes()))
    try:
        return await _open(stack, DockerDriver())
    except DriverUnavailable as error:
        if request.driver == "docker":
            raise
        _refuse_fallback(request.plan, error)
        notice(f"{error.message.rstrip('.')}. Falling back to plain processes: no isolation, images are not used.")
    return await _open(stack, process_driver(state_dir.processes()))


async def _open(stack: AsyncExitStack, driver: Driver) -> tuple[Driver, DriverFacts]:
    async with AsyncExitStack() as attempt:
        await attempt.enter_async_context(driver)
        found = await driver.probe()
        await stack.enter_async_context(attempt.pop_all())
    return driver, found


def _refuse_fallback(plan: Plan, error: DriverUnavailable) -> None:
    """A batch without a command would have been done by its image: there is nothing to fall back to."""
    for path, task in plan.paths():
        if task.command is None:
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
    check_capacity(request.plan, found.nodes)
    nodes = budget_nodes(request.budget, found.nodes, _available_bytes(found))
    if not resumed:
        check_capacity(request.plan, nodes)
    return replace(request.rules, nodes=nodes)


def _available_bytes(found: DriverFacts) -> int:
    """A remote engine does not say what is free, so all of it counts."""
    if found.remote:
        return sum(node.capacity.memory_bytes for node in found.nodes)
    return read_memory().available_bytes
