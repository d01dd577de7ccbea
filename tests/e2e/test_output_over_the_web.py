"""Output of a real run through a real `wavepool serve`: read, found, downloaded in parts, and followed."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest
from wavepool_cli import DEADLINE_S, World, batch, eventually, plan_of, wave
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

RUN = "shown"
MARKUP = b"<script>alert(1)</script> \xff\xfe\n"
LINES = 30_000
SAYS = f"printf '<script>alert(1)</script> \\377\\376\\n'; seq 1 {LINES}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """`wavepool serve`, under way."""

    pid: int
    port: int
    ws_port: int
    token: str

    def get(self, path: str, **headers: str) -> tuple[HTTPResponse, bytes]:
        line = HTTPConnection("localhost", self.port, timeout=DEADLINE_S)
        line.request("GET", path, headers={"Authorization": f"Bearer {self.token}", **headers})
        answer = line.getresponse()
        body = answer.read()
        line.close()
        return answer, body

    def json(self, path: str) -> Any:
        answer, body = self.get(path)
        assert answer.status == 200, body
        return json.loads(body)

    @contextmanager
    def follow(self, query: str) -> Iterator[ClientConnection]:
        headers = {"Authorization": f"Bearer {self.token}"}
        with connect(f"ws://localhost:{self.port}/ws/log?{query}", additional_headers=headers) as line:
            yield line

    def followed(self, query: str) -> tuple[bytes, list[Any]]:
        """As `heard`."""
        with self.follow(query) as line:
            return heard(line)


@contextmanager
def served(world: World) -> Iterator[Served]:
    options = ("--driver", "process", "--state-dir", str(world.state), "--json")
    running = world.command("serve", *options)
    (page,) = running.wait_for("page")
    token = (world.state / "web.token").read_text().strip()
    ports = [int(page[name].rstrip("/").rpartition(":")[2]) for name in ("url", "websocket")]
    yield Served(pid=running.process.pid, port=ports[0], ws_port=ports[1], token=token)
    running.interrupt()
    assert running.finish().exit_code == 0


def heard(line: ClientConnection) -> tuple[bytes, list[Any]]:
    """All frames to the end: bytes, and what else was said."""
    data, said = b"", []
    with suppress(ConnectionClosedError):  # as after an error
        for frame in line:
            if isinstance(frame, bytes):
                data += frame
            else:
                said.append(json.loads(frame))
    return data, said


def test_output_is_read_found_downloaded_and_followed(process_world: World) -> None:
    world = process_world
    wait = "while [ ! -e go ]; do sleep 0.05; done"
    running = world.start(plan_of(wave(1, batch("Says It", f"{SAYS}; {wait}; echo over"))), "--run-id", RUN, "--json")
    with served(world) as web, ExitStack() as stack:
        running.wait_for("AttemptStarted")
        (key,) = [task["key"] for task in web.json(f"/api/runs/{RUN}/tasks")["tasks"]]
        log = f"/api/runs/{RUN}/tasks/{key}/log"
        expected = MARKUP + b"".join(b"%d\n" % number for number in range(1, LINES + 1))
        eventually(lambda: web.get(f"{log}?offset=-6")[1] == expected[-6:], "all is written")
        following = stack.enter_context(web.follow(f"run={RUN}&task={key}&from=0"))
        answer, body = web.get(f"{log}?limit=100")
        assert body == expected[:100]
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["wavepool-live"] == "true"
        assert int(answer.headers["wavepool-total-bytes"]) == len(expected)
        answer, body = web.get(f"{log}/download")
        assert (answer.status, body) == (200, expected)
        assert answer.headers["content-disposition"].startswith("attachment; ")
        world.touch("go")
        data, said = heard(following)
        assert data == expected + b"over\n", said
        assert said == [{"attempt": 1, "offset": 0}, {"end": "success", "why": ""}]
        assert running.finish().exit_code == 0
        expected += b"over\n"
        found = web.json(f"{log}/search?q=SCRIPT&limit=1")
        assert found["matches"][0]["line"] == "<script>alert(1)</script> \ufffd\ufffd"
        assert [each["before"] for each in found["matches"]] == ["<"]
        (second,) = web.json(f"{log}/search?q=script%3E%20&offset={found['next_offset']}")["matches"]
        assert second["offset"] == expected.index(b"script> ")
        _ranges(web, f"{log}/download", expected)
        data, said = web.followed(f"run={RUN}&task={key}&attempt=1&from=-5")
        assert (data, said[0]) == (b"over\n", {"attempt": 1, "offset": len(expected) - 5})
        _refused(web, key)


def _ranges(web: Served, path: str, expected: bytes) -> None:
    answer, body = web.get(path)
    assert (answer.status, body, answer.headers["accept-ranges"]) == (200, expected, "bytes")
    tag = answer.headers["etag"]
    size = len(expected)
    for asked, first, stop in (
        ("0-9", 0, 10),
        (f"{size - 3}-", size - 3, size),
        ("-4", size - 4, size),
        ("9-9999999", 9, size),
    ):
        answer, body = web.get(path, **{"Range": f"bytes={asked}", "If-Range": tag})
        assert (answer.status, body) == (206, expected[first:stop])
        assert answer.headers["content-range"] == f"bytes {first}-{stop - 1}/{size}"
    for asked in ("lines=1-2", "bytes=0-1,5-6", "bytes=5-2", "bytes=-"):
        assert web.get(path, Range=asked)[1] == expected, "what is not understood is not heeded"
    assert web.get(path, **{"Range": "bytes=0-9", "If-Range": '"another"'})[0].status == 200
    for asked in (f"bytes={size}-", "bytes=-0"):
        answer, body = web.get(path, Range=asked)
        assert (answer.status, body, answer.headers["content-range"]) == (416, b"", f"bytes */{size}")


def _refused(web: Served, key: str) -> None:
    for path, status, code in (
        (f"/api/runs/none/tasks/{key}/log", 404, "unknown_run"),
        (f"/api/runs/..%2Fruns%2F{RUN}/tasks/{key}/log", 404, None),
        (f"/api/runs/{RUN}/tasks/none/log/download", 404, "unknown_task"),
        (f"/api/runs/{RUN}/tasks/{key}/log?limit=999999999", 422, "bad_request"),
        (f"/api/runs/{RUN}/tasks/{key}/log/search?q=", 422, "bad_request"),
    ):
        answer, body = web.get(path)
        assert answer.status == status, (path, body)
        assert code is None or json.loads(body)["error"]["code"] == code
    for query, words in ((f"run=none&task={key}", "no run"), (f"run={RUN}&task=no", "no task"), ("attempt=x", "whole")):
        data, said = web.followed(query)
        assert data == b""
        assert words in said[0]["error"]


@pytest.mark.slow
def test_a_gigabyte_is_shown_and_downloaded_in_constant_memory(process_world: World) -> None:
    """Of a log of 1 GB: its end, a search through it that is gone on with, a download, and one who never reads it."""
    world = process_world
    size = 1_000_000_000
    flood = f"yes {'0123456789abcdef' * 4} | head -c {size - 8}; echo; echo needle"
    world.run(plan_of(wave(1, batch("big", flood))), "--run-id", RUN, env={"WAVEPOOL_LOG_LIMIT": "1200m"})
    log = f"/api/runs/{RUN}/tasks/big/log"
    with served(world) as web, ExitStack() as stack:
        stack.enter_context(web.follow(f"run={RUN}&task=big&from=0"))  # never read
        deaf = stack.enter_context(socket.create_connection(("localhost", web.port)))
        key = f"Authorization: Bearer {web.token}"
        deaf.sendall(f"GET {log}/download HTTP/1.1\r\nHost: localhost\r\n{key}\r\n\r\n".encode())
        before = _memory(web.pid)
        found: list[int] = []
        at: int | None = 0
        while at is not None:
            answer = web.json(f"{log}/search?q=needle&offset={at}")
            found += [match["offset"] for match in answer["matches"]]
            at = answer.get("next_offset")
        assert found == [size - 7]
        line = HTTPConnection("localhost", web.port, timeout=DEADLINE_S)
        line.request("GET", f"{log}/download", headers={"Authorization": f"Bearer {web.token}"})
        download, read = line.getresponse(), 0
        while piece := download.read(1 << 20):
            read += len(piece)
        line.close()
        assert read == size
        assert _memory(web.pid) - before < 64 << 20
        assert web.followed(f"run={RUN}&task=big")[0].endswith(b"\nneedle\n")


def _memory(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096
