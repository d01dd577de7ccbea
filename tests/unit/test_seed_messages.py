"""The seed's WebSocket without a network: one status for all, whoever is slow, and nothing done where nobody is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import anyio
from fastapi import WebSocket

from wavepool.errors import DriverUnavailable
from wavepool.monitoring.sources.containers import OwnContainers
from wavepool.testing.virtual_time import run_virtual
from wavepool.web.sockets.seed_socket import PERIOD_S, SeedSocket


class Containers:
    """What would be asked of the engine; counts how often."""

    def __init__(self) -> None:
        self.looks = 0
        self.away = False

    async def shown(self) -> Mapping[str, Any]:
        self.looks += 1
        if self.away:
            raise DriverUnavailable("no daemon")
        return {
            "one": {"status": "running", "labels": {"cfn.task.id": "<b>"}},
            "two": {"status": "exited", "exit_code": 1},
            "three": {"status": "exited", "exit_code": 0},
        }


class Line:
    """A client, and what it was sent. One that is deaf takes the first message and no other."""

    def __init__(self, *, deaf: bool = False) -> None:
        self.sent: list[str] = []
        self._left = anyio.Event()
        self.hears = anyio.Event()
        if not deaf:
            self.hears.set()

    async def accept(self) -> None: ...

    async def send_text(self, text: str) -> None:
        if self.sent:
            await self.hears.wait()
        self.sent.append(text)

    async def receive(self) -> dict[str, Any]:
        await self._left.wait()
        return {"type": "websocket.disconnect"}

    async def close(self, code: int = 1000, reason: str = "") -> None: ...

    def leave(self) -> None:
        self._left.set()

    @property
    def kinds(self) -> list[str]:
        return [json.loads(text)["type"] for text in self.sent]


OVERVIEW: Mapping[str, Any] = {
    "processes": {
        "7": {
            "pid": 7,
            "name": "claude",
            "role": "agent",
            "cmdline": "claude -p",
            "status": "sleeping",
            "cpu_percent": 1.5,
            "memory_bytes": 3 << 20,
            "create_time": "2026-01-01T00:00:00.000Z",
        }
    },
    "workspaces": {
        "/w": {"path": "/w", "name": "w", "kind": "shared", "phase": "in use"},
        "/t": {"path": "/t", "name": "t", "kind": "worktree", "phase": "running", "task_id": "a"},
    },
}


def seed(containers: Containers) -> SeedSocket:
    return SeedSocket(cast(OwnContainers, containers), lambda: OVERVIEW)


def test_all_clients_get_one_text_that_is_made_once() -> None:
    async def watch() -> None:
        containers = Containers()
        socket = seed(containers)
        lines = [Line() for _ in range(50)]
        async with anyio.create_task_group() as group:
            group.start_soon(socket.run)
            await anyio.sleep(10 * PERIOD_S)
            assert containers.looks == 0, "nobody is there"
            for line in lines:
                group.start_soon(socket.serve, cast(WebSocket, line))
            await anyio.sleep(PERIOD_S * 2 + 0.5)
            assert all(line.kinds == ["initial_status", "status_update", "status_update"] for line in lines)
            assert containers.looks == 50 + 2  # each who comes asks; what is fresh is not looked at anew
            assert len({id(line.sent[-1]) for line in lines}) == 1
            update = json.loads(lines[0].sent[-1])
            assert update["summary"] == {
                "total_containers": 3,
                "running_containers": 1,
                "failed_containers": 1,
                "active_processes": 1,
                "active_worktrees": 1,
            }
            assert update["processes"]["7"]["memory_mb"] == 3.0
            assert update["worktrees"]["/t"]["git_status"] == {"clean": None, "changes_count": None, "changes": []}
            assert set(update["worktrees"]["/t"]) == {"path", "name", "task_id", "task_name", "phase", "git_status"}
            for line in lines:
                line.leave()
            await anyio.sleep(0.5)
            assert socket.clients == 0
            group.cancel_scope.cancel()

    run_virtual(watch)


def test_who_is_slow_gets_the_newest_and_holds_nobody_up() -> None:
    async def watch() -> None:
        socket = seed(Containers())
        slow, quick = Line(deaf=True), Line()
        async with anyio.create_task_group() as group:
            group.start_soon(socket.run)
            group.start_soon(socket.serve, cast(WebSocket, slow))
            group.start_soon(socket.serve, cast(WebSocket, quick))
            await anyio.sleep(PERIOD_S * 10 + 0.5)
            assert len(quick.sent) == 11
            assert len(slow.sent) == 1
            slow.hears.set()
            await anyio.sleep(0.5)
            assert slow.sent[1:] == [quick.sent[1], quick.sent[-1]], "the one under way, and the newest"
            group.cancel_scope.cancel()

    run_virtual(watch)


def test_an_engine_that_is_away_is_told_once_and_the_status_goes_on() -> None:
    async def watch() -> None:
        containers = Containers()
        socket = seed(containers)
        line = Line()
        async with anyio.create_task_group() as group:
            group.start_soon(socket.run)
            group.start_soon(socket.serve, cast(WebSocket, line))
            await anyio.sleep(PERIOD_S + 0.5)
            containers.away = True
            await anyio.sleep(PERIOD_S * 2)
            late = Line()
            group.start_soon(socket.serve, cast(WebSocket, late))
            await anyio.sleep(1)
            containers.away = False
            await anyio.sleep(PERIOD_S)
            assert line.kinds == ["initial_status", "status_update", "error", *["status_update"] * 3]
            assert json.loads(line.sent[2])["message"].startswith("no daemon")
            assert json.loads(line.sent[3])["containers"] == {}
            assert len(json.loads(line.sent[-1])["containers"]) == 3
            assert late.kinds == ["initial_status", "error", "status_update"]
            group.cancel_scope.cancel()

    run_virtual(watch)
