"""Runs tasks of the seed as one run of the engine: what `ContainerManager` and `ExecutionEngine` have in common."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from wavepool.agents import adapter
from wavepool.blocking.config import ContainerConfig
from wavepool.blocking.loops import ask, refuse_inside_a_loop
from wavepool.blocking.orders import HostRoom, TaskOrder, check_orders, task_of, without_dependents
from wavepool.blocking.requests import CONTAINERIZED, DRIVER_OF, request_of
from wavepool.blocking.results import ExecutionResult, never_ran, result_of
from wavepool.blocking.running import BlockingRun, Final
from wavepool.config import load_settings
from wavepool.drivers.keeping import SupportsKeeping
from wavepool.errors import InputError, WavepoolError
from wavepool.host.cpu import usable_cores
from wavepool.model import Task, VerdictKind
from wavepool.statedir import StateDir
from wavepool.units import human_size
from wavepool.wiring import RunRequest, driver_named, room_of

CLEANUP_S = 120.0
"""How long `close` waits for runs that it stops."""

OnResult = Callable[[ExecutionResult], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A task and the directory that it works in; `problem` says why there is none."""

    order: TaskOrder
    directory: str | os.PathLike[str] = ""
    problem: str = ""


@dataclass(slots=True, kw_only=True)
class Executed:
    """What came of one call.

    Attributes:
        results: by task, in the order in which the tasks were given.
        wall_s: how long it took in all.
        peak: the most attempts that ran at one moment.
    """

    results: dict[str, ExecutionResult] = field(default_factory=dict)
    wall_s: float = 0.0
    peak: int = 0


def to_stderr(text: str) -> None:
    """Where sentences for a person go unless somebody else takes them."""
    sys.stderr.write(f"wavepool: {text}\n")


def default_state_dir() -> Path:
    """The one of the settings."""
    return load_settings({}, environ=os.environ, cwd=Path.cwd()).state_dir


class Executor:
    """Runs tasks in one mode. Threads may share it: each call is a run of its own.

    Args:
        mode: ``containerized`` or ``subprocess``.
        state_dir: of the runs' journals and logs.
        notice: takes sentences for a person.
    """

    def __init__(self, mode: str, *, state_dir: Path, notice: Callable[[str], None]) -> None:
        self.mode = mode
        self.state_dir = state_dir
        self.notice = notice
        self._turn = threading.Lock()
        self._live: set[BlockingRun] = set()
        self._kept_runs: set[str] = set()
        self._told: set[str] = set()

    def probe(self, name: str) -> HostRoom:
        """What tasks can be given here.

        Raises:
            DriverUnavailable: the driver cannot be reached.
            RuntimeError: `name`, the function that blocks, was called inside a running event loop.
        """

        async def asking() -> HostRoom:
            async with AsyncExitStack() as stack:
                driver = await stack.enter_async_context(driver_named(DRIVER_OF[self.mode], StateDir(self.state_dir)))
                found = await driver.probe()
                cores = max(node.capacity.milli_cpus for node in found.nodes) / 1000 or usable_cores()
                return HostRoom(
                    cpus=cores,
                    memory_bytes=max(node.capacity.memory_bytes for node in found.nodes),
                    free_bytes=sum(node.capacity.memory_bytes for node in room_of(found)),
                )

        return ask(name, asking)

    def run(
        self, name: str, placed: Sequence[Placed], config: ContainerConfig, at_once: int | None, on_result: OnResult
    ) -> Executed:
        """Run all of them; `on_result` is told each result as it comes, in this thread.

        Args:
            name: the function that blocks.
            config: what holds for the run as a whole: network, secrets, mounts, user, agents on the bare host.
            at_once: how many tasks run together at most; None for as many as fit.

        Raises:
            InputError: two tasks have one id, or wait for one another; or the config of the run is wrong.
            InfrastructureError: no driver, an image that cannot be had, a disk that is full.
        """
        refuse_inside_a_loop(name)
        began_s = time.monotonic()
        check_orders([each.order for each in placed])
        config.check()
        if not placed:
            return Executed()
        executed, tell = Executed(), _Teller(placed, on_result)
        self._refuse_loose_agents(placed, config)
        self._say_what_is_lost(config)
        room = self.probe(name)
        tasks = self._prepared(placed, room, tell)
        if tasks:
            request = request_of(
                tasks,
                config,
                mode=self.mode,
                at_once=at_once,
                budget_bytes=room.budget_bytes(tasks),
                state_dir=self.state_dir,
            )
            executed.peak = self._run(request, tell)
        for order in tell.missing():
            tell(never_ran(order.id, order.name, VerdictKind.CANCELLED, "it was stopped before it began", self.mode))
        executed.results = {each.order.id: tell.results[each.order.id] for each in placed}
        executed.wall_s = time.monotonic() - began_s
        return executed

    def close(self) -> None:
        """Stop what still runs, wait for it, and remove what was kept of ended tasks. Safe to repeat."""
        with self._turn:
            live, kept = list(self._live), set(self._kept_runs)
        for run in live:
            run.cancel()
        for run in live:
            if not run.wait(CLEANUP_S):
                self.notice("a run that was to be stopped is still being cleaned up; `wavepool recover` looks after it")
        if kept:
            self._discard(kept)

    # -- before the run --

    def _refuse_loose_agents(self, placed: Iterable[Placed], config: ContainerConfig) -> None:
        if self.mode == CONTAINERIZED or config.allow_host:
            return
        for each in placed:
            agent = each.order.config.agent
            if adapter(agent).bypasses_prompts:
                raise InputError(
                    f"task {each.order.id!r} has the agent {agent}, which does what it likes without asking, "
                    "and without Docker it would do so on this host itself",
                    advice="Start Docker; or allow that: allow_host=True, of ContainerConfig or ExecutionEngine.",
                )

    def _prepared(self, placed: Sequence[Placed], room: HostRoom, tell: _Teller) -> list[Task]:
        """The tasks that can run; of the others the results are told at once."""
        tasks: list[Task] = []
        problems: dict[str, str] = {}
        for each in placed:
            if each.problem:
                problems[each.order.id] = each.problem
                continue
            try:
                tasks.append(task_of(each.order, each.directory, room))
            except InputError as error:
                problems[each.order.id] = str(error)
            else:
                self._say_what_is_less(each.order, room)
        tasks, waiting = without_dependents(tasks, problems)
        for task_id, why in problems.items():
            tell(never_ran(task_id, tell.name_of(task_id), VerdictKind.START_ERROR, why, self.mode))
        for task_id, needed in waiting.items():
            why = f"its dependency {needed!r} could not be started"
            tell(never_ran(task_id, tell.name_of(task_id), VerdictKind.SKIPPED, why, self.mode))
        return tasks

    def _say_what_is_less(self, order: TaskOrder, room: HostRoom) -> None:
        asked = order.config
        if asked.memory_bytes > room.largest_bytes:
            self._say_once(
                f"memory_limit {asked.memory_limit} is taken for all there is: {human_size(room.largest_bytes)}"
            )
        if asked.cpus > room.cpus:
            self._say_once(f"cpu_limit {asked.cpu_limit} is taken for all there is: {room.cpus:g} cores")

    def _say_what_is_lost(self, config: ContainerConfig) -> None:
        if self.mode != CONTAINERIZED and config.mounts:
            self._say_once("mounts are of containers; plain processes see this host as it is")

    def _say_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.notice(text)

    # -- the run --

    def _run(self, request: RunRequest, tell: _Teller) -> int:
        """Run it, tell what comes of it, and say how many ran at once at most."""
        directory = StateDir(self.state_dir).run(request.run_id or "").path
        run = BlockingRun(request, self.notice)
        with (
            self._registered(run, request),
            closing(run.finals()) as finals,
        ):  # a Ctrl-C may come while a result is told
            for final in finals:
                tell(self._result(final, tell.name_of(final.task_id), directory))
        return run.peak

    def _result(self, final: Final, name: str, directory: Path) -> ExecutionResult:
        if final.settled is None:
            return never_ran(final.task_id, name, final.verdict, final.cause, self.mode)
        return result_of(final.settled, name=name, handle=final.handle, directory=directory, mode=self.mode)

    @contextmanager
    def _registered(self, run: BlockingRun, request: RunRequest) -> Iterator[None]:
        with self._turn:
            self._live.add(run)
            if request.rules.keep_all and request.run_id is not None:
                self._kept_runs.add(request.run_id)
        try:
            yield
        finally:
            with self._turn:
                self._live.discard(run)

    def _discard(self, runs: Iterable[str]) -> None:
        async def discarding() -> list[str]:
            problems: list[str] = []
            state_dir = StateDir(self.state_dir)
            async with driver_named(DRIVER_OF[self.mode], state_dir) as driver:
                if isinstance(driver, SupportsKeeping):
                    for run_id in runs:
                        problems += [
                            await driver.discard(each) for each in await driver.kept(state_dir.owner(), run_id)
                        ]
            return [problem for problem in problems if problem]

        try:
            left = ask("cleanup", discarding)
        except WavepoolError as error:
            left = [str(error)]
        for problem in left:
            self.notice(f"something that was kept is still there: {problem}")
        if not left:
            with self._turn:
                self._kept_runs -= set(runs)


class _Teller:
    """Takes each task's result once, and passes it on."""

    def __init__(self, placed: Iterable[Placed], on_result: OnResult) -> None:
        self._orders = {each.order.id: each.order for each in placed}
        self._on_result = on_result
        self.results: dict[str, ExecutionResult] = {}

    def __call__(self, result: ExecutionResult) -> None:
        if result.task_id not in self.results:
            self.results[result.task_id] = result
            self._on_result(result)

    def name_of(self, task_id: str) -> str:
        return self._orders[task_id].name

    def missing(self) -> list[TaskOrder]:
        """Those without a result."""
        return [order for task_id, order in self._orders.items() if task_id not in self.results]
