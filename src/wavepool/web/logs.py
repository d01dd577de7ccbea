"""Output of attempts: ``/ws/log`` follows it, and three addresses under ``/api`` read, search and download it.

``/ws/log?run=&task=<key>&attempt=&from=``: binary frames are bytes as they were written, stdout and stderr in one;
text frames say what is no output: ``{"attempt": 2, "offset": 0}`` before the first bytes of an attempt (how many are
before them), ``{"gap": why}`` where some are missing, ``{"end": state, "why": ""}`` after the last, ``{"error": why}``
where there is nothing to follow. Without `attempt` it goes on with later attempts; without `from` it begins at most
256 KiB before the end; a negative `from` counts from the end. Nothing is read as markup anywhere: it is for programs,
and sent as bytes that browsers are told not to guess at.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import anyio
import msgspec
from fastapi import APIRouter, Query, Response, WebSocket, WebSocketDisconnect
from typing_extensions import TypedDict

from wavepool.errors import WavepoolError, first_of_ours
from wavepool.monitoring.logs import Found, Logs, Piece
from wavepool.web.api.errors import answers
from wavepool.web.api.routes import RunId
from wavepool.web.ranges import FileDownload, LiveDownload

VIEWERS = 1000
"""Who follow output at once."""

LIMIT_BYTES = 64 * 1024
LIMIT_MAX_BYTES = 4 << 20
OFFSET_MAX = 1 << 53
"""Above what a number of JavaScript's holds."""

FILES_AT_ONCE = 4
"""Pieces of files that are read for downloads at a time."""

TRY_AGAIN_LATER = 1013
POLICY_VIOLATION = 1008

LOG = "/api/runs/{run}/tasks/{key}/log"

Attempt = Annotated[int | None, Query(ge=1, le=1_000_000, description="Its number; the newest where it is left out.")]


class MatchEntry(TypedDict):
    """`line` is the part of its line around it, and has U+FFFD for what is no UTF-8; `offset` is that of the match in
    the output, `before_bytes` how much of `line` is before it, both in bytes."""

    offset: int
    line: str
    before: str
    match: str
    after: str


class SearchAnswer(TypedDict, total=False):
    """`next_offset` is there where the search was not at the end: ask again with it as `offset`. `missing` is there
    where not all of the output was kept, and says what could not be searched."""

    attempt: int
    matches: list[MatchEntry]
    next_offset: int
    searched_bytes: int
    total_bytes: int
    live: bool
    missing: str


def router(logs: Logs) -> APIRouter:
    """The four routes over this hub."""
    routes = APIRouter(tags=["logs"])
    threads = anyio.CapacityLimiter(FILES_AT_ONCE)
    seats = anyio.CapacityLimiter(VIEWERS)

    @routes.get(LOG, response_class=Response, responses=_BYTES, summary="Read a part of an attempt's output")
    async def read_log(
        run: RunId,
        key: str,
        attempt: Attempt = None,
        offset: Annotated[
            int, Query(ge=-OFFSET_MAX, le=OFFSET_MAX, description="Of the first byte; negative: from the end.")
        ] = 0,
        limit: Annotated[int, Query(ge=0, le=LIMIT_MAX_BYTES, description="Bytes at most.")] = LIMIT_BYTES,
    ) -> Response:
        """Bytes as they were written, stdout and stderr in their order. The headers say where they are."""
        piece = await logs.read(run, key, attempt, offset=offset, limit=limit)
        return Response(piece.data, media_type="application/octet-stream", headers=_headers(piece))

    @routes.get(
        f"{LOG}/search", responses=answers(400, 404, 409, 502, 503), summary="Find a text in an attempt's output"
    )
    async def search_log(
        run: RunId,
        key: str,
        q: Annotated[str, Query(min_length=1, max_length=250, description="The text; no pattern.")],
        attempt: Attempt = None,
        offset: Annotated[int, Query(ge=0, le=OFFSET_MAX, description="Where to begin.")] = 0,
        limit: Annotated[int, Query(ge=1, le=1000, description="Matches at most.")] = 100,
        case: Annotated[bool, Query(description="Heed the case of letters.")] = False,
    ) -> SearchAnswer:
        """Bounded in time and in matches: `next_offset` says where to go on."""
        return _answer(await logs.search(run, key, attempt, q, offset=offset, most=limit, heed_case=case))

    @routes.get(
        f"{LOG}/download", response_class=Response, responses=_DOWNLOADS, summary="Download all of an attempt's output"
    )
    async def download_log(run: RunId, key: str, attempt: Attempt = None) -> Response:
        """As a file. Of archived output a part may be asked for by `Range`; of what runs all is given that is there."""
        whole = await logs.whole(run, key, attempt)
        if whole.path is not None:
            return FileDownload(whole.path, whole.name, threads=threads, headers=_told(whole.problem))
        return LiveDownload(partial(logs.output, run, key, whole.number), whole.name)

    @routes.websocket("/ws/log")
    async def follow_log(socket: WebSocket) -> None:
        await socket.accept()
        try:
            seats.acquire_on_behalf_of_nowait(socket)
        except anyio.WouldBlock:
            await socket.close(TRY_AGAIN_LATER, f"{VIEWERS} follow output already")
            return
        try:
            await _follow(socket, logs)
        except (WebSocketDisconnect, RuntimeError):
            pass  # he has gone
        finally:
            seats.release_on_behalf_of(socket)

    return routes


async def _follow(socket: WebSocket, logs: Logs) -> None:
    """To the end of what there is, or until he has gone."""
    asked = socket.query_params
    viewer = _Viewer(socket)
    try:
        number, begin_at = _number(asked.get("attempt")), _number(asked.get("from"))
    except ValueError:
        await viewer.refuse("attempt and from are whole numbers")
        return
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_until_gone, socket, group.cancel_scope)
            await logs.follow(asked.get("run", ""), asked.get("task", ""), number, begin_at, viewer)
            await socket.close()
            group.cancel_scope.cancel()
    except* WavepoolError as errors:
        await viewer.refuse(str(first_of_ours(errors)))
    except* (WebSocketDisconnect, RuntimeError):
        pass


async def _until_gone(socket: WebSocket, both: anyio.CancelScope) -> None:
    """Whatever he says is not heeded."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
    both.cancel()


class _Viewer:
    """One client. Each frame waits until the connection takes it, so that no more than one is in memory for him."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def attempt(self, number: int, offset: int) -> None:
        await self._say({"attempt": number, "offset": offset})

    async def data(self, piece: bytes) -> None:
        await self._socket.send_bytes(piece)

    async def gap(self, why: str) -> None:
        await self._say({"gap": why})

    async def end(self, state: str, why: str) -> None:
        await self._say({"end": state, "why": why})

    async def refuse(self, why: str) -> None:
        """There is nothing to follow."""
        await self._say({"error": why})
        await self._socket.close(POLICY_VIOLATION)

    async def _say(self, what: dict[str, object]) -> None:
        await self._socket.send_text(msgspec.json.encode(what).decode())


def _number(text: str | None) -> int | None:
    """Raises ValueError."""
    if text is None or text == "":
        return None
    if len(text) > 20:
        raise ValueError(text[:20])
    return int(text)


def _headers(piece: Piece) -> dict[str, str]:
    return {
        "wavepool-attempt": str(piece.attempt),
        "wavepool-offset": str(piece.offset),
        "wavepool-total-bytes": str(piece.total_bytes),
        "wavepool-live": "true" if piece.live else "false",
        **_told(piece.problem),
    }


def _told(problem: str) -> dict[str, str]:
    """The header that says what is missing: one line of ASCII, bounded; none where nothing is."""
    line = " ".join(problem.encode("ascii", "replace").decode().split())[:500]
    return {"wavepool-problem": line} if line else {}


def _answer(found: Found) -> SearchAnswer:
    answer = SearchAnswer(
        attempt=found.attempt,
        matches=[
            MatchEntry(
                offset=match.offset,
                line=_text(match.line),
                before=_text(match.line[: match.column]),
                match=_text(match.line[match.column : match.column + match.size]),
                after=_text(match.line[match.column + match.size :]),
            )
            for match in found.matches
        ],
        searched_bytes=found.searched_bytes,
        total_bytes=found.total_bytes,
        live=found.live,
    )
    if found.next_offset is not None:
        answer["next_offset"] = found.next_offset
    if found.problem:
        answer["missing"] = found.problem
    return answer


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


_INTEGER = {"schema": {"type": "integer"}}
_PROBLEM = {
    "Wavepool-Problem": {"description": "What is missing of it, if anything is.", "schema": {"type": "string"}},
}
_BYTES: dict[int | str, dict[str, Any]] = {
    **answers(404, 409, 502, 503),
    200: {
        "description": "Bytes of it, none where there are no more.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        "headers": {
            "Wavepool-Attempt": {"description": "Number of the attempt.", **_INTEGER},
            "Wavepool-Offset": {"description": "Where these bytes begin.", **_INTEGER},
            "Wavepool-Total-Bytes": {"description": "Of all of its output that there is now.", **_INTEGER},
            "Wavepool-Live": {"description": "Whether more may come.", "schema": {"type": "boolean"}},
            **_PROBLEM,
        },
    },
}
_DOWNLOADS: dict[int | str, dict[str, Any]] = {
    **answers(404, 409, 502, 503),
    200: {
        "description": "All of it.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        "headers": _PROBLEM,
    },
    206: {
        "description": "The part that was asked for by `Range`.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        "headers": _PROBLEM,
    },
    416: {"description": "There is no such part.", "content": {"application/octet-stream": {}}},
}
