"""The pressure on a host, read from trees as kernels of several kinds have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from wavepool.host import PressureGauge
from wavepool.host.cpu import CpuMeter, usable_cores
from wavepool.host.pressure import Some, read_some
from wavepool.model import Pressure

IDLE = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"


def line(average: float, total_us: int) -> str:
    return (
        f"some avg10={average:.2f} avg60=1.00 avg300=2.00 total={total_us}\n"
        "full avg10=88.00 avg60=0.00 avg300=0.00 total=77\n"
    )


class Tree:
    """A /proc/pressure and a clock, both moved by hand."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now_s = 100.0
        for resource in ("cpu", "memory", "io"):
            (root / resource).write_text(IDLE)

    def gauge(self) -> PressureGauge:
        return PressureGauge(self.root, monotonic_s=lambda: self.now_s, used=lambda: (12.5, 34.5))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_what_counts_is_the_time_since_the_reading_before(tree: Tree) -> None:
    (tree.root / "cpu").write_text(line(70, 5_000_000))
    gauge = tree.gauge()
    tree.now_s += 2
    (tree.root / "cpu").write_text(line(70, 5_500_000))
    (tree.root / "memory").write_text(line(0, 300_000))
    assert gauge.read() == Pressure(25.0, 15.0, 0.0, 12.5, 34.5)
    tree.now_s += 1
    assert gauge.read().cpu_stalled == 0.0, "whatever the average of the last ten seconds says"


def test_over_no_time_the_kernels_average_counts(tree: Tree) -> None:
    (tree.root / "io").write_text(line(41.5, 9_000_000))
    gauge = tree.gauge()
    tree.now_s += 0.01
    assert gauge.read().io_stalled == 41.5
    tree.now_s += 0.99
    (tree.root / "io").write_text(line(41.5, 9_100_000))
    assert gauge.read().io_stalled == pytest.approx(10.0)


def test_a_clock_that_counts_differently_gives_no_more_than_all_of_the_time(tree: Tree) -> None:
    gauge = tree.gauge()
    tree.now_s += 1
    (tree.root / "cpu").write_text(line(0, 1_000_400))
    assert gauge.read().cpu_stalled == 100.0


def test_a_host_without_the_files_tells_what_is_in_use(tmp_path: Path) -> None:
    gauge = PressureGauge(tmp_path / "none", used=lambda: (81.0, 20.0))
    assert gauge.read() == Pressure(cpu_used=81.0, memory_used=20.0)


def test_one_file_alone_is_taken_for_what_it_says(tree: Tree) -> None:
    """CONFIG_PSI came for all three at once, and io alone cannot be read where a kernel has no block layer."""
    (tree.root / "io").unlink()
    reading = tree.gauge().read()
    assert (reading.io_stalled, reading.memory_stalled) == (None, 0.0)


@pytest.mark.parametrize(
    "content",
    ["", "full avg10=0.00 avg60=0.00 avg300=0.00 total=5\n", "some avg10=x total=1\n", "some avg10=1.0\n", "some\n"],
)
def test_what_cannot_be_understood_is_not_there(tmp_path: Path, content: str) -> None:
    path = tmp_path / "cpu"
    path.write_text(content)
    assert read_some(path) is None


def test_a_kernel_that_was_told_not_to_count_refuses_to_be_read(tmp_path: Path) -> None:
    """psi=0: the files are there, and reading them is EOPNOTSUPP; a directory refuses as well."""
    (tmp_path / "cpu").mkdir()
    assert read_some(tmp_path / "cpu") is None


def test_the_line_of_the_kernels_documentation(tmp_path: Path) -> None:
    path = tmp_path / "cpu"
    path.write_text("some avg10=0.22 avg60=0.17 avg300=1.11 total=58761459\n")
    assert read_some(path) == Some(0.22, 58761459)


def test_this_host_can_be_read() -> None:
    reading = PressureGauge().read()
    assert reading.cpu_used is not None
    assert 0 <= reading.cpu_used <= 100
    assert reading.memory_used is not None
    assert 0 < reading.memory_used < 100


def test_cores_in_use_are_counted_since_the_reading_before(monkeypatch: pytest.MonkeyPatch) -> None:
    class Times(tuple[float, ...]):
        idle, iowait, guest, guest_nice = property(lambda s: s[1]), property(lambda s: s[2]), 0.0, 0.0

    now = [Times((100.0, 400.0, 0.0))]
    monkeypatch.setattr("wavepool.host.cpu.psutil.cpu_times", lambda: now[0])
    meter = CpuMeter()
    now[0] = Times((103.0, 400.5, 0.5))
    assert meter.read() == pytest.approx(75.0)
    assert meter.read() == pytest.approx(75.0), "no time has passed"
    now[0] = Times((103.0, 401.5, 0.5))
    assert meter.read() == 0.0


def test_there_is_a_core() -> None:
    assert usable_cores() >= 1
