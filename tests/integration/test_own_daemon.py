"""A Docker daemon of one's own: restarted and killed at will, and gone without a trace, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from wavepool.errors import DriverUnavailable
from wavepool.testing.observing import raised
from wavepool.testing.own_daemon import OwnDaemon

pytestmark = [
    pytest.mark.docker,
    pytest.mark.anyio,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a Docker daemon"),
]

DEADLINE_S = 180
IMAGE = os.environ.get("WAVEPOOL_TEST_IMAGE", "wavepool-test:latest")


async def docker(daemon: OwnDaemon, *arguments: str) -> str:
    command = ["docker", "--host", daemon.host, *arguments]
    done = await anyio.run_process(command, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


class Traces:
    """What a daemon has on this machine while it runs; each must be gone after it."""

    def __init__(self, daemon: OwnDaemon, container_id: str = "no container") -> None:
        self.run_dir = daemon.host.removeprefix("unix://").removesuffix("/docker.sock")
        self.data_root = str(daemon.log.parent / "docker-data")
        self.network = os.readlink(f"/proc/{daemon.namespace_pid}/ns/net")
        self.container_id = container_id

    def found(self) -> list[str]:
        traces = [path for path in (self.run_dir, self.data_root) if os.path.lexists(path)]
        traces += [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{self.container_id}")]
        mounts = Path("/proc/self/mounts").read_text()
        traces += [word for word in (self.run_dir, self.data_root) if word in mounts]
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_text()
                in_network = os.readlink(process / "ns/net") == self.network
            except OSError:
                continue
            if in_network or self.run_dir in words or self.container_id in words:
                traces.append(f"{process.name}: {words}")
        return traces


async def state(daemon: OwnDaemon, container: str) -> str:
    return await docker(daemon, "inspect", "--format", "{{.State.Status}} {{.State.StartedAt}}", container)


@pytest.mark.parametrize("live_restore", [True, False])
async def test_containers_outlive_a_kill_only_with_live_restore_and_nothing_stays(
    tmp_path: Path, live_restore: bool
) -> None:
    with anyio.fail_after(DEADLINE_S):
        async with OwnDaemon(tmp_path, live_restore=live_restore) as daemon:
            await daemon.load_image(IMAGE)
            container = await docker(daemon, "run", "--detach", "--init", IMAGE, "sleep", "1000")
            before, first_pid = await state(daemon, container), daemon.pid
            await daemon.restart(kill=True)
            assert daemon.pid != first_pid
            after = await state(daemon, container)
            assert after == before if live_restore else after.startswith("exited")
            await docker(daemon, "restart", "--time", "0", container)
            await docker(daemon, "pause", container)  # a frozen one does not die of a signal
            traces = Traces(daemon, container)
            assert traces.found() != []
            await daemon.kill()
        assert traces.found() == []


async def test_a_daemon_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    daemon = OwnDaemon(tmp_path, arguments=["--no-such-option"])
    error = await raised(DriverUnavailable, daemon.__aenter__())
    assert "unknown flag: --no-such-option" in error.message
    assert os.listdir(tmp_path) == ["dockerd.log"]


STARTER = """
import sys, anyio
from pathlib import Path
from wavepool.testing.own_daemon import OwnDaemon

async def main():
    async with OwnDaemon(Path(sys.argv[1])) as daemon:
        print(daemon.namespace_pid, daemon.host, flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


def test_it_goes_with_whoever_started_it_even_by_sigkill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid, host = starter.stdout.readline().split()
        network = os.readlink(f"/proc/{pid}/ns/net")
        starter.send_signal(signal.SIGKILL)
    run_dir = Path(host.removeprefix("unix://")).parent
    end = time.monotonic() + DEADLINE_S
    while network in map(_network_of, Path("/proc").glob("[0-9]*")) or run_dir.exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    assert os.listdir(tmp_path) == ["dockerd.log"]


def _network_of(process: Path) -> str:
    try:
        return os.readlink(process / "ns/net")
    except OSError:
        return ""
