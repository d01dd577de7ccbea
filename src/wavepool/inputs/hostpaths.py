"""Directories and files of the host that tasks get to see: the workspace and extra mounts.

A path is judged by what it really is: symbolic links are followed first, and the followed path is what is mounted, so
that a link changed later leads nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from wavepool.errors import SettingError
from wavepool.model import Mount

ENGINE_SOCKETS = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
)
"""Whoever can write to one of these is root on the host."""

_KERNEL_TREES = (Path("/proc"), Path("/sys"))
_TARGETS_TAKEN = ("/workspace", "/run/secrets", "/run/wavepool", "/proc", "/sys")
_MOUNT_EXPECTED = "SOURCE:TARGET[:ro|rw] or type=bind,source=SOURCE,target=TARGET[,readonly|rw]"


def check_workspace(path: str | Path, *, option: str = "--workspace") -> Path:
    """The directory that tasks work in, followed to its real path.

    Raises:
        SettingError: missing, not a directory, or one that must not be mounted.
    """
    real = _existing(option, path)
    if not real.is_dir():
        raise SettingError(option, str(path), "a directory")
    _refuse_forbidden(option, path, real)
    return real


def parse_mounts(items: Sequence[str], *, option: str = "--mount") -> tuple[Mount, ...]:
    """All extra mounts, in the order given.

    Raises:
        SettingError: one of them is wrong, or two have the same target.
    """
    mounts: dict[str, Mount] = {}
    for item in items:
        mount = parse_mount(item, option=option)
        if mount.target in mounts:
            raise SettingError(option, item, f"a target of its own: {mount.target} is mounted twice")
        mounts[mount.target] = mount
    return tuple(mounts.values())


def parse_mount(text: str, *, option: str = "--mount") -> Mount:
    """One extra mount, read-only unless told: ``/data:/data``, ``/data:/data:rw`` or ``type=bind,source=...``.

    Raises:
        SettingError: malformed, a source that is missing or must not be mounted, a target that is taken.
    """
    source, target, read_only = _keyed(option, text) if "=" in text.partition(",")[0] else _short(option, text)
    if not source:
        raise SettingError(option, text, _MOUNT_EXPECTED)
    real = _existing(option, source)
    _refuse_forbidden(option, source, real)
    return Mount(source=str(real), target=_checked_target(option, target), read_only=read_only)


def _short(option: str, text: str) -> tuple[str, str, bool]:
    parts = text.split(":")
    mode = parts.pop() if len(parts) == 3 else "ro"
    if len(parts) != 2 or mode not in {"ro", "rw"}:
        raise SettingError(option, text, _MOUNT_EXPECTED)
    return parts[0], parts[1], mode == "ro"


def _keyed(option: str, text: str) -> tuple[str, str, bool]:
    names = {"src": "source", "dst": "target", "destination": "target"}
    given: dict[str, str] = {}
    read_only = True
    for part in text.split(","):
        key, equals, value = part.partition("=")
        key = names.get(key, key)
        if not equals and key in {"readonly", "ro", "rw"}:
            read_only = key != "rw"
        elif not equals or key not in {"type", "source", "target"} or key in given:
            raise SettingError(option, text, _MOUNT_EXPECTED)
        else:
            given[key] = value
    if given.get("type", "bind") != "bind":
        raise SettingError(option, text, "type=bind: only directories and files of this host can be mounted")
    return given.get("source", ""), given.get("target", ""), read_only


def _existing(option: str, path: str | Path) -> Path:
    if not str(path):
        raise SettingError(option, "", "a path")
    try:
        return Path(path).resolve(strict=True)
    except FileNotFoundError:
        raise SettingError(option, str(path), "a path that exists on this host") from None
    except (OSError, RuntimeError, ValueError) as error:  # no permission, a loop of links, a NUL
        raise SettingError(option, str(path), f"a path that can be followed ({error})") from None


def _refuse_forbidden(option: str, given: str | Path, real: Path) -> None:
    """Raise unless tasks may see `real`, an existing path without symbolic links."""
    if real == Path("/"):
        raise SettingError(option, str(given), "a part of the host, not all of it (/)")
    for tree in _KERNEL_TREES:
        if real.is_relative_to(tree):
            raise SettingError(option, str(given), f"a path outside {tree}")
    if _reaches_engine(real):
        raise SettingError(
            option, str(given), "a path that is not, and does not contain, the Docker socket: it is root on the host"
        )


def _reaches_engine(real: Path) -> bool:
    for socket in ENGINE_SOCKETS:
        if Path(os.path.realpath(socket)).is_relative_to(real):
            return True
        # The same socket may be bound to another place, or hard-linked.
        if os.path.exists(socket) and os.path.samefile(socket, real):
            return True
    # Rootless engines keep theirs in a directory of the user's.
    return real.name == "docker.sock" or os.path.exists(real / "docker.sock")


def _checked_target(option: str, target: str) -> str:
    path = PurePosixPath(target)
    if not path.is_absolute() or ".." in path.parts or "\0" in target or target.startswith("//"):
        raise SettingError(option, target, "an absolute target without ..")
    for taken in map(PurePosixPath, _TARGETS_TAKEN):
        inside = path.is_relative_to(taken) and taken != PurePosixPath("/workspace")
        if taken.is_relative_to(path) or inside:
            raise SettingError(option, target, f"a target that leaves {taken} free")
    return str(path)
