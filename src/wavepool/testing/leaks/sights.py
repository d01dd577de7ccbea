"""Everything on this host that could be ours, looked for past all that made it.

Other people's containers come and go meanwhile. So what counts is what bears a mark of ours: the owner's label, the
directory that all was started in, and (`Trail`) the ids, mounts and processes that our containers were seen to have.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavepool import labels
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.trouble import Refused

FAMILIES = (
    "containers",
    "networks",
    "volumes",
    "images",
    "processes",
    "control groups",
    "mounts",
    "secrets",
    "slots, records and sockets",
)

Sight = Mapping[str, frozenset[str]]
"""Family -> a few words for each thing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """What our containers were seen to have, by which its remains are known when they are gone.

    Attributes:
        ids: of containers; in the names of their control groups, mounts and shims.
        names: of containers and attempts; in the names of secrets and of the process driver's control groups.
        volumes, networks: names and ids of what they used and nobody else made.
        places: paths of their mounts: file systems, network name spaces.
    """

    ids: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    volumes: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()

    def joined(self, other: Trail) -> Trail:
        """Both."""
        return Trail(
            ids=self.ids | other.ids,
            names=self.names | other.names,
            volumes=self.volumes | other.volumes,
            networks=self.networks | other.networks,
            places=self.places | other.places,
        )


class Lookout:
    """Looks; changes nothing.

    Args:
        root: the directory in which everything is started.
        state: the state directory in it.
        network: the name of the shared network that is made and removed.
        api: of the engine; None where tasks are plain processes.
    """

    def __init__(self, *, root: Path, state: Path, network: str, api: DockerApi | None) -> None:
        self._root = root
        self._state = state
        self._network = network
        self._api = api

    async def trail(self, owner: str, names: Iterable[str]) -> Trail:
        """What the owner's containers have now."""
        trail = Trail(names=frozenset(names))
        for summary in await self._containers(owner):
            record = await self._read(f"containers/{summary['Id']}/json")
            if record is not None:
                trail = trail.joined(_trail_of(record))
        networks = frozenset(str(each["Id"]) for each in await self._networks(owner))
        return trail.joined(Trail(networks=networks))

    async def look(self, owner: str, trail: Trail) -> Sight:
        """All that is there now; `owner` is empty before there is one."""
        found: dict[str, frozenset[str]] = dict.fromkeys(FAMILIES, frozenset())
        if self._api is not None:
            found["containers"] = await self._containers_of(owner, trail)
            found["networks"] = await self._networks_of(owner, trail)
            found["volumes"] = await self._volumes_of(trail)
            found["images"] = await self._images_of(owner)
        found["processes"] = frozenset(self._processes(trail))
        found["control groups"] = frozenset(control_groups(trail))
        found["mounts"] = frozenset(self._mounts(trail))
        found["secrets"] = frozenset(secrets_of(owner, trail))
        found["slots, records and sockets"] = frozenset(self._files())
        return found

    # -- the engine --

    async def _containers_of(self, owner: str, trail: Trail) -> frozenset[str]:
        everybodys = await self._read("containers/json", {"all": "1"}) or []
        ours = {str(each["Id"]): str(each["Names"][0]).lstrip("/") for each in await self._containers(owner)}
        ours |= {str(each["Id"]): str(each["Id"])[:12] for each in everybodys if each["Id"] in trail.ids}
        return frozenset(ours.values())

    async def _networks_of(self, owner: str, trail: Trail) -> frozenset[str]:
        everybodys = await self._read("networks") or []
        wanted = {str(each["Id"]) for each in await self._networks(owner)} | trail.networks
        return frozenset(
            str(each["Name"]) for each in everybodys if each["Id"] in wanted or each["Name"] == self._network
        )

    async def _volumes_of(self, trail: Trail) -> frozenset[str]:
        everybodys = (await self._read("volumes") or {}).get("Volumes") or []
        return frozenset(str(each["Name"]) for each in everybodys if each["Name"] in trail.volumes)

    async def _images_of(self, owner: str) -> frozenset[str]:
        found = await self._read("images/json", {"all": "1", **_of(owner)}) if owner else []
        return frozenset(str(each["Id"])[:19] for each in found or [])

    async def _containers(self, owner: str) -> list[dict[str, Any]]:
        return await self._read("containers/json", {"all": "1", **_of(owner)}) or [] if owner else []

    async def _networks(self, owner: str) -> list[dict[str, Any]]:
        return await self._read("networks", _of(owner)) or [] if owner else []

    async def _read(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """None where there is no engine, or no such thing any more."""
        if self._api is None:
            return None
        try:
            return await self._api.read(path, params)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    # -- the host --

    def _processes(self, trail: Trail) -> Iterator[str]:
        """Those whose words or variables name our directory, and shims of our containers; not we ourselves."""
        wanted = [str(self._root).encode(), *(each.encode() for each in trail.ids)]
        mine = {os.getpid(), os.getppid()}
        with os.scandir("/proc") as entries:
            for entry in entries:
                if not entry.name.isdigit() or int(entry.name) in mine:
                    continue
                try:
                    words = Path(entry.path, "cmdline").read_bytes()
                    said = words + Path(entry.path, "environ").read_bytes()
                except OSError:  # it has ended, or is not ours to read
                    continue
                if any(each in said for each in wanted):
                    yield f"{entry.name} ({words.split(bytes(1), 1)[0].decode('utf-8', 'replace')})"

    def _mounts(self, trail: Trail) -> Iterator[str]:
        wanted = {str(self._root), *trail.places, *trail.ids}
        try:
            lines = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
        except OSError:
            return
        for line in lines:
            if any(each in line for each in wanted):
                yield line.split(" ")[4]

    def _files(self) -> Iterator[str]:
        for pattern in ("runs/*/slots/*", "runs/*/*.sock", "processes/attempts/*"):
            yield from (str(path.relative_to(self._state)) for path in self._state.glob(pattern))


def _trail_of(record: Mapping[str, Any]) -> Trail:
    """Of one container as `inspect` tells it. A volume with a name is the user's own, and stays."""
    mounts = record.get("Mounts") or []
    layers = (record.get("GraphDriver") or {}).get("Data") or {}
    sandbox = (record.get("NetworkSettings") or {}).get("SandboxKey") or ""
    places = {str(layers.get("MergedDir") or ""), str(sandbox)} - {""}
    anonymous = {str(each["Name"]) for each in mounts if each.get("Type") == "volume" and len(each["Name"]) == 64}
    return Trail(
        ids=frozenset({str(record["Id"])}),
        names=frozenset({str(record.get("Name", "")).lstrip("/")}),
        volumes=frozenset(anonymous),
        places=frozenset(places),
    )


def _of(owner: str) -> dict[str, str]:
    return {"filters": json.dumps({"label": [f"{labels.OWNER}={owner}"]})}


def control_groups(trail: Trail) -> Iterator[str]:
    """Paths, those above first. Others come and go meanwhile: os.walk passes over what is gone."""
    for directory, below, _ in os.walk("/sys/fs/cgroup"):
        for name in below:
            if name in trail.names or any(each in name for each in trail.ids):
                yield os.path.join(directory, name)


def secrets_of(owner: str, trail: Trail) -> Iterator[str]:
    """Paths of directories with secrets, and of the marks beside them."""
    for path in Path("/dev/shm").glob("wavepool-*/*"):
        name = path.name.removeprefix(".of-")
        if name in trail.names or (path.name.startswith(".of-") and owner and _says(path, owner)):
            yield str(path)


def _says(path: Path, owner: str) -> bool:
    try:
        return path.read_text("utf-8").startswith(f"{owner} ")
    except (OSError, ValueError):
        return False
