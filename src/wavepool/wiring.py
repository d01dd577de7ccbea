"""The one place that names implementations: which driver, which journal, which clock, and how they fit together."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from wavepool.budget import Budget, budget_nodes
from wavepool.core.facts import RunOpened
from wavepool.drivers.base import Driver, DriverFacts, PullProgress, SupportsKeeping
from wavepool.drivers.docker import DockerDriver
from wavepool.drivers.docker.holdings import DockerHoldings
from wavepool.drivers.docker.inside import kept_argv, running_argv
from wavepool.drivers.docker.records import DockerRecords
from wavepool.drivers.holdings import Holdings
from wavepool.drivers.process import ProcessDriver
from wavepool.drivers.process.holdings import ProcessHoldings
from wavepool.engine.clock import SystemClock
from wavepool.engine.control import ControlServer
from wavepool.engine.listener import Listener
from wavepool.engine.order import Order, secret_advice
from wavepool.engine.recover.reaper import Engines
from wavepool.engine.recovery import Replayed, take_up
from wavepool.engine.report import RunReport
from wavepool.engine.retrying import tasks_to_retry
from wavepool.engine.revisit import NothingKept, Revisit
from wavepool.engine.session import Session
from wavepool.errors import DriverUnavailable, SettingError, WavepoolError, first_of_ours
from wavepool.host import read_memory
from wavepool.inputs import parse_run_id, read_secret
from wavepool.journal.base import Journal
from wavepool.journal.sqlite import SqliteJournal
from wavepool.model import Rules, Surroundings
from wavepool.plan import Plan, check_capacity, check_schedule
from wavepool.statedir import RunDir, StateDir, new_run_id

RUNS_NAMED = 10
"""Of the runs that there are, in the message about one that there is not."""


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
    """Who is told what.

    Attributes:
        listeners: get the facts, from the first one on.
        notice: gets sentences for a person.
        pulling: gets the progress of image pulls.
        held: called with the run's directory when this process holds the run, and others can look at it.
    """

    listeners: Sequence[Listener] = ()
    notice: Callable[[str], None] = lambda text: None
    pulling: PullProgress | None = None
    held: Callable[[RunDir], None] = lambda files: None


async def run_plan(request: RunRequest, hooks: Hooks) -> RunReport:
    """Run the plan to its end; what comes out is read from the journal.

    A `run_id` that exists is gone on with as by `resume_run`, once the plan was found to be that run's.

    Raises:
        InputError: the plan does not fit the schedule, the budget or the driver. Nothing was started.
        InfrastructureError: no driver, an image or network that cannot be had, a journal that cannot be written.
            Notes on it say what still runs, and how to go on.
    """
    with _unwrapped():
        return await _run_plan(request, hooks)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoingOn:
    """How a run is gone on with.

    Attributes:
        hooks: who is told what; listeners are told the facts from the first one on.
        secrets: name -> value, for those that are not to be read again from where the journal says.
        environ: where to read the others; None for this process's environment.
        signals: the run owns SIGINT and SIGTERM (main thread only).
    """

    hooks: Hooks = field(default_factory=Hooks)
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    environ: Mapping[str, str] | None = field(default=None, repr=False)
    signals: bool = False


async def resume_run(run_id: str, *, state_dir: Path, how: GoingOn | None = None) -> RunReport:
    """Go on with a run by its journal alone, on the driver that it began on; one that is over is only told again.

    Raises:
        SettingError: there is no such run, or a secret of it cannot be read any more.
        RunLocked: another process works on it.
        InfrastructureError: as `run_plan`.
    """
    with _unwrapped():
        return await _go_on(run_id, StateDir(state_dir), how or GoingOn())


async def retry_run(
    run_id: str, tasks: Sequence[str] = (), *, state_dir: Path, how: GoingOn | None = None
) -> RunReport:
    """Try `tasks` again (none: all that failed), with what was skipped because of them, and go on with the run.

    Raises:
        SettingError: as `resume_run`; or one of `tasks` cannot be tried again.
        RunLocked, InfrastructureError: as `resume_run`.
    """
    with _unwrapped():
        return await _go_on(run_id, StateDir(state_dir), how or GoingOn(), retry=tasks)


async def end_run(run_id: str, *, state_dir: Path, how: GoingOn | None = None) -> RunReport:
    """Stop whatever still runs of a run that no process works on, and leave nothing of it; it can still be resumed.

    Raises:
        SettingError, RunLocked, InfrastructureError: as `resume_run`; secrets are not needed.
    """
    with _unwrapped():
        return await _go_on(run_id, StateDir(state_dir), how or GoingOn(), cancelled=True)


async def _run_plan(request: RunRequest, hooks: Hooks) -> RunReport:
    check_schedule(request.plan, request.rules.schedule)
    state_dir = StateDir(request.state_dir)
    clock = SystemClock()
    files = state_dir.run(request.run_id or new_run_id(clock.now().utc))
    async with AsyncExitStack() as stack:
        exists = files.journal.exists()
        held = await _hold(stack, state_dir, files, hooks.listeners) if exists else None
        if held is not None and held.replayed is not None:
            driver, found = await _journaled_driver(stack, held.replayed.state.run, state_dir)
        else:
            driver, found = await open_driver(stack, request, state_dir, hooks.notice)
            check_keeping(request.rules, driver)
        # A new run gets its directory when nothing can refuse it any more.
        rules = with_budget(request, found, resumed=exists)
        held = held or await _hold(stack, state_dir, files, hooks.listeners)
        secrets = request.secrets
        if held.replayed is not None and not held.replayed.is_over:
            secrets = _secrets_of(held.replayed, GoingOn(hooks=hooks, secrets=secrets))
        session = Session(
            order=Order(plan=request.plan, rules=rules, surroundings=request.surroundings),
            replayed=held.replayed,
            secrets=secrets,
            driver=driver,
            driver_facts=found,
            journal=held.journal,
            clock=clock,
            state_dir=state_dir,
            files=files,
            listeners=hooks.listeners,
            pulling=hooks.pulling,
            notice=hooks.notice,
            control=ControlServer(files),
            held=partial(hooks.held, files),
            signals=request.signals,
        )
        return await session.run()


async def _go_on(
    run_id: str, state_dir: StateDir, how: GoingOn, *, retry: Sequence[str] | None = None, cancelled: bool = False
) -> RunReport:
    files, hooks = known_run(state_dir, run_id), how.hooks
    async with AsyncExitStack() as stack:
        held = await _hold(stack, state_dir, files, hooks.listeners)
        replayed = held.replayed
        if replayed is None:
            raise _never_began(run_id)
        chosen = None if retry is None else tasks_to_retry(replayed.state, retry)
        if retry is not None and chosen is None:
            hooks.notice(f"nothing of run {run_id} failed: there is nothing to try again")
        over = replayed.is_over and chosen is None
        if over:
            hooks.notice(f"run {run_id} is over: this is what came of it")
        values = {} if over or cancelled else _secrets_of(replayed, how)
        try:
            driver, found = await _journaled_driver(stack, replayed.state.run, state_dir)
        except DriverUnavailable as error:
            if not over:
                raise
            hooks.notice(f"nobody looked whether anything is left of it: {error.message}")
            return RunReport.of(held.journal.replay())
        session = Session(
            order=None,
            replayed=replayed,
            retry=chosen,
            cancelled=cancelled,
            secrets=values,
            driver=driver,
            driver_facts=found,
            journal=held.journal,
            clock=SystemClock(),
            state_dir=state_dir,
            files=files,
            listeners=hooks.listeners,
            pulling=hooks.pulling,
            notice=hooks.notice,
            control=ControlServer(files),
            held=partial(hooks.held, files),
            signals=how.signals,
        )
        return await session.run()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A run that this process holds: its open journal, and what it held when it was opened."""

    journal: Journal
    replayed: Replayed | None


async def _hold(stack: AsyncExitStack, state_dir: StateDir, files: RunDir, listeners: Sequence[Listener]) -> _Held:
    """Take the run's lock, open its journal, and take up what that holds: its one pass before anything starts."""
    stack.enter_context(files.lock())
    journal = await stack.enter_async_context(SqliteJournal(files.journal, owner=state_dir.owner(), run_id=files.id))
    return _Held(journal=journal, replayed=await take_up(journal, listeners))


def known_run(state_dir: StateDir, run_id: str) -> RunDir:
    """The directory of a run that exists.

    Raises:
        SettingError: there is none; the message names those that there are.
    """
    files = state_dir.run(parse_run_id(run_id, option="RUN"))
    if files.journal.exists():
        return files
    known = [name for name in state_dir.runs() if state_dir.run(name).journal.exists()]
    newest = ", ".join(known[: -RUNS_NAMED - 1 : -1]) + (", …" if len(known) > RUNS_NAMED else "")
    raise SettingError(
        "RUN",
        run_id,
        f"the id of a run in {state_dir.path}",
        advice=f"There are {newest}." if known else "There is none yet: `wavepool run PLAN` makes one.",
    )


def _never_began(run_id: str) -> SettingError:
    return SettingError(
        "RUN",
        run_id,
        "a run that began; this one died before its plan was kept, and has started nothing",
        advice=f"Start it with its plan: `wavepool run PLAN --run-id {run_id}`.",
    )


def _secrets_of(replayed: Replayed, how: GoingOn) -> Mapping[str, bytes]:
    """The values that the run needs: those given now, the others from where it was told to read them."""
    values = {**how.secrets}
    sources = replayed.state.run.surroundings.secrets
    for name in sorted(values.keys() - {source.name for source in sources}):
        how.hooks.notice(f"the run was started without secret {name}, and goes on without it")
    for source in sources:
        if source.name not in values:
            try:
                values[source.name] = read_secret(source, os.environ if how.environ is None else how.environ)
            except SettingError as error:
                error.advice = secret_advice(source)
                raise
    return values


@contextmanager
def _unwrapped() -> Iterator[None]:
    """Errors of ours come out as themselves, not in the groups that they were raised in."""
    try:
        yield
    except BaseExceptionGroup as group:
        error = first_of_ours(group)
        if isinstance(error, WavepoolError):
            raise error from group
        raise


@asynccontextmanager
async def open_engine() -> AsyncIterator[tuple[Driver, DockerRecords]]:
    """The Docker driver, and read-only looks at the same engine; both closed at the end."""
    async with DockerDriver() as driver, DockerRecords() as records:
        yield driver, records


async def commands_into(found: Revisit, command: Sequence[str], terminal: bool) -> tuple[list[str], dict[str, str]]:
    """The docker command that leads into an attempt, and the variables that it is given by name.

    Args:
        found: where to look.
        command: what to run there; empty for a shell.
        terminal: our standard input is one.

    Raises:
        NothingKept: its image is gone.
        DriverUnavailable: the engine cannot be reached.
        NotStarted: its workspace is gone.
    """
    async with DockerRecords() as records:
        if found.running is not None:
            return running_argv(found.running, command, terminal=terminal), {}
        assert found.kept is not None
        if not await records.has_image(found.kept):
            raise NothingKept(
                f"the image {found.kept} is gone", advice="It was removed, by `wavepool prune` or by hand."
            )
        network = found.spec.network
        gone = network is not None and await records.network_labels(network) is None
        return kept_argv(found.spec, found.kept, command, terminal=terminal, network_is_gone=gone)


def process_driver(directory: Path) -> Driver:
    """A driver for plain processes that keeps its records in `directory`; the caller opens and closes it."""
    return ProcessDriver(base_dir=directory)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryTools:
    """What `wavepool recover` looks with, and acts with.

    Attributes:
        holdings: of every engine that may have something of this owner.
        engines: the same by driver name, with the drivers.
        unasked: driver -> why its engine is not asked.
    """

    holdings: tuple[Holdings, ...]
    engines: Engines
    unasked: Mapping[str, str]


@asynccontextmanager
async def open_recovery(state_dir: StateDir, *, driver: str) -> AsyncIterator[RecoveryTools]:
    """All engines that the state directory may have used: Docker, and this host's processes if it ever had any.

    Args:
        driver: ``auto``, or the only one to be asked.
    """
    async with AsyncExitStack() as stack:
        holdings: dict[str, Holdings] = {}
        drivers: dict[str, Driver] = {}
        unasked: dict[str, str] = {}
        if driver == "process":
            unasked["docker"] = "--driver process leaves it out"
        else:
            holdings["docker"] = await stack.enter_async_context(DockerHoldings())
            drivers["docker"] = await stack.enter_async_context(DockerDriver())
        records = state_dir.path / "processes"
        if driver == "docker":
            unasked["process"] = "--driver docker leaves it out"
        elif records.is_dir():  # opening the driver would make it
            drivers["process"] = await stack.enter_async_context(process_driver(records))
            holdings["process"] = ProcessHoldings(base_dir=records, driver=drivers["process"])
        engines = Engines(holdings=holdings, drivers=drivers)
        yield RecoveryTools(holdings=tuple(holdings.values()), engines=engines, unasked=unasked)


def journal_of(files: RunDir, owner: str) -> Journal:
    """The journal of a run that is held by this process; the caller opens and closes it."""
    return SqliteJournal(files.journal, owner=owner, run_id=files.id, must_exist=True)


async def open_driver(
    stack: AsyncExitStack, request: RunRequest, state_dir: StateDir, notice: Callable[[str], None]
) -> tuple[Driver, DriverFacts]:
    """The driver that was asked for, open and probed; for ``auto`` Docker, else processes if the plan can do without.

    Raises:
        DriverUnavailable: as the driver says; for ``auto`` where a batch needs its image.
    """
    if request.driver == "process":
        _refuse_sidecars(request.plan)
        return await _open(stack, process_driver(state_dir.processes()))
    try:
        return await _open(stack, DockerDriver())
    except DriverUnavailable as error:
        if request.driver == "docker":
            raise
        _refuse_fallback(request.plan, error)
        notice(f"{error.message.rstrip('.')}. Falling back to plain processes: no isolation, images are not used.")
    return await _open(stack, process_driver(state_dir.processes()))


async def _journaled_driver(stack: AsyncExitStack, run: RunOpened, state_dir: StateDir) -> tuple[Driver, DriverFacts]:
    """The driver that the run began on; another one cannot go on with it."""
    try:
        return await _open(stack, driver_named(run.driver, state_dir))
    except DriverUnavailable as error:
        error.add_note(f"Run {run.run_id} was started on the {run.driver} driver, and goes on there alone.")
        raise


def driver_named(name: str, state_dir: StateDir) -> Driver:
    """A driver by the name that journals know it by; the caller opens and closes it.

    Raises:
        DriverUnavailable: this release has none of that name.
    """
    if name == "docker":
        return DockerDriver()
    if name == "process":
        return process_driver(state_dir.processes())
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


def _refuse_fallback(plan: Plan, error: DriverUnavailable) -> None:
    """A batch without a command would have been done by its image: there is nothing to fall back to. Nor beside it."""
    for path, task in plan.paths():
        if task.sidecars:
            raise DriverUnavailable(
                f"{error.message.rstrip('.')}. Processes cannot stand in: {path} has sidecars, which need Docker.",
                advice=error.advice,
            ) from error
        if task.command is None and not task.commands:
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
