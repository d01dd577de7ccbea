"""The most memory of each container, read before its counter is gone, on both versions of cgroups."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from wavepool.drivers.docker.usage.reading import PeakCounter
from wavepool.drivers.docker.watching import peaks
from wavepool.drivers.docker.watching.peaks import Peaks

ID = "a" * 64


def counter(root: Path, version: int, *, kept: bool = True) -> Path:
    """The file that a peak is read from."""
    if version == 2:
        (root / "cgroup.controllers").write_text("memory\n")
        path = root / f"docker/{ID}" / ("memory.peak" if kept else "memory.current")
    else:
        path = root / f"memory/docker/{ID}" / ("memory.max_usage_in_bytes" if kept else "memory.usage_in_bytes")
    path.parent.mkdir(parents=True)
    path.write_text("1000\n")
    return path


@pytest.fixture
def now_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, which stands still unless a test moves it."""
    now = [100.0]
    monkeypatch.setattr(peaks.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("kept", [True, False], ids=["peak", "current"])
def test_the_highest_reading_stays_when_the_counter_is_gone(
    tmp_path: Path, now_s: list[float], version: int, kept: bool
) -> None:
    reading = Peaks(root=tmp_path)
    reading.expect(ID)
    reading.look()
    assert reading.peak_bytes(ID) is None, "it is not born"
    path = counter(tmp_path, version, kept=kept)
    reading.started(ID)
    for told, wanted in (("1000\n", 1000), ("5000\n", 5000), ("4000\n", 5000), ("", 5000)):
        path.write_text(told)
        now_s[0] += 2.0
        reading.look()
        assert reading.peak_bytes(ID) == wanted
    reading.ended(ID)
    assert reading.peak_bytes(ID) == 5000
    reading.forget(ID)
    assert reading.peak_bytes(ID) is None


def test_readings_grow_rarer_with_age(tmp_path: Path, now_s: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    counter(tmp_path, 1)
    read_at: list[float] = []
    real = PeakCounter.read

    def noting(self: PeakCounter) -> int:
        read_at.append(now_s[0] - 100.0)
        return real(self)

    monkeypatch.setattr(PeakCounter, "read", noting)
    reading = Peaks(root=tmp_path)
    reading.started(ID)
    while now_s[0] < 130.0:
        reading.look()
        now_s[0] = max(now_s[0] + 1e-9, reading._due[0][0])
    reading.forget(ID)
    gaps = [after - before for before, after in pairwise(read_at)]
    assert gaps[0] == pytest.approx(0.005)
    assert max(gaps) == pytest.approx(1.0)
    for at, gap in zip(read_at, gaps, strict=False):
        assert gap <= max(0.005, at * 0.125, 1e-9) + 1e-6
    assert len(read_at) < 100


def test_one_that_never_starts_is_given_up(tmp_path: Path, now_s: list[float]) -> None:
    reading = Peaks(root=tmp_path)
    reading.expect(ID)
    looks = 0
    while reading._due:
        now_s[0] = max(now_s[0], reading._due[0][0])
        reading.look()
        looks += 1
        assert looks < 1000
    assert now_s[0] - 100.0 > peaks.UNBORN_S


def test_so_many_are_read_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peaks, "OPEN_MAX", 2)
    reading = Peaks(root=tmp_path)
    for name in "abc":
        reading.started(name)
    assert len(reading._due) == 2


def test_it_reads_as_long_as_it_runs_and_wakes_for_what_is_new(tmp_path: Path) -> None:
    counter(tmp_path, 1)

    async def main() -> int | None:
        reading = Peaks(root=tmp_path)
        async with anyio.create_task_group() as group:
            group.start_soon(reading.run)
            await anyio.wait_all_tasks_blocked()
            reading.started(ID)
            with anyio.fail_after(60):
                while reading.peak_bytes(ID) is None:
                    await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        return reading.peak_bytes(ID)

    assert anyio.run(main) == 1000
