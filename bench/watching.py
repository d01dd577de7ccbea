"""Watching 100 idle containers: our processor time against that of the seed's polling; and one sweep of readings."""

from __future__ import annotations

import os
import resource
import signal
import statistics
import subprocess
import time
from dataclasses import dataclass

import anyio

from bench.engine_run import EngineRun
from bench.ground import RIVALS, Ground
from bench.harness import Figure, Goal, Options, compare
from wavepool import labels
from wavepool.drivers.base import Handle
from wavepool.drivers.docker import DockerDriver
from wavepool.drivers.docker.usage.reading import CgroupReader
from wavepool.model import AttemptId

CONTAINERS = 100
WINDOW_S = 15.0
POLL_S = 5.0
SWEEPS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Shares of a window, in percent of one core or of the time."""

    ours: float
    polling: float
    polling_time: float
    daemon_ours: float
    daemon_polling: float


async def measure(options: Options) -> list[Figure]:
    """Rows: processor time, the time that polling takes, one sweep; from one run of 100 sleeping tasks."""
    async with Ground() as ground, DockerDriver() as driver, EngineRun(ground, CONTAINERS) as run:
        spawned_s = await run.all_started_s()
        await anyio.sleep(2.0)  # young containers are looked at closely for half a second
        loads = [await _windows(ground) for _ in range(options.rounds(2))]
        sweep = await _sweep(ground, driver)
    watching = compare(
        {"ours": [load.ours for load in loads], "ps + inspect every 5 s": [load.polling for load in loads]},
        name=f"watching {CONTAINERS} idle ones",
        unit="% of a core",
        ours_goal=Goal(bound=0.5),
        beats_rivals=True,
        note=f"this process with the whole engine and its watchdog, over {WINDOW_S:.0f} s; the poller with its "
        f"children. All 100 ran {spawned_s:.1f} s after the run began. The daemon itself used "
        f"{_median(loads, 'daemon_ours'):.1f}% of a core while we watched, "
        f"{_median(loads, 'daemon_polling'):.1f}% while it was polled.",
    )
    time_share = compare(
        {"ours": [0.0 for _ in loads], "ps + inspect every 5 s": [load.polling_time for load in loads]},
        name=f"polling {CONTAINERS}, share of the time",
        unit="% of the time",
        note="how long the seed's poll takes of its own interval; events need none.",
    )
    return [watching, time_share, sweep]


def _median(loads: list[Load], field: str) -> float:
    return statistics.median(float(getattr(load, field)) for load in loads)


async def _windows(ground: Ground) -> Load:
    """One window of ours, one of the rival's."""
    daemon = _DaemonCpu()
    own_s, daemon_s, began_s = time.process_time(), daemon.used_s(), time.monotonic()
    await anyio.sleep(WINDOW_S)
    took_s = time.monotonic() - began_s
    ours = 100 * (time.process_time() - own_s) / took_s
    daemon_ours = 100 * (daemon.used_s() - daemon_s) / took_s

    children_s, daemon_s, began_s = _children_s(), daemon.used_s(), time.monotonic()
    busy_s = await _poll_for(ground, WINDOW_S)
    took_s = time.monotonic() - began_s
    return Load(
        ours=ours,
        polling=100 * (_children_s() - children_s) / took_s,
        polling_time=100 * busy_s / took_s,
        daemon_ours=daemon_ours,
        daemon_polling=100 * (daemon.used_s() - daemon_s) / took_s,
    )


async def _poll_for(ground: Ground, window_s: float) -> float:
    """Run the seed's poll for a while; how many seconds of it were spent on polling."""
    command = ["bash", str(RIVALS / "poll.sh"), ground.label, str(POLL_S), "0"]
    poller = await anyio.open_process(command, stderr=subprocess.DEVNULL, start_new_session=True)
    await anyio.sleep(window_s)
    os.killpg(poller.pid, signal.SIGTERM)
    await poller.wait()
    assert poller.stdout is not None
    text = b"".join([piece async for piece in poller.stdout]).decode()
    await poller.aclose()
    polls = [line.split() for line in text.splitlines() if line.startswith("poll")]
    return sum(float(ended) - float(began) for _, began, ended in polls)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _DaemonCpu:
    """Processor time of dockerd, where this host shows it."""

    def __init__(self) -> None:
        self._stat = next((f"/proc/{pid}/stat" for pid in os.listdir("/proc") if _is_dockerd(pid)), None)

    def used_s(self) -> float:
        """Seconds so far; 0 where there is none to be seen."""
        if self._stat is None:
            return 0.0
        with open(self._stat) as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _is_dockerd(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip() == "dockerd"
    except OSError:
        return False


async def _sweep(ground: Ground, driver: DockerDriver) -> Figure:
    """Readings of all 100, their descriptors held open, against one `docker stats` of them."""
    ids = await ground.api.ids(f"{labels.OWNER}={ground.owner}", running=True)
    handles = [Handle(driver=driver.name, id=each, name=each, attempt=AttemptId(each, 1)) for each in ids]
    await driver.usage(handles)  # opens the descriptors
    readers = [reader for reader in map(CgroupReader.find, ids) if reader is not None]
    took_ms: list[float] = []
    bare_ms: list[float] = []
    for _ in range(SWEEPS):
        began_s = time.perf_counter()
        readings = await driver.usage(handles)
        took_ms.append((time.perf_counter() - began_s) * 1000)
        assert len(readings) == len(handles)
        bare_ms.append(_bare_sweep_ms(readers))
        await anyio.sleep(0.05)
    for reader in readers:
        reader.close()
    began_s = time.perf_counter()
    await anyio.run_process(["docker", "stats", "--no-stream", *ids])
    stats_ms = (time.perf_counter() - began_s) * 1000
    return compare(
        {"ours": took_ms, "bare reads": bare_ms, "docker stats": [stats_ms]},
        name=f"watchdog sweep of {len(ids)}",
        unit="ms",
        floor="bare reads",
        ours_goal=Goal(bound=2.0),
        beats_rivals=True,
        note="memory, pids, processor time and memory kills of each.",
    )


def _bare_sweep_ms(readers: list[CgroupReader]) -> float:
    """The floor: the same descriptors read, and nothing made of what they say."""
    descriptors = [descriptor for reader in readers for descriptor in reader._files.values()]
    began_s = time.perf_counter()
    for descriptor in descriptors:
        os.pread(descriptor, 8192, 0)
    return (time.perf_counter() - began_s) * 1000
