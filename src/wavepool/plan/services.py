"""One service, as Compose writes it, made into a sidecar. Pure.

What we do not offer is refused where leaving it out would change what the service does or may do, and left out with a
warning where it would not. Errors name the path from the service on; the caller puts what stands before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from wavepool.errors import PlanError
from wavepool.inputs.names import image_problem
from wavepool.model import SIDECAR_CAPABILITIES, Limits, Sidecar
from wavepool.plan.shortforms import (
    read_argv,
    read_environment,
    read_healthcheck,
    read_number,
    read_ports,
    read_seconds,
    read_size,
    read_text,
    read_texts,
    read_volumes,
)
from wavepool.units import DOCKER_MEMORY_MIN_BYTES, MIB

DEFAULT_MEMORY_BYTES = 256 * MIB
DEFAULT_PIDS = 512

_SERVICE_NAME = re.compile(r"[a-z]([a-z0-9_-]{0,38}[a-z0-9])?", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,31})?", re.ASCII)
_SIGNAL = re.compile(r"(SIG)?[A-Z][A-Z0-9+-]{1,10}|\d{1,2}", re.ASCII)

_IGNORED: Mapping[str, str] = {
    "container_name": "names are derived",
    "hostname": "its host name is its name",
    "labels": "only Wavepool's own labels are set",
    "logging": "its output is kept with the run",
    "restart": "a sidecar that ends is reported, not started again",
    "init": "it always has one",
    "cap_drop": "every capability is dropped but those of cap_add",
    "networks": "it is on a network of its own task, or stack",
    "links": "every sidecar of a task reaches the others by name",
    "pull_policy": "--pull decides",
    "profiles": "all services start",
    "platform": "the engine's own is used",
    "annotations": "nothing reads them",
    "attach": "its output is kept with the run",
    "memswap_limit": "swap is bounded with memory",
    "mem_reservation": "the limit is reserved",
    "stdin_open": "it gets no input",
    "tty": "it gets no terminal",
}
_INSTEAD: Mapping[str, str] = {
    "build": "an image that is there: build it first, and name it with image",
    "deploy": "mem_limit, cpus and pids_limit",
    "memory": "mem_limit",
    "env": "environment",
    "env_file": "environment",
    "timeout": "the times of healthcheck",
    "privileged": "nothing of the kind: sidecars are confined as tasks are (see cap_add)",
    "network_mode": "nothing of the kind: it is on its task's own network",
    "security_opt": "nothing of the kind: no-new-privileges and the default profiles hold",
}


def check_name(name: object) -> str:
    """A service's name, which is its host name too. Raises PlanError with an empty path."""
    if not isinstance(name, str) or not _SERVICE_NAME.fullmatch(name):
        raise PlanError("", name, "a name of 1 to 40 lower case letters, digits, _ and -, beginning with a letter")
    return name


def read_service(name: str, given: object, warn: Callable[[str], None]) -> Sidecar:
    """The sidecar of one entry; `warn` is told one sentence for each field that is left out.

    Raises:
        PlanError: its path begins at the service.
    """
    if not isinstance(given, dict):
        raise PlanError("", given, "a service as an object, or false for none")
    _check_fields(given, warn)
    image = given.get("image")
    problem = image_problem(image) if isinstance(image, str) else "an image reference as text"
    if not isinstance(image, str) or problem is not None:
        raise PlanError("image", image, problem or "")
    return Sidecar(
        name=name,
        image=image,
        limits=_limits(given),
        command=read_argv("command", given.get("command")),
        entrypoint=read_argv("entrypoint", given.get("entrypoint")),
        env=read_environment(given.get("environment")),
        healthcheck=read_healthcheck(given.get("healthcheck")),
        ports=read_ports(given.get("ports")),
        expose=_expose(given.get("expose")),
        volumes=read_volumes(given.get("volumes")),
        tmpfs=_tmpfs(given.get("tmpfs")),
        user=_user(given.get("user")),
        working_dir=_working_dir(given.get("working_dir")),
        depends_on=_depends_on(given.get("depends_on")),
        shm_bytes=None if given.get("shm_size") is None else read_size("shm_size", given["shm_size"]),
        cap_add=_cap_add(given.get("cap_add")),
        stop_signal=_stop_signal(given.get("stop_signal")),
        stop_grace_s=None
        if given.get("stop_grace_period") is None
        else read_seconds("stop_grace_period", given["stop_grace_period"]),
    )


_KNOWN = frozenset(
    {
        "image", "command", "entrypoint", "environment", "healthcheck", "ports", "expose", "volumes", "tmpfs", "user",
        "working_dir", "depends_on", "shm_size", "cap_add", "stop_signal", "stop_grace_period", "mem_limit", "cpus",
        "pids_limit",
    }
)  # fmt: skip


def _check_fields(given: Mapping[str, object], warn: Callable[[str], None]) -> None:
    for name, value in given.items():
        if name in _KNOWN or str(name).startswith("x-"):
            continue
        if name not in _IGNORED:
            known = f"one of the fields {', '.join(sorted(_KNOWN))}"
            raise PlanError(f"{name:.80}", value, _INSTEAD.get(str(name), known))
        warn(f"{name}: is left out: {_IGNORED[str(name)]}")


def _limits(given: Mapping[str, object]) -> Limits:
    memory_bytes = DEFAULT_MEMORY_BYTES
    if given.get("mem_limit") is not None:
        memory_bytes = read_size("mem_limit", given["mem_limit"])
        if memory_bytes < DOCKER_MEMORY_MIN_BYTES:
            raise PlanError("mem_limit", given["mem_limit"], "at least 6m, the least that Docker accepts")
    pids = given.get("pids_limit")
    return Limits(
        memory_bytes=memory_bytes,
        cpus=_cpus(given.get("cpus")),
        pids=DEFAULT_PIDS if pids is None else read_number("pids_limit", pids, least=1, most=4_194_304),
    )


def _cpus(given: object) -> float | None:
    if given is None:
        return None
    try:
        number = float(given) if isinstance(given, str | int | float) and not isinstance(given, bool) else 0.0
    except ValueError:
        number = 0.0
    if not 0.01 <= number <= 10_000:
        raise PlanError("cpus", given, "cores, from 0.01")
    return number


def _expose(given: object) -> tuple[int, ...]:
    if given is None:
        return ()
    if not isinstance(given, list):
        raise PlanError("expose", given, "a list of ports")
    return tuple(read_number(f"expose[{i}]", each, least=1, most=65535) for i, each in enumerate(given))


def _tmpfs(given: object) -> tuple[str, ...]:
    expected = "an absolute path, or a list of them"
    found = read_texts("tmpfs", given, expected)
    for text in found:
        if not text.startswith("/") or text.partition(":")[0].rstrip("/") in ("", "/data"):
            raise PlanError("tmpfs", text, f"{expected}; / and /data are taken")
    return found


def _user(given: object) -> str | None:
    if given is None:
        return None
    text = str(given) if type(given) is int else given
    if not isinstance(text, str) or not _USER.fullmatch(text):
        raise PlanError("user", given, "a user as uid, uid:gid, or a name that the image knows")
    return text


def _working_dir(given: object) -> str | None:
    if given is None:
        return None
    text = read_text("working_dir", given, "an absolute path")
    if not text.startswith("/"):
        raise PlanError("working_dir", given, "an absolute path")
    return text


def _depends_on(given: object) -> tuple[str, ...]:
    """Every dependency is waited for until it is ready, whichever condition is named."""
    if not isinstance(given, dict):
        return tuple(dict.fromkeys(read_texts("depends_on", given, "names of services")))
    for name, details in given.items():
        condition = details.get("condition", "service_started") if isinstance(details, dict) else details
        if condition not in ("service_started", "service_healthy"):
            raise PlanError(f"depends_on.{name:.80}.condition", condition, "service_started or service_healthy")
    return tuple(str(name) for name in given)


def _cap_add(given: object) -> tuple[str, ...]:
    allowed = f"capabilities of {', '.join(sorted(SIDECAR_CAPABILITIES))}"
    found = tuple(text.upper().removeprefix("CAP_") for text in read_texts("cap_add", given, allowed))
    for index, name in enumerate(found):
        if name not in SIDECAR_CAPABILITIES:
            raise PlanError(f"cap_add[{index}]", name, allowed)
    return tuple(sorted(set(found)))


def _stop_signal(given: object) -> str | None:
    if given is None:
        return None
    text = str(given)
    if not _SIGNAL.fullmatch(text):
        raise PlanError("stop_signal", given, "a signal such as SIGINT")
    return text
