"""Thousands of tasks through two pools, and what the process holds on the way. A program of its own, for its numbers.

Arguments: state directory, tasks until the first reading, tasks until the second, and for how many seconds no
descriptor may have been closed before a reading: the engine's idle connections are closed after 15. Half of the tasks
are single-use, half reused. Prints one line of JSON, the last of its output.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import itertools
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import anyio
import psutil

from wavepool import ContainerPool, labels
from wavepool.engine.pools import TaskExecution
from wavepool.model import AgentType, Limits, PoolSettings
from wavepool.units import MIB

IMAGE = os.environ.get("WAVEPOOL_TEST_IMAGE", "wavepool-test:latest")
SINGLE, REUSED = "single", "reused"
SIZE = {SINGLE: 4, REUSED: 2}
CLIENTS = {SINGLE: 3, REUSED: 2}
LONG_BYTES = 100_000
SETTLE_S = 120.0
LOOK_AGAIN_S = 0.1

RAN = 'echo "task $N" >>/workspace/ran; cat /workspace/ran'
SCRIPTS = {
    "short": RAN,
    "failing": f"{RAN}; exit 3",
    "long": f"{RAN}; head -c {LONG_BYTES} /dev/zero | tr '\\0' x",
    "daemon": f"{RAN}; sleep 3600 >/dev/null 2>&1 </dev/null & echo $! >/tmp/daemon",
}
"""What tasks do. Each finds an empty workspace, or it would tell of another one's line too."""


class Soak:
    """Two pools, and clients that have each task checked."""

    def __init__(self, pool: ContainerPool, quiet_s: float) -> None:
        self._pool = pool
        self._quiet_s = quiet_s
        self._numbers = {name: itertools.count() for name in SIZE}
        self.where: Counter[str] = Counter()

    async def run_until(self, tasks: int) -> None:
        """Have so many tasks done in all, half of them by each pool, and wait until all is quiet."""
        async with anyio.create_task_group() as group:
            for name, clients in CLIENTS.items():
                numbers = iter(list(itertools.islice(self._numbers[name], tasks // 2 - sum(self._done(name)))))
                for _ in range(clients):
                    group.start_soon(self._client, name, numbers)
        await self._settle()
        await self._pool.check_health()  # which opens files of each container that is there, and keeps them open
        await self._idle()

    def _done(self, name: str) -> Iterator[int]:
        return (count for key, count in self.where.items() if key.startswith(f"{name}:"))

    async def _client(self, name: str, numbers: Iterator[int]) -> None:
        kinds = list(SCRIPTS)
        for number in numbers:
            await self._pool.warm([name], count=1)  # else most would find none ready, and start cold
            kind = kinds[number % len(kinds)]
            done = await self._pool.execute(name, ("/bin/sh", "-c", SCRIPTS[kind]), env={"N": str(number)})
            check(done, kind, number)
            self.where[f"{name}:{done.where}"] += 1

    async def _settle(self) -> None:
        """Until both pools are full, and every container that was used is gone."""
        await self._pool.warm()
        with anyio.fail_after(SETTLE_S):
            for name, size in SIZE.items():
                await self._pool.warm([name], count=size)
            while await containers_of(self._pool.session) != sum(SIZE.values()):  # noqa: ASYNC110 - the engine is asked
                await anyio.sleep(LOOK_AGAIN_S)

    async def _idle(self) -> None:
        """Until this process closes no more descriptors."""
        lowest, since_s = psutil.Process().num_fds(), anyio.current_time()
        while anyio.current_time() - since_s < self._quiet_s:
            await anyio.sleep(LOOK_AGAIN_S)
            if (now := psutil.Process().num_fds()) < lowest:
                lowest, since_s = now, anyio.current_time()


def check(done: TaskExecution, kind: str, number: int) -> None:
    """Raise AssertionError unless this task ran as it should, alone, and all of its output is there."""
    said = f"task {number}\n".encode() + (b"x" * LONG_BYTES if kind == "long" else b"")
    assert done.stdout == said, f"task {number} ({kind}) said {done.stdout[:200]!r}, {len(done.stdout)} bytes: {done}"
    assert done.exit_code == (3 if kind == "failing" else 0), done


async def containers_of(session: str) -> int:
    """How many the engine has."""
    command = ["docker", "ps", "-aq", "--filter", f"label={labels.RUN}={session}"]
    return len((await anyio.run_process(command)).stdout.split())


def reading() -> dict[str, int]:
    """What this process holds now; not what the C library keeps of what was given back to it."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
    process = psutil.Process()
    memory = process.memory_full_info()
    links = _descriptors()
    return {
        "rss": memory.rss,
        "uss": memory.uss,
        "descriptors": len(links),
        "files": sum(not link.startswith("socket:") for link in links),
    }


def _descriptors() -> list[str]:
    """Where each of this process' descriptors leads; not the one that the directory itself was read with."""
    links = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(f"/proc/self/fd/{number}"))
    return links


async def soak(root: Path, first: int, second: int, quiet_s: float) -> dict[str, object]:
    limits = Limits(memory_bytes=32 * MIB)
    settings = {
        name: PoolSettings(size=size, min_size=size, max_size=4 * size, auto_scaling=False, reuse=name == REUSED)
        for name, size in SIZE.items()
    }
    types = [AgentType(name=name, image=IMAGE, limits=limits) for name in SIZE]
    async with ContainerPool(types, driver="docker", state_dir=root, by_type=settings) as pool:
        tasks = Soak(pool, quiet_s)
        await tasks.run_until(first)
        early = reading()
        await tasks.run_until(second)
        late = reading()
        session = pool.session
    left = [*pool.left_behind, f"{await containers_of(session)} containers"]
    return {"early": early, "late": late, "where": dict(tasks.where), "session": session, "left": left}


if __name__ == "__main__":
    root, first, second, quiet_s = sys.argv[1:]
    sys.stdout.write(json.dumps(anyio.run(soak, Path(root), int(first), int(second), float(quiet_s))) + "\n")
