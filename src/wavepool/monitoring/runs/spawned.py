"""Containers of `wavepool spawn`, which keeps no journal: what the engine says of them, told as facts.

So all that is made of facts is made of these too. They are told anew at each look; what was removed is not there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from datetime import datetime

import anyio

from wavepool import labels
from wavepool.core import facts
from wavepool.core.events import Now
from wavepool.core.facts import Fact, Stamped
from wavepool.drivers.base import Driver, Observation, Phase, Scope
from wavepool.engine.clock import Clock
from wavepool.errors import WavepoolError
from wavepool.model import Limits, LogRecord, Resources, Rules, Surroundings, Task, Verdict, Wave
from wavepool.monitoring.runs.folds import TaskFold
from wavepool.monitoring.usage.sweeps import Running
from wavepool.statedir import StateDir
from wavepool.units import parse_size

DRIVER = "docker"
"""That `spawn` starts containers on."""


class SpawnedRuns:
    """Of one state directory.

    Args:
        open_driver: by its name.

    Attributes:
        folds: run id -> what was seen at the last look, of those that have containers.
    """

    def __init__(self, state_dir: StateDir, open_driver: Callable[[str], Awaitable[Driver]], clock: Clock) -> None:
        self.folds: dict[str, TaskFold] = {}
        self._state_dir = state_dir
        self._open_driver = open_driver
        self._clock = clock

    async def look(self, run_ids: Collection[str]) -> None:
        """See what there is of these runs.

        Raises:
            InfrastructureError: the engine cannot be asked, or the state directory not be read.
        """
        if not run_ids:
            self.folds = {}
            return
        owner = await anyio.to_thread.run_sync(self._state_dir.owner)
        driver = await self._open_driver(DRIVER)
        seen: dict[str, list[Observation]] = {run_id: [] for run_id in run_ids}
        async with driver.watch(Scope(owner=owner, detached=True)) as stream:
            async for each in stream:
                if not isinstance(each, Observation):
                    break
                if each.run_id in seen:
                    seen[each.run_id].append(each)
        now = self._clock.now()
        self.folds = {run_id: fold_of(run_id, owner, found, now) for run_id, found in seen.items() if found}

    def running(self) -> list[Running]:
        """Those that ran at the last look."""
        return [
            Running(run_id=run_id, driver=DRIVER, handle=handle)
            for run_id, fold in self.folds.items()
            for handle in fold.running.values()
        ]


def fold_of(run_id: str, owner: str, seen: Iterable[Observation], now: Now) -> TaskFold:
    """All that is known of a run of which these containers were seen."""
    fold = TaskFold()
    in_order = sorted(seen, key=lambda each: (each.wave, each.handle.attempt))
    for at, fact in _told(run_id, owner, in_order, now.utc):
        fold.take(Stamped(now.boot_s - (now.utc - at).total_seconds(), at, fact))
    return fold


def _told(run_id: str, owner: str, seen: list[Observation], now: datetime) -> Iterator[tuple[datetime, Fact]]:
    began = min((each.started_at for each in seen if each.started_at is not None), default=now)
    tasks = {each.handle.attempt.task_id: _task(each) for each in seen}
    yield (
        began,
        facts.RunOpened(
            run_id=run_id,
            owner=owner,
            rules=Rules(nodes=()),
            surroundings=Surroundings(image="", workspace="", network=""),
            driver=DRIVER,
            execution_mode=DRIVER,
            plan_digest="",
            boot_id="",
            at=began,
        ),
    )
    waves = tuple(Wave(number=number) for number in sorted({task.wave for task in tasks.values()}))
    yield began, facts.TasksAdded(waves=waves, tasks=tuple(tasks.values()))
    for wave in waves:
        yield began, facts.WaveOpened(wave=wave.number, deadline_s=None, at=began)
    attempts = [fact for each in seen for fact in _attempt(each, tasks[each.handle.attempt.task_id], now)]
    yield from sorted(attempts, key=lambda each: each[0])  # those of one attempt stay in their order
    for wave in waves:
        endings = [each.ending for each in seen if each.wave == wave.number]
        if None not in endings:
            over = max((each.finished_at or began for each in endings if each is not None), default=began)
            yield max(over, began), facts.WaveSettled(wave=wave.number, at=over)


def _attempt(seen: Observation, task: Task, now: datetime) -> Iterator[tuple[datetime, Fact]]:
    attempt, at = seen.handle.attempt, seen.started_at or now
    held = Resources(task.limits.memory_bytes)
    yield at, facts.StartIntended(attempt=attempt, node=0, held=held, at=at)
    if seen.phase is Phase.CREATED:
        return
    yield at, facts.AttemptStarted(attempt=attempt, handle=seen.handle, started_at=seen.started_at, deadline_s=None)
    ending = seen.ending
    if ending is None:
        return
    over = max(at, ending.finished_at or at)
    verdict = Verdict(kind=ending.kind, exit_code=ending.evidence.exit_code, evidence=ending.evidence)
    yield over, facts.AttemptExited(attempt=attempt, ending=ending, archive=False)
    yield (
        over,
        facts.AttemptSettled(
            attempt=attempt,
            verdict=verdict,
            log=LogRecord(),
            started_at=seen.started_at,
            finished_at=ending.finished_at,
        ),
    )
    yield over, facts.TaskSettled(task_id=task.id)


def _task(seen: Observation) -> Task:
    """As far as the labels tell."""
    found = seen.labels
    task_id = seen.handle.attempt.task_id
    return Task(
        id=task_id,
        key=found.get(labels.TASK_KEY) or labels.task_key(task_id),
        wave=seen.wave,
        tier=_tier(found.get(labels.SEED_TIER, "")),
        limits=Limits(memory_bytes=_size(found.get(labels.SEED_MEMORY, ""))),
    )


def _tier(text: str) -> int:
    return int(text) if text.isdecimal() else 1


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except (ValueError, WavepoolError):
        return 0
