"""The engine's reader of the pressure: what it tells the loop, when it does not, and what whole runs make of it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from wavepool.core import events, facts
from wavepool.core.decide import apply, decide, open_run
from wavepool.core.events import Event, Now
from wavepool.core.facts import Stamped, StartIntended
from wavepool.core.state import RunState
from wavepool.drivers.memory import Latencies, MemoryWorld
from wavepool.engine.listener import Listener
from wavepool.engine.watching.pressure import PressureLoop
from wavepool.listeners.plain import PlainListener
from wavepool.model import Limits, Node, Pressure, Resources, Rules, Surroundings, Task, Wave
from wavepool.plan import TierMap, parse_plan
from wavepool.testing.whole_runs import SimulatedRun, VirtualClock
from wavepool.units import GIB, MIB

AT = datetime(2030, 1, 1, tzinfo=UTC)
CALM, SHORT = Pressure(memory_stalled=0.0), Pressure(memory_stalled=50.0)


def state_of(*, ramp: bool = True, tasks: int = 2) -> RunState:
    opened = facts.RunOpened(
        run_id="r",
        owner="o",
        rules=Rules(nodes=(Node(name="n", capacity=Resources(100)),), ramp=ramp),
        surroundings=Surroundings(image="i", workspace="/w", network="n"),
        driver="d",
        execution_mode="d",
        plan_digest="",
        boot_id="b",
        at=AT,
    )
    state = open_run(opened)
    made = tuple(Task(id=f"t{n}", key=f"t{n}", wave=1, tier=1, limits=Limits(memory_bytes=1)) for n in range(tasks))
    added = facts.TasksAdded(waves=(Wave(number=1),), tasks=made)
    for fact in decide(state, events.Opened(run=opened, tasks=(added,)), Now(0, AT)):
        apply(state, fact)
    return state


class Enough(Exception):
    """So much was told."""


def told(state: RunState, *script: Pressure | Exception, until: int) -> list[Event]:
    """What the loop is told of a host that says `script`, its last word over and over."""
    got: list[Event] = []
    asked = iter(script)
    last = script[-1]

    def read() -> Pressure:
        said = next(asked, last)
        if isinstance(said, Exception):
            raise said
        return said

    async def tell(event: Event) -> None:
        got.append(event)
        if len(got) == until:
            raise Enough

    async def look() -> None:
        with anyio.move_on_after(30):
            await PressureLoop(state=state, read=read, tell=tell, interval_s=0.001).run()

    with pytest.raises(Enough):
        anyio.run(look)
    return got


def test_it_tells_every_reading() -> None:
    assert told(state_of(), CALM, SHORT, until=3) == [
        events.Pressed(reading=CALM),
        events.Pressed(reading=SHORT),
        events.Pressed(reading=SHORT),
    ]


def test_that_it_cannot_read_is_told_once_and_so_is_what_it_reads_afterwards() -> None:
    broken = OSError("no /proc")
    got = told(state_of(), SHORT, broken, broken, ValueError("odd"), CALM, until=3)
    assert got == [events.Pressed(reading=SHORT), events.Pressed(reading=None), events.Pressed(reading=CALM)]


def test_a_run_whose_starts_follow_nothing_is_not_read_for() -> None:
    async def tell(event: Event) -> None:
        raise AssertionError(event)

    async def look(state: RunState) -> None:
        with anyio.fail_after(30):
            await PressureLoop(state=state, read=lambda: CALM, tell=tell).run()
            await PressureLoop(state=state_of(), read=None, tell=tell).run()

    anyio.run(look, state_of(ramp=False))


def test_where_nothing_is_left_to_start_nothing_is_read() -> None:
    looked = 0

    def read() -> Pressure:
        nonlocal looked
        looked += 1
        return CALM

    async def tell(event: Event) -> None:
        raise AssertionError(event)

    async def look() -> None:
        with anyio.move_on_after(0.05):
            await PressureLoop(state=state_of(tasks=0), read=read, tell=tell, interval_s=0.001).run()

    anyio.run(look)
    assert looked == 0


# -- whole runs, in virtual time --


BEGINS_S = 1000.0
"""Of the virtual clock."""


class StartTimes(Listener):
    """When each start was intended."""

    def __init__(self) -> None:
        self.at_s: list[float] = []

    def on_facts(self, facts: Sequence[Stamped]) -> None:
        self.at_s += [stamped.boot_s - BEGINS_S for stamped in facts if isinstance(stamped.fact, StartIntended)]


def whole_run(directory: Path, read: Callable[[], Pressure], *, tasks: int) -> tuple[SimulatedRun, list[float], str]:
    """`tasks` that each take 10 s and 1 s to start; when they were started, and what a person was told."""
    batch = {"memory": "64m", "files": [], "command": ["sim", "duration=10"]}
    batches = [{"batch_id": f"t{n}", **batch} for n in range(tasks)]
    raw = json.dumps({"waves": [{"wave_number": 1, "batches": batches}]}).encode()
    nodes = (Node(name="local", capacity=Resources(64 * GIB)),)
    said, starts = io.StringIO(), StartTimes()
    with PlainListener(said, 1e9, VirtualClock()) as screen:
        run = SimulatedRun(
            plan=parse_plan(raw, source="plan", tiers=TierMap()),
            rules=Rules(nodes=nodes, ramp=True, parallel=32),
            world=MemoryWorld(nodes=nodes, latencies=Latencies(create_s=0.0, start_s=1.0)),
            directory=directory,
            durable=False,
            read_pressure=read,
            listeners=(screen, starts),
        )
        report = run.process()
    assert report is not None
    assert report.exit_code == 0
    assert set(run.world.executions.values()) == {1}
    assert len(run.world.executions) == tasks
    return run, starts.at_s, said.getvalue()


def test_memory_that_is_short_stops_the_starts_until_it_eases(tmp_path: Path) -> None:
    def read() -> Pressure:
        return SHORT if 2 <= anyio.current_time() - BEGINS_S < 60 else CALM

    _, starts, said = whole_run(tmp_path, read, tasks=60)
    assert said.count("nothing starts beside what runs until memory eases: tasks waited for memory 50%") == 1
    assert said.count("memory has eased: starts go on") == 1
    before = [at_s for at_s in starts if at_s < 2]
    meanwhile = [at_s for at_s in starts if 3 <= at_s < 60]
    assert 5 <= len(before) < 60
    assert 1 <= len(meanwhile) <= 5, "one at a time, each takes 11 s"
    assert max(starts) < 80, "afterwards soon all of them"


def test_on_a_calm_host_the_starts_double(tmp_path: Path) -> None:
    _, starts, _ = whole_run(tmp_path, lambda: CALM, tasks=60)
    assert len([at_s for at_s in starts if at_s < 1]) in (5, 10)
    assert max(starts) < 5, "with five at once it would take twelve seconds"


def test_memory_that_stays_short_lets_one_run_at_a_time(tmp_path: Path) -> None:
    run, _, _ = whole_run(tmp_path, lambda: SHORT, tasks=4)
    assert run.world.peak_memory_bytes["local"] == 64 * MIB
