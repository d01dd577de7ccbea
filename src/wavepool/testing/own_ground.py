"""The ground under a daemon of one's own: a network and a mount namespace, and who clears them whatever happens.

Run as a program inside fresh namespaces, by path and with the standard library alone. It says ``ready``, waits until
its stdin closes (by intent, or because whoever started it died), then ends every process of these namespaces and of
the daemon's containers, removes their cgroups, mounts and directories, and says in one line of JSON what resisted.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

READY = "ready"
CGROUPS = Path("/sys/fs/cgroup")
PROC = Path("/proc")
SWEEP_S = 30.0
LOOK_AGAIN_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What belongs to one daemon.

    Attributes:
        run_dir: short; sockets, exec-root. `data_root` holds images and containers. Both are removed at the end.
        cgroup_parent: given to the daemon, relative to each hierarchy; empty for its usual ``docker``.
        cgroup_was_there: True where that existed before: then it is not ours to remove.
    """

    run_dir: str
    data_root: str
    cgroup_parent: str = ""
    cgroup_was_there: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Ground:
        return cls(**json.loads(text))

    @property
    def exec_root(self) -> Path:
        return Path(self.run_dir) / "exec"


def prepare() -> None:
    """Inside the namespaces: loopback up; our own place for containerd's sockets, which are otherwise shared."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    Path("/run/containerd").mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0711", "tmpfs", "/run/containerd"], check=True)


def container_ids(ground: Ground) -> set[str]:
    """Every container that the daemon or its containerd knows of."""
    tasks = ground.exec_root / "containerd/daemon/io.containerd.runtime.v2.task/moby"
    places = (Path(ground.data_root) / "containers", tasks)
    return {entry.name for place in places if place.is_dir() for entry in place.iterdir()}


def cgroups(ground: Ground) -> list[Path]:
    """The directories in every hierarchy that hold the daemon's containers, each below its parent."""
    hierarchies = [CGROUPS, *(path for path in CGROUPS.iterdir() if path.is_dir())]
    parent = ground.cgroup_parent.strip("/")
    wanted = [f"{parent or 'docker'}/{each}" for each in container_ids(ground)]
    if parent and not ground.cgroup_was_there:
        wanted.append(parent)
    return [root / name for root in hierarchies for name in wanted if (root / name).is_dir()]


def processes(ground: Ground) -> set[int]:
    """All that lives in our network namespace or in a container's cgroup, but for ourselves."""
    found = set(_in_namespace(os.readlink("/proc/self/ns/net")))
    for cgroup in cgroups(ground):
        for place, _, _ in os.walk(cgroup):
            found |= _members(Path(place))
    return found - {os.getpid()}


def sweep(ground: Ground) -> list[str]:
    """Clear the ground; a sentence for each thing that is still there after half a minute."""
    end = time.monotonic() + SWEEP_S
    while (left := processes(ground)) and time.monotonic() < end:
        _thaw(ground)
        for pid in left:
            _kill(pid)
        time.sleep(LOOK_AGAIN_S)
    problems = [f"process {pid} is still there" for pid in left]
    while (groups := _remove(cgroups(ground))) and time.monotonic() < end:
        time.sleep(LOOK_AGAIN_S)
    problems += [f"cgroup {group} is still there" for group in groups]
    _unmount(ground)
    for directory in (ground.data_root, ground.run_dir):
        shutil.rmtree(directory, ignore_errors=True)
        if os.path.lexists(directory):
            problems.append(f"directory {directory} is still there")
    return problems


def _in_namespace(wanted: str) -> Iterator[int]:
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                inside = os.readlink(entry / "ns/net") == wanted
            except OSError:  # it has just ended
                continue
            if inside:
                yield int(entry.name)


def _members(cgroup: Path) -> set[int]:
    try:
        return {int(line) for line in (cgroup / "cgroup.procs").read_text().split()}
    except OSError:
        return set()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _thaw(ground: Ground) -> None:
    """A frozen (paused) process does not die."""
    for cgroup in cgroups(ground):
        for file, word in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            if (cgroup / file).exists():
                try:
                    (cgroup / file).write_text(word)
                except OSError:
                    continue


def _remove(groups: list[Path]) -> list[Path]:
    """Remove them, children first; those that would not go."""
    left = []
    for group in sorted(groups, key=lambda path: len(path.parts), reverse=True):
        for place, _, _ in os.walk(group, topdown=False):
            try:
                os.rmdir(place)
            except FileNotFoundError:
                continue
            except OSError:
                left.append(Path(place))
    return left


def _unmount(ground: Ground) -> None:
    """Detach what the daemon mounted below its directories; the namespace would drop it anyway, but later."""
    ours = (f"{ground.run_dir}/", f"{ground.data_root}/")
    mounted = [line.split(" ")[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for target in reversed([each for each in mounted if f"{each}/".startswith(ours)]):
        subprocess.run(["umount", "-l", target], check=False, stderr=subprocess.DEVNULL)


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # we end when our starter does, and not before
    ground = Ground.from_json(sys.argv[1])
    prepare()
    print(READY, flush=True)  # noqa: T201 - this is what our starter waits for
    sys.stdin.read()
    problems = sweep(ground)
    print(json.dumps(problems), flush=True)  # noqa: T201 - our result
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
