"""The control socket of a run in this very process: the real session, journal and socket, on the simulated engine."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from live_ground import FOREVER, live, until

from wavepool.core.facts import Outcome, Stamped
from wavepool.engine.control import ConnectionCut, NobodyHolds, open_control
from wavepool.engine.control import server as serving
from wavepool.statedir import RunDir, StateDir

pytestmark = pytest.mark.anyio


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """So deep that the path of a socket in it is longer than any address of one may be."""
    return tmp_path.joinpath(*["a-long-name-of-a-directory"] * 8)


async def test_all_facts_with_their_numbers_and_the_result_last(directory: Path) -> None:
    async with live(directory, FOREVER, ("sim",), ("sim", "exit=3")) as run:
        async with open_control(run.files) as control:
            status = await until(lambda s: s["tasks"].get("failed") == 1 and s["tasks"]["active"] == 1, control)
            assert (status["pid"], status["run_id"]) == (os.getpid(), "watched")
            assert status["tasks"] == {"total": 3, "pending": 0, "active": 1, "final": 2, "success": 1, "failed": 1}
            assert status["waves"] == [{"wave": 1, "running": 1, "unsettled": 1, "failures": 1}]
            assert status["memory_held_bytes"] == 64 << 20
        seen: list[tuple[int, Stamped]] = []
        late: list[int] = []

        async def follow(since: int, take: Callable[[int, Stamped], object]) -> None:
            async with open_control(run.files) as control:
                following = await control.follow(since)
                async for number, stamped in following:
                    take(number, stamped)
                assert (following.result or {})["run_id"] == "watched"

        async with anyio.create_task_group() as group:
            group.start_soon(follow, 0, lambda number, stamped: seen.append((number, stamped)))
            group.start_soon(follow, 10, lambda number, stamped: late.append(number))
            async with open_control(run.files) as control:
                drained = await control.cancel(force=False)
                assert drained["taken"]
                assert (await control.status())["draining"]
                assert (await control.cancel(force=True))["taken"]
    assert run.report is not None
    assert run.report.outcome is Outcome.INTERRUPTED
    assert seen == list(enumerate(run.facts(), start=1))
    assert late == list(range(11, len(seen) + 1))
    assert not run.files.control.exists()
    with pytest.raises(NobodyHolds):
        async with open_control(run.files):
            pass


async def test_the_socket_is_the_users_alone_and_replaces_what_a_dead_process_left(directory: Path) -> None:
    files = StateDir(directory).run("watched")
    files.create()
    files.control.touch()
    async with live(directory, FOREVER) as run, open_control(run.files) as control:
        mode = run.files.control.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        assert stat.S_IMODE(run.files.path.stat().st_mode) == 0o700
        await until(lambda s: s["tasks"]["active"] == 1, control)
        await control.cancel(force=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_another_user_is_refused_even_where_the_modes_would_let_it(tmp_path: Path) -> None:
    async with live(tmp_path, FOREVER) as run, open_control(run.files) as control:
        await until(lambda s: s["tasks"]["active"] == 1, control)
        run.files.control.chmod(0o666)
        run.files.path.chmod(0o711)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _cancel_as(65534, run.files.control, writing)
        os.close(writing)
        await anyio.wait_readable(reading)
        said = os.read(reading, 4096)
        await anyio.to_thread.run_sync(os.waitpid, pid, 0)
        os.close(reading)
        assert json.loads(said) == {"ok": False, "error": "this run belongs to another user", "kind": "another_user"}
        assert not (await control.status())["forced"]
        await control.cancel(force=True)


def _cancel_as(uid: int, path: Path, writing: int) -> None:
    """In a fork: become that user, ask for a cancel, pass on the answer, and end."""
    try:
        os.chdir(path.parent)
        os.setuid(uid)
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(path.name)
            with contextlib.suppress(BrokenPipeError):
                asking.send(b'{"op": "cancel", "force": true}\n')
            os.write(writing, asking.recv(4096))
    finally:
        os._exit(0)


async def test_nonsense_and_crowds_are_let_go_and_the_run_goes_on(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "CLIENTS_MAX", 2)
    monkeypatch.setattr(serving, "REQUEST_BYTES", 4096)
    async with live(directory, FOREVER) as run, open_control(run.files) as control:
        await until(lambda s: s["tasks"]["active"] == 1, control)
        for nonsense in (b"hello\n", b"x" * 10_000):
            assert json.loads(await _said_to(run.files, nonsense))["ok"] is False
        async with open_control(run.files) as second, open_control(run.files) as third:
            assert (await second.status())["ok"]
            with pytest.raises(ConnectionCut, match="2 others are connected already"):
                await third.status()
        await control.cancel(force=True)


async def _said_to(files: RunDir, data: bytes) -> bytes:
    """The answer to these bytes."""
    directory = os.open(files.path, os.O_PATH)
    try:
        raw = socket.socket(socket.AF_UNIX)
        raw.connect(f"/proc/self/fd/{directory}/{files.control.name}")
    finally:
        os.close(directory)
    with raw:
        raw.sendall(data)
        raw.setblocking(False)
        await anyio.wait_readable(raw)
        return raw.recv(4096)


async def test_a_follower_that_does_not_read_is_cut_off_and_the_run_ends_without_it(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "FAREWELL_S", 0.2)
    async with (
        live(directory, *[("sim",)] * 200, FOREVER, parallelism=50) as run,
        open_control(run.files) as control,
        open_control(run.files) as sleeper,
    ):
        following = await sleeper.follow()
        await until(lambda s: s["tasks"]["pending"] == 0 and s["tasks"]["active"] == 1, control)
        await control.cancel(force=True)
        await run.ended.wait()
        with pytest.raises(ConnectionCut) as caught:
            async for _ in following:
                pass
    assert 0 < following.since < len(run.facts()), caught.value


def test_who_dies_leaves_a_socket_that_nobody_answers(tmp_path: Path) -> None:
    files = StateDir(tmp_path).run("dead")
    files.create()
    code = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()"
    subprocess.run([sys.executable, "-c", code, str(files.control)], check=True)

    async def connect() -> None:
        async with open_control(files):
            pass

    with pytest.raises(NobodyHolds, match="no process works on run dead"):
        anyio.run(connect)
