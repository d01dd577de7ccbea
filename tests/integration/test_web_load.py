"""A run that many look at: nothing is lost on the way to them, and its engine is not held up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.dashboard import DELAY_GOAL_MS, FULL
from bench.harness import percentile
from bench.web_load import Load, Reading, measure_load
from wavepool.units import MIB

pytestmark = pytest.mark.docker

SMALL = Load(clients=100, silent=10, log_bytes=8 * MIB, window_s=3.0)


def check(reading: Reading, load: Load) -> None:
    """What must be true of any load on any machine: all that was to come has come, and the same to all."""
    told = reading.viewers
    assert (told["connected"], told["closed"]) == (load.clients, [])
    assert (told["gaps"], told["compressed"]) == (0, 0)
    assert told["patches"] >= load.clients - load.silent
    assert reading.downloaded_bytes >= load.log_bytes
    assert 0 < reading.followed_bytes <= reading.downloaded_bytes
    assert reading.found == 1


def test_a_hundred_viewers_and_a_log_of_8_mb(tmp_path: Path) -> None:
    reading = measure_load(tmp_path, SMALL)
    check(reading, SMALL)
    assert percentile(reading.watched_s, 50) < 0.05  # with others on the machine only the median says something


@pytest.mark.slow
def test_a_thousand_viewers_and_a_log_of_1_gb(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    reading = measure_load(tmp_path, FULL)
    check(reading, FULL)
    told = [
        f"{name} p50 {1000 * percentile(values_s, 50):.1f} ms, p99 {1000 * percentile(values_s, 99):.1f} ms"
        for name, values_s in (("quiet", reading.quiet_s), ("watched", reading.watched_s), ("read", reading.read_s))
    ]
    record_property(
        "proof",
        f"loop delay of the engine with {FULL.clients} viewers and a log of {reading.log_bytes / MIB:,.0f} MiB: "
        f"{'; '.join(told)}; goal p99 {DELAY_GOAL_MS:.0f} ms on a machine without other work",
    )
    # The goal is one of `python -m bench dashboard`: on a machine with other work only the medians say something.
    assert max(percentile(reading.watched_s, 50), percentile(reading.read_s, 50)) < DELAY_GOAL_MS / 1000
