"""The daemon restarts, the disk is full, the clocks jump: always of a daemon and a file system of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import uuid4

import anyio

from wavepool.core import facts
from wavepool.errors import InfrastructureError
from wavepool.model import VerdictKind
from wavepool.testing.chaos.ground import Ground, batch
from wavepool.testing.chaos.invariants import check_nothing_left, verify
from wavepool.testing.chaos.orchestrator import Orchestrator
from wavepool.testing.chaos.scenario import Registry, Round, Skipped
from wavepool.testing.own_daemon import OwnDaemon
from wavepool.units import MIB

hosts = Registry()

RUN = "hosted"
DEADLINE_S = 300.0
INFRASTRUCTURE = 3
DISK_BYTES = 16 * MIB
DAY_S = 86_400
WAIT = "while [ ! -e go ]; do sleep 0.1; done"
RUNNING = 2


@hosts.add("wall-clock", "the wall clock jumps by a day, forward or back, while tasks with a time limit run")
async def wall_clock(round_: Round) -> None:
    """No limit comes early or late: they are kept on the boot clock."""
    by_s = round_.rng.choice((DAY_S, -DAY_S))
    after_s = round_.rng.uniform(0.5, 3.0)
    round_.inject(f"UTC jumps by {by_s:+} s after {after_s:.1f} s")
    process = await round_.ground.run(_timed_plan(round_), RUN, "--isolate", "none", skew=(by_s, after_s))
    await process.finish(DEADLINE_S)
    await verify(round_, RUN, _TIMED)


@hosts.add(
    "boot-clock",
    "another boot: the boot clock is elsewhere, and so is its id, when the run is resumed",
    own_ground=True,
)
async def boot_clock(round_: Round) -> None:
    """In time and mount namespaces of its own. What was left of each time limit is what counts."""
    _need_root("unshare")
    by_s = round_.rng.choice((DAY_S, -int(_boot_s() * 0.9)))
    process = await round_.ground.run(_timed_plan(round_), RUN, "--isolate", "none")
    await _at_work(round_, process)
    await process.kill()
    round_.inject(f"killed, and resumed with the boot clock {by_s:+} s away")
    again = await round_.ground.resume(RUN, start=_elsewhere(round_, by_s))
    await again.finish(DEADLINE_S)
    await verify(round_, RUN, _TIMED)


@hosts.add("full-disk", "the disk under the state directory is full while tasks run", docker=True, own_ground=True)
async def full_disk(round_: Round) -> None:
    """A clear error, every committed fact kept; with room again a resume ends the run as if nothing had happened."""
    _need_root("mount")
    place = round_.ground.root / "small"
    with _disk(place):
        ground = Ground(
            _made(round_.ground.root / "on-small"), driver="docker", image=round_.ground.image, state=place / "state"
        )
        async with ground:
            await _fill_and_free(round_.on(ground), place)


@hosts.add("daemon-restart", "the Docker daemon restarts while tasks run", docker=True, own_ground=True)
async def daemon_restart(round_: Round) -> None:
    """Without live-restore what ran is lost, with it nothing is; no attempt that ran is repeated."""
    _need_root("dockerd")
    for number in range(round_.dose.restarts):
        live_restore = number % 2 == 1
        root = _made(round_.ground.root / f"daemon-{number}")
        async with _own_daemon(root, round_.ground.image, live_restore=live_restore) as daemon:
            ground = Ground(_made(root / "g"), driver="docker", image=round_.ground.image, docker_host=daemon.host)
            async with ground:
                await _restart(round_.on(ground), daemon, live_restore=live_restore)


async def _restart(round_: Round, daemon: OwnDaemon, *, live_restore: bool) -> None:
    plan = round_.ground.plan([batch("quick", ""), batch("one", WAIT), batch("two", WAIT)])
    process = await round_.ground.run(plan, RUN, "--isolate", "none")
    await _at_work(round_, process)
    round_.inject(f"a restart {'with' if live_restore else 'without'} live-restore")
    await daemon.restart()
    round_.ground.touch("go")
    await process.finish(DEADLINE_S)
    kind = VerdictKind.SUCCESS if live_restore else VerdictKind.LOST
    expected = {"quick": VerdictKind.SUCCESS, "one": kind, "two": kind}
    await verify(round_, RUN, expected)
    await check_nothing_left(round_)


async def _fill_and_free(round_: Round, place: Path) -> None:
    plan = round_.ground.plan([batch("quick", ""), batch("one", WAIT), batch("two", f"{WAIT}; exit 3")])
    process = await round_.ground.run(plan, RUN, "--isolate", "none")
    await _at_work(round_, process)
    before = round_.ground.committed(RUN)
    filler = place / "filler"
    round_.inject(f"no byte is left of {DISK_BYTES // MIB} MiB")
    await anyio.to_thread.run_sync(_fill, filler)
    round_.ground.touch("go")
    code = await process.finish(DEADLINE_S)
    said = process.last_words()
    round_.check("a clear error", code == INFRASTRUCTURE and "full" in said, f"exit code {code}: {said}")
    kept = len(round_.ground.facts(RUN))
    round_.check("no committed fact is lost", kept >= before, f"{kept} facts, of {before}")
    filler.unlink()
    again = await round_.ground.resume(RUN)
    await again.finish(DEADLINE_S)
    await verify(round_, RUN, {"quick": VerdictKind.SUCCESS, "one": VerdictKind.SUCCESS, "two": VerdictKind.FAILED})
    await check_nothing_left(round_)


_TIMED = {
    "quick": VerdictKind.SUCCESS,
    "in-time": VerdictKind.SUCCESS,
    "too-long": VerdictKind.TIMEOUT,
    "after": VerdictKind.SUCCESS,
}


def _timed_plan(round_: Round) -> Path:
    return round_.ground.plan(
        [
            batch("quick", ""),
            batch("in-time", "sleep 4", timeout="120"),
            batch("too-long", "exec sleep 600", timeout="8"),
        ],
        [batch("after", "")],
    )


async def _at_work(round_: Round, process: Orchestrator) -> None:
    """The quick one is gone, and the others run."""

    def at_work() -> bool:
        kinds = [type(stamped.fact) for stamped in round_.ground.facts(RUN)]
        return kinds.count(facts.AttemptStarted) > RUNNING and facts.AttemptRemoved in kinds

    if not await process.until(at_work, "a run at work", DEADLINE_S):
        round_.check("the run came to work", False, process.last_words())


def _elsewhere(round_: Round, by_s: int) -> list[str]:
    """The start of a command line that runs under another boot clock and boot id."""
    boot_id = round_.ground.root / "boot-id"
    boot_id.write_text(f"{uuid4()}\n")
    script = f'mount --bind "{boot_id}" /proc/sys/kernel/random/boot_id && exec "$@"'
    unshare = ["unshare", "--mount", "--time", f"--boottime={by_s}", "--fork", "--kill-child", "--"]
    return [*unshare, "sh", "-c", script, "sh"]


def _boot_s() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])


@asynccontextmanager
async def _own_daemon(root: Path, image: str, *, live_restore: bool) -> AsyncIterator[OwnDaemon]:
    try:
        async with OwnDaemon(_made(root / "daemon"), live_restore=live_restore) as daemon:
            await daemon.load_image(image)
            yield daemon
    except InfrastructureError as error:
        raise Skipped(f"a daemon of its own cannot be had: {error.message}") from error


@contextmanager
def _disk(place: Path) -> Iterator[None]:
    """A small file system in memory, mounted at `place` as long as the block lasts."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "wavepool-chaos", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        raise Skipped(f"a file system of its own cannot be mounted: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=False)


def _fill(path: Path) -> None:
    """Write until nothing more goes in."""
    with path.open("wb", buffering=0) as file:
        for size_bytes in (MIB, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size_bytes)
            except OSError:
                continue


def _made(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def _need_root(tool: str) -> None:
    if os.geteuid() != 0:
        raise Skipped("it needs root, for namespaces, mounts and daemons of its own")
    if shutil.which(tool) is None:
        raise Skipped(f"it needs {tool}, which is not here")
