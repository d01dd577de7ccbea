"""Runs from their beginning or from their journal to their end."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from wavepool.agents import AgentAdapter
from wavepool.drivers.base import Driver, DriverFacts
from wavepool.engine.clock import SystemClock
from wavepool.engine.control import ControlServer
from wavepool.engine.listener import Listener
from wavepool.engine.order import Order, secret_advice
from wavepool.engine.replay import Replayed, take_up
from wavepool.engine.report import RunReport
from wavepool.engine.retrying import tasks_to_retry
from wavepool.engine.session import Session
from wavepool.engine.unbegun import forget_unbegun
from wavepool.engine.usage.recorder import UsageRecorder
from wavepool.engine.watching.pressure import ReadPressure
from wavepool.engine.withheld import Withheld
from wavepool.errors import DriverUnavailable, InputError, SettingError, WavepoolError, first_of_ours
from wavepool.host import PressureGauge
from wavepool.inputs import parse_run_id, read_secret
from wavepool.journal.base import Journal
from wavepool.journal.sqlite import SqliteJournal
from wavepool.model import Surroundings
from wavepool.plan import check_schedule
from wavepool.statedir import RunDir, StateDir, new_run_id
from wavepool.wiring.agents import (
    adapters_of,
    bounded_plan,
    check_agents,
    refuse_work_as_root,
    sealed_request,
    workspaces_of,
)
from wavepool.wiring.engines import check_keeping, journaled_driver, open_driver, refuse_bare_host, with_budget
from wavepool.wiring.images import told_how_to_build
from wavepool.wiring.learning import learner, places_of
from wavepool.wiring.requests import GoingOn, Hooks, RunRequest
from wavepool.wiring.warmth import with_warmth

RUNS_NAMED = 10
"""Of the runs that there are, in the message about one that there is not."""


async def run_plan(request: RunRequest, hooks: Hooks) -> RunReport:
    """Run the plan to its end; what comes out is read from the journal.

    A `run_id` that exists is gone on with as by `resume_run`, once the plan was found to be that run's.

    Raises:
        InputError: the plan does not fit the schedule, the budget or the driver. Nothing was started.
        InfrastructureError: no driver, an image or network that cannot be had, a journal that cannot be written.
            Notes on it say what still runs, and how to go on.
    """
    with told_how_to_build(), _unwrapped():
        return await _run_plan(request, hooks)


async def resume_run(run_id: str, *, state_dir: Path, how: GoingOn | None = None) -> RunReport:
    """Go on with a run by its journal alone, on the driver that it began on; one that is over is only told again.

    Raises:
        SettingError: there is no such run, or a secret of it cannot be read any more.
        RunLocked: another process works on it.
        InfrastructureError: as `run_plan`.
    """
    with told_how_to_build(), _unwrapped():
        return await _go_on(run_id, StateDir(state_dir), how or GoingOn())


async def retry_run(
    run_id: str, tasks: Sequence[str] = (), *, state_dir: Path, how: GoingOn | None = None
) -> RunReport:
    """Try `tasks` again (none: all that failed), with what was skipped because of them, and go on with the run.

    Raises:
        SettingError: as `resume_run`; or one of `tasks` cannot be tried again.
        RunLocked, InfrastructureError: as `resume_run`.
    """
    with told_how_to_build(), _unwrapped():
        return await _go_on(run_id, StateDir(state_dir), how or GoingOn(), retry=tasks)


async def end_run(run_id: str, *, state_dir: Path, how: GoingOn | None = None) -> RunReport:
    """Stop whatever still runs of a run that no process works on, and leave nothing of it; it can still be resumed.

    Raises:
        SettingError, RunLocked, InfrastructureError: as `resume_run`; secrets are not needed.
    """
    with told_how_to_build(), _unwrapped():
        return await _go_on(run_id, StateDir(state_dir), how or GoingOn(), cancelled=True)


async def _run_plan(request: RunRequest, hooks: Hooks) -> RunReport:
    check_schedule(request.plan, request.rules.schedule)
    adapters = check_agents(request.plan)
    request = replace(request, plan=bounded_plan(request.plan, request.rules))
    state_dir = StateDir(request.state_dir)
    files = state_dir.run(request.run_id or new_run_id(SystemClock().now().utc))
    async with AsyncExitStack() as stack:
        exists = files.journal.exists()
        held = await _hold(stack, state_dir, files, hooks.listeners, may_be_new=True) if exists else None
        if held is not None and held.replayed is not None:
            driver, found = await journaled_driver(stack, held.replayed.state.run, state_dir)
            if not held.replayed.is_over:
                refuse_bare_host(held.replayed.state.run, found)
        else:
            driver, found = await open_driver(stack, request, state_dir, hooks.notice)
            check_keeping(request.rules, driver)
            refuse_work_as_root(request.plan, request.surroundings, found)
            request = sealed_request(request, found, adapters, hooks.notice)
        # A new run gets its directory when nothing can refuse it any more.
        rules = with_budget(request, found, resumed=exists)
        if held is None or held.replayed is None:
            rules = with_warmth(request, rules, driver, found, hooks.notice)
        else:  # it keeps its own; only whether the same was asked for is looked at
            rules = replace(rules, warm=int(bool(request.warm)))
        held = held or await _hold(stack, state_dir, files, hooks.listeners, may_be_new=True)
        places = await places_of(request, rules, hooks.notice) if held.replayed is None else ()
        secrets = request.secrets
        if held.replayed is not None and not held.replayed.is_over:
            secrets = _secrets_of(held.replayed, GoingOn(hooks=hooks, secrets=secrets))
        session = _session(
            stack,
            held,
            hooks,
            driver=driver,
            found=found,
            around=_around(held, request),
            order=Order(plan=request.plan, rules=rules, surroundings=request.surroundings, places=places),
            secrets=secrets,
            adapters=adapters,
            signals=request.signals,
            learn=request.learn,
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
        starts = chosen is not None or replayed.state.pending or replayed.state.live
        values = {} if over or cancelled or not starts else _secrets_of(replayed, how)
        try:
            driver, found = await journaled_driver(stack, replayed.state.run, state_dir)
            if not over and not cancelled:
                refuse_bare_host(replayed.state.run, found)
        except DriverUnavailable as error:
            if not over:
                raise
            held.withheld.release()
            hooks.notice(f"nobody looked whether anything is left of it: {error.message}")
            return RunReport.of(held.journal.replay())
        session = _session(
            stack,
            held,
            hooks,
            driver=driver,
            found=found,
            around=replayed.state.run.surroundings,
            order=None,
            secrets=values,
            adapters=adapters_of(entry.task for entry in replayed.state.order),
            signals=how.signals,
            learn=how.learn,
        )
        session = replace(session, retry=chosen, cancelled=cancelled)
        return await session.run()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A run that this process holds: its open journal, what that held when it was opened, and who is told of it."""

    state_dir: StateDir
    files: RunDir
    journal: Journal
    replayed: Replayed | None
    withheld: Withheld


def _around(held: _Held, request: RunRequest) -> Surroundings:
    """A run that exists keeps its own."""
    return request.surroundings if held.replayed is None else held.replayed.state.run.surroundings


async def _hold(
    stack: AsyncExitStack,
    state_dir: StateDir,
    files: RunDir,
    listeners: Sequence[Listener],
    *,
    may_be_new: bool = False,
) -> _Held:
    """Take the run's lock, open its journal, and take up what that holds: its one pass before anything starts.

    One that `may_be_new` is gone at the end of the stack, if it was refused before its first fact.
    """
    stack.enter_context(files.lock())
    if may_be_new:
        stack.callback(forget_unbegun, state_dir, files)  # when the journal is closed, and still under the lock
    journal = await stack.enter_async_context(SqliteJournal(files.journal, owner=state_dir.owner(), run_id=files.id))
    withheld = Withheld(listeners)
    replayed = await take_up(journal, [withheld])
    return _Held(state_dir=state_dir, files=files, journal=journal, replayed=replayed, withheld=withheld)


def _session(
    stack: AsyncExitStack,
    held: _Held,
    hooks: Hooks,
    *,
    driver: Driver,
    found: DriverFacts,
    around: Surroundings,
    order: Order | None,
    secrets: Mapping[str, bytes],
    adapters: Mapping[str, AgentAdapter],
    signals: bool,
    learn: bool,
) -> Session:
    """What a new run and one that is gone on with have in common: how it is seen, steered, learnt from."""
    clock = SystemClock()
    return Session(
        order=order,
        replayed=held.replayed,
        secrets=secrets,
        driver=driver,
        driver_facts=found,
        journal=held.journal,
        clock=clock,
        state_dir=held.state_dir,
        files=held.files,
        adapters=adapters,
        workspaces=workspaces_of(around, held.files, found, hooks.notice),
        listeners=hooks.listeners,
        accepted=held.withheld.release,
        pulling=hooks.pulling,
        notice=hooks.notice,
        control=ControlServer(held.files),
        held=partial(hooks.held, held.files),
        signals=signals,
        learner=learner(stack, held.state_dir, hooks.notice, learn=learn),
        read_pressure=_gauge(found),
        recorder=UsageRecorder(held.files.usage, clock),
    )


def _gauge(found: DriverFacts) -> ReadPressure | None:
    """Of this host, unless attempts run on another one: nobody tells us of its pressure."""
    return None if found.remote else PressureGauge().read


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
            except InputError as error:
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
