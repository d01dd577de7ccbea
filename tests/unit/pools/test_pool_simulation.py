"""Random days of a pool on an engine that fails in every way it can: at most once, the truth, and nothing left."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace

import anyio
import pytest
from pool_stage import CODER, Stage

from wavepool.drivers.memory import Fault, MemoryWorld
from wavepool.drivers.memory.containers import Container
from wavepool.drivers.memory.reusing import FOR_EVER
from wavepool.engine.pools import TaskExecution, Where
from wavepool.model import AgentType, Limits, PoolSettings, VerdictKind
from wavepool.testing.faults import FaultPlan
from wavepool.testing.virtual_time import run_virtual
from wavepool.units import MIB
from wavepool.wiring import ContainerPool

TASKS = 120
TESTER = AgentType(name="tester", image="simulated:latest", limits=Limits(memory_bytes=32 * MIB))
SETTINGS = PoolSettings(max_size=5, max_age_s=40, idle_timeout_s=25, health_interval_s=5, scale_interval_s=3)
SPARED = {Fault.KEEP_FAILS, Fault.KEEP_CUT_AFTER, Fault.PREPARE_FAILS, Fault.PARK_IMPOSSIBLE}
TRUE_ENDS = {VerdictKind.SUCCESS, VerdictKind.FAILED}


_RANDOM = re.compile(r"pool-[0-9]+-[0-9]+-[0-9a-f]{4}|[0-9a-f]{16}")
"""The ids of sessions and owners."""


class BadDay(FaultPlan):
    """Everything fails now and then, the same way for the same seed; only that the pool can be opened is granted."""

    def strikes(self, fault: Fault, subject: str) -> bool:
        return subject != "probe" and super().strikes(fault, _RANDOM.sub("", subject))

    def fraction(self, fault: Fault, subject: str) -> float:
        return super().fraction(fault, _RANDOM.sub("", subject))


class CountingWorld(MemoryWorld):
    """Counts how often each command was really run, in whatever container."""

    def __init__(self, hazards: FaultPlan) -> None:
        super().__init__(hazards=hazards)
        self.commands: Counter[tuple[str, ...]] = Counter()

    def run(self, container: Container) -> None:
        before = self.executions[container.spec.run_id, container.spec.attempt]
        super().run(container)
        if self.executions[container.spec.run_id, container.spec.attempt] > before:
            self.commands[container.spec.command or ()] += container.spec.command != FOR_EVER


class Day:
    """One day: tasks come at random, run for a while, are bounded or given up; types are scaled by hand."""

    def __init__(self, stage: Stage, seed: int, settings: PoolSettings) -> None:
        rates = dict.fromkeys(set(Fault) - SPARED, 0.06)
        self.world = CountingWorld(BadDay(seed, rates))
        stage.use(self.world)
        self._stage = stage
        self._dice = random.Random(seed)
        self._settings = settings
        self.found: dict[tuple[str, ...], tuple[int, TaskExecution]] = {}
        self.given_up = 0
        self.left: list[str] = []

    async def live(self) -> None:
        opened = self._stage.pool(self._settings, types=(CODER, TESTER))
        async with opened as pool, anyio.create_task_group() as group:
            for number in range(TASKS):
                await anyio.sleep(self._dice.expovariate(3.0))
                group.start_soon(self._task, pool, number)
                if self._dice.random() < 0.05:
                    pool.scale(self._dice.choice(("coder", "tester")), self._dice.randint(1, 5))
        self.left = pool.left_behind

    async def _task(self, pool: ContainerPool, number: int) -> None:
        code = number % 100
        length_s = self._dice.expovariate(0.5)
        command = ("sim", f"duration={length_s}", f"exit={code}", f"stdout=task-{number}")
        timeout_s = self._dice.choice((None, None, 2.0))
        patience_s = self._dice.choice((None, None, None, 1.0))
        agent_type = self._dice.choice(("coder", "tester"))
        with anyio.move_on_after(patience_s):
            done = await pool.execute(agent_type, command, timeout_s=timeout_s, grace_s=1.0)
            self.found[command] = (code, done)
            return
        self.given_up += 1


@pytest.mark.parametrize("reuse", [False, True], ids=["single-use", "reused"])
@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 16))])
def test_whatever_fails_each_task_runs_at_most_once_and_is_told_as_it_was(stage: Stage, seed: int, reuse: bool) -> None:
    day = Day(stage, seed, replace(SETTINGS, reuse=reuse))
    run_virtual(day.live)
    assert len(day.found) + day.given_up == TASKS
    assert max(day.world.commands.values()) == 1
    kinds: Counter[VerdictKind] = Counter()
    for command, (code, done) in day.found.items():
        kinds[done.verdict.kind] += 1
        if done.verdict.kind in TRUE_ENDS:
            assert done.exit_code == code
            assert (done.verdict.kind is VerdictKind.SUCCESS) == (code == 0)
            assert done.gap or done.stdout == command[3].removeprefix("stdout=").encode()
        if done.verdict.kind in TRUE_ENDS and done.where is not Where.REUSED:
            assert day.world.commands[command] == 1
        if done.verdict.kind is VerdictKind.START_ERROR:
            assert day.world.commands[command] == 0
    assert sum(kinds[kind] for kind in TRUE_ENDS) > TASKS // 3
    assert day.left == []
    stage.nothing_is_left()
