"""What the daemon complains of, put into our errors with the advice that fits."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass

from wavepool.drivers.docker import tls
from wavepool.errors import DriverUnavailable, InfrastructureError, NotStarted

_CUT_START = re.compile(
    r"\btask \w+: already exists|\bid already in use|client connection is closing"
    r"|failed to start shim: mkdir .*: file exists",
    re.IGNORECASE,
)
"""Words of a later start, and of the cut one itself where the daemon lived long enough to note why it failed."""


class Refused(InfrastructureError):
    """The daemon answered with an error status. Does not leave the driver.

    Attributes:
        status: HTTP status.
        words: the daemon's own message.
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"the Docker daemon answered {status}: {words}")
        self.status = status
        self.words = words


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A kind of complaint: how to know it, what to do, whether the same call may succeed later."""

    pattern: re.Pattern[str]
    advice: str
    transient: bool = False
    program_exit_code: int | None = None


def _trouble(pattern: str, advice: str, *, transient: bool = False, code: int | None = None) -> Trouble:
    return Trouble(
        pattern=re.compile(pattern, re.IGNORECASE), advice=advice, transient=transient, program_exit_code=code
    )


_TROUBLES = (
    _trouble(
        r"no such image|image .*not found|manifest .*unknown|pull access denied",
        "Pull it with `docker pull {image}`, or build it with `docker build -t {image} .`.",
    ),
    _trouble(
        r"HTTP request to an HTTPS server",
        f"It speaks TLS: set {tls.VERIFY}=1, and {tls.CERTIFICATES} to the directory of ca.pem, cert.pem and key.pem.",
    ),
    _trouble(r"network .*not found|no such network", "Create it with `docker network create {network}`."),
    _trouble(
        # Two runs that make it at the same time: one of them takes its own away again.
        r"network .*is ambiguous",
        "Several networks are called {network}: see `docker network ls`, and remove what is not used.",
        transient=True,
    ),
    _trouble(
        # A daemon that was restarted in the middle of a start remembers an end that is not there any more.
        r"endpoint .*already exists in network",
        "The daemon's record of network {network} is stale; `sudo systemctl restart docker` mends that if it stays so.",
        transient=True,
    ),
    _trouble(
        r"no available ipv4 addresses|address pools? .*(exhausted|fully subscribed)|could not find an available",
        "Every address is taken: remove unused networks with `docker network prune`, use `--isolate none`, "
        "or widen `default-address-pools` in /etc/docker/daemon.json.",
        transient=True,
    ),
    _trouble(
        r"memory is too large|exceeds .*memory|cannot allocate memory",
        "Lower the memory per container (CFN_TIER_n_MEMORY or --memory), give Docker more memory, or run fewer at once "
        "(--parallel).",
        transient=True,
    ),
    _trouble(
        r"minimum memory limit|memory limit .*(less|small)|range of cpus",
        "Give the task a memory limit of at least 6m, and no more CPUs than the host has.",
    ),
    _trouble(
        r"unable to set memory limit to|container init was OOM-killed",  # runc 1.1.15 takes 10 MB of it on its way
        "This engine takes some memory of the task's own to start it: give the task a memory limit of at least 16m.",
    ),
    _trouble(
        r"no space left on device",
        "The disk is full: see `df -h` and `docker system df`, then `docker system prune`.",
    ),
    _trouble(
        r"docker-init.*(executable file not found|no such file)",
        "The daemon's init program is missing: install the package `tini` (or `docker-init`) on the Docker host.",
    ),
    _trouble(
        r"bind source path does not exist|bind mount .*failed|not a directory.*mount|mount.*not a directory",
        "The directory must exist on the Docker host; a remote daemon or Docker Desktop does not see all of yours.",
    ),
    _trouble(
        r"duplicate mount point",
        "Two mounts have the same target: /workspace, /run/wavepool and /run/secrets are taken.",
    ),
    _trouble(
        r"executable file not found|exec: .*no such file or directory", "The program is not in the image.", code=127
    ),
    _trouble(
        r"exec: .*permission denied|exec format error|exec: .*is a directory",
        "The program is in the image but cannot be executed.",
        code=126,
    ),
    _trouble(r"unable to find user|no matching entries in passwd|unable to find group", "Give --user as uid:gid."),
    _trouble(
        r"argument list too long", "Command and environment together are too long: pass long text by the prompt file."
    ),
    _trouble(
        r"port is already allocated|address already in use",
        "Something else has this port of the host: leave the published port out (one that is free is taken then), "
        "or run one such task at a time.",
        transient=True,
    ),
    _trouble(
        r"failed to update store"  # it stops
        r"|resource busy|temporarily unavailable|too many open files|deadline exceeded|timed? ?out|connection refused"
        r"|ttrpc: closed|transport is closing|is locked|name .*is reserved",
        "The daemon was busy; it is tried again. If it stays so, see `journalctl -u docker`.",
        transient=True,
    ),
)


def is_wreck(words: str) -> bool:
    """Whether a start was refused because a restart of the daemon had cut an earlier one in two (see `wrecks`)."""
    return _CUT_START.search(words) is not None


def find_trouble(words: str) -> Trouble | None:
    """The first kind of complaint that `words` fit, or None."""
    return next((trouble for trouble in _TROUBLES if trouble.pattern.search(words)), None)


def advice_for(words: str, *, image: str = "IMAGE", network: str = "NETWORK") -> str:
    """What to do about the daemon's `words`; empty where nothing fits."""
    trouble = find_trouble(words)
    return trouble.advice.format(image=image, network=network) if trouble else ""


def not_started(refused: Refused, *, name: str, image: str, network: str | None) -> NotStarted:
    """The error of a start that the daemon refused."""
    trouble = find_trouble(refused.words)
    return NotStarted(
        f"{name} did not start: {refused.words}",
        transient=trouble.transient if trouble else False,
        exit_code=trouble.program_exit_code if trouble else None,
        advice=advice_for(refused.words, image=image, network=network or "NETWORK"),
    )


_START_DOCKER = "Start it with `sudo systemctl start docker`, or install it: https://docs.docker.com/engine/install/"
_JOIN_GROUP = (
    "Add yourself to its group with `sudo usermod -aG docker $USER`, then log in again (`ls -la /var/run/docker.sock` "
    "and `groups $USER` show whether that is it)."
)


def unreachable(error: BaseException, address: str) -> DriverUnavailable:
    """The error of a connection to `address` that failed with `error` (or one of its causes)."""
    where = f" at {address}" if address else ""
    if refused := tls.failure(error):
        return DriverUnavailable(f"no TLS to the Docker daemon{where}: {refused}", advice=tls.ADVICE)
    number = _errno(error)
    if number in (errno.EACCES, errno.EPERM):
        return DriverUnavailable(f"you may not use the Docker socket{where}: permission denied", advice=_JOIN_GROUP)
    words = os.strerror(number) if number is not None else str(error) or type(error).__name__
    if "certificate" in words.lower():
        advice = tls.ADVICE
    elif "asyncssh" in words:
        advice = "For ssh:// addresses install its client: `pip install 'aiodocker[ssh]'`."
    elif "context" in words.lower():
        advice = "Choose another with `docker context use default`, or unset DOCKER_CONTEXT."
    elif address.startswith("ssh://"):
        advice = f"See that `docker --host {address} version` answers, and asks nothing: key, known host, group docker."
    elif address.startswith(("tcp://", "http://", "https://")):
        advice = "Check DOCKER_HOST (or the Docker context), and that the daemon there runs and listens."
    else:
        advice = _START_DOCKER
    return DriverUnavailable(f"cannot connect to the Docker daemon{where}: {words}", advice=advice)


def _errno(error: BaseException) -> int | None:
    """The operating system's error number behind `error`, through aiohttp's wrappers."""
    cause: BaseException | None = error
    while cause is not None:
        number = getattr(cause, "errno", None)
        if isinstance(number, int):
            return number
        inner = getattr(cause, "os_error", None) or cause.__cause__
        cause = inner if isinstance(inner, BaseException) else None
    return None
