"""`wavepool doctor`: what works here, what does not, and how to mend it. Looks only; changes nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from wavepool.drivers.base import Driver, DriverFacts
from wavepool.engine.steps.survey import Survey
from wavepool.errors import DriverUnavailable, InfrastructureError, SettingError
from wavepool.host import CgroupReading, DiskReading, MemoryReading, nearest_existing, read_disk
from wavepool.inputs import check_workspace
from wavepool.labels import is_ours
from wavepool.units import GIB, MIB, human_size

DISK_FAIL_BYTES = 512 * MIB
DISK_WARN_BYTES = 5 * GIB
MEMORY_FAIL_BYTES = 256 * MIB
MEMORY_WARN_BYTES = 1 * GIB
CLOCK_WARN_S = 2.0
API_OLDEST = (1, 41)
DEFAULT_SOCKET = "/var/run/docker.sock"


class Status(StrEnum):
    """`WARN`: Wavepool runs, and something will be missed. `FAIL`: containers will not start."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding: what was looked at, what was seen, and (unless all is well) what to do."""

    name: str
    status: Status
    seen: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """What the settings say that runs will use.

    Attributes:
        owner: of this state directory, or a text that is nobody's.
        address: DOCKER_HOST; None for the usual socket.
        workspace_is_default: nobody asked for it, so its absence is no failure yet.
    """

    owner: str
    image: str
    pull: str
    network: str
    workspace: Path
    workspace_is_default: bool
    state_dir: Path
    address: str | None = None


class Doctor:
    """Examines the engine, then the host.

    Args:
        docker, process: both drivers, open.
        survey: looks at the same engine.
        memory, cgroups: readings of this host.
    """

    def __init__(
        self,
        *,
        docker: Driver,
        process: Driver,
        survey: Survey,
        expected: Expectations,
        memory: MemoryReading,
        cgroups: CgroupReading,
    ) -> None:
        self._docker = docker
        self._process = process
        self._survey = survey
        self._expected = expected
        self._memory = memory
        self._cgroups = cgroups

    async def examine(self) -> list[Check]:
        """All checks, in the order in which one would mend them. Never raises for what it finds."""
        expected = self._expected
        checks = [check_socket(expected.address)]
        found: DriverFacts | None = None
        try:
            found = await self._docker.probe()
        except DriverUnavailable as error:
            checks.append(Check(name="daemon", status=Status.FAIL, seen=error.message, fix=error.advice))
        if found is not None:
            checks += [_daemon(found), check_api(found.details), check_clock(found)]
            checks.append(await _asked("network", self._network))
            checks.append(await _asked("image", self._image))
        checks.append(check_cgroups(self._cgroups, found))
        checks += _disks(found, expected.state_dir)
        checks.append(check_memory(self._memory))
        checks.append(check_directory(expected.workspace, is_default=expected.workspace_is_default))
        checks.append(check_state_dir(expected.state_dir))
        checks.append(await _asked("process fallback", self._fallback))
        return checks

    async def _network(self) -> Check:
        name = self._expected.network
        found = await self._survey.network_labels(name)
        if found is None:
            seen = f"{name} does not exist; it is made when it is needed, and removed when it is empty"
            return Check(name="network", status=Status.OK, seen=seen)
        whose = "ours" if is_ours(found, self._expected.owner) else "not ours: it is used and never removed"
        return Check(name="network", status=Status.OK, seen=f"{name} exists, {whose}")

    async def _image(self) -> Check:
        image, pull = self._expected.image, self._expected.pull
        if await self._survey.has_image(image):
            return Check(name="image", status=Status.OK, seen=f"{image} is on this host")
        fix = f"Pull it with `docker pull {image}`, build it with `docker build -t {image} .`, or give --base-image."
        if pull == "never":
            return Check(name="image", status=Status.FAIL, seen=f"{image} is missing, and --pull is never", fix=fix)
        return Check(name="image", status=Status.WARN, seen=f"{image} is missing; a run would try to pull it", fix=fix)

    async def _fallback(self) -> Check:
        found = await self._process.probe()
        how = found.details.get("memory_limit", "")
        if found.enforces_memory:
            return Check(name="process fallback", status=Status.OK, seen=f"works; memory is limited by {how}")
        return Check(
            name="process fallback",
            status=Status.WARN,
            seen=f"works, without a memory limit for a whole task ({how or 'none'})",
            fix="Run as root, or delegate a cgroup with the memory controller to this user (systemd: Delegate=yes).",
        )


def check_socket(address: str | None) -> Check:
    """Whether this user may open the daemon's socket."""
    name = "socket"
    if address is not None and not address.startswith("unix://"):
        return Check(name=name, status=Status.OK, seen=f"DOCKER_HOST is {address}: no socket of this host")
    path = Path((address or "").removeprefix("unix://") or DEFAULT_SOCKET)
    try:
        status = path.stat()
    except PermissionError:
        return Check(name=name, status=Status.FAIL, seen=f"{path} cannot be reached by this user", fix=_JOIN_GROUP)
    except OSError:
        # Contexts and rootless engines have theirs elsewhere: the daemon's own check decides.
        return Check(name=name, status=Status.WARN, seen=f"{path} does not exist", fix=_START)
    if not stat.S_ISSOCK(status.st_mode):
        return Check(name=name, status=Status.FAIL, seen=f"{path} is no socket", fix=f"Remove it. {_START}")
    if not os.access(path, os.R_OK | os.W_OK):
        return Check(name=name, status=Status.FAIL, seen=f"{path} may not be used by this user", fix=_JOIN_GROUP)
    return Check(name=name, status=Status.OK, seen=f"{path} may be used by this user")


_JOIN_GROUP = "`sudo usermod -aG docker $USER`, then log in again."
_START = "Start Docker with `sudo systemctl start docker`, or install it."


def _daemon(found: DriverFacts) -> Check:
    details = found.details
    where = f" at {details['address']}" if details.get("address") else ""
    system = f", {details['operating_system']}" if details.get("operating_system") else ""
    seen = f"Docker {found.version}{where}{system}"
    if found.remote:
        return Check(
            name="daemon",
            status=Status.WARN,
            seen=f"{seen}; it does not share this host's files",
            fix="Workspace, prompts and secrets are directories of the Docker host: run Wavepool there.",
        )
    warnings = details.get("warnings", "")
    if warnings:
        return Check(name="daemon", status=Status.WARN, seen=f"{seen}; it says: {warnings}", fix="See `docker info`.")
    return Check(name="daemon", status=Status.OK, seen=seen)


def check_api(details: Mapping[str, str]) -> Check:
    """Whether the daemon speaks a version of the API that Wavepool does."""
    spoken = details.get("api_version", "")
    try:
        major, minor = (int(part) for part in spoken.split(".")[:2])
    except ValueError:
        return Check(name="API", status=Status.WARN, seen=f"version {spoken or 'unknown'}", fix="See `docker version`.")
    if (major, minor) < API_OLDEST:
        return Check(name="API", status=Status.FAIL, seen=f"version {spoken}", fix="Install Docker 20.10 or newer.")
    return Check(name="API", status=Status.OK, seen=f"version {spoken} (1.41 or newer is needed)")


def check_clock(found: DriverFacts) -> Check:
    """Whether the engine's clock agrees with ours: times in results come from both."""
    seen = f"the engine's differs from ours by {found.clock_offset_s:+.1f} s"
    if abs(found.clock_offset_s) <= CLOCK_WARN_S:
        return Check(name="clock", status=Status.OK, seen=seen)
    return Check(name="clock", status=Status.WARN, seen=seen, fix="Let both hosts keep time by NTP (`timedatectl`).")


def check_cgroups(reading: CgroupReading, found: DriverFacts | None) -> Check:
    """Whether memory limits reach the kernel, swap included."""
    seen = "no control groups on this host" if reading.version == 0 else f"version {reading.version}"
    if reading.version:
        seen += ", writable by this user" if reading.writable else ", not writable by this user (the daemon's may be)"
    if found is None:
        status = Status.OK if reading.version else Status.WARN
        return Check(name="cgroups", status=status, seen=seen, fix="" if reading.version else _MOUNT_CGROUPS)
    if found.details.get("cgroup_driver"):
        seen += f"; Docker uses {found.details['cgroup_driver']} on version {found.details.get('cgroup_version', '?')}"
    if not found.enforces_memory:
        return Check(name="cgroups", status=Status.FAIL, seen=f"{seen}; memory limits are not enforced", fix=_MEMORY)
    if found.details.get("swap_limit") == "no":
        return Check(name="cgroups", status=Status.WARN, seen=f"{seen}; swap is not limited", fix=_SWAP)
    return Check(name="cgroups", status=Status.OK, seen=f"{seen}; memory and swap limits are enforced")


_MOUNT_CGROUPS = "Mount cgroup2 at /sys/fs/cgroup; without it nothing can be limited."
_MEMORY = "Enable the memory controller: `cgroup_enable=memory` on the kernel's command line, then reboot."
_SWAP = "A task may swap beyond its limit: `swapaccount=1` on the kernel's command line (or cgroup v2), then reboot."


def _disks(found: DriverFacts | None, state_dir: Path) -> list[Check]:
    checks = []
    root = found.details.get("root_dir") if found is not None and not found.remote else None
    for name, path in (("disk of Docker", root), ("disk of the state directory", str(state_dir))):
        if path is None:
            continue
        try:
            reading = read_disk(Path(path))
        except OSError as error:
            checks.append(Check(name=name, status=Status.WARN, seen=f"{path}: {error.strerror}", fix="See `df -h`."))
        else:
            checks.append(replace(check_disk(reading), name=name))
    return checks


def check_disk(reading: DiskReading) -> Check:
    """Whether there is room for images, containers' files and logs."""
    seen = f"{human_size(reading.free_bytes)} of {human_size(reading.total_bytes)} free at {reading.path}"
    fix = "See `df -h` and `docker system df`; `docker system prune` frees what no container uses."
    if reading.free_bytes < DISK_FAIL_BYTES:
        return Check(name="disk", status=Status.FAIL, seen=seen, fix=fix)
    if reading.free_bytes < DISK_WARN_BYTES:
        return Check(name="disk", status=Status.WARN, seen=seen, fix=fix)
    return Check(name="disk", status=Status.OK, seen=seen)


def check_memory(reading: MemoryReading) -> Check:
    """Whether a few tasks fit."""
    seen = f"{human_size(reading.available_bytes)} of {human_size(reading.total_bytes)} available"
    fix = "See `free -h` and `docker stats`; lower the tiers (CFN_TIER_n_MEMORY), --budget or --parallel."
    if reading.available_bytes < MEMORY_FAIL_BYTES:
        return Check(name="memory", status=Status.FAIL, seen=seen, fix=fix)
    if reading.available_bytes < MEMORY_WARN_BYTES:
        return Check(name="memory", status=Status.WARN, seen=seen, fix=fix)
    return Check(name="memory", status=Status.OK, seen=seen)


def check_directory(path: Path, *, is_default: bool) -> Check:
    """Whether the workspace can be mounted."""
    try:
        real = check_workspace(path)
    except SettingError as error:
        status = Status.WARN if is_default else Status.FAIL
        seen = f"{path}: expected {error.expected}"
        return Check(name="workspace", status=status, seen=seen, fix="Give a directory of this host with --workspace.")
    owner = real.stat()
    seen = f"{real}; tasks run as {owner.st_uid}:{owner.st_gid}, its owner, unless --user says otherwise"
    return Check(name="workspace", status=Status.OK, seen=seen)


def check_state_dir(path: Path) -> Check:
    """Whether journals, logs and locks can be written."""
    there = nearest_existing(path)
    fix = "See that you own it and may write to it, or choose another with --state-dir."
    if not there.is_dir():
        return Check(name="state directory", status=Status.FAIL, seen=f"{there} is no directory", fix=fix)
    if not os.access(there, os.W_OK | os.X_OK):
        return Check(name="state directory", status=Status.FAIL, seen=f"{there} is not writable", fix=fix)
    seen = f"{path} is writable" if there == path else f"{path} can be made"
    return Check(name="state directory", status=Status.OK, seen=seen)


async def _asked(name: str, look: Callable[[], Awaitable[Check]]) -> Check:
    try:
        return await look()
    except InfrastructureError as error:
        return Check(name=name, status=Status.FAIL, seen=error.message, fix=error.advice)
