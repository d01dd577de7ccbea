"""A Docker daemon of one's own: to be stopped, killed and restarted without harm to the machine's.

It has its own network and mount namespaces (its docker0 is not the machine's), data, containerd and socket. What it
leaves when it is killed (shims, containers, mounts, cgroups) is found by these and cleared; see `own_ground`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

from wavepool.errors import DriverUnavailable, InfrastructureError
from wavepool.testing import own_ground
from wavepool.testing.own_ground import Ground

START_DEADLINE_S = 90.0
STOP_DEADLINE_S = 60.0
LOAD_DEADLINE_S = 120.0
LOG_SHOWN = 15
_LOOK_AGAIN_S = 0.02
_TOOLS = ("dockerd", "containerd", "runc", "unshare", "nsenter", "ip", "mount", "docker")


class OwnDaemon:
    """Starts with the context, and leaves nothing after it. Needs root.

    Args:
        directory: exists; for its data and its log. Sockets lie in a short directory elsewhere: their paths may not be
            longer than 107 bytes.
        live_restore: whether its containers live on while it is away.
        arguments: more options for dockerd.
        cgroup_parent: where its containers' cgroups lie, as ``/name``; None for the daemon's usual place.
        shutdown_s: how long a stopping daemon waits for its containers to end by SIGTERM.

    Attributes:
        host: its address, ``unix:///...``.
        log: the file that it writes its log to.
    """

    def __init__(
        self,
        directory: Path,
        *,
        live_restore: bool = False,
        arguments: Sequence[str] = (),
        cgroup_parent: str | None = None,
        shutdown_s: int = 5,
    ) -> None:
        self._directory = directory.resolve()
        self._live_restore = live_restore
        self._arguments = tuple(arguments)
        self._cgroup_parent = cgroup_parent or ""
        self._shutdown_s = shutdown_s
        self._ground: Ground | None = None
        self._keeper: subprocess.Popen[str] | None = None
        self._daemon: subprocess.Popen[bytes] | None = None
        self.log = self._directory / "dockerd.log"
        self.host = ""

    @property
    def pid(self) -> int | None:
        """Of dockerd; None while it does not run."""
        return self._daemon.pid if self._daemon is not None and self._daemon.poll() is None else None

    @property
    def namespace_pid(self) -> int:
        """A process in its namespaces, for `nsenter`: its bridges and published ports are not the machine's."""
        assert self._keeper is not None, "it is used outside its context"
        return self._keeper.pid

    async def __aenter__(self) -> Self:
        _check_tools()
        self._take_ground()
        try:
            await self._await_keeper()
            await self.start()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._clear()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            try:
                await self.stop()
            finally:
                await self._clear()

    async def start(self) -> None:
        """Start it and wait until it answers; one that runs is left as it is.

        Raises:
            DriverUnavailable: it ended, or does not answer; the message has the end of its log.
        """
        if self.pid is not None:
            return
        self._launch()
        answered = await _wait_for(lambda: self.pid is None or self._answers(), START_DEADLINE_S)
        if self.pid is None or not answered:
            raise DriverUnavailable(f"a dockerd of our own did not come up; the end of its log:\n{self._log_end()}")

    async def stop(self) -> None:
        """SIGTERM, as a system that shuts down would; waits for its end, and kills it after a minute."""
        if self._daemon is not None and self.pid is not None:
            self._daemon.terminate()
            if not await _wait_for(lambda: self.pid is None, STOP_DEADLINE_S):
                await self.kill()
        await self._await_containerd()

    async def kill(self) -> None:
        """SIGKILL, and wait for its end. Its containers live on until it is started again (or left)."""
        if self._daemon is not None and self.pid is not None:
            self._daemon.kill()
            await _wait_for(lambda: self.pid is None, STOP_DEADLINE_S)
        await self._await_containerd()

    async def restart(self, *, kill: bool = False) -> None:
        """Stop it (or `kill` it), and start it again. Raises as `start`."""
        await (self.kill() if kill else self.stop())
        await self.start()

    async def load_image(self, reference: str, *, source: str | None = None) -> None:
        """Give it an image of the daemon at `source` (None: the one that DOCKER_HOST or the context says).

        Raises:
            InfrastructureError: the image is not there, or cannot be loaded.
        """
        await anyio.to_thread.run_sync(self._load, reference, source, abandon_on_cancel=False)

    # -- the parts --

    def _take_ground(self) -> None:
        run_dir = tempfile.mkdtemp(prefix="wp-", dir="/tmp")
        data_root = self._directory / "docker-data"
        data_root.mkdir(mode=0o711)
        parent = self._cgroup_parent.strip("/")
        there = bool(parent) and any(path.is_dir() for path in own_ground.CGROUPS.glob(f"*/{parent}"))
        self._ground = Ground(run_dir=run_dir, data_root=str(data_root), cgroup_parent=parent, cgroup_was_there=there)
        self.host = f"unix://{run_dir}/docker.sock"
        (Path(run_dir) / "daemon.json").write_text(json.dumps(self._configuration(run_dir)))
        keeper = ["unshare", "--net", "--mount", "--propagation", "private", "--"]
        program = [sys.executable, "-I", str(own_ground.__file__), self._ground.to_json()]
        self._keeper = subprocess.Popen(
            [*keeper, *program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def _configuration(self, run_dir: str) -> dict[str, object]:
        """In place of the machine's /etc/docker/daemon.json."""
        return {
            "live-restore": self._live_restore,
            "shutdown-timeout": self._shutdown_s,
            "deprecated-key-path": f"{run_dir}/key.json",
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
        }

    def _command(self) -> list[str]:
        assert self._ground is not None, "it is used outside its context"
        run_dir = Path(self._ground.run_dir)
        (run_dir / "docker.pid").unlink(missing_ok=True)  # of a killed one; its number may belong to another by now
        parent = ["--cgroup-parent", f"/{self._ground.cgroup_parent}"] if self._ground.cgroup_parent else []
        return [
            *("nsenter", "--target", str(self.namespace_pid), "--net", "--mount", "--", "dockerd"),
            *("--config-file", str(run_dir / "daemon.json"), "--host", self.host),
            *("--data-root", self._ground.data_root, "--exec-root", str(self._ground.exec_root)),
            *("--pidfile", str(run_dir / "docker.pid"), *parent, *self._arguments),
        ]

    def _launch(self) -> None:
        with self.log.open("ab") as log:
            self._daemon = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={key: value for key, value in os.environ.items() if not key.startswith("DOCKER_")},
            )

    def _answers(self) -> bool:
        asked = subprocess.run(
            ["docker", "--host", self.host, "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            check=False,
            timeout=START_DEADLINE_S,
        )
        return asked.returncode == 0

    def _log_end(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_SHOWN:])

    async def _await_keeper(self) -> None:
        assert self._keeper is not None
        assert self._keeper.stdout is not None
        said = await anyio.to_thread.run_sync(self._keeper.stdout.readline)
        if said.strip() != own_ground.READY:
            raise InfrastructureError("no namespaces for a Docker daemon of our own can be made here (are you root?)")

    async def _await_containerd(self) -> None:
        """Its containerd dies with it, a moment later; a new daemon would take it, or its zombie, for a living one."""
        assert self._ground is not None
        file = self._ground.exec_root / "containerd/containerd.pid"
        if file.exists():
            pid = file.read_text().strip()
            await _wait_for(lambda: not _is_containerd(pid), STOP_DEADLINE_S)
            file.unlink(missing_ok=True)

    async def _clear(self) -> None:
        """Let the ground be swept. Raises InfrastructureError: something resisted."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        said, _ = await anyio.to_thread.run_sync(keeper.communicate)
        if self._daemon is not None:
            await anyio.to_thread.run_sync(self._daemon.wait)
        problems = json.loads(said) if said.strip() else ["whoever should have cleared it died"]
        if problems:
            raise InfrastructureError(f"a dockerd of our own left something behind: {'; '.join(problems)}")

    def _load(self, reference: str, source: str | None) -> None:
        origin = ["--host", source] if source else []
        with tempfile.NamedTemporaryFile(dir=self._directory, suffix=".tar") as file:
            _docker(*origin, "save", "--output", file.name, reference)
            _docker("--host", self.host, "load", "--quiet", "--input", file.name)


def _docker(*arguments: str) -> None:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=LOAD_DEADLINE_S)
    if done.returncode != 0:
        raise InfrastructureError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")


def _is_containerd(pid: str) -> bool:
    """True while it lives; where nobody reaps it, it stays a zombie."""
    try:
        _, comm, rest = Path(f"/proc/{pid}/stat").read_text().replace("(", ")").split(")", 2)
    except (OSError, ValueError):
        return False
    return comm == "containerd" and rest.split()[0] != "Z"


async def _wait_for(condition: Callable[[], bool], deadline_s: float) -> bool:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            return False
        await anyio.sleep(_LOOK_AGAIN_S)
    return True


def _check_tools() -> None:
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        why = f"not installed: {', '.join(missing)}" if missing else "only root may start one"
        raise InfrastructureError(
            f"there can be no Docker daemon of our own here: {why}",
            advice="On Debian, as root: apt-get install docker.io containerd runc iproute2 util-linux mount.",
        )
