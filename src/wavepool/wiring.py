"""The one place that names implementations: which driver, which journal, which clock, and how they fit together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio

from wavepool.budget import available_memory_bytes, budget_nodes
from wavepool.core import decide, events
from wavepool.core.facts import Outcome, RunOpened, TasksAdded
from wavepool.drivers.base import Driver, DriverFacts, Needs, NetworkNeed, PullProgress
from wavepool.drivers.docker import DockerDriver
from wavepool.drivers.process import ProcessDriver
from wavepool.engine.clock import Clock, SystemClock
from wavepool.engine.listener import Listener
from wavepool.engine.loop import Engine
from wavepool.engine.perform import Performer
from wavepool.engine.recovery import Replayed, replay
from wavepool.engine.release import release_run
from wavepool.engine.report import RunReport
from wavepool.engine.signals import forward_interrupts
from wavepool.engine.spec import SpecBuilder
from wavepool.errors import DriverUnavailable, SettingError
from wavepool.journal.sqlite import SqliteJournal
from wavepool.model import Isolation, Rules, Surroundings
from wavepool.plan import Plan, check_capacity, check_schedule
from wavepool.statedir import RunDir, StateDir, new_run_id

TASKS_PER_FACT = 1000
"""A plan enters the journal in pieces of this many tasks, all in one commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """Everything that `wavepool run` was asked for, checked.

    Attributes:
        plan: what to run.
        rules: what to decide by; its nodes are replaced by the budget's.
        surroundings: what every attempt gets.
        secrets: name -> value.
        driver: ``auto``, ``docker`` or ``process``.
        budget: ``auto`` or a size.
        run_id: None for a new one. An existing run is gone on with.
        state_dir: where journals, logs and locks live.
        signals: the run owns SIGINT and SIGTERM (main thread only).
    """

    plan: Plan
    rules: Rules
    surroundings: Surroundings
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    driver: str = "auto"
    budget: str = "auto"
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
    """
    check_schedule(request.plan, request.rules.schedule)
    state_dir = StateDir(request.state_dir)
    clock = SystemClock()
    files = state_dir.run(request.run_id or new_run_id(clock.now().utc))
    async with AsyncExitStack() as stack:
        driver, found = await open_driver(stack, request, state_dir, hooks.notice)
        rules = with_budget(request, found)
        stack.enter_context(files.lock())
        session = _Session(
            request=request,
            hooks=hooks,
            driver=driver,
            driver_facts=found,
            rules=rules,
            state_dir=state_dir,
            files=files,
            clock=clock,
        )
        return await session.run()


async def open_driver(
    stack: AsyncExitStack, request: RunRequest, state_dir: StateDir, notice: Callable[[str], None]
) -> tuple[Driver, DriverFacts]:
    """The driver that was asked for, open and probed; for ``auto`` Docker, else processes if the plan can do without.

    Raises:
        DriverUnavailable: as the driver says; for ``auto`` where a batch needs its image.
    """
    if request.driver == "process":
        return await _open(stack, ProcessDriver(base_dir=state_dir.path / "processes"))
    try:
        return await _open(stack, DockerDriver())
    except DriverUnavailable as error:
        if request.driver == "docker":
            raise
        _refuse_fallback(request.plan, error)
        notice(f"{error.message} Falling back to plain processes: no isolation, images are not used.")
    return await _open(stack, ProcessDriver(base_dir=state_dir.path / "processes"))


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
                f"{error.message} Processes cannot stand in: {path} has no command of its own, its image has.",
                advice=error.advice,
            ) from error


def with_budget(request: RunRequest, found: DriverFacts) -> Rules:
    """The rules with the budget as their nodes.

    Raises:
        SettingError: the budget is not one, or above what the host has.
        PlanError: a batch is above the host or the budget.
    """
    check_capacity(request.plan, found.nodes)
    nodes = budget_nodes(request.budget, found.nodes, _available_bytes(found))
    check_capacity(request.plan, nodes)
    return replace(request.rules, nodes=nodes)


def _available_bytes(found: DriverFacts) -> int:
    """A remote engine does not say what is free, so all of it counts."""
    if found.remote:
        return sum(node.capacity.memory_bytes for node in found.nodes)
    return available_memory_bytes()


def opened_run(
    request: RunRequest, rules: Rules, *, run_id: str, owner: str, driver: str, execution_mode: str, clock: Clock
) -> events.Opened:
    """The first event of a new run: its rules and its whole plan."""
    plan = request.plan
    run = RunOpened(
        run_id=run_id,
        owner=owner,
        rules=rules,
        surroundings=request.surroundings,
        driver=driver,
        execution_mode=execution_mode,
        plan_digest=plan.digest,
        boot_id=clock.boot_id,
        at=clock.now().utc,
    )
    pieces = [plan.tasks[i : i + TASKS_PER_FACT] for i in range(0, len(plan.tasks), TASKS_PER_FACT)]
    added = [TasksAdded(waves=plan.waves, tasks=()), *(TasksAdded(waves=(), tasks=piece) for piece in pieces)]
    return events.Opened(run=run, tasks=tuple(added))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """One process's work on one run, the lock held and the driver open."""

    request: RunRequest
    hooks: Hooks
    driver: Driver
    driver_facts: DriverFacts
    rules: Rules
    state_dir: StateDir
    files: RunDir
    clock: Clock

    async def run(self) -> RunReport:
        owner = self.state_dir.owner()
        async with SqliteJournal(self.files.journal) as journal:
            replayed = self._replayed(journal)
            specs = self._specs(owner, replayed)
            with ExitStack() as leases:
                if specs.isolation is Isolation.SHARED:
                    leases.enter_context(self.state_dir.network_lease(specs.surroundings.network))
                began = await self._work(journal, replayed, specs, owner)
            # Not reached when the daemon or the journal failed: then what runs is left for a resume to adopt.
            left = await release_run(
                driver=self.driver,
                specs=specs,
                files=self.files,
                state_dir=self.state_dir,
                shared_network=specs.surroundings.network,
            )
            await journal.sync()
            report = RunReport.of(journal.replay())
        report.add_left_behind(left)
        if not began:
            report.outcome = Outcome.INTERRUPTED
        return report

    def _replayed(self, journal: SqliteJournal) -> Replayed | None:
        replayed = replay(journal.replay())
        if replayed is None:
            return None
        run = replayed.state.run
        if run.plan_digest != self.request.plan.digest:
            raise SettingError(
                "--run-id",
                run.run_id,
                "an id that is new, or that of a run of this very plan",
                advice="Leave --run-id out for a new run, or give the plan that this run was started with.",
            )
        if run.driver != self.driver.name:
            raise DriverUnavailable(
                f"Run {run.run_id} was started on the {run.driver} driver, and only {self.driver.name} is here.",
                advice=f"Bring {run.driver} back, or leave --run-id out for a new run.",
            )
        return replayed

    def _specs(self, owner: str, replayed: Replayed | None) -> SpecBuilder:
        """A run that is gone on with keeps the surroundings that it began with."""
        run = replayed.state.run if replayed is not None else None
        return SpecBuilder(
            owner=owner,
            run_id=self.files.id,
            surroundings=run.surroundings if run is not None else self.request.surroundings,
            isolation=run.rules.isolation if run is not None else self.rules.isolation,
            secrets=self.request.secrets,
        )

    async def _work(self, journal: SqliteJournal, replayed: Replayed | None, specs: SpecBuilder, owner: str) -> None:
        async with anyio.create_task_group() as group:
            preparing = anyio.CancelScope()
            engine_of: list[Engine] = []

            def interrupt(force: bool) -> None:
                preparing.cancel()
                for engine in engine_of:
                    engine.interrupt(force=force)

            if self.request.signals:
                group.start_soon(forward_interrupts, interrupt)
            with preparing:
                await self._prepare(specs)
            if not preparing.cancelled_caught:
                await self._drive(journal, replayed, specs, owner, engine_of)
            group.cancel_scope.cancel()
        return not preparing.cancelled_caught

    async def _prepare(self, specs: SpecBuilder) -> None:
        images = {task.image or specs.surroundings.image for task in self.request.plan.tasks}
        networks: tuple[NetworkNeed, ...] = ()
        if specs.isolation is Isolation.SHARED:
            networks = (NetworkNeed(name=specs.surroundings.network, labels=specs.network_labels(None)),)
        needs = Needs(images=tuple(sorted(images)), networks=networks, pull=specs.surroundings.pull)
        await self.driver.prepare(needs, self.hooks.pulling)

    async def _drive(
        self,
        journal: SqliteJournal,
        replayed: Replayed | None,
        specs: SpecBuilder,
        owner: str,
        engine_of: list[Engine],
    ) -> None:
        opened = opened_run(
            self.request,
            self.rules,
            run_id=self.files.id,
            owner=owner,
            driver=self.driver.name,
            execution_mode=self.driver_facts.execution_mode,
            clock=self.clock,
        )
        state = replayed.state if replayed is not None else decide.open_run(opened.run)
        engine = Engine(
            state=state,
            driver=self.driver,
            journal=journal,
            performer=Performer(state=state, driver=self.driver, specs=specs, files=self.files),
            clock=self.clock,
            listeners=self.hooks.listeners,
        )
        engine_of.append(engine)
        if replayed is None:
            await engine.run(opened)
        else:
            self._tell_replayed(journal)
            await engine.resume(replayed)

    def _tell_replayed(self, journal: SqliteJournal) -> None:
        for stamped in journal.replay():
            for listener in self.hooks.listeners:
                listener.on_facts([stamped])
