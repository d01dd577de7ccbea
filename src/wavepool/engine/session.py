"""One process's work on one run: prepare, run or resume, release, report.

The caller holds the run's lock, opened the driver and the journal, and took up what the journal holds (`take_up`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field

import anyio

from wavepool.agents.base import AgentAdapter
from wavepool.core import decide, events
from wavepool.core.state import RunState, TaskState, TaskStatus
from wavepool.drivers.base import Driver, DriverFacts, PullProgress
from wavepool.engine.attempts.perform import Performer
from wavepool.engine.attempts.spec import SpecBuilder
from wavepool.engine.attempts.waves import WaveNetworks
from wavepool.engine.clock import Clock
from wavepool.engine.control import ControlServer
from wavepool.engine.control.server import Hands
from wavepool.engine.learner import Learner
from wavepool.engine.listener import Listener
from wavepool.engine.loop import Engine
from wavepool.engine.order import Order, check_same_run, opened_run
from wavepool.engine.preparing import Preparation
from wavepool.engine.release import release_run
from wavepool.engine.replay import Replayed
from wavepool.engine.report import RunReport
from wavepool.engine.signals import forward_interrupts
from wavepool.engine.usage.recorder import UsageRecorder
from wavepool.engine.warm import open_warmer
from wavepool.engine.watching.pressure import ReadPressure
from wavepool.errors import InfrastructureError, InvariantBroken
from wavepool.journal.base import Journal
from wavepool.model import Isolation, Task, VerdictKind
from wavepool.plan import check_budget
from wavepool.statedir import RunDir, StateDir
from wavepool.workspace.base import Workspaces

BARE_HOST = "subprocess"
"""The execution mode of drivers without containers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """Where a process begins: with the first fact of a new run, or where a journal ends. One of the two is None."""

    state: RunState
    opened: events.Opened | None = None
    replayed: Replayed | None = None
    retry: Sequence[str] | None = None

    def ahead(self) -> Iterable[Task]:
        """The tasks that may still have an attempt."""
        if self.opened is not None:
            return (task for piece in self.opened.tasks for task in piece.tasks)
        again = self.retry is not None  # which ones exactly only the core knows
        return (e.task for e in self.state.order if e.status is not TaskStatus.FINAL or _may_follow(e, again))

    @property
    def is_over(self) -> bool:
        """True where nothing is left to be done, not even by a resume."""
        return self.replayed is not None and self.replayed.is_over and self.retry is None


def _may_follow(entry: TaskState, again: bool) -> bool:
    return again and entry.verdict is not VerdictKind.SUCCESS


class Interrupt:
    """Ctrl-C, SIGTERM or a cancel: what is being prepared is given up; what runs is drained, with `force` stopped."""

    def __init__(self, engine: Engine) -> None:
        self.preparing = anyio.CancelScope()
        self._engine = engine

    def __call__(self, force: bool) -> None:
        self.preparing.cancel()
        self._engine.interrupt(force=force)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Everything that one process needs for one run.

    Attributes:
        order: of a new run; one that is gone on with must be of this very plan, and keeps its own rules. None goes on
            by the journal alone.
        replayed: what the journal holds, taken up just now; None for a new run.
        retry: tasks that are tried again before the run is gone on with; None for none.
        cancelled: go on only to stop what still runs.
        secrets: name -> value.
        notice: gets sentences for a person.
        accepted: called when nothing refuses the run any more, before anything is prepared.
        adapters: of the agents, by name.
        workspaces: where attempts work; None for the run's workspace itself.
        control: lets other processes look, cancel, pause and retry; None for none of that.
        held: called when this process can be looked at, before anything is prepared.
        signals: forward SIGINT and SIGTERM to the engine (main thread only).
        learner: learns from what this process does; None to learn nothing.
        read_pressure: of this host, where attempts run on it.
        recorder: writes down what is used beside the journal; None for nobody.
    """

    order: Order | None
    replayed: Replayed | None = None
    retry: Sequence[str] | None = None
    cancelled: bool = False
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    driver: Driver
    driver_facts: DriverFacts
    journal: Journal
    clock: Clock
    state_dir: StateDir
    files: RunDir
    listeners: Sequence[Listener] = ()
    pulling: PullProgress | None = None
    notice: Callable[[str], None] = lambda text: None
    accepted: Callable[[], None] = lambda: None
    adapters: Mapping[str, AgentAdapter] = field(default_factory=dict)
    workspaces: Workspaces | None = None
    control: ControlServer | None = None
    held: Callable[[], None] = lambda: None
    signals: bool = False
    learner: Learner | None = None
    read_pressure: ReadPressure | None = None
    recorder: UsageRecorder | None = None

    async def run(self) -> RunReport:
        """To the end of the run; the report is read from the journal.

        Raises:
            SettingError: the run id belongs to a run of another plan, or of secrets that were not given again.
            InputError: its kind of workspace cannot be had here; or a batch is above the budget of this new run.
            InfrastructureError: the daemon, an image, a network or the journal; the run can be resumed.
        """
        begun = self._begin()
        if begun.opened is not None and self.workspaces is not None:
            await self.workspaces.check()
        self.accepted()
        specs = self._specs(begun.state)
        engine = self._engine(begun.state, specs)
        interrupt = Interrupt(engine)
        with engine:
            preparation = Preparation(driver=self.driver, specs=specs, state_dir=self.state_dir, pulling=self.pulling)
            hands = Hands(interrupt=interrupt, ask=engine.ask, preparation=preparation)
            async with self._served(begun.state, hands), self._signalled(interrupt):
                report = await self._run(begun, engine, preparation, interrupt)
                if self.control is not None:
                    await self.control.finish(report.result)
        return report

    async def _run(self, begun: Begun, engine: Engine, preparation: Preparation, interrupt: Interrupt) -> RunReport:
        specs = preparation.specs
        try:
            began = await self._work(begun, engine, preparation, interrupt)
        except anyio.get_cancelled_exc_class():
            if engine.state.outcome is not None:  # else what runs was not stopped: a resume adopts it
                await self._release(specs)
            raise
        left = await self._release(specs)
        await self.journal.sync()
        report = RunReport.of(self.journal.replay())
        report.left_behind = left  # whatever an attempt left, the release has tried again
        report.interrupted = not began
        return report

    @asynccontextmanager
    async def _signalled(self, interrupt: Interrupt) -> AsyncIterator[None]:
        """Signals interrupt the run, to the very end: a SIGTERM during the release must not leave the half of it."""
        async with anyio.create_task_group() as group:
            if self.signals:
                group.start_soon(forward_interrupts, interrupt)
            yield
            group.cancel_scope.cancel()

    @asynccontextmanager
    async def _served(self, state: RunState, hands: Hands) -> AsyncIterator[None]:
        """Other processes can look and cancel inside the block; a host that has no sockets loses only that."""
        async with AsyncExitStack() as stack:
            if self.control is not None:
                try:
                    await stack.enter_async_context(self.control.serving(state, hands))
                except OSError as error:
                    self.notice(f"run {self.files.id} cannot be attached to or cancelled from elsewhere: {error}")
            self.held()
            yield

    def _begin(self) -> Begun:
        if self.replayed is not None:
            begun = Begun(state=self.replayed.state, replayed=self.replayed, retry=self.retry)
            starts = not begun.is_over and not self.cancelled
            check_same_run(
                self.replayed,
                self.order,
                driver=self.driver.name,
                secrets=self.secrets if starts else None,
                notice=self.notice,
            )
            return begun
        if self.order is None:
            raise InvariantBroken(f"nothing says what run {self.files.id} is to do")
        check_budget(self.order.plan, self.order.rules)
        opened = opened_run(
            self.order, run_id=self.files.id, owner=self.state_dir.owner(), driver=self.driver_facts, clock=self.clock
        )
        return Begun(state=decide.open_run(opened.run), opened=opened)

    def _specs(self, state: RunState) -> SpecBuilder:
        around = state.run.surroundings
        return SpecBuilder(
            owner=state.run.owner,
            run_id=self.files.id,
            surroundings=around,
            isolation=state.rules.isolation,
            secrets={
                source.name: self.secrets[source.name] for source in around.secrets if source.name in self.secrets
            },
            adapters=self.adapters,
            contained=self.driver_facts.execution_mode != BARE_HOST,
        )

    async def _work(self, begun: Begun, engine: Engine, preparation: Preparation, interrupt: Interrupt) -> bool:
        """Prepare and run. False where the user interrupted a new run before anything had begun."""
        specs = preparation.specs
        with ExitStack() as leases:
            if specs.isolation is Isolation.SHARED:
                lease = self.state_dir.network_lease(specs.surroundings.network)
                await anyio.to_thread.run_sync(leases.enter_context, lease)  # waits for whoever removes it
            try:
                with interrupt.preparing:
                    if not begun.is_over and not self.cancelled:
                        await preparation.make(begun.ahead())
            except InfrastructureError:
                if begun.opened is not None:  # a network may have been made before an image was missed
                    leases.close()
                    await self._release(specs)
                raise
            # Where these fail, the daemon or the journal did: then what runs is left for a resume to adopt.
            try:
                if begun.replayed is not None:
                    # interrupted or not: what runs must be waited for, or stopped
                    await engine.resume(begun.replayed, retry=begun.retry, cancelled=self.cancelled)
                elif begun.opened is not None and not interrupt.preparing.cancelled_caught:
                    await engine.run(begun.opened)
            except Exception as error:
                error.add_note(
                    f"Run {self.files.id} is not over: what it had started may still run. "
                    f"`wavepool resume {self.files.id}` goes on with it, or ends it by Ctrl-C."
                )
                raise
        return begun.replayed is not None or not interrupt.preparing.cancelled_caught

    async def _release(self, specs: SpecBuilder) -> list[str]:
        """Remove what is left of the run, after the lease on its network was given up; what could not be removed."""
        return await release_run(
            driver=self.driver,
            specs=specs,
            files=self.files,
            state_dir=self.state_dir,
            shared_network=specs.surroundings.network,
        )

    def _engine(self, state: RunState, specs: SpecBuilder) -> Engine:
        networks = WaveNetworks(self.driver, specs)
        warmer = open_warmer(
            state=state, driver=self.driver, specs=specs, files=self.files, networks=networks, notice=self.notice
        )
        performer = Performer(
            state=state,
            driver=self.driver,
            specs=specs,
            files=self.files,
            networks=networks,
            warmer=warmer,
            workspaces=self.workspaces,
        )
        if self.learner is not None:
            self.learner.begin(state)
        beside = [each for each in (self.control, self.learner) if each is not None]
        return Engine(
            state=state,
            driver=self.driver,
            journal=self.journal,
            performer=performer,
            clock=self.clock,
            listeners=(*self.listeners, *beside),
            clock_offset_s=self.driver_facts.clock_offset_s,
            warmer=warmer,
            adapters=self.adapters,
            read_pressure=self.read_pressure,
            recorder=self.recorder,
        )
