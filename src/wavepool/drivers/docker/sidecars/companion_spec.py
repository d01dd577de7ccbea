"""From a sidecar's spec to the body of its create call: confined as a task is, with what a database needs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from wavepool.drivers.base import SidecarSpec
from wavepool.drivers.docker.starting.spec import HOST_GATEWAY, NO_NAME_SERVERS, bind, forbidden, log_config
from wavepool.errors import NotStarted
from wavepool.model import LOG_LIMIT_BYTES, Healthcheck, Mount

DATA_TARGET = "/data"

DEFAULT_INTERVAL_S = 5.0
"""Of a test that names none: each costs a process in the container for as long as it runs."""
DEFAULT_TIMEOUT_S = 30.0
DEFAULT_PATIENCE_S = 90.0
"""Compose's 3 failures at 30 seconds, in steps of the interval."""


def companion_body(
    spec: SidecarSpec, *, network_id: str, host_gateway: bool, socket: str = "", sealed: bool = False
) -> dict[str, Any]:
    """The body of ``POST /containers/create``.

    Args:
        network_id: of the network that it shares with its task alone.
        host_gateway: it may know the host by name.
        sealed: that network leads nowhere: names that are not on it are asked of nobody.

    Raises:
        NotStarted: a mount that is never allowed, or no data directory.
    """
    sidecar = spec.sidecar
    body: dict[str, Any] = {
        "Image": sidecar.image,
        "Hostname": sidecar.name,
        "User": sidecar.user or _owner(spec.data, spec.name),
        "Env": [f"{name}={value}" for name, value in sidecar.env.items()],
        "Labels": dict(spec.labels),
        "AttachStdin": False,
        "OpenStdin": False,
        "Tty": False,
        "ExposedPorts": {f"{port.target}/{port.protocol}": {} for port in sidecar.ports}
        | {f"{port}/tcp": {} for port in sidecar.expose},
        "HostConfig": _host_config(spec, network_id=network_id, host_gateway=host_gateway, socket=socket),
        "NetworkingConfig": {"EndpointsConfig": {network_id: {"Aliases": [sidecar.name]}}},
    }
    if sealed and not sidecar.outside:
        body["HostConfig"]["Dns"] = list(NO_NAME_SERVERS)
    if sidecar.command is not None:
        body["Cmd"] = list(sidecar.command)
    if sidecar.entrypoint is not None:
        body["Entrypoint"] = list(sidecar.entrypoint) or [""]  # an empty text takes the image's away
    if sidecar.working_dir is not None:
        body["WorkingDir"] = sidecar.working_dir
    if sidecar.stop_signal is not None:
        body["StopSignal"] = sidecar.stop_signal
    if sidecar.stop_grace_s is not None:
        body["StopTimeout"] = math.ceil(sidecar.stop_grace_s)
    if sidecar.healthcheck is not None:
        body["Healthcheck"] = healthcheck_body(sidecar.healthcheck)
    return body


def _host_config(spec: SidecarSpec, *, network_id: str, host_gateway: bool, socket: str) -> dict[str, Any]:
    sidecar, limits = spec.sidecar, spec.sidecar.limits
    config: dict[str, Any] = {
        "Memory": limits.memory_bytes,
        "MemorySwap": limits.memory_bytes,
        "MemoryReservation": limits.memory_bytes,
        "CapDrop": ["ALL"],
        "CapAdd": list(sidecar.cap_add),
        "SecurityOpt": ["no-new-privileges"],
        "Init": True,
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no"},
        "NetworkMode": network_id,
        "LogConfig": log_config(LOG_LIMIT_BYTES),
        "Mounts": _mounts(spec, socket),
        "PortBindings": _bindings(spec),
    }
    if sidecar.tmpfs:
        config["Tmpfs"] = {path: options for path, _, options in (each.partition(":") for each in sidecar.tmpfs)}
    if sidecar.read_only:
        config["ReadonlyRootfs"] = True
    if sidecar.outside:
        # It speaks for others, and never passes their packets on.
        config["Sysctls"] = {"net.ipv4.ip_forward": "0"}
    if host_gateway:
        config["ExtraHosts"] = [HOST_GATEWAY]
    if limits.cpus is not None:
        config["NanoCpus"] = round(limits.cpus * 1_000_000_000)
    if limits.pids is not None:
        config["PidsLimit"] = limits.pids
    if sidecar.shm_bytes is not None:
        config["ShmSize"] = sidecar.shm_bytes
    return config


def healthcheck_body(check: Healthcheck) -> dict[str, Any]:
    """The engine's own form: nanoseconds, and as many failures as fill the usual patience."""
    interval_s = check.interval_s or DEFAULT_INTERVAL_S
    retries = check.retries or max(3, round(DEFAULT_PATIENCE_S / interval_s))
    return {
        "Test": list(check.test),
        "Interval": _nanoseconds(interval_s),
        "Timeout": _nanoseconds(check.timeout_s or DEFAULT_TIMEOUT_S),
        "Retries": retries,
        "StartPeriod": _nanoseconds(check.start_period_s or 0.0),
    }


def _nanoseconds(seconds: float) -> int:
    """The engine takes no interval below a millisecond."""
    return max(1_000_000, round(seconds * 1e9)) if seconds else 0


def _mounts(spec: SidecarSpec, socket: str) -> list[dict[str, Any]]:
    for mount in spec.mounts:
        if refusal := forbidden(mount.source, socket=socket):
            raise NotStarted(f"{spec.name}: {mount.source} is never mounted: {refusal}")
    mounts = list(spec.mounts)
    if all(mount.target != DATA_TARGET for mount in mounts):
        mounts.insert(0, Mount(source=str(spec.data), target=DATA_TARGET, read_only=False))
    return [bind(mount) for mount in mounts]


def _bindings(spec: SidecarSpec) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in spec.sidecar.ports:
        entry = {"HostIp": port.address, "HostPort": str(port.published or "")}
        bindings.setdefault(f"{port.target}/{port.protocol}", []).append(entry)
    return bindings


def _owner(data: Path, name: str) -> str:
    try:
        status = data.stat()
    except OSError as error:
        raise NotStarted(f"{name}: its data directory {data} cannot be used: {error.strerror}") from error
    return f"{status.st_uid}:{status.st_gid}"
