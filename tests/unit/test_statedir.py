"""The state directory: one owner for ever, locks that die with their process, and advice where the disk resists."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wavepool.errors import InfrastructureError, InvariantBroken, RunLocked
from wavepool.statedir import RunDir, StateDir, new_run_id

HOLD_RUN = """
import sys
from pathlib import Path
from wavepool.statedir import StateDir
with StateDir(Path(sys.argv[1])).run("r1").lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state")


@contextlib.contextmanager
def another_process(script: str, state: StateDir) -> Iterator[subprocess.Popen[str]]:
    """Runs until its standard input is closed; has said that it holds what it wants to hold."""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(state.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_an_object_alone_touches_nothing(state: StateDir) -> None:
    assert state.runs() == []
    assert not state.run("r1").is_live()
    assert not state.path.exists()


def test_the_owner_is_made_once_and_private(state: StateDir) -> None:
    owner = state.owner()
    assert re.fullmatch("[0-9a-f]{16}", owner)
    assert StateDir(state.path).owner() == owner
    assert mode(state.path) == 0o700
    assert mode(state.path / "owner") == 0o600
    assert [p.name for p in state.path.iterdir()] == ["owner"]


def test_many_who_ask_at_once_get_the_same_owner(state: StateDir) -> None:
    with ThreadPoolExecutor(8) as threads:
        owners = set(threads.map(lambda _: StateDir(state.path).owner(), range(64)))
    assert len(owners) == 1


def test_a_damaged_owner_is_never_replaced(state: StateDir) -> None:
    state.owner()
    (state.path / "owner").write_text("")
    with pytest.raises(InfrastructureError, match="16 hex digits"):
        state.owner()


def test_a_directory_of_the_user_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    StateDir(tmp_path).owner()
    assert mode(tmp_path) == 0o755


def test_runs_are_listed_in_order(state: StateDir) -> None:
    for run_id in ("b", "a"):
        state.run(run_id).create()
    assert state.runs() == ["a", "b"]


def test_a_run_has_its_directories(state: StateDir) -> None:
    run = state.run("r1")
    with run.lock():
        assert [p.is_dir() for p in (run.logs, run.slots, run.artifacts)] == [True] * 3
        assert {p.parent for p in (run.journal, run.results, run.logs)} == {run.path}
        assert run.holder().startswith(f"{os.getpid()} ")


def test_a_slot_is_open_to_the_attempts_user_whatever_the_umask(state: StateDir) -> None:
    run = state.run("r1")
    run.create()
    before = os.umask(0o077)
    try:
        slot = run.slot("a.1", 2)
        assert run.slot("a.1", 2) == slot
    finally:
        os.umask(before)
    assert slot == run.slots / "a.1.2"
    assert mode(slot) == 0o755
    assert mode(run.slots) == 0o700


@pytest.mark.parametrize("key", ["", "..", "../x", "a/b", "-x", "A", "x" * 49])
def test_a_key_that_is_not_safe_makes_no_slot(state: StateDir, key: str) -> None:
    with pytest.raises(InvariantBroken):
        state.run("r1").slot(key, 1)


@pytest.mark.parametrize("run_id", ["", ".", "..", "a/b", "a\0b"])
def test_a_run_id_that_leaves_the_directory_is_refused(state: StateDir, run_id: str) -> None:
    with pytest.raises(InvariantBroken):
        state.run(run_id)


def test_a_run_is_held_once(state: StateDir) -> None:
    run = state.run("r1")
    with run.lock():
        assert run.is_live()
        with pytest.raises(RunLocked, match="r1"), RunDir(run.path).lock():
            pass
        with state.run("r2").lock():
            pass
    assert not run.is_live()
    with run.lock():
        pass


def test_a_killed_process_lets_its_run_go(state: StateDir) -> None:
    run = state.run("r1")
    with another_process(HOLD_RUN, state) as process:
        assert run.is_live()
        assert run.holder().startswith(f"{process.pid} ")
        with pytest.raises(RunLocked), run.lock():
            pass
        process.kill()
        process.wait()
        assert not run.is_live()
        with run.lock():
            pass


def test_a_child_does_not_inherit_the_lock(state: StateDir) -> None:
    run = state.run("r1")
    with contextlib.ExitStack() as stack:
        with run.lock():
            child = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
            )
            stack.callback(child.kill)
        assert not run.is_live()


def test_a_look_does_not_keep_a_run_from_its_lock(state: StateDir) -> None:
    run = state.run("r1")
    run.create()
    with ThreadPoolExecutor(2) as threads:
        looks = [threads.submit(lambda: [RunDir(run.path).is_live() for _ in range(300)]) for _ in range(2)]
        for _ in range(100):
            with run.lock():
                pass
        for look in looks:
            look.result()


def test_a_network_is_removed_by_nobody_while_a_run_holds_it(state: StateDir) -> None:
    with state.network_lease("cfn-network"), state.network_lease("cfn-network"):
        with state.try_exclusive("cfn-network") as free:
            assert not free
        with state.try_exclusive("../other") as free:
            assert free
    with state.try_exclusive("cfn-network") as free:
        assert free


def test_no_run_takes_a_network_while_it_is_removed(state: StateDir) -> None:
    with (
        state.try_exclusive("net") as free,
        pytest.raises(InfrastructureError, match="removing"),
        state.network_lease("net", patience_s=0.0),
    ):
        pass
    assert free
    with state.network_lease("net"):
        pass


def test_a_file_in_the_way_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError, match="--state-dir"):
        StateDir(tmp_path / "file").owner()
    with pytest.raises(InfrastructureError, match="--state-dir"), StateDir(tmp_path / "file").run("r").lock():
        pass


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc as a directory that takes no files")
def test_a_directory_that_takes_no_files_is_explained() -> None:
    with pytest.raises(InfrastructureError, match="--state-dir"):
        StateDir(Path("/proc/wavepool")).owner()


def test_run_ids_sort_by_time() -> None:
    first = new_run_id(datetime(2026, 11, 20, 23, 15, 30, tzinfo=UTC))
    later = new_run_id(datetime(2026, 11, 20, 23, 15, 31, tzinfo=UTC))
    assert re.fullmatch(r"20261120-231530-[0-9a-f]{4}", first)
    assert first < later


def test_who_only_clears_up_leaves_the_last_sign_of_life_as_it_was(tmp_path: Path) -> None:
    run = StateDir(tmp_path).run("run-a")
    assert run.last_sign_of_life() is None
    with run.lock():
        pass
    old = 1_700_000_000
    os.utime(run.path / "lock", (old, old))
    with run.lock(as_its_process=False):
        assert run.is_live()
        assert run.holder().startswith(str(os.getpid()))
    sign = run.last_sign_of_life()
    assert sign is not None
    assert sign.timestamp() == old
    with run.lock():
        fresh = run.last_sign_of_life()
        assert fresh is not None
        assert fresh.timestamp() > old


def test_a_process_that_holds_a_run_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beats = threading.Semaphore(0)
    monkeypatch.setattr("wavepool.statedir.rundir.BEAT_S", 0.001)
    monkeypatch.setattr("wavepool.statedir.rundir.os.utime", lambda *_, **__: beats.release())
    with StateDir(tmp_path).run("run-a").lock():
        assert beats.acquire(timeout=30)
        assert beats.acquire(timeout=30)
