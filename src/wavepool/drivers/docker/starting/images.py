"""Images: there, or pulled."""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import Any

from wavepool.drivers.base import PullProgress
from wavepool.drivers.docker.api import ByteStream, DockerApi
from wavepool.drivers.docker.progress import messages
from wavepool.drivers.docker.trouble import Refused
from wavepool.errors import PrepareError

SILENCE_MAX_S = 300.0
"""A pull that says nothing for this long is given up; a slow one goes on for as long as it moves."""

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:[:/@][A-Za-z0-9._+-]+)*")


class Images:
    def __init__(self, api: DockerApi) -> None:
        self._api = api

    async def ensure(self, image: str, pull: str, progress: PullProgress | None) -> str:
        """The id that `image` stands for, after pulling it as `pull` (missing, always, never) says.

        Raises:
            PrepareError: no image reference, not there and not to be pulled, or the pull failed.
            DriverUnavailable: the daemon cannot be reached.
        """
        if not _REFERENCE.fullmatch(image) or ".." in image:
            raise PrepareError(image, f"{image!r} is not an image reference", advice="Give it as NAME[:TAG].")
        found = await self._id_of(image)
        if pull == "always" or (pull == "missing" and found is None):
            await self._pull(image, progress)
            found = await self._id_of(image)
        if found is None:
            raise PrepareError(image, f"the image {image} is not on this Docker host", advice=_advice(image))
        return found

    async def _id_of(self, image: str) -> str | None:
        try:
            return str((await self._api.read(f"images/{image}/json"))["Id"])
        except Refused as refused:
            if refused.status == 404:
                return None
            raise PrepareError(image, f"the image {image} cannot be used: {refused.words}") from refused

    async def _pull(self, image: str, progress: PullProgress | None) -> None:
        params = {"fromImage": image}
        if ":" not in image.rsplit("/", 1)[-1] and "@" not in image:
            params["tag"] = "latest"  # without a tag the daemon pulls all of them
        try:
            async with self._api.stream("POST", "images/create", params, open_s=SILENCE_MAX_S) as stream:
                await _follow(image, stream, progress)
        except Refused as refused:
            raise _failed(image, refused.words) from refused


async def _follow(image: str, stream: ByteStream, progress: PullProgress | None) -> None:
    """Read a pull to its end, telling `progress`. Raises PrepareError where the daemon reports a failure in it."""
    async with aclosing(messages(f"the pull of {image}", stream, SILENCE_MAX_S)) as said:
        async for message in said:
            _tell(image, message, progress)


def _tell(image: str, message: dict[str, Any], progress: PullProgress | None) -> None:
    if "error" in message:
        raise _failed(image, str(message["error"]))
    if progress is not None:
        parts = (message.get("id"), message.get("status"), message.get("progress"))
        progress(image, " ".join(str(part) for part in parts if part))


def _failed(image: str, words: str) -> PrepareError:
    return PrepareError(image, f"the image {image} cannot be pulled: {words}", advice=_advice(image))


def _advice(image: str) -> str:
    return f"Pull it with `docker pull {image}`, or build it with `docker build -t {image} .`."
