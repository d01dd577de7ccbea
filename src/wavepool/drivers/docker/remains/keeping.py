"""File systems of attempts, kept as images: made before a container is removed, found and removed by their labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wavepool import labels
from wavepool.drivers.base import Handle
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.containers import inspect
from wavepool.drivers.docker.parking.claim_mark import claimed_at
from wavepool.drivers.docker.trouble import Refused
from wavepool.drivers.docker.watching.verdict import read_final
from wavepool.drivers.keeping import Kept
from wavepool.errors import DriverUnavailable, KeepError, NoSuchAttempt, Unknown
from wavepool.model import AttemptId

KEEP_DEADLINE_S = 600.0
"""Of one commit: the engine writes all that the task has changed as a layer of its own."""

CHANGES = f"LABEL {labels.ROLE}={labels.KEPT}\nENV TASK_PROMPT="
"""The engine copies labels and environment of a container into its image; the prompt has no place there."""


class Keeper:
    """Makes, finds and removes the images. Touches only what carries our labels."""

    def __init__(self, api: DockerApi) -> None:
        self._api = api

    async def keep(self, handle: Handle, reference: str) -> str:
        """See `SupportsKeeping.keep`."""
        if await self._is_there(handle, reference):
            return reference
        container = await self._container(handle)
        repository, _, tag = reference.rpartition(":")
        params = {"container": container, "repo": repository, "tag": tag, "changes": CHANGES}
        try:
            await self._api.change("POST", "commit", params, deadline_s=KEEP_DEADLINE_S)
        except Refused as refused:
            if refused.status == 404:
                raise _nothing(handle) from refused
            raise KeepError(
                f"the file system of {handle.name} cannot be kept: {refused.words}",
                advice="See that the engine's disk has room (`docker system df`), and `wavepool prune`.",
            ) from refused
        except Unknown:
            if not await self._is_there(handle, reference):
                raise
        return reference

    async def kept(self, owner: str, run_id: str | None) -> tuple[Kept, ...]:
        """See `SupportsKeeping.kept`."""
        wanted = {labels.OWNER: owner, labels.ROLE: labels.KEPT}
        if run_id is not None:
            wanted[labels.RUN] = run_id
        filters = json.dumps({"label": [f"{key}={value}" for key, value in wanted.items()]})
        try:
            found = await self._api.read("images/json", {"filters": filters})
        except Refused as refused:
            raise DriverUnavailable(f"the kept images cannot be listed: {refused.words}") from refused
        ours = [each for each in found or [] if wanted.items() <= (each.get("Labels") or {}).items()]
        sizes: dict[str, int] = {}
        kept = [await self._read(each, sizes) for each in ours]
        return tuple(each for each in kept if each is not None)

    async def discard(self, kept: Kept) -> str:
        """See `SupportsKeeping.discard`."""
        try:
            # noprune: what the image was made on is not ours, even where nothing else names it any more
            await self._api.change("DELETE", f"images/{kept.reference}", {"noprune": "1"})
        except Refused as refused:
            return "" if refused.status == 404 else f"image {kept.reference} is still there: {refused.words}"
        except Unknown as error:
            return f"image {kept.reference} may still be there: {error.message}"
        return ""

    async def _is_there(self, handle: Handle, reference: str) -> bool:
        try:
            found = await self._api.read(f"images/{reference}/json")
        except Refused as refused:
            if refused.status == 404:
                return False
            raise KeepError(f"the image {reference} cannot be looked at: {refused.words}") from refused
        config = found.get("Config") or {}
        image = _kept(reference, config.get("Labels") or {}, 0)
        if image is None or image.attempt != handle.attempt:
            raise KeepError(
                f"{reference} is taken by an image that is not ours", advice=f"Rename it: `docker tag {reference} …`."
            )
        return True

    async def _container(self, handle: Handle) -> str:
        """The id of the attempt's container. Raises NoSuchAttempt where it is gone, not ours, or never started."""
        try:
            found = await inspect(self._api, handle.id or handle.name)
        except Refused as refused:
            raise KeepError(f"{handle.name} cannot be looked at: {refused.words}") from refused
        if found is None or read_final(found["State"]).started_at is None:
            raise _nothing(handle)
        tags = found["Config"].get("Labels") or {}
        if labels.PARKED in tags and claimed_at(Path(tags.get(labels.SLOT, ""))) is None:
            raise _nothing(handle)
        wanted = {labels.TASK: handle.attempt.task_id, labels.ATTEMPT: str(handle.attempt.number)}
        if labels.OWNER not in tags or not wanted.items() <= tags.items():
            raise _nothing(handle)
        return str(found["Id"])

    async def _read(self, summary: dict[str, Any], sizes: dict[str, int]) -> Kept | None:
        tags = [tag for tag in summary.get("RepoTags") or [] if tag.startswith(f"{labels.KEPT_REPOSITORY}:")]
        parent = str(summary.get("ParentId") or "")
        if parent and parent not in sizes:
            sizes[parent] = await self._size(parent)
        size_bytes = max(0, int(summary.get("Size", 0)) - sizes.get(parent, 0))
        return _kept(tags[0] if tags else str(summary["Id"]), summary.get("Labels") or {}, size_bytes)

    async def _size(self, image: str) -> int:
        try:
            return int((await self._api.read(f"images/{image}/json"))["Size"])
        except Refused:
            return 0  # gone, so all of it is the kept image's own


def _kept(reference: str, found: dict[str, str], size_bytes: int) -> Kept | None:
    """None where the labels do not say which attempt it was."""
    try:
        attempt = AttemptId(found[labels.TASK], int(found[labels.ATTEMPT]))
        return Kept(reference=reference, run_id=found[labels.RUN], attempt=attempt, size_bytes=size_bytes)
    except (KeyError, ValueError):
        return None


def _nothing(handle: Handle) -> NoSuchAttempt:
    return NoSuchAttempt(f"nothing that could be kept is left of {handle.name}")
