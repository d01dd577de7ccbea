"""Thousands of tasks through pools leave nothing, and the process that keeps them does not grow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wavepool import labels
from wavepool.statedir import StateDir

PROGRAM = Path(__file__).with_name("pool_soak.py")
HOUR_S = 3600
SMALL = (20, 60)
LARGE = (1_000, 10_000)
QUIET_S = 20
IDLE_CONNECTIONS = 8
"""To the engine, which may still be open where they are not waited for."""
GROWTH = 1.05
"""What the engine may hold after the last task, of what it held after the first thousand."""

pytestmark = pytest.mark.docker


def soaked(root: Path, doses: tuple[int, int], deadline_s: float, *, quiet_s: int = 0) -> dict[str, Any]:
    """The program's numbers. It has checked each task; here it is checked that nothing of it is left anywhere."""
    before = wavepool_directories()
    done = subprocess.run(
        [sys.executable, PROGRAM, root, *map(str, doses), str(quiet_s)],
        capture_output=True,
        text=True,
        timeout=deadline_s,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert sum(found["where"].values()) == doses[1], found["where"]
    assert found["left"] == ["0 containers"]
    assert left_of(StateDir(root).owner()) == []
    assert list((root / "runs").glob("*")) == []
    assert str(root) not in Path("/proc/self/mountinfo").read_text("utf-8")
    assert wavepool_directories() <= before
    return found


def left_of(owner: str) -> list[str]:
    """Containers, networks and volumes of this owner."""
    label = f"label={labels.OWNER}={owner}"
    looks = (["ps", "-aq"], ["network", "ls", "-q"], ["volume", "ls", "-q"])
    told = [subprocess.run(["docker", *look, "--filter", label], capture_output=True, text=True) for look in looks]
    assert all(each.returncode == 0 for each in told), told
    return [line for each in told for line in each.stdout.split()]


def wavepool_directories() -> set[str]:
    """Where secrets of attempts lie."""
    return {str(path) for path in Path("/dev/shm").glob("wavepool-*/*pool-*")}


def test_some_dozens_of_tasks_leave_nothing(tmp_path: Path) -> None:
    found = soaked(tmp_path / "state", SMALL, HOUR_S)
    early, late = found["early"], found["late"]
    assert late["files"] == early["files"]
    assert late["descriptors"] <= early["descriptors"] + IDLE_CONNECTIONS
    assert found["where"].get("single:warm", 0) > 0
    assert found["where"].get("reused:reused", 0) > SMALL[1] / 4


@pytest.mark.slow
def test_after_ten_thousand_tasks_the_engine_holds_what_it_held_after_one_thousand(
    tmp_path: Path, record_property: Any
) -> None:
    found = soaked(tmp_path / "state", LARGE, 4 * HOUR_S, quiet_s=QUIET_S)
    early, late = found["early"], found["late"]
    record_property("proof", f"10,000 tasks through pools: {found['where']}; after 1,000 {early}, after all {late}")
    for what in ("rss", "uss", "descriptors"):
        assert late[what] <= GROWTH * early[what], f"{what}: {early[what]} after 1,000 tasks, {late[what]} after all"
