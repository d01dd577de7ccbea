"""Sidecars as a driver is asked for them: names, volumes, the directories of their data, digests.

What a sidecar of a run may write is its attempt's alone: named volumes, and relative paths that are not read-only, are
directories beside its data. What it only reads may lie in the workspace. A stack's relative paths count from its file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from wavepool import labels
from wavepool.drivers.base import SidecarSpec
from wavepool.errors import InfrastructureError
from wavepool.model import Mount, Sidecar, Volume

DATA_UID = 10001
"""Whom the data belongs to where we are root, and the workspace is root's too: databases refuse to run as root."""

VOLUMES = ".volumes"
"""Beside the sidecars' directories, which are called as the sidecars are: no name of one begins with a dot."""

_IDS = re.compile(r"(\d+)(?::(\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanionBuilder:
    """Builds the sidecar specs of one attempt, or the services of one stack.

    Attributes:
        data: host directory for all their data.
        base: where relative paths count from.
        shares_base: True where they may write to relative paths themselves (a stack).
        owner: uid and gid of new data directories where a sidecar names no user; None for our own.
        labels: of each; its role and name are added.
        prefix: what container names begin with: that of the attempt's container, or of the stack.
    """

    data: Path
    base: Path
    shares_base: bool
    owner: tuple[int, int] | None
    labels: Mapping[str, str]
    prefix: str

    def build(self, sidecars: Sequence[Sidecar]) -> tuple[SidecarSpec, ...]:
        """Their specs; the same arguments always give the same ones. Touches no file."""
        levels: dict[str, int] = {}
        for sidecar in sidecars:  # dependencies come first
            levels[sidecar.name] = 1 + max((levels[needed] for needed in sidecar.depends_on), default=-1)
        return tuple(self._spec(sidecar, levels[sidecar.name]) for sidecar in sidecars)

    def make_directories(self, specs: Sequence[SidecarSpec]) -> None:
        """Make what is missing of their data directories and volumes, each for the user who will write there.

        Raises:
            InfrastructureError: one of them cannot be made.
        """
        for spec in specs:
            mine = [mount.source for mount in spec.mounts if self._is_made_here(mount)]
            for path in (spec.data, *map(Path, mine)):
                try:
                    self._make(path, spec.sidecar.user)
                except OSError as error:
                    raise InfrastructureError(
                        f"the data directory {path} of sidecar {spec.sidecar.name} cannot be made: {error.strerror}",
                        advice="See that the state directory can be written to, and has room.",
                    ) from error

    def _spec(self, sidecar: Sidecar, level: int) -> SidecarSpec:
        mounts = tuple(self._mount(volume) for volume in sidecar.volumes)
        data = self.data / sidecar.name
        fields = asdict(sidecar)
        for added in ("outside", "read_only"):  # so that sidecars of earlier releases keep their digest
            if not fields[added]:
                del fields[added]
        asked = [fields, [asdict(mount) for mount in mounts], str(data), self.prefix]
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
        return SidecarSpec(
            sidecar=sidecar,
            name=labels.sidecar_container_name(self.prefix, sidecar.name),
            data=data,
            mounts=mounts,
            labels={
                **self.labels,
                labels.SIDECAR: sidecar.name,
                labels.LEVEL: str(level),
                labels.SPEC_HASH: digest,
            },
            spec_hash=digest,
        )

    def _mount(self, volume: Volume) -> Mount:
        source = volume.source
        if source.startswith("."):
            shared = self.shares_base or volume.read_only
            path = os.path.normpath(self.base / source if shared else self.data / VOLUMES / source)
        elif source.startswith("/"):
            path = os.path.normpath(source)
        else:
            path = str(self.data / VOLUMES / source)
        return Mount(source=path, target=volume.target, read_only=volume.read_only)

    def _is_made_here(self, mount: Mount) -> bool:
        inside = Path(mount.source).is_relative_to(self.data)
        return inside or (self.shares_base and not mount.read_only and Path(mount.source).is_relative_to(self.base))

    def _make(self, path: Path, user: str | None) -> None:
        if path.exists():
            return  # what is in it belongs to whoever wrote it
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.mkdir(mode=0o700, exist_ok=True)
        owner = _ids(user) if user is not None else self.owner
        if owner is not None and os.geteuid() == 0:
            os.chown(path, *owner)
        elif user is not None and (owner is None or owner[0] != os.geteuid()):
            path.chmod(0o777)  # for a user whom only the image knows; the directories above let nobody else in


def data_owner(workspace: Path) -> tuple[int, int] | None:
    """Who owns new data: we ourselves (None); where we are root the workspace's owner, unless that is root too."""
    if os.geteuid() != 0:
        return None
    try:
        status = workspace.stat()
    except OSError:
        return DATA_UID, DATA_UID
    return (status.st_uid, status.st_gid) if status.st_uid else (DATA_UID, DATA_UID)


def address_variables(sidecars: Sequence[Sidecar]) -> dict[str, str]:
    """What tells a task where its sidecars are: WAVEPOOL_SIDECAR_<NAME>_HOST, and _PORT where one is named."""
    found: dict[str, str] = {}
    for sidecar in sidecars:
        start = f"WAVEPOOL_SIDECAR_{sidecar.name.upper().replace('-', '_')}"
        found[f"{start}_HOST"] = sidecar.name
        ports = [*sidecar.expose, *(port.target for port in sidecar.ports)]
        if ports:
            found[f"{start}_PORT"] = str(ports[0])
    return found


def _ids(user: str) -> tuple[int, int] | None:
    if user in ("root", "root:root"):
        return 0, 0
    match = _IDS.fullmatch(user)
    return (int(match[1]), int(match[2] or match[1])) if match else None
