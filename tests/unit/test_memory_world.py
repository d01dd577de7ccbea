"""The simulated engine tells the truth about what ran, how often, and how much at once."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from wavepool.drivers.base import Phase, Scope
from wavepool.drivers.memory import Latencies, MemoryDriver, MemoryWorld
from wavepool.errors import NoSuchAttempt, Unknown
from wavepool.model import Node, Resources
from wavepool.testing.memory_harness import MemoryHarness
from wavepool.testing.observing import phase_of, run_to_end, start_all, wait_ended
from wavepool.testing.virtual_time import run_virtual
from wavepool.units import GIB, MIB

INSTANT = Latencies(prepare_s=0, create_s=0, start_s=0, stop_s=0, remove_s=0)


@pytest.fixture
def harness(tmp_path: Path) -> MemoryHarness:
    return MemoryHarness(tmp_path)


def test_the_peak_counts_what_ran_at_one_moment(harness: MemoryHarness) -> None:
    world = MemoryWorld(latencies=INSTANT)

    async def main() -> None:
        driver = MemoryDriver(world)
        overlapping = [harness.spec(("sim", "duration=10"), memory_bytes=100 * MIB) for _ in range(3)]
        await start_all(driver, overlapping)
        await wait_ended(driver, overlapping[0])
        await run_to_end(driver, harness.spec(("sim", "duration=1"), memory_bytes=250 * MIB))

    run_virtual(main)
    assert world.peak_memory_bytes == {"local": 300 * MIB}
    assert world.held_bytes == {"local": 0}
    assert world.peak_running == 3


def test_the_peak_is_right_even_if_nobody_looked_meanwhile(harness: MemoryHarness) -> None:
    world = MemoryWorld(latencies=INSTANT)

    async def main() -> None:
        driver = MemoryDriver(world)
        await driver.start(harness.spec(("sim", "duration=1")))
        await anyio.sleep(5)
        await driver.start(harness.spec(("sim", "duration=1")))

    run_virtual(main)
    assert world.peak_running == 1


def test_containers_go_where_most_memory_is_left(harness: MemoryHarness) -> None:
    nodes = tuple(Node(name=name, capacity=Resources(size * GIB)) for name, size in (("a", 1), ("b", 2)))
    world = MemoryWorld(nodes=nodes, latencies=INSTANT)

    async def main() -> None:
        for _ in range(3):
            await MemoryDriver(world).start(harness.spec(("sim", "duration=1"), memory_bytes=GIB))

    run_virtual(main)
    assert world.peak_memory_bytes == {"a": GIB, "b": 2 * GIB}


def test_a_world_goes_on_in_a_second_event_loop(harness: MemoryHarness) -> None:
    world = MemoryWorld(latencies=INSTANT)
    spec = harness.spec(("sim", "duration=100", "exit=4"))

    async def begin() -> None:
        await anyio.sleep(50)
        await MemoryDriver(world).start(spec)
        await anyio.sleep(40)
        await MemoryDriver(world).probe()

    async def end() -> float:
        began = anyio.current_time()
        told = await wait_ended(MemoryDriver(world), spec)
        assert told.ending is not None
        assert told.ending.evidence.exit_code == 4
        assert told.ending.started_at is not None
        assert told.ending.finished_at is not None
        assert (told.ending.finished_at - told.ending.started_at).total_seconds() == pytest.approx(100)
        return anyio.current_time() - began

    run_virtual(begin)
    assert run_virtual(end) == pytest.approx(60), "40 of its 100 seconds had passed"
    assert world.executions == {(spec.run_id, spec.attempt): 1}


def test_a_task_without_a_command_runs_its_images_entrypoint(harness: MemoryHarness) -> None:
    world = MemoryWorld(entrypoints={"agent:1": ("sim", "exit=9")})

    async def main() -> list[int | None]:
        driver = MemoryDriver(world)
        told = [await run_to_end(driver, harness.spec(None, image=image)) for image in ("agent:1", "other")]
        return [each.ending.evidence.exit_code for each in told if each.ending]

    assert run_virtual(main) == [9, 0]


def test_stopping_one_that_never_started_keeps_it_from_starting(harness: MemoryHarness) -> None:
    world = MemoryWorld()
    spec = harness.spec(("sim", "duration=1"))

    async def main() -> None:
        driver = MemoryDriver(world)
        handle = world.create(spec).handle
        assert await phase_of(driver, spec) is Phase.CREATED
        await driver.stop(handle, 1)
        assert await phase_of(driver, spec) is None
        with pytest.raises(NoSuchAttempt):
            async with driver.logs(handle):
                pass

    run_virtual(main)
    assert not world.executions


def test_a_task_may_take_its_time_to_end(harness: MemoryHarness) -> None:
    world = MemoryWorld(latencies=INSTANT)

    async def seconds_to_stop(*words: str) -> float:
        driver = MemoryDriver(world)
        handle = await driver.start(harness.spec(("sim", "duration=1000", *words)))
        began = anyio.current_time()
        await driver.stop(handle, 10)
        return anyio.current_time() - began

    async def main() -> list[float]:
        return [await seconds_to_stop(), await seconds_to_stop("term_delay=3"), await seconds_to_stop("ignore_term")]

    assert run_virtual(main) == pytest.approx([0, 3, 10])


def test_a_call_has_a_deadline(harness: MemoryHarness) -> None:
    world = MemoryWorld(latencies=Latencies(start_s=100, deadline_s=30))

    async def main() -> float:
        began = anyio.current_time()
        with pytest.raises(Unknown):
            await MemoryDriver(world).start(harness.spec(("sim",)))
        return anyio.current_time() - began

    assert run_virtual(main) == pytest.approx(30)


def test_a_change_is_shielded_from_cancellation(harness: MemoryHarness) -> None:
    world = MemoryWorld()
    spec = harness.spec(("sim", "duration=1"))

    async def main() -> None:
        with anyio.move_on_after(0.001):
            await MemoryDriver(world).start(spec)

    run_virtual(main)
    assert world.executions == {(spec.run_id, spec.attempt): 1}


def test_hundreds_of_containers_take_no_time(harness: MemoryHarness) -> None:
    world = MemoryWorld()
    specs = [harness.spec(("sim", f"duration={600 + n}")) for n in range(300)]

    async def main() -> None:
        driver = MemoryDriver(world)
        await start_all(driver, specs)
        await wait_ended(driver, specs[-1])
        assert len((await driver.remove(Scope(owner=harness.owner))).containers) == len(specs)

    run_virtual(main)
    assert world.peak_running == len(specs)
    assert set(world.executions.values()) == {1}
