"""The seed's WebSocket as the seed's own example program and others meet it, over a real run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from wavepool_cli import DEADLINE_S, TEST_IMAGE, World, batch, docker, eventually, plan_of, wave, world_in
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

RUN = "monitored"
KEY = "sk-test-0123456789abcdef0123456789abcdef"
MARKUP = "<img src=x onerror=alert(1)>"

EXAMPLE = """\
import asyncio
import websockets
import json

async def monitor_execution():
    uri = "ws://localhost:9001"
    async with websockets.connect(uri) as websocket:
        async for message in websocket:
            data = json.loads(message)
            if data['type'] == 'status_update':
                print(f"Containers: {data['summary']['total_containers']}")
                print(f"Running: {data['summary']['running_containers']}")

# Monitor in background
asyncio.run(monitor_execution())
"""
"""The seed's, word for word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitored:
    """`wavepool serve`, under way, and a token."""

    uri: str
    token: str

    @contextmanager
    def line(self, *, token: str | None = None, **headers: str) -> Iterator[ClientConnection]:
        given = {"Authorization": f"Bearer {token}"} if token else {}
        with connect(self.uri, additional_headers={**given, **headers}, max_size=None) as line:
            yield line


@contextmanager
def monitored(world: World, *options: str) -> Iterator[Monitored]:
    running = world.command(
        "serve", "--driver", "process", "--state-dir", str(world.state), "--json", "--open-websocket", *options
    )
    (page,) = running.wait_for("page")
    yield Monitored(uri=page["websocket"], token=(world.state / "web.token").read_text().strip())
    running.interrupt()
    assert running.finish().exit_code == 0


def told(line: ClientConnection, kind: str, found: Callable[[Any], bool] = lambda _: True) -> Any:
    """The first message of this kind that is what is looked for."""
    while True:
        message = json.loads(line.recv(DEADLINE_S))
        if message["type"] == kind and found(message):
            return message


def ask(line: ClientConnection, **message: Any) -> None:
    line.send(json.dumps(message))


@pytest.mark.docker
def test_containers_are_shown_as_the_seed_does_and_nothing_of_others(docker_world: World) -> None:
    world = docker_world
    busy = f"echo '{MARKUP}'; printf 'bad \\377\\n'; while [ ! -e go ]; do :; done; seq 1 100000"
    batches = [batch("busy", busy), batch("fails", "exit 3")]
    options = ("--run-id", RUN, "--json", "--environment", f"ANTHROPIC_API_KEY={KEY}", "--keep-going")
    running = world.start(plan_of(wave(1, *batches)), *options)
    with monitored(world) as web, web.line() as line:
        running.wait_for("AttemptRemoved")
        running.wait_for("AttemptStarted", count=2)
        initial = told(line, "initial_status")
        assert set(initial) == {"type", "timestamp", "containers"}

        def shows_busy(message: Any) -> bool:
            """All there is to see of it by now: what is read of containers and processes comes bit by bit."""
            seen = list(message["containers"].values())
            logs = [each["recent_logs"] for each in seen if each.get("stats", {}).get("cpu_percent", 0) > 1]
            return len(seen) == 1 and [len(lines) for lines in logs] == [2] and message["processes"] != {}

        update = told(line, "status_update", shows_busy)
        ((name, entry),) = [(n, each) for n, each in update["containers"].items() if each["task_id"] == "busy"]
        assert entry["name"] == name
        assert (entry["status"], entry["image"]) == ("running", TEST_IMAGE)
        assert entry["recent_logs"] == [MARKUP, "bad \ufffd"]
        assert entry["stats"]["cpu_percent"] > 1
        assert entry["stats"]["memory_limit"] == 16 << 20
        assert 0 < entry["stats"]["memory_usage"] <= 16 << 20
        assert set(entry["stats"]) == {"cpu_percent", "memory_usage", "memory_limit", "network_rx", "network_tx"}
        assert set(world.containers()) == {each["id"] for each in update["containers"].values()}
        processes = update["processes"].values()
        assert any(f"--run-id {RUN}" in each["cmdline"] for each in processes)
        assert {"name", "cmdline", "status", "cpu_percent", "memory_mb", "create_time"} == set(next(iter(processes)))
        assert update["summary"] == {
            "total_containers": len(update["containers"]),
            "running_containers": 1,
            "failed_containers": sum(each.get("exit_code", 0) != 0 for each in update["containers"].values()),
            "active_processes": len(processes),
            "active_worktrees": 0,
        }
        assert update["worktrees"] == {}
        assert KEY not in json.dumps(update)
        ask(line, type="get_container_logs", container_name=name)
        logs = told(line, "container_logs")
        assert (logs["container_name"], logs["logs"]) == (name, f"{MARKUP}\nbad \ufffd\n")
        ask(line, type="get_detailed_stats", container_name=name)
        stats = told(line, "detailed_stats")
        assert stats["stats"]["pids"] >= 1
        assert stats["stats"]["cpu_percent"] > 1
        other = docker("ps", "-a", "--format", "{{.Names}}", "--filter", "name=cfn-wave1-other-owner").splitlines()[0]
        errors = []
        for wanted in (other, "no such", ""):
            ask(line, type="get_container_logs", container_name=wanted)
            errors.append(told(line, "error")["message"])
        assert errors[0].replace(other, "X") == errors[1].replace("no such", "X"), "who asks learns nothing of others"
        world.touch("go")
        assert running.finish().exit_code == 1


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    """With nothing to show but itself."""
    with world_in(tmp_path_factory.mktemp("world"), "process") as world, monitored(world) as made:
        yield made


def test_wrong_messages_are_answered_with_errors_and_the_connection_goes_on(web: Monitored) -> None:
    with web.line() as line:
        for wrong in (
            "no json",
            "[]",
            "{}",
            '{"type": "drop_all"}',
            '{"type": "get_container_logs"}',
            b"\x00",
            "x" * 5000,
        ):
            line.send(wrong)
            assert "expected" in told(line, "error")["message"]
        ask(line, type="get_detailed_stats", container_name="../../etc")
        assert "no container" in told(line, "error")["message"] or "Docker" in told(line, "error")["message"]
        update = told(line, "status_update")
        assert any("serve" in each["cmdline"] for each in update["processes"].values())
        for _ in range(200):
            line.send("wrong")
        with pytest.raises(ConnectionClosedError, match="too many messages were wrong"):
            told(line, "no such type")


def test_who_has_no_token_may_read_there_only_without_an_origin(web: Monitored) -> None:
    with web.line() as open_line:
        told(open_line, "initial_status")
    with web.line(token=web.token) as line:
        told(line, "initial_status")
    for headers in ({"Origin": "https://elsewhere.example"}, {"Origin": "null"}):
        with pytest.raises(InvalidStatus), web.line(**headers):
            pass
    with pytest.raises(InvalidStatus), web.line(token="0" * 64):
        pass


def test_the_seeds_own_program_runs(web: Monitored, tmp_path: Path) -> None:
    """It is as the seed has it, but for the port: that of a test is any free one."""
    program = tmp_path / "example.py"
    program.write_text(EXAMPLE.replace("ws://localhost:9001", web.uri))
    shown = tmp_path / "shown"
    with shown.open("w") as out:
        running = subprocess.Popen([sys.executable, "-u", str(program)], stdout=out, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: shown.read_text().count("\n") >= 2, "an update was printed")
    finally:
        running.kill()
        running.wait()
    assert shown.read_text().splitlines()[:2] == ["Containers: 0", "Running: 0"]
