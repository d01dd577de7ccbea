"""What attempts use: read together, kept within bounds, and from a driver that may hang or be away."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import anyio

from wavepool.drivers.base import Driver, Handle, Usage
from wavepool.drivers.memory import Latencies, MemoryDriver, MemoryWorld
from wavepool.errors import DriverUnavailable
from wavepool.model import AttemptId
from wavepool.monitoring.usage.readings import KEPT, TASKS_KEPT, RunUsage, UsageBook
from wavepool.monitoring.usage.sweeps import LAST_LOOKS, Running, Sweeps
from wavepool.testing.memory_harness import MemoryHarness
from wavepool.testing.virtual_time import run_virtual
from wavepool.testing.whole_runs import VirtualClock
from wavepool.units import MIB

INSTANT = Latencies(prepare_s=0, create_s=0, start_s=0, stop_s=0, remove_s=0)


def used(memory_bytes: int, cpu_s: float) -> Usage:
    return Usage(memory_bytes=memory_bytes, memory_limit_bytes=100, memory_peak_bytes=None, pids=3, cpu_s=cpu_s)


def test_cpu_is_what_was_used_since_the_reading_before() -> None:
    usage, first, second = RunUsage(), AttemptId("a", 1), AttemptId("a", 2)
    usage.take(1000.0, {first: used(7, 1.0)})
    assert usage.now("a") == {
        "at": "1970-01-01T00:16:40.000Z",
        "memory_bytes": 7,
        "memory_limit_bytes": 100,
        "pids": 3,
    }
    usage.take(1002.0, {first: used(8, 4.0)})
    assert (usage.now("a") or {}).get("cpu_percent") == 150.0
    usage.take(1004.0, {second: used(9, 0.5)})  # another attempt: its CPU counts from its own beginning
    assert "cpu_percent" not in (usage.now("a") or {})
    assert usage.history("a") == {"at": [1004.0], "memory_bytes": [9], "cpu_percent": [None]}
    together = usage.together()
    assert together is not None
    assert together["memory_bytes"] == [7, 8, 9]
    assert together["cpu_percent"] == [None, 150.0, None]


def test_what_is_kept_is_bounded() -> None:
    usage = RunUsage()
    for n in range(KEPT + 50):
        usage.take(float(n), {AttemptId("a", 1): used(n, float(n))})
    history = usage.history("a")
    assert history is not None
    assert history["at"] == [float(n) for n in range(50, KEPT + 50)]
    assert usage.history("a", 2) == {"at": [348.0, 349.0], "memory_bytes": [348, 349], "cpu_percent": [100.0, 100.0]}
    for n in range(TASKS_KEPT):
        usage.take(500.0, {AttemptId(f"b{n}", 1): used(1, 1.0)})
    assert usage.now("a") is None
    assert usage.now("b0") is not None


def test_all_runs_together_are_those_that_are_kept() -> None:
    book = UsageBook()
    book.of("r").take(1.0, {AttemptId("a", 1): used(5, 1.0)})
    book.of("s").take(1.0, {AttemptId("a", 1): used(6, 1.0)})
    book.of("r").take(2.0, {AttemptId("a", 1): used(5, 1.5)})
    assert book.together() == (11, 50.0)
    book.keep(["s"])
    assert book.together() == (6, None)
    book.of("s").take(3.0, {})
    assert book.together() == (None, None)


class Moody(MemoryDriver):
    """Answers, says that it is away, or hangs."""

    def __init__(self, world: MemoryWorld) -> None:
        super().__init__(world)
        self.mood = "answers"
        self.asked: list[set[str]] = []

    async def usage(self, handles: Collection[Handle]) -> dict[Handle, Usage]:
        self.asked.append({handle.attempt.task_id for handle in handles})
        if self.mood == "away":
            raise DriverUnavailable("the daemon is away", advice="Start it.")
        if self.mood == "hangs":
            await anyio.sleep_forever()
        return await super().usage(handles)


def test_a_driver_that_hangs_or_is_away_is_a_problem_for_that_long(tmp_path: Path) -> None:
    harness, world = MemoryHarness(tmp_path), MemoryWorld(latencies=INSTANT)
    book, told = UsageBook(), dict[str, str]()
    moody, calm = Moody(world), MemoryDriver(world)

    def tell(name: str, problem: str | None) -> None:
        told.pop(name, None)
        if problem is not None:
            told[name] = problem

    async def main() -> None:
        spec = harness.spec(("sim", "duration=1000"), memory_bytes=100 * MIB)
        other = harness.spec(("sim", "duration=1000"), memory_bytes=100 * MIB)
        running = [
            Running(run_id="r", driver="moody", handle=await moody.start(spec)),
            Running(run_id="s", driver="calm", handle=await calm.start(other)),
        ]
        drivers: dict[str, Driver] = {"moody": moody, "calm": calm}

        async def opened(name: str) -> Driver:
            return drivers[name]

        sweeps = Sweeps(
            running=lambda: running, open_driver=opened, book=book, problem=tell, clock=VirtualClock(),
            period_s=2, patience_s=8,
        )  # fmt: skip
        async with anyio.create_task_group() as group:
            group.start_soon(sweeps.run)
            await anyio.sleep(5)
            assert told == {}
            for each in running:
                history = book.of(each.run_id).history(each.handle.attempt.task_id)
                assert history is not None
                assert [at - history["at"][0] for at in history["at"]] == [0.0, 2.0, 4.0]
            for mood, words in (("away", "the daemon is away"), ("hangs", "the driver has not answered for 8 s")):
                before = len((book.of("s").together() or {"at": []})["at"])
                moody.mood = mood
                await anyio.sleep(11)
                assert told == {"usage on moody": words}
                after = book.of("s").together()
                assert after is not None
                assert len(after["at"]) >= before + 5  # nobody else waited
            moody.mood = "answers"
            await anyio.sleep(11)
            assert told == {}
            await anyio.sleep(2000)  # both have ended
            running.clear()
            asked = len(moody.asked)
            await anyio.sleep(100)
            assert len(moody.asked) - asked <= LAST_LOOKS
            group.cancel_scope.cancel()

    run_virtual(main)
