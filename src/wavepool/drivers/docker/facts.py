"""What the engine says of itself, as the contract's `DriverFacts`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wavepool.drivers.base import DriverFacts
from wavepool.drivers.docker.watching.sightings import DRIVER_NAME
from wavepool.drivers.docker.watching.verdict import parse_time
from wavepool.model import Node, Resources

NODE = "local"

_DETAILS = {
    "cgroup_version": "CgroupVersion",
    "cgroup_driver": "CgroupDriver",
    "storage_driver": "Driver",
    "logging_driver": "LoggingDriver",
    "root_dir": "DockerRootDir",
    "operating_system": "OperatingSystem",
    "kernel": "KernelVersion",
    "architecture": "Architecture",
    "init_binary": "InitBinary",
    "default_runtime": "DefaultRuntime",
    "containers": "Containers",
    "images": "Images",
    "host_name": "Name",
}


def driver_facts(
    version: Mapping[str, Any], info: Mapping[str, Any], *, address: str, asked_at_s: float
) -> DriverFacts:
    """Facts from the answers of ``/version`` and ``/info``; `asked_at_s` is our clock when the latter was made."""
    capacity = Resources(int(info.get("MemTotal", 0)), int(info.get("NCPU", 0)) * 1000)
    theirs = parse_time(info.get("SystemTime"))
    details = {name: str(info[key]) for name, key in _DETAILS.items() if info.get(key) not in (None, "")}
    details |= {
        "address": address,
        "api_version": str(version.get("ApiVersion", "")),
        "security": ", ".join(info.get("SecurityOptions") or ()),
        "warnings": "\n".join(info.get("Warnings") or ()),
        "swap_limit": "yes" if info.get("SwapLimit") else "no",
        "pids_limit": "yes" if info.get("PidsLimit") else "no",
    }
    return DriverFacts(
        driver=DRIVER_NAME,
        version=str(version.get("Version", "")),
        execution_mode="docker",
        nodes=(Node(name=NODE, capacity=capacity),),
        clock_offset_s=theirs.timestamp() - asked_at_s if theirs else 0.0,
        remote=is_remote(info, address),
        enforces_memory=bool(info.get("MemoryLimit", True)),
        details=details,
    )


def is_remote(info: Mapping[str, Any], address: str) -> bool:
    """True where the engine does not share this host's files: another host, or Docker Desktop's virtual machine."""
    if address and not address.startswith(("unix://", "npipe://")):
        return True
    return "Docker Desktop" in str(info.get("OperatingSystem", ""))
