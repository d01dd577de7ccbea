"""A whole run of sleeping containers, from `run_plan` to all of them running, and away again."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from bench.ground import SLEEP, Ground
from wavepool.core.facts import AttemptStarted, Stamped
from wavepool.engine.listener import Listener
from wavepool.model import Rules
from wavepool.plan import TierMap, parse_plan
from wavepool.plan.limits import DEFAULT_WATCHDOG
from wavepool.wiring import Hooks, RunRequest, run_plan

DEADLINE_S = 180.0


class EngineRun(Listener):
    """`count` tasks that sleep, as `wavepool run` runs them. Leaving the context cancels the run, as Ctrl-C would."""

    def __init__(self, ground: Ground, count: int) -> None:
        self._ground = ground
        self._count = count
        self._started = 0
        self._all_started = anyio.Event()
        self._began_s = self._done_s = 0.0
        self._group: TaskGroup = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._began_s = time.perf_counter()
        self._group.start_soon(self._run)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._group.cancel_scope.cancel()
        await self._group.__aexit__(exc_type, exc, tb)
        await self._ground.clear()

    async def all_started_s(self) -> float:
        """Seconds from the first line of the run until the journal had the start of its last task."""
        with anyio.fail_after(DEADLINE_S):
            await self._all_started.wait()
        return self._done_s - self._began_s

    def on_facts(self, facts: Sequence[Stamped]) -> None:
        self._started += sum(isinstance(stamped.fact, AttemptStarted) for stamped in facts)
        if self._started >= self._count and not self._all_started.is_set():
            self._done_s = time.perf_counter()
            self._all_started.set()

    async def _run(self) -> None:
        batches = [
            {"batch_id": f"batch-{number}", "memory": "16m", "command": list(SLEEP)} for number in range(self._count)
        ]
        raw = json.dumps({"waves": [{"wave_number": 1, "batches": batches}]}).encode()
        request = RunRequest(
            plan=parse_plan(raw, source="bench", tiers=TierMap()),
            rules=Rules(nodes=(), watchdog=DEFAULT_WATCHDOG),
            surroundings=self._ground.surroundings(),
            driver="docker",
            run_id=self._ground.run_id("run"),
            state_dir=self._ground.state_dir.path,
        )
        await run_plan(request, Hooks(listeners=(self,)))
