"""For a machine that is busy with other work: a Docker daemon of the benchmark's own, and both before all others.

The benchmark, that daemon and its containers get a control group whose weight is two hundred times the usual one, and
ask the scheduler for short turns; so they wait little for whoever else is there. It is still no quiet machine.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio

from bench.ground import IMAGE
from wavepool.testing.own_daemon import OwnDaemon

ROOT = Path("/sys/fs/cgroup/cpu")
WEIGHT = 200 * 1024
TURN_NS = 100_000
_SET_SCHEDULER_ATTRIBUTES = {"x86_64": 314, "aarch64": 274}


async def run(arguments: Sequence[str]) -> int:
    """Run ``python -m bench`` with these arguments there; its exit code. Needs root and version 1 of control groups."""
    if os.geteuid() != 0 or not (ROOT / "cpu.shares").exists():
        print("--alone needs root, and version 1 of the cpu control group", file=sys.stderr)
        return 2
    with before_all_others() as group, tempfile.TemporaryDirectory(prefix="wavepool-bench-") as directory:
        async with OwnDaemon(Path(directory), cgroup_parent=f"/{group.name}") as daemon:
            await daemon.load_image(IMAGE)
            done = await anyio.run_process(
                [sys.executable, "-m", "bench", *arguments],
                env={**os.environ, "DOCKER_HOST": daemon.host},
                stdout=None,
                stderr=None,
                check=False,
            )
    return done.returncode


@contextmanager
def before_all_others() -> Iterator[Path]:
    """A control group with precedence; this process is in it, and all that it starts."""
    group = ROOT / f"wavepool-bench-{os.getpid()}"
    group.mkdir()
    try:
        (group / "cpu.shares").write_text(str(WEIGHT))
        (group / "cgroup.procs").write_text(str(os.getpid()))
        _ask_for_short_turns()
        yield group
    finally:
        (ROOT / "cgroup.procs").write_text(str(os.getpid()))
        for each in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            each.rmdir()
        group.rmdir()


def _ask_for_short_turns() -> None:
    """Where the kernel has it (6.12 and later); older ones and other processors do without."""
    number = _SET_SCHEDULER_ATTRIBUTES.get(os.uname().machine)
    if number is not None:
        attributes = struct.pack("<IIQiIQQQ", 48, 0, 0, 0, 0, TURN_NS, 0, 0)
        ctypes.CDLL(None).syscall(number, 0, ctypes.create_string_buffer(attributes), 0)
