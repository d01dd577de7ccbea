"""The seed's WebSocket (port 9001): its messages, for programs that were written for the original.

From the server: ``initial_status`` to each who comes; ``status_update`` every 5 s, made and encoded once for all;
``container_logs`` and ``detailed_stats`` to who asked for them; ``error``. From the client: ``{"type":
"get_container_logs" or "get_detailed_stats", "container_name": name}``. Only containers of this owner are there. A
client that is slow misses what it had no time for, and gets the newest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import anyio
import msgspec
import structlog
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from wavepool.engine.report import stamp
from wavepool.errors import WavepoolError, first_of_ours
from wavepool.monitoring.documents.overview import ProcessEntry, WorkspaceEntry
from wavepool.monitoring.documents.seed import SeedGitStatus, SeedProcess, SeedSummary, SeedWorktree
from wavepool.monitoring.sources.containers import OwnContainers, has_failed

PERIOD_S = 5.0
CLIENTS = 2000
"""At once."""

MESSAGE_CHARACTERS = 4096
"""No message of a client is longer."""

ERRORS = 100
"""After so many messages that were wrong a client is let go."""

AT_ONCE = 8
"""Questions of clients that are answered at a time."""

TRY_AGAIN_LATER = 1013
POLICY_VIOLATION = 1008

_SHAPE = '{"type": "get_container_logs" or "get_detailed_stats", "container_name": NAME}'


class _Asked(msgspec.Struct):
    """What a client says; other members are not heeded."""

    type: str
    container_name: str = ""


class SeedSocket:
    """Lives in one loop; `run` is what goes on beside the answers.

    Args:
        containers: of this owner.
        overview: the document of that name, as it is now.
        period_s: between two updates.
    """

    def __init__(
        self, containers: OwnContainers, overview: Callable[[], Mapping[str, Any]], *, period_s: float = PERIOD_S
    ) -> None:
        self._containers = containers
        self._overview = overview
        self._period_s = period_s
        self._clients: set[_Client] = set()
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(_Asked)
        self._questions = anyio.CapacityLimiter(AT_ONCE)
        self._problem = ""

    @property
    def clients(self) -> int:
        """How many there are."""
        return len(self._clients)

    async def run(self) -> None:
        """Tell all of them every `period_s`, until this is cancelled. Nothing is looked at where nobody is there."""
        while True:
            await anyio.sleep(self._period_s)
            if not self._clients:
                continue
            try:
                await self._tell()
            except Exception as error:  # the next one may do
                structlog.get_logger("wavepool.web").error("a status could not be made", exc_info=error)

    async def serve(self, socket: WebSocket) -> None:
        """One client, until it has gone."""
        await socket.accept()
        if len(self._clients) >= CLIENTS:
            await socket.close(TRY_AGAIN_LATER, f"{CLIENTS} clients are connected already")
            return
        client = _Client(socket)
        self._clients.add(client)
        try:
            containers, problem = await self._look()
            await socket.send_text(self._encoded("initial_status", timestamp=_now(), containers=containers))
            if problem:
                await socket.send_text(self._encoded("error", message=problem))
            async with anyio.create_task_group() as group:
                group.start_soon(client.send, group.cancel_scope)
                await self._listen(socket, client)
                group.cancel_scope.cancel()
        finally:
            self._clients.discard(client)

    async def _tell(self) -> None:
        containers, problem = await self._look()
        if problem and problem != self._problem:
            text = self._encoded("error", message=problem)
            for client in self._clients:
                client.warn(text)
        self._problem = problem
        overview = self._overview()
        processes = {pid: _process(each) for pid, each in overview.get("processes", {}).items()}
        workspaces: Mapping[str, WorkspaceEntry] = overview.get("workspaces", {})
        worktrees = {path: _worktree(each) for path, each in workspaces.items() if each["kind"] != "shared"}
        summary = SeedSummary(
            total_containers=len(containers),
            running_containers=sum(each["status"] == "running" for each in containers.values()),
            failed_containers=sum(map(has_failed, containers.values())),
            active_processes=len(processes),
            active_worktrees=len(worktrees),
        )
        text = self._encoded(
            "status_update",
            timestamp=_now(),
            containers=containers,
            processes=processes,
            worktrees=worktrees,
            summary=summary,
        )
        for client in self._clients:
            client.offer(text)

    async def _look(self) -> tuple[Mapping[str, Any], str]:
        """The containers, and why they cannot be looked at; then none are shown."""
        try:
            return await self._containers.shown(), ""
        except (WavepoolError, ExceptionGroup) as error:
            found = first_of_ours(error)
            if not isinstance(found, WavepoolError):
                raise
            return {}, str(found)

    async def _listen(self, socket: WebSocket, client: _Client) -> None:
        """Answer one question after the other: who asks faster than it takes the answers waits."""
        wrong = 0
        while wrong < ERRORS:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            answer, is_wrong = await self._answer(message.get("text"))
            wrong += is_wrong
            await client.answer(answer)
        await socket.close(POLICY_VIOLATION, "too many messages were wrong")

    async def _answer(self, text: str | None) -> tuple[str, bool]:
        """What is said to a message, and whether the message was wrong."""
        try:
            if text is None or len(text) > MESSAGE_CHARACTERS:
                raise msgspec.DecodeError
            asked = self._decoder.decode(text)
        except msgspec.DecodeError:
            return self._encoded("error", message=f"expected {_SHAPE}"), True
        if asked.type not in ("get_container_logs", "get_detailed_stats"):
            return self._encoded("error", message=f"unknown type {asked.type[:100]!r}: expected {_SHAPE}"), True
        name = asked.container_name
        if not name:
            return self._encoded("error", message=f"container_name is missing: expected {_SHAPE}"), True
        async with self._questions:
            try:
                if asked.type == "get_container_logs":
                    logs = await self._containers.logs(name)
                    return self._encoded("container_logs", container_name=name, logs=logs, timestamp=_now()), False
                stats = await self._containers.stats(name)
                return self._encoded("detailed_stats", container_name=name, stats=stats, timestamp=_now()), False
            except WavepoolError as error:
                return self._encoded("error", message=str(error)), False

    def _encoded(self, kind: str, **members: Any) -> str:
        return self._encoder.encode({"type": kind, **members}).decode()


class _Client:
    """One connection: at most one status, one error and one answer wait for it."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._status: str | None = None
        self._warning: str | None = None
        self._answer: str | None = None
        self._changed = anyio.Event()
        self._answered = anyio.Event()

    def offer(self, status: str) -> None:
        """A newer status takes the place of one that was not sent."""
        self._status = status
        self._changed.set()

    def warn(self, error: str) -> None:
        """An error for all."""
        self._warning = error
        self._changed.set()

    async def answer(self, text: str) -> None:
        """Return when it was taken."""
        self._answer, self._answered = text, anyio.Event()
        self._changed.set()
        await self._answered.wait()

    async def send(self, both: anyio.CancelScope) -> None:
        """Until it has gone."""
        try:
            while True:
                await self._changed.wait()
                self._changed = anyio.Event()
                warning, answer, status = self._warning, self._answer, self._status
                self._warning = self._answer = self._status = None
                for text in (warning, answer, status):
                    if text is not None:
                        await self._socket.send_text(text)
                if answer is not None:
                    self._answered.set()
        except (WebSocketDisconnect, RuntimeError):
            both.cancel()


def router(socket: SeedSocket) -> APIRouter:
    """The WebSocket, at whatever path a client calls."""
    routes = APIRouter()

    @routes.websocket("/{path:path}")
    async def seed(connection: WebSocket) -> None:
        try:
            await socket.serve(connection)
        except* (WebSocketDisconnect, RuntimeError):
            pass  # it has gone

    return routes


def _process(entry: ProcessEntry) -> SeedProcess:
    return SeedProcess(
        name=entry["name"],
        cmdline=entry["cmdline"],
        status=entry["status"],
        cpu_percent=entry["cpu_percent"],
        memory_mb=round(entry["memory_bytes"] / (1 << 20), 1),
        create_time=entry["create_time"],
    )


def _worktree(entry: WorkspaceEntry) -> SeedWorktree:
    status = entry.get("git_status")
    return SeedWorktree(
        path=entry["path"],
        name=entry["name"],
        task_id=entry.get("task_id", ""),
        task_name=entry.get("task_name", entry.get("task_id", "")),
        phase=entry["phase"],
        git_status=SeedGitStatus(clean=None, changes_count=None, changes=[])
        if status is None
        else SeedGitStatus(clean=status["clean"], changes_count=status["changes_count"], changes=status["changes"]),
    )


def _now() -> str:
    return stamp(datetime.now(UTC)) or ""
