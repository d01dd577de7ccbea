"""`wavepool spawn`: start every container of one wave, and leave them to themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import anyio

from wavepool.core.events import Now
from wavepool.drivers.base import Driver, Needs, NetworkNeed
from wavepool.engine.attempts.perform import FIRST_PAUSE_S, TRIES
from wavepool.engine.attempts.spec import SpecBuilder
from wavepool.engine.clock import Clock
from wavepool.engine.report import stamp
from wavepool.engine.steps.manifest import container_entry
from wavepool.engine.steps.survey import Survey
from wavepool.errors import DriverUnavailable, InfrastructureError, InputError, NotStarted, Unknown
from wavepool.model import AttemptId, Handle, Isolation, Task
from wavepool.statedir import RunDir, new_run_id
from wavepool.units import format_size, human_size

START_ATTEMPTS = 3
"""Attempts of one task altogether, where the engine was too busy to start it and may not be later."""


def new_spawn_id(now: datetime) -> str:
    """The id of one call of `spawn`: the run that its containers belong to."""
    return f"spawn-{new_run_id(now)}"


def check_independent(tasks: Sequence[Task]) -> None:
    """See that no task waits for another of the same wave, or has sidecars: nobody is there to start it, or end them.

    Raises:
        InputError: one does, or has.
    """
    for task in tasks:
        if task.sidecars:
            raise InputError(
                f"batch {task.id!r}: sidecars: got {[each.name for each in task.sidecars]!r}, expected none",
                advice="Nobody ends the sidecars of containers that are left to themselves. Use `wavepool run`.",
            )
        if task.depends_on:
            raise InputError(
                f"batch {task.id!r}: depends_on: got {list(task.depends_on)!r}, expected nothing of the same wave",
                advice="`wavepool spawn` starts a whole wave at once. `wavepool run` keeps the order.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """One container that was started, at `at` by our clock."""

    task: Task
    handle: Handle
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """One task that has no running container. `exists` True: something of it may be there."""

    task: Task
    name: str
    reason: str
    exists: bool = False


@dataclass(slots=True, kw_only=True)
class Spawned:
    """What came of it, in the plan's order once `spawn` has returned."""

    started: list[Started] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)


class Spawner:
    """Starts the tasks of one wave, a few at a time.

    Args:
        driver: open; closed by its owner.
        specs: detached, with the lifetime's end.
        files: the spawn's directory; its lock is held by the caller.
        parallel: starts under way at once, at least 1.
        tell: told one sentence for each that did not start.
    """

    def __init__(
        self,
        *,
        driver: Driver,
        specs: SpecBuilder,
        files: RunDir,
        clock: Clock,
        parallel: int,
        tell: Callable[[str], None],
    ) -> None:
        self._driver = driver
        self._specs = specs
        self._files = files
        self._clock = clock
        self._parallel = parallel
        self._tell = tell
        self._result = Spawned()
        self._under_way: dict[str, Failed] = {}
        self._stopped = ""
        self._scope = anyio.CancelScope()
        self.interrupted = False

    def interrupt(self, force: bool) -> None:
        """Start nothing more; with `force` do not wait for what is being started either."""
        self.interrupted = True
        self._stopped = self._stopped or "interrupted before it was started"
        if force:
            self._scope.cancel()

    async def spawn(self, tasks: Sequence[Task]) -> Spawned:
        """Start them. What cannot be started is in the result, never raised."""
        queue = iter(tasks)
        with self._scope:
            async with anyio.create_task_group() as group:
                for _ in range(min(self._parallel, len(tasks))):
                    group.start_soon(self._work, queue)
        self._result.failed += [*self._under_way.values(), *(self._not_reached(task) for task in queue)]
        order = {task.id: place for place, task in enumerate(tasks)}
        self._result.started.sort(key=lambda each: order[each.task.id])
        self._result.failed.sort(key=lambda each: order[each.task.id])
        return self._result

    async def _work(self, queue: Iterator[Task]) -> None:
        while not self._stopped:
            task = next(queue, None)
            if task is None:
                return
            attempt = AttemptId(task.id, 1)
            name = self._specs.name(task, attempt)
            self._under_way[task.id] = Failed(
                task=task, name=name, reason="interrupted while it was being started", exists=True
            )
            outcome = await self._start(task)
            del self._under_way[task.id]
            if isinstance(outcome, Started):
                self._result.started.append(outcome)
            else:
                self._result.failed.append(outcome)
                self._tell(f"batch {task.id!r} was not spawned: {outcome.reason}")

    async def _start(self, task: Task) -> Started | Failed:
        for number in range(1, START_ATTEMPTS + 1):
            attempt = AttemptId(task.id, number)
            try:
                handle = await self._start_surely(task, attempt)
            except NotStarted as error:
                exists = not await self._clear(task, attempt)
                if not error.transient or number == START_ATTEMPTS or self._stopped:
                    return self._failed(task, attempt, error, exists=exists)
                await anyio.sleep(FIRST_PAUSE_S * 2**number)
            except DriverUnavailable as error:
                self._stopped = self._stopped or f"the engine went away: {error.message}"
                return self._failed(task, attempt, error, exists=True)
            except InfrastructureError as error:
                return self._failed(task, attempt, error, exists=isinstance(error, Unknown))
            else:
                return Started(task=task, handle=handle, at=self._clock.now().utc)
        raise AssertionError("unreachable: the last attempt returns")

    async def _start_surely(self, task: Task, attempt: AttemptId) -> Handle:
        """Start it; a call that was cut off is repeated, which is safe. Raises what `Driver.start` raises."""
        spec = self._specs.build(task, attempt, self._files.slot(task.key, attempt.number))
        for turn in range(TRIES - 1):
            try:
                return await self._driver.start(spec)
            except (Unknown, DriverUnavailable):
                await anyio.sleep(FIRST_PAUSE_S * 2**turn)
        return await self._driver.start(spec)

    async def _clear(self, task: Task, attempt: AttemptId) -> bool:
        """Remove what was created of one that did not start; False where that did not work."""
        try:
            removed = await self._driver.remove(self._specs.handle(self._driver.name, task, attempt))
        except InfrastructureError:
            return False
        return not removed.errors

    def _failed(self, task: Task, attempt: AttemptId, error: InfrastructureError, *, exists: bool) -> Failed:
        return Failed(task=task, name=self._specs.name(task, attempt), reason=str(error), exists=exists)

    def _not_reached(self, task: Task) -> Failed:
        name = self._specs.name(task, AttemptId(task.id, 1))
        return Failed(task=task, name=name, reason=self._stopped or "not reached")


def needs_of(tasks: Sequence[Task], specs: SpecBuilder) -> Needs:
    """Images and networks that the wave's containers need."""
    around = specs.surroundings
    networks: dict[str, NetworkNeed] = {}
    for number in {task.wave for task in tasks}:
        name = specs.network(number)
        if name is not None:
            scope = number if specs.isolation is Isolation.WAVE else None
            networks[name] = NetworkNeed(name=name, labels=specs.network_labels(scope))
    images = tuple(sorted({task.image or around.image for task in tasks}))
    return Needs(images=images, networks=tuple(networks.values()), pull=around.pull)


def spawn_json(
    spawned: Spawned, *, wave: int, run_id: str, network: str | None, spawned_at: datetime, interrupted: bool
) -> dict[str, object]:
    """The JSON of `spawn`: the seed's fields, then ours. `total_memory` is the sum of the limits."""
    memory_bytes = sum(each.task.limits.memory_bytes for each in spawned.started)
    result: dict[str, object] = {
        "wave_number": wave,
        "spawned_at": stamp(spawned_at),
        "containers": [
            container_entry(each.handle, each.task, status="running", started_at=each.at) for each in spawned.started
        ],
        "total_spawned": len(spawned.started),
        "total_memory": human_size(memory_bytes),
        "total_failed": len(spawned.failed),
        "errors": [
            {"batch_id": each.task.id, "container_name": each.name, "error": each.reason, "may_exist": each.exists}
            for each in spawned.failed
        ],
        "run_id": run_id,
        "network": network,
    }
    return result | {"interrupted": True} if interrupted else result


async def rehearse_spawn(tasks: Sequence[Task], specs: SpecBuilder, survey: Survey) -> list[Mapping[str, object]]:
    """The actions of a spawn, each with its cause. Changes nothing.

    Raises:
        InputError: an image is missing and may not be pulled.
        DriverUnavailable: the engine cannot be reached.
    """
    needs = needs_of(tasks, specs)
    planned = [await _image_action(image, needs.pull, survey) for image in needs.images]
    planned += [
        _action("create_network", need.name, cause="there is no network of this name")
        for need in needs.networks
        if await survey.network_labels(need.name) is None
    ]
    planned += [_start_action(task, specs) for task in tasks]
    return [action for action in planned if action is not None]


async def _image_action(image: str, pull: str, survey: Survey) -> Mapping[str, object] | None:
    there = await survey.has_image(image)
    if pull == "always":
        return _action("pull_image", image, image=image, cause="--pull always")
    if there:
        return None
    if pull == "never":
        raise InputError(
            f"--base-image: got {image!r}, expected an image on this host, as --pull is never",
            advice=f"Pull it with `docker pull {image}`, or build it with `docker build -t {image} .`.",
        )
    return _action("pull_image", image, image=image, cause="it is not on this host")


def _start_action(task: Task, specs: SpecBuilder) -> dict[str, object]:
    action = _action(
        "start_container",
        specs.name(task, AttemptId(task.id, 1)),
        image=task.image or specs.surroundings.image,
        memory=format_size(task.limits.memory_bytes),
        cause=f"batch {task.id} of wave {task.wave}, tier {task.tier}",
    )
    return action | {"batch_id": task.id, "network": specs.network(task.wave)}


def _action(
    action: str, name: str, *, image: str | None = None, memory: str | None = None, cause: str
) -> dict[str, object]:
    return {"action": action, "name": name, "image": image, "memory": memory, "cause": cause}


def lifetime_end_s(now: Now, lifetime_s: float) -> int:
    """Seconds since the epoch after which a spawned container may be reaped."""
    return int(now.utc.timestamp() + lifetime_s)
