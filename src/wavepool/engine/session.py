"""One process's work on one run: prepare, run or resume, release, report.

The caller holds the run's lock, and opened the driver and the journal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import anyio

from wavepool.core import decide, events
from wavepool.core.facts import Outcome, RunOpened, TasksAdded
from wavepool.drivers.base import Driver, DriverFacts, Needs, NetworkNeed, PullProgress
from wavepool.engine.clock import Clock
from wavepool.engine.listener import Listener
from wavepool.engine.loop import Engine
from wavepool.engine.perform import Performer
from wavepool.engine.recovery import Replayed, replay
from wavepool.engine.release import release_run
from wavepool.engine.report import RunReport
from wavepool.engine.signals import forward_interrupts
from wavepool.engine.spec import SpecBuilder
from wavepool.errors import DriverUnavailable, InfrastructureError, SettingError
from wavepool.journal.base import Journal
from wavepool.model import Isolation, Rules, Surroundings
from wavepool.plan import Plan, check_capacity
from wavepool.statedir import RunDir, StateDir

TASKS_PER_FACT = 1000
"""A plan enters the journal in pieces of this many tasks, all in one commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Everything that one process needs for one run.

    Attributes:
        plan: what to run; a resumed run must be one of this very plan.
        rules, surroundings: of a new run; a resumed one keeps those that it began with.
        secrets: name -> value.
        signals: forward SIGINT and SIGTERM to the engine (main thread only).
    """

    plan: Plan
    rules: Rules
    surroundings: Surroundings
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    driver: Driver
    driver_facts: DriverFacts
    journal: Journal
    clock: Clock
    state_dir: StateDir
    files: RunDir
    listeners: Sequence[Listener] = ()
    pulling: PullProgress | None = None
    signals: bool = False

    async def run(self) -> RunReport:
        """To the end of the run; the report is read from the journal.

        Raises:
            SettingError: the run id belongs to a run of another plan, or of secrets that were not given again.
            PlanError: a batch is above the budget of this new run.
            InfrastructureError: the daemon, an image, a network or the journal; the run can be resumed.
        """
        replayed = self._replayed()
        specs = self._specs(replayed)
        engine, opened = self._engine(replayed, specs)
        preparing = anyio.CancelScope()

        def interrupt(force: bool) -> None:
            preparing.cancel()
            engine.interrupt(force=force)

        with engine:
            async with anyio.create_task_group() as group:
                if self.signals:  # to the very end: a SIGTERM during the release must not leave the half of it
                    group.start_soon(forward_interrupts, interrupt)
                try:
                    began = await self._work(engine, opened, replayed, specs, preparing)
                except anyio.get_cancelled_exc_class():
                    if engine.state.outcome is not None:  # else what runs was not stopped: a resume adopts it
                        await self._release(specs)
                    raise
                left = await self._release(specs)
                group.cancel_scope.cancel()
        await self.journal.sync()
        report = RunReport.of(self.journal.replay())
        report.left_behind = left  # whatever an attempt left, the release has tried again
        if not began:
            report.outcome = Outcome.INTERRUPTED
        return report

    def _replayed(self) -> Replayed | None:
        replayed = replay(self.journal.replay())
        if replayed is None:
            check_capacity(self.plan, self.rules.nodes)
            return None
        run = replayed.state.run
        if run.plan_digest != self.plan.digest:
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
        for source in run.surroundings.secrets:
            if source.name not in self.secrets:
                raise SettingError(
                    "--secret",
                    source.name,
                    "to be given again: the run was started with it, and no value of a secret is ever kept",
                    advice=f"Add `--secret {source.name}={source.kind}:{source.source}`.",
                )
        return replayed

    def _specs(self, replayed: Replayed | None) -> SpecBuilder:
        run = replayed.state.run if replayed is not None else None
        surroundings = run.surroundings if run is not None else self.surroundings
        return SpecBuilder(
            owner=self.state_dir.owner(),
            run_id=self.files.id,
            surroundings=surroundings,
            isolation=run.rules.isolation if run is not None else self.rules.isolation,
            secrets={source.name: self.secrets[source.name] for source in surroundings.secrets},
        )

    async def _work(
        self,
        engine: Engine,
        opened: events.Opened,
        replayed: Replayed | None,
        specs: SpecBuilder,
        preparing: anyio.CancelScope,
    ) -> bool:
        """Prepare and run. False where the user interrupted a new run before anything had begun."""
        with ExitStack() as leases:
            if specs.isolation is Isolation.SHARED:
                lease = self.state_dir.network_lease(specs.surroundings.network)
                await anyio.to_thread.run_sync(leases.enter_context, lease)  # waits for whoever removes it
            try:
                with preparing:
                    if replayed is None or not replayed.is_over:
                        await self._prepare(specs)
            except InfrastructureError:
                if replayed is None:  # a network may have been made before an image was missed
                    leases.close()
                    await self._release(specs)
                raise
            # Where these fail, the daemon or the journal did: then what runs is left for a resume to adopt.
            try:
                if replayed is not None:
                    await engine.resume(replayed)  # interrupted or not: what runs must be waited for, or stopped
                elif not preparing.cancelled_caught:
                    await engine.run(opened)
            except Exception as error:
                error.add_note(
                    f"Run {self.files.id} is not over: what it had started may still run. "
                    f"The same command with --run-id {self.files.id} goes on with it, or ends it by Ctrl-C."
                )
                raise
        return replayed is not None or not preparing.cancelled_caught

    async def _release(self, specs: SpecBuilder) -> list[str]:
        """Remove what is left of the run, after the lease on its network was given up; what could not be removed."""
        return await release_run(
            driver=self.driver,
            specs=specs,
            files=self.files,
            state_dir=self.state_dir,
            shared_network=specs.surroundings.network,
        )

    def _engine(self, replayed: Replayed | None, specs: SpecBuilder) -> tuple[Engine, events.Opened]:
        opened = opened_run(
            self.plan,
            self.rules,
            self.surroundings,
            run_id=self.files.id,
            owner=specs.owner,
            driver=self.driver_facts,
            clock=self.clock,
        )
        state = replayed.state if replayed is not None else decide.open_run(opened.run)
        if replayed is not None:
            for stamped in self.journal.replay():
                for listener in self.listeners:
                    listener.on_facts([stamped])
        engine = Engine(
            state=state,
            driver=self.driver,
            journal=self.journal,
            performer=Performer(state=state, driver=self.driver, specs=specs, files=self.files),
            clock=self.clock,
            listeners=self.listeners,
        )
        return engine, opened

    async def _prepare(self, specs: SpecBuilder) -> None:
        images = {task.image or specs.surroundings.image for task in self.plan.tasks}
        await self.driver.prepare(Needs(images=tuple(sorted(images)), pull=specs.surroundings.pull), self.pulling)
        if specs.isolation is not Isolation.SHARED:
            return
        need = NetworkNeed(name=specs.surroundings.network, labels=specs.network_labels(None))
        with ExitStack() as stack:
            await anyio.to_thread.run_sync(stack.enter_context, self.state_dir.making(need.name))
            await self.driver.prepare(Needs(networks=(need,)))


def opened_run(
    plan: Plan,
    rules: Rules,
    surroundings: Surroundings,
    *,
    run_id: str,
    owner: str,
    driver: DriverFacts,
    clock: Clock,
) -> events.Opened:
    """The first event of a new run: its rules and its whole plan."""
    run = RunOpened(
        run_id=run_id,
        owner=owner,
        rules=rules,
        surroundings=surroundings,
        driver=driver.driver,
        execution_mode=driver.execution_mode,
        plan_digest=plan.digest,
        boot_id=clock.boot_id,
        at=clock.now().utc,
    )
    pieces = [plan.tasks[i : i + TASKS_PER_FACT] for i in range(0, len(plan.tasks), TASKS_PER_FACT)]
    added = [TasksAdded(waves=plan.waves, tasks=()), *(TasksAdded(waves=(), tasks=piece) for piece in pieces)]
    return events.Opened(run=run, tasks=tuple(added))
