"""Building images with the engine's own API: the context is sent as a tar file, the engine says what it does."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.progress import messages
from wavepool.drivers.docker.trouble import Refused
from wavepool.errors import PrepareError

SILENCE_MAX_S = 900.0
"""A build that says nothing for this long is given up: a step may download for minutes without a word."""
LAST_LINES = 5
"""Of a build's output, told where it fails."""

ADVICE = (
    "See the lines above. Usual reasons: no way to Debian's mirrors or to npm (and --certificates, where a proxy looks "
    "into TLS), a base that is missing or no Debian (--base), or a full disk (`docker system df`). Where no registry "
    "can be reached, scripts/debian-image of Wavepool's repository makes a base, for --base wavepool-debian:latest."
)

BASE_ADVICE = (
    "Name a Debian that is here: `--base IMAGE` (`docker images` lists them). Where no registry can be reached, "
    "scripts/debian-image of Wavepool's repository makes one, for --base wavepool-debian:latest."
)


BuildProgress = Callable[[str], None]
"""Called with each line that the build says. Must not block."""


class ImageBuilder:
    """Builds images on one engine. Use it as an async context manager."""

    def __init__(self, host: str | None = None) -> None:
        self._api = DockerApi(host)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._api.close()

    async def build(
        self,
        context: Mapping[str, bytes],
        tags: Sequence[str],
        *,
        arguments: Mapping[str, str],
        cached: bool = True,
        progress: BuildProgress,
    ) -> str:
        """Build an image from the files of `context` (``Dockerfile`` among them) and return its id.

        Args:
            tags: names that it gets, the first of them in errors.
            arguments: build arguments; they stay in the image's history, so none is a secret.
            cached: what the engine built before of the same steps may be used.

        Raises:
            PrepareError: a step failed.
            DriverUnavailable: the engine cannot be reached, or said nothing for too long.
        """
        params = {
            "buildargs": json.dumps(dict(arguments)),
            "rm": "1",
            "forcerm": "1",
            "nocache": "0" if cached else "1",
            "version": "1",  # every engine since 20.10 has this builder, without a client's session
        }
        query = "&".join(f"t={quote(tag)}" for tag in tags)
        name = tags[0]
        said: list[str] = []
        try:
            async with (
                self._api.stream(
                    "POST", f"build?{query}", params, open_s=SILENCE_MAX_S, archive=packed(context)
                ) as stream,
                aclosing(messages(f"the build of {name}", stream, SILENCE_MAX_S)) as told,
            ):
                async for message in told:
                    if "error" in message:
                        raise _failed(name, str(message["error"]), said, base_of(said, context, arguments))
                    _tell(message, said, progress)
            return str((await self._api.read(f"images/{name}/json"))["Id"])
        except Refused as refused:
            raise PrepareError(name, f"the image {name} cannot be built: {refused.words}", advice=ADVICE) from refused


def packed(context: Mapping[str, bytes]) -> bytes:
    """The context as a tar file that is the same for the same files: times and owners are left out."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in sorted(context):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(context[name]), 0o644
            archive.addfile(entry, io.BytesIO(context[name]))
    return buffer.getvalue()


def base_of(said: Sequence[str], context: Mapping[str, bytes], arguments: Mapping[str, str]) -> str | None:
    """The base that the last step of a build begins on, as it would be pulled; None where that step is another."""
    step = _FROM.match(said[-1]) if said else None
    if step is None:
        return None
    values = dict(_DEFAULT.findall(context["Dockerfile"].decode())) | dict(arguments)
    base = step[1]
    for _ in values:  # a default may name another one
        base = _USED.sub(lambda used: values.get(used[1], used[0]), base)
    return base


_FROM = re.compile(r"Step \d+/\d+ : FROM (\S+)")
_DEFAULT = re.compile(r"^ARG (\w+)=(\S+)$", re.MULTILINE)
_USED = re.compile(r"\$\{(\w+)\}")


def _failed(name: str, error: str, said: Sequence[str], base: str | None) -> PrepareError:
    if base is None:
        words = "\n".join([f"the image {name} cannot be built: {error}", *said])
        return PrepareError(name, words, advice=ADVICE)
    words = f"the image {name} cannot be built: its base {base} is not here, and cannot be pulled: {error}"
    return PrepareError(name, words, advice=BASE_ADVICE)


def _tell(message: Mapping[str, Any], said: list[str], progress: BuildProgress) -> None:
    text = message.get("stream") or " ".join(
        str(message[key]) for key in ("id", "status") if message.get(key) and "progress" not in message
    )
    for line in str(text).splitlines():
        if line.strip():
            progress(line)
            said.append(line)
            del said[:-LAST_LINES]
