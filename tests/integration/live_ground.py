"""A run in this very process, to be looked at and steered: the real session, journal and socket, a simulated engine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from wavepool.core.facts import Stamped
from wavepool.drivers.memory import MemoryDriver, MemoryWorld
from wavepool.engine.clock import SystemClock
from wavepool.engine.control import Control, ControlServer
from wavepool.engine.order import Order
from wavepool.engine.replay import take_up
from wavepool.engine.report import RunReport
from wavepool.engine.session import Session
from wavepool.journal.sqlite import SqliteJournal
from wavepool.model import Node, Resources, Rules, Surroundings
from wavepool.plan import TierMap, parse_plan
from wavepool.statedir import RunDir, StateDir
from wavepool.units import GIB

NODES = (Node(name="local", capacity=Resources(GIB)),)
FOREVER = ("sim", "duration=100000")
DEADLINE_S = 120.0


class Live:
    """A run that goes on beside the test; `report` is what came of it."""

    def __init__(self, files: RunDir) -> None:
        self.files = files
        self.report: RunReport | None = None
        self.ended = anyio.Event()

    def facts(self) -> list[Stamped]:
        return list(SqliteJournal(self.files.journal).replay())


@asynccontextmanager
async def live(
    directory: Path,
    *commands: tuple[str, ...],
    parallelism: int = 5,
    needs: Mapping[str, list[str]] | None = None,
    images: Mapping[str, str] | None = None,
    world: MemoryWorld | None = None,
) -> AsyncIterator[Live]:
    """A run of these commands, as tasks t0, t1, ... of which some may need others, or have an image of their own.

    Leaving waits for its end. One of this directory that is not over is gone on with.
    """
    state_dir = StateDir(directory)
    found = Live(state_dir.run("watched"))
    batches = [
        {
            "batch_id": f"t{n}",
            "memory": "64m",
            "tier": 1,
            "files": [],
            "command": list(command),
            "depends_on": (needs or {}).get(f"t{n}", []),
            "image": (images or {}).get(f"t{n}", "simulated:latest"),
        }
        for n, command in enumerate(commands)
    ]
    document = {"waves": [{"wave_number": 1, "parallelism": parallelism, "batches": batches}]}
    order = Order(
        plan=parse_plan(json.dumps(document).encode(), source="plan", tiers=TierMap()),
        rules=Rules(nodes=NODES),
        surroundings=Surroundings(image="simulated:latest", workspace=str(directory), network="net"),
    )

    held = anyio.Event()

    async def work() -> None:
        with found.files.lock():
            journal = SqliteJournal(found.files.journal, owner=state_dir.owner(), run_id=found.files.id)
            async with journal, MemoryDriver(world or MemoryWorld(nodes=NODES)) as driver:
                found.report = await Session(
                    order=order,
                    replayed=await take_up(journal),
                    driver=driver,
                    driver_facts=await driver.probe(),
                    journal=journal,
                    clock=SystemClock(),
                    state_dir=state_dir,
                    files=found.files,
                    control=ControlServer(found.files),
                    held=held.set,
                ).run()
        found.ended.set()

    with anyio.fail_after(DEADLINE_S):
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            await held.wait()
            yield found


async def until(condition: Callable[[dict[str, Any]], bool], control: Control) -> dict[str, Any]:
    """The first status for which `condition` holds."""
    while True:
        status = dict(await control.status())
        if condition(status):
            return status
