"""Output of tasks for those who look at it, live and archived alike: its end, any part, what is found, all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from wavepool_cli import DEADLINE_S, World, batch, plan_of, wave

from wavepool.engine.history.chronicle import UnknownAttempt
from wavepool.engine.history.runs import UnknownRun
from wavepool.engine.naming import UnknownTask
from wavepool.errors import InputError
from wavepool.monitoring.logs import Logs
from wavepool.monitoring.monitor import Monitor
from wavepool.monitoring.runs.stories import Stories
from wavepool.statedir import StateDir

pytestmark = pytest.mark.anyio

RUN = "looked-at"
LINES = 60_000
SPEAKS = "i=0; while [ $i -lt 20 ]; do i=$((i+1)); printf 'out %s\\n' $i; printf 'err \\377 %s\\n' $i >&2; done"
FLOOD = f"seq 1 {LINES}"


class Watcher:
    """Notes what he is shown, in order."""

    def __init__(self) -> None:
        self.shown: list[Any] = []
        self.heard = anyio.Event()

    async def attempt(self, number: int, offset: int) -> None:
        self.shown.append({"attempt": number, "offset": offset})

    async def data(self, piece: bytes) -> None:
        if self.shown and isinstance(self.shown[-1], bytes):
            self.shown[-1] += piece
        else:
            self.shown.append(piece)
        self.heard.set()

    async def gap(self, why: str) -> None:
        self.shown.append({"gap": why})

    async def end(self, state: str, why: str) -> None:
        self.shown.append({"end": state, "why": why})

    @property
    def data_(self) -> bytes:
        return b"".join(each for each in self.shown if isinstance(each, bytes))


@asynccontextmanager
async def looking(world: World) -> AsyncIterator[Logs]:
    state_dir = StateDir(world.state)
    async with Monitor(world.state) as monitor, Logs(Stories(state_dir), monitor.driver) as logs:
        yield logs


def archive_of(world: World, key: str, attempt: int = 1) -> bytes:
    (path,) = (world.state / "runs" / RUN / "logs").glob(f"{key}.{attempt}*.log")
    return path.read_bytes()


async def test_one_who_follows_sees_every_byte_of_every_attempt_once(world: World) -> None:
    """He comes while the first attempt runs, and stays: over its end, the removal of its container, and a retry."""
    go = "while [ ! -e go ]; do sleep 0.05; done"
    command = f"{SPEAKS}; if [ -e first ]; then {FLOOD}; else touch first; {go}; {FLOOD}; exit 1; fi"
    running = world.start(plan_of(wave(1, batch("talks", command))), "--run-id", RUN, "--retries", "2", "--json")
    running.wait_for("AttemptStarted")
    async with looking(world) as logs, anyio.create_task_group() as group:
        early, late, one = Watcher(), Watcher(), Watcher()
        group.start_soon(logs.follow, RUN, "talks", None, None, early)
        group.start_soon(logs.follow, RUN, "talks", 1, 0, one)
        with anyio.fail_after(DEADLINE_S):
            await early.heard.wait()
            while b"err \xff 20\n" not in (live := await logs.read(RUN, "talks", None, limit=4096)).data:
                assert live.live
        found = await logs.search(RUN, "talks", 1, "OUT 1", most=3)
        assert [match.line for match in found.matches] == [b"out 1", b"out 10", b"out 11"]
        assert found.live
        assert found.next_offset is not None
        tail = await logs.read(RUN, "talks", 1, offset=-7, limit=4)
        assert (tail.offset, tail.data, tail.total_bytes) == (live.total_bytes - 7, live.data[-7:-3], live.total_bytes)
        world.touch("go")
    finished = running.finish()
    assert finished.exit_code == 0, finished.stderr
    first, second = archive_of(world, "talks", 1), archive_of(world, "talks", 2)
    assert len(first) > 300_000
    assert early.data_ == first + second
    assert one.data_ == first
    assert [each for each in early.shown if not isinstance(each, bytes)] == [
        {"attempt": 1, "offset": 0},
        {"attempt": 2, "offset": 0},
        {"end": "success", "why": ""},
    ]
    assert one.shown[-1] == {"end": "failed", "why": ""}
    async with looking(world) as logs:
        await logs.follow(RUN, "talks", None, None, late)
        assert late.shown[0] == {"attempt": 2, "offset": len(second) - 256 * 1024}
        assert late.data_ == second[-256 * 1024 :]
        part = await logs.read(RUN, "talks", 2, offset=1000, limit=100)
        assert (part.data, part.total_bytes, part.live) == (second[1000:1100], len(second), False)
        seen, at = [], 0
        while at is not None:
            found = await logs.search(RUN, "talks", 2, "0000", offset=at, most=1)
            seen += [match.line for match in found.matches]
            at = found.next_offset
        assert seen == [b"%d0000" % number for number in range(1, 7)]
        whole = await logs.whole(RUN, "talks", None)
        assert whole.path is not None
        assert whole.path.read_bytes() == second


async def test_what_cannot_be_shown_is_said(process_world: World) -> None:
    world = process_world
    batches = [batch("fails", "echo here; exit 1"), batch("after", "echo never", depends_on=["fails"])]
    world.run(plan_of(wave(1, *batches)), "--run-id", RUN)
    (path,) = (world.state / "runs" / RUN / "logs").glob("fails*.log")
    async with looking(world) as logs:
        skipped, gone = Watcher(), Watcher()
        await logs.follow(RUN, "after", None, None, skipped)
        assert skipped.shown[-1]["end"] == "skipped"
        assert "fails" in skipped.shown[-1]["why"]
        path.unlink()
        await logs.follow(RUN, "fails", None, None, gone)
        assert "cannot be read" in gone.shown[-1]["why"]
        for error, run, key, attempt in (
            (UnknownRun, "no-run", "fails", None),
            (UnknownRun, "../runs/looked-at", "fails", None),
            (UnknownTask, RUN, "fail", None),
            (UnknownAttempt, RUN, "fails", 7),
            (UnknownAttempt, RUN, "fails", -1),
        ):
            with pytest.raises(error):
                await logs.follow(run, key, attempt, None, Watcher())
            with pytest.raises(error):
                await logs.read(run, key, attempt, limit=10)
        with pytest.raises(InputError, match="cannot be looked for"):
            await logs.search(RUN, "fails", None, "")


@pytest.mark.slow
@pytest.mark.docker
async def test_a_flood_costs_those_nothing_who_sleep_and_is_bounded_for_the_others(docker_world: World) -> None:
    """100 MB of one line each and as fast as it goes; one viewer never takes what he is given, another one does."""
    world = docker_world
    flood = "head -c 100000000 /dev/zero; echo; echo the end"
    running = world.start(
        plan_of(wave(1, batch("flood", flood))), "--run-id", RUN, "--json", env={"WAVEPOOL_LOG_LIMIT": "8m"}
    )
    running.wait_for("AttemptStarted")
    async with looking(world) as logs, anyio.create_task_group() as group:

        class Sleeper(Watcher):
            async def data(self, piece: bytes) -> None:
                self.heard.set()
                await anyio.sleep_forever()

        asleep, awake = Sleeper(), Watcher()
        group.start_soon(logs.follow, RUN, "flood", None, None, asleep)
        await logs.follow(RUN, "flood", None, None, awake)
        group.cancel_scope.cancel()
    assert running.finish().exit_code == 0
    assert awake.shown[-1] == {"end": "success", "why": ""}
    assert awake.data_.endswith(b"\0\nthe end\n")
