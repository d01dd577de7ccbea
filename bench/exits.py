"""How soon an exit is known, on the default bridge: our watch, the bare event stream, `docker wait`, and polling.

Each container reads a FIFO of its own in the workspace. Closing our end makes its `cat` exit: the clock starts just
before, so the figures hold the last millisecond of the process too, and are upper bounds.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import anyio
from anyio.abc import TaskGroup

from bench.engine_api import each_of
from bench.ground import RIVALS, Ground
from bench.harness import Figure, Goal, Options, Readings, compare, percentile
from wavepool.drivers.base import AttemptSpec, Scope, Synced
from wavepool.drivers.docker import DockerDriver

EACH = 15
"""Exits of each way."""
POLLED = 6
POLL_S = 5.0
"""The seed's interval."""
SEED = 7
DEADLINE_S = 60.0
BETWEEN_S = 0.15
"""Between two exits, so that each finds a quiet daemon."""

OURS, STREAM, WAIT, POLL = "ours", "event stream", "docker wait", "polling every 5 s"


async def measure(options: Options) -> list[Figure]:
    """Rows: the median, and the 99th percentile of ours."""
    each = EACH if options.runs is None else options.runs
    async with Ground() as ground, DockerDriver() as driver:
        await driver.probe()
        readings: Readings = {OURS: [], STREAM: [], WAIT: [], POLL: []}
        ways = (OURS, STREAM, WAIT)
        async with _hearing(ground, driver) as ears:  # before the starts, as the engine does it
            gates = await _start(ground, len(ways) * each)
            for number, gate in enumerate(gates):
                way = ways[number % len(ways)]
                readings[way].append(await _one_exit(gate, ears[way]) * 1000)
                await anyio.sleep(BETWEEN_S)
        await ground.clear()
        readings[POLL] = [seconds * 1000 for seconds in await _polled(ground)]
    figure = compare(
        readings,
        name="exit known, p50",
        unit="ms",
        floor=STREAM,
        ours_goal=Goal(bound=30.0),
        beats_rivals=True,
        note=f"from the end of the process on; polling with {POLLED} exits at random moments, seed {SEED}.",
    )
    worst = replace(
        figure,
        name="exit known, p99",
        ours=percentile(readings[OURS], 99),
        rivals={way: percentile(readings[way], 99) for way in (WAIT, POLL)},
        floor=percentile(readings[STREAM], 99),
        ratio=None,
        goals=(),
        missed=(),
        note="the worst, with so few.",
    )
    return [figure, worst]


class Gate:
    """One running container that ends when its gate is closed. `close` gives the moment just before."""

    def __init__(self, container_id: str, descriptor: int) -> None:
        self.id = container_id
        self._descriptor = descriptor

    def close(self) -> float:
        at_s = time.time()
        os.close(self._descriptor)
        return at_s


Ear = Callable[[Gate], Awaitable[Callable[[], Awaitable[float]]]]
"""Begins to listen for one container, then gives the function that returns when its end is known, and when that was."""


async def _start(ground: Ground, count: int) -> list[Gate]:
    """Containers that wait at their gates; they are seen to have opened them."""
    specs = ground.specs(ground.run_id("exits"), count, ("cat", "/workspace/gate-{n}"))
    gates: dict[int, Gate] = {}

    async def start(numbered: tuple[int, AttemptSpec]) -> None:
        number, spec = numbered
        path = ground.workspace / f"gate-{number}"
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        container_id = await ground.api.create_and_start(spec.name, ground.body(spec))
        gates[number] = Gate(container_id, await _open_when_read(path))

    await each_of(list(enumerate(specs)), start, at_once=5)
    return [gates[number] for number in range(count)]


async def _open_when_read(path: Path) -> int:
    with anyio.fail_after(DEADLINE_S):
        while True:
            try:
                return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                if error.errno != errno.ENXIO:  # nobody reads it yet
                    raise
            await anyio.sleep(0.01)


async def _one_exit(gate: Gate, ear: Ear) -> float:
    heard = await ear(gate)
    closed_s = gate.close()
    with anyio.fail_after(DEADLINE_S):
        return await heard() - closed_s


@asynccontextmanager
async def _hearing(ground: Ground, driver: DockerDriver) -> AsyncIterator[dict[str, Ear]]:
    """All ways of hearing of an end, open: the watch and the event stream run all the time, in turn unused."""
    watched, streamed = _Arrivals(), _Arrivals()
    ready = anyio.Event()

    async def watch() -> None:
        async with driver.watch(Scope(owner=ground.owner)) as stream:
            async for seen in stream:
                if isinstance(seen, Synced):
                    ready.set()
                elif seen.ending is not None:
                    watched.arrived(seen.handle.id)

    async def stream_events() -> None:
        filters = json.dumps({"type": ["container"], "label": [ground.label], "event": ["die"]})
        async with ground.api.lines("events", {"filters": filters}) as lines:
            async for event in lines:
                streamed.arrived(event["Actor"]["ID"])

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        group.start_soon(stream_events)
        with anyio.fail_after(DEADLINE_S):
            await ready.wait()
        yield {OURS: watched.ear, STREAM: streamed.ear, WAIT: _waiting(ground, group)}
        group.cancel_scope.cancel()


class _Arrivals:
    """When each container's end was heard of."""

    def __init__(self) -> None:
        self._at_s: dict[str, float] = {}
        self._event = anyio.Event()

    def arrived(self, container_id: str) -> None:
        self._at_s.setdefault(container_id, time.time())
        self._event.set()
        self._event = anyio.Event()

    async def ear(self, gate: Gate) -> Callable[[], Awaitable[float]]:
        async def heard() -> float:
            while gate.id not in self._at_s:
                await self._event.wait()
            return self._at_s[gate.id]

        return heard


def _waiting(ground: Ground, group: TaskGroup) -> Ear:
    async def ear(gate: Gate) -> Callable[[], Awaitable[float]]:
        arrivals = _Arrivals()

        async def wait() -> None:
            await ground.api.call("POST", f"containers/{gate.id}/wait")
            arrivals.arrived(gate.id)

        group.start_soon(wait)
        await anyio.sleep(BETWEEN_S)  # the call must have reached the daemon; there is no sign of it
        return await arrivals.ear(gate)

    return ear


async def _polled(ground: Ground) -> list[float]:
    """Delays of exits at random moments, as the seed's monitor sees them."""
    gates = await _start(ground, POLLED)
    rng = Random(SEED)
    moments = sorted(rng.uniform(0, 2 * POLL_S) for _ in gates)
    closed_s: dict[str, float] = {}
    delays: list[float] = []
    command = ["bash", str(RIVALS / "poll.sh"), ground.label, str(POLL_S), str(POLLED)]
    async with await anyio.open_process(command) as poller, anyio.create_task_group() as group:
        group.start_soon(_close_at, gates, moments, closed_s)
        assert poller.stdout is not None
        text = b"".join([piece async for piece in poller.stdout]).decode()
    for line in text.splitlines():
        container_id, seen_s, *_ = line.split()
        if container_id in closed_s:
            delays.append(float(seen_s) - closed_s[container_id])
    return delays


async def _close_at(gates: Sequence[Gate], moments: Sequence[float], closed_s: dict[str, float]) -> None:
    began_s = time.monotonic()
    for gate, moment in zip(gates, moments, strict=True):
        await anyio.sleep(max(0.0, began_s + moment - time.monotonic()))
        closed_s[gate.id] = gate.close()
