"""The dashboard: how late an engine is while 1,000 look on and a log of 1 GB is read; the page, how large and fast."""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio.to_thread

from bench.harness import Figure, Goal, Options, load, percentile, single
from bench.page_speed import PageSpeed, measure_page
from bench.web_load import Load, Reading, measure_load
from wavepool.units import GIB, MIB

FULL = Load(clients=1000, silent=50, log_bytes=GIB, window_s=20.0)
DELAY_GOAL_MS = 50.0


async def measure(options: Options) -> list[Figure]:
    """Rows: the engine's loop in three windows, the web server's, what viewers get, the log, the page."""
    with tempfile.TemporaryDirectory(prefix="wavepool-bench-") as directory:
        reading = await anyio.to_thread.run_sync(measure_load, Path(directory), FULL)
    with tempfile.TemporaryDirectory(prefix="wavepool-bench-") as directory:
        page = await anyio.to_thread.run_sync(measure_page, Path(directory), options.rounds(5))
    return [*_delays(reading), *_viewers(reading), *_log(reading), *_page(page)]


def _delays(reading: Reading) -> list[Figure]:
    """One row for each window; the quiet one is the floor of the others."""
    floor = _ms(reading.quiet_s, 99)
    windows = (
        ("watched by 1,000", reading.watched_s),
        ("... and a log of 1 GB written, followed, searched", reading.read_s),
    )
    rows = [
        single(
            name=f"engine's loop delay, {name}, p99",
            unit="ms",
            ours=_ms(delays_s, 99),
            floor=floor,
            goal=Goal(bound=DELAY_GOAL_MS),
            runs={"ours": len(delays_s)},
            note=f"p50 {_ms(delays_s, 50):.1f} ms, worst {_ms(delays_s, 100):.0f} ms; the floor is the same run with "
            f"nobody looking on, its p50 {_ms(reading.quiet_s, 50):.1f} ms. {load()}",
        )
        for name, delays_s in windows
    ]
    web = Figure(
        name="web server's loop delay meanwhile, p99",
        unit="ms",
        ours=_ms(reading.web_s, 99),
        runs={"ours": len(reading.web_s)},
        note=f"p50 {_ms(reading.web_s, 50):.1f} ms: a loop of its own, in a thread of its own",
    )
    return [*rows, web]


def _viewers(reading: Reading) -> list[Figure]:
    told = reading.viewers
    clients = told["connected"] - FULL.silent
    spreads_s = told["spreads_s"] or [float("nan")]
    return [
        Figure(
            name="bytes to one viewer, a second",
            unit="kB/s",
            ours=told["received_bytes"] / told["took_s"] / clients / 1000,
            note=f"{told['patches'] / told['took_s']:,.0f} changes a second to {clients:,} that read, "
            f"{FULL.silent} more that never do; {told['gaps']} lost, {told['documents']} sent a whole document anew, "
            f"{len(told['closed'])} let go; the viewers' process took {told['busy_percent']:.0f}% of a core",
        ),
        Figure(
            name="a change at the last of 1,000 after the first, p50",
            unit="ms",
            ours=_ms(spreads_s, 50),
            runs={"ours": len(spreads_s)},
            note=f"p99 {_ms(spreads_s, 99):.0f} ms",
        ),
    ]


def _log(reading: Reading) -> list[Figure]:
    return [
        Figure(
            name="a log of 1 GB, downloaded",
            unit="s",
            ours=reading.downloaded_s,
            note=f"{reading.downloaded_bytes / MIB:,.0f} MiB; the task took {reading.written_s:.0f} s to write it, and "
            f"{reading.followed_bytes / MIB:,.0f} MiB of it went to who followed, with {reading.gaps} gaps told",
        ),
        Figure(
            name="... searched to its end",
            unit="s",
            ours=reading.searched_s,
            note=f"its last line was found {reading.found} times",
        ),
    ]


def _page(page: PageSpeed) -> list[Figure]:
    return [
        Figure(
            name="page, all of it",
            unit="kB",
            ours=page.transferred_bytes / 1000,
            note=f"in {page.requests} requests, before the first change",
        ),
        Figure(
            name="first row on the screen, median",
            unit="s",
            ours=percentile(page.first_row_s, 50),
            runs={"ours": len(page.first_row_s)},
            note=f"a fresh profile of chromium, from the address to the first task of a run of {page.tasks}",
        ),
    ]


def _ms(values_s: list[float], percent: float) -> float:
    return 1000 * percentile(values_s, percent)
