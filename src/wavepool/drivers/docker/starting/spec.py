"""From an attempt's spec to the body of the create call: limits, confinement, mounts, environment, labels."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from wavepool import labels
from wavepool.drivers.base import AttemptSpec
from wavepool.drivers.docker.starting.delivery import user_ids
from wavepool.drivers.docker.starting.guard import guarded
from wavepool.errors import NotStarted
from wavepool.model import Mount

WORKSPACE_TARGET = "/workspace"
PROMPT_TARGET = "/run/wavepool"
PROMPT_FILE = f"{PROMPT_TARGET}/prompt"
SECRETS_TARGET = "/run/secrets"

ENV_STRING_MAX_BYTES = 128 * 1024 - 1
"""The kernel's MAX_ARG_STRLEN less the final NUL: a longer NAME=value makes execve fail."""

LOG_PIECES = 4
"""Files that an output's limit is spread over; the engine keeps one more, the one that it writes to."""
"""`local` keeps bytes as they are; `json-file` replaces what is not UTF-8 (seen on 20.10)."""

SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")

NO_NAME_SERVERS = ("127.0.0.1",)
"""For containers that must not ask anybody outside for a name: nothing listens there, in the container itself. Without
it the engine's own name server passes questions on even from an internal network (before Docker 26, from the host's
side where the host's name server is at a loopback address). Names on the network itself it knows by itself."""

HOST_GATEWAY = "host.docker.internal:host-gateway"
"""The host by the name that Docker Desktop gives it; an engine on Linux wants to be told."""


def create_body(
    spec: AttemptSpec,
    *,
    prompt_dir: Path,
    secrets_dir: Path | None,
    socket: str = "",
    own_network_id: str | None = None,
    host_gateway: bool = False,
) -> dict[str, Any]:
    """The body of ``POST /containers/create``.

    Args:
        prompt_dir: host directory with the file ``prompt``.
        own_network_id: of the network that it shares with its sidecars; then it is made on that one.
        host_gateway: it may know the host by name, where it has a network with a way out.
        secrets_dir: host directory with one file for each secret; None for no secrets.
        socket: the daemon's own socket, where it is none of the usual ones.

    Raises:
        NotStarted: a mount that is never allowed, or a workspace that is not there.
    """
    body: dict[str, Any] = {
        "Image": spec.image,
        "WorkingDir": spec.directory or WORKSPACE_TARGET,
        "User": user_of(spec),
        "Env": [f"{name}={value}" for name, value in environment(spec).items()],
        "Labels": own_labels(spec),
        "StopSignal": "SIGTERM",
        "Healthcheck": {"Test": ["NONE"]},  # its execs would be work and events that nobody asked for
        "AttachStdin": False,
        "OpenStdin": False,
        "Tty": False,
        "HostConfig": host_config(spec, prompt_dir=prompt_dir, secrets_dir=secrets_dir, socket=socket),
    }
    if own_network_id is not None:
        body["HostConfig"]["NetworkMode"] = own_network_id
    sealed = spec.own_network is not None and spec.own_network.internal
    if sealed:
        body["HostConfig"]["Dns"] = list(NO_NAME_SERVERS)
    elif host_gateway and spec.network is not None:
        body["HostConfig"]["ExtraHosts"] = [HOST_GATEWAY]
    if spec.commands:
        argv = guarded(spec.commands)
        body["Entrypoint"], body["Cmd"] = argv[:1], argv[1:]
    elif spec.command is not None:
        # An entrypoint of one word replaces the image's entrypoint and its arguments both.
        body["Entrypoint"] = list(spec.command[:1])
        body["Cmd"] = list(spec.command[1:])
    return body


def host_config(spec: AttemptSpec, *, prompt_dir: Path, secrets_dir: Path | None, socket: str) -> dict[str, Any]:
    """Limits, confinement and mounts. Raises NotStarted for a mount that is never allowed."""
    limits = spec.limits
    config: dict[str, Any] = {
        "Memory": limits.memory_bytes,
        "MemorySwap": limits.memory_bytes,
        "MemoryReservation": limits.memory_bytes,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "Init": True,
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no"},
        "NetworkMode": network_mode(spec),
        "LogConfig": log_config(spec.log_limit_bytes),
        "Mounts": _mounts(spec, prompt_dir=prompt_dir, secrets_dir=secrets_dir, socket=socket),
    }
    if limits.cpus is not None:
        config["NanoCpus"] = round(limits.cpus * 1_000_000_000)
    if limits.pids is not None:
        config["PidsLimit"] = limits.pids
    if spec.read_only:
        config["ReadonlyRootfs"] = True
    if spec.tmpfs:
        config["Tmpfs"] = {path: _tmpfs_options(size, user_of(spec)) for path, size in spec.tmpfs.items()}
    return config


def _tmpfs_options(size_bytes: int, user: str) -> str:
    """Its user owns it, as a directory that the image has at its place gives it its own mode."""
    ids = user_ids(user)
    owner = f",uid={ids[0]},gid={ids[1]}" if ids else ""
    return f"rw,exec,nosuid,nodev,mode=1777,size={size_bytes}{owner}"


def log_config(limit_bytes: int) -> dict[str, Any]:
    """The engine's own format; it keeps the newest output, at least `limit_bytes` of it and at most a quarter more."""
    piece_bytes = max(1, -(-limit_bytes // LOG_PIECES))
    return {"Type": "local", "Config": {"max-size": str(piece_bytes), "max-file": str(LOG_PIECES + 1)}}


def network_mode(spec: AttemptSpec) -> str:
    """The network's name, or ``none``. Raises NotStarted for another container's network."""
    if spec.network is None:
        return "none"
    if ":" in spec.network:
        raise NotStarted(f"{spec.name}: {spec.network!r} is not the name of a network")
    return spec.network


def environment(spec: AttemptSpec) -> dict[str, str]:
    """The task's variables, then ours. TASK_PROMPT only where execve can carry it."""
    variables = dict(spec.env)
    variables.pop("TASK_PROMPT", None)
    if (
        "\0" not in spec.prompt
        and len(b"TASK_PROMPT=" + spec.prompt.encode("utf-8", "surrogatepass")) <= ENV_STRING_MAX_BYTES
    ):
        variables["TASK_PROMPT"] = spec.prompt
    variables["TASK_PROMPT_FILE"] = PROMPT_FILE
    variables["WAVEPOOL_WORKSPACE"] = WORKSPACE_TARGET
    variables["WAVEPOOL_SECRETS_DIR"] = SECRETS_TARGET
    return variables


def own_labels(spec: AttemptSpec) -> dict[str, str]:
    """The spec's labels, and those that make it ours whatever else it says."""
    return {
        **spec.labels,
        labels.OWNER: spec.owner,
        labels.RUN: spec.run_id,
        labels.WAVE: str(spec.wave),
        labels.TASK: spec.attempt.task_id,
        labels.ATTEMPT: str(spec.attempt.number),
        labels.SPEC_HASH: spec.spec_hash,
    }


def user_of(spec: AttemptSpec) -> str:
    """``uid:gid`` that the container runs as: without capabilities even root writes only into what it owns.

    Raises:
        NotStarted: the workspace is not there.
    """
    if spec.user is not None:
        return spec.user
    try:
        status = spec.workspace.stat()
    except OSError as error:
        raise NotStarted(
            f"{spec.name}: the workspace {spec.workspace} cannot be used: {error.strerror}",
            advice="Give an existing directory with --workspace.",
        ) from error
    return f"{status.st_uid}:{status.st_gid}"


def _mounts(spec: AttemptSpec, *, prompt_dir: Path, secrets_dir: Path | None, socket: str) -> list[dict[str, Any]]:
    wanted = [Mount(source=str(spec.workspace), target=WORKSPACE_TARGET, read_only=False), *spec.mounts]
    for mount in wanted:
        refusal = forbidden(mount.source, socket=socket)
        if refusal:
            raise NotStarted(f"{spec.name}: {mount.source} is never mounted: {refusal}")
    wanted.append(Mount(source=str(prompt_dir), target=PROMPT_TARGET))
    if secrets_dir is not None:
        wanted.append(Mount(source=str(secrets_dir), target=SECRETS_TARGET))
    return [bind(mount) for mount in wanted]


def bind(mount: Mount) -> dict[str, Any]:
    """A mount as the create call takes it. `Mounts` and not `Binds`: a path may have colons in it."""
    return {
        "Type": "bind",
        "Source": os.path.abspath(mount.source),
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        "BindOptions": {"Propagation": "rprivate"},
    }


def forbidden(source: str, *, socket: str = "") -> str:
    """Why this host path is never mounted, or an empty text. Judged as written, and with its links followed."""
    written = os.path.abspath(source)
    try:
        real = os.path.realpath(written)
    except OSError:  # links in /proc may not be read even by root
        real = written
    sockets = {os.path.realpath(each) for each in (*SOCKETS, socket) if each}
    return _refusal(written, sockets) or _refusal(real, sockets)


def _refusal(path: str, sockets: set[str]) -> str:
    if path == "/":
        return "it is the whole host"
    for tree in ("/proc", "/sys"):
        if path == tree or path.startswith(tree + "/"):
            return "it is the kernel's interface"
    for known in sockets:
        if path == known or known.startswith(path + "/"):
            return "it gives the Docker socket, which is root on this host"
    if os.path.basename(path) == "docker.sock" and _is_socket(path):
        return "it is a Docker socket, which is root on its host"
    return ""


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
