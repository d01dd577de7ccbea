"""Attempts of a run that a pool runs: their output, bounded, and their ends in a driver's words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from wavepool.drivers.base import AttemptSpec, LogChunk, Observation, Phase, Scope
from wavepool.engine.control.pools import PoolDriver
from wavepool.engine.control.pools.attempts import PooledAttempt, ending_of, order_of
from wavepool.errors import DriverUnavailable, MayHaveRun, NoSuchAttempt, NotStarted
from wavepool.model import AttemptId, Ending, Evidence, Handle, Limits, VerdictKind
from wavepool.statedir import StateDir


def spec(slot: Path, **fields: Any) -> AttemptSpec:
    usual = AttemptSpec(
        attempt=AttemptId("a", 1),
        owner="me",
        run_id="r1",
        wave=1,
        name="cfn-wave1-a",
        image="any",
        command=("claude", "-p"),
        env={"A": "b"},
        prompt="do it",
        limits=Limits(memory_bytes=1 << 30),
        workspace=slot / "tree",
        slot=slot,
        secrets={"key": b"s3cret"},
        log_limit_bytes=10,
    )
    return replace(usual, **fields)


def attempt(slot: Path) -> PooledAttempt:
    made = spec(slot)
    return PooledAttempt(handle=Handle(driver="pool:x", id=made.name, name=made.name, attempt=made.attempt), spec=made)


def driver_in(directory: Path) -> PoolDriver:
    return PoolDriver(StateDir(directory).server(), "coder")


async def read(running: PooledAttempt, *, follow: bool) -> list[LogChunk]:
    return [chunk async for chunk in running.output(follow=follow)]


@pytest.mark.anyio
async def test_output_is_read_to_its_end_while_it_comes(tmp_path: Path) -> None:
    running = attempt(tmp_path)
    found: list[LogChunk] = []

    async def reader() -> None:
        found.extend(await read(running, follow=True))

    async with anyio.create_task_group() as group:
        group.start_soon(reader)
        for stream, data in (("stdout", b"one"), ("stderr", b"two"), ("stdout", b"")):
            await anyio.lowlevel.checkpoint()
            await running.hear(stream, data)
        running.end(Ending(kind=VerdictKind.SUCCESS, evidence=Evidence(exit_code=0)))
    assert [(chunk.stream, chunk.data) for chunk in found] == [("stdout", b"one"), ("stderr", b"two")]
    assert running.observation().phase is Phase.EXITED
    assert await read(running, follow=True) == found


@pytest.mark.anyio
async def test_beyond_its_limit_the_oldest_output_goes_and_the_gap_is_told(tmp_path: Path) -> None:
    running = attempt(tmp_path)
    for number in range(6):
        await running.hear("stdout", f"{number:04}".encode())
    running.miss({"stderr": 77, "stdout": 0})
    found = await read(running, follow=False)
    assert found[0].gap
    assert [chunk.data for chunk in found[1:3]] == [b"0004", b"0005"]
    assert found[-1].stream == "stderr"
    assert "77 bytes" in found[-1].gap_reason
    assert len(found) == 4


def test_a_pool_gets_all_that_an_attempt_needs(tmp_path: Path) -> None:
    order = order_of(spec(tmp_path), "coder", 7.0)
    assert (order.agent_type, order.command, order.prompt) == ("coder", ("claude", "-p"), "do it")
    assert (order.secrets, order.env, order.grace_s) == ({"key": b"s3cret"}, {"A": "b"}, 7.0)
    assert (order.workspace, order.limits) == (str(tmp_path / "tree"), {})


@pytest.mark.parametrize(
    ("verdict", "kind", "reason"),
    [
        ("success", VerdictKind.SUCCESS, ""),
        ("failed", VerdictKind.FAILED, ""),
        ("oom", VerdictKind.OOM, ""),
        ("lost", VerdictKind.LOST, ""),
        ("start_error", VerdictKind.START_ERROR, ""),
        ("cancelled", VerdictKind.FAILED, ""),
        ("timeout", VerdictKind.FAILED, "the pool's own timeout stopped it"),
    ],
)
def test_a_result_of_a_pool_is_an_ending_in_a_drivers_words(verdict: str, kind: VerdictKind, reason: str) -> None:
    evidence = {"signal": "SIGTERM", "stop_reason": "cancelled", "sidecars": [1], "what": "ever"}
    result = {"verdict": verdict, "exit_code": 3, "evidence": evidence, "started_at": None}
    found = ending_of({**result, "finished_at": "2026-11-27T08:00:00.000Z"})
    assert (found.kind, found.evidence) == (kind, Evidence(exit_code=3, signal="SIGTERM", reason=reason))
    assert found.finished_at is not None
    assert found.finished_at.utcoffset() is not None


@pytest.mark.anyio
async def test_what_a_parked_container_cannot_do_is_not_started(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as driver:
        for wrong in (spec(tmp_path, command=None), spec(tmp_path, commands=(("a",), ("b",)))):
            with pytest.raises(NotStarted):
                await driver.start(wrong)


@pytest.mark.anyio
async def test_without_a_server_what_was_asked_for_ends_and_is_never_asked_for_again(tmp_path: Path) -> None:
    scope = Scope(owner="me", run_id="r1")
    async with driver_in(tmp_path) as driver:
        with pytest.raises(DriverUnavailable, match="no `wavepool serve` works with"):
            await driver.probe()
        async with driver.watch(scope) as seen:
            handle = await driver.start(spec(tmp_path))
            assert await driver.start(spec(tmp_path)) == handle
            await driver.stop(handle, 1.0)
            told = [await anext(seen) for _ in range(3)][-1]
        assert isinstance(told, Observation)
        assert told.ending is not None
        assert told.ending.kind is VerdictKind.START_ERROR
        assert "Start one: `wavepool serve`" in told.ending.evidence.reason
        assert (await driver.remove(scope)).containers == ("cfn-wave1-a",)
        with pytest.raises(NoSuchAttempt):
            async with driver.logs(handle):
                pass
    async with driver_in(tmp_path) as later:
        with pytest.raises(MayHaveRun):
            await later.start(spec(tmp_path))


@pytest.mark.anyio
async def test_others_are_out_of_its_scope(tmp_path: Path) -> None:
    async with driver_in(tmp_path) as driver:
        await driver.start(spec(tmp_path))
        for scope in (Scope(owner="you"), Scope(owner="me", run_id="r2"), Scope(owner="me", detached=True)):
            assert (await driver.remove(scope)).containers == ()
