"""``/ws`` by real clients: good ones, slow ones, ones that never read, wrong ones, and all of them at its end."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi import FastAPI
from web_ground import DEADLINE_S, Web, web_ground
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from counting_channels import Source
from wavepool.web.door import lines
from wavepool.web.door.listening import listen
from wavepool.web.server import _answer
from wavepool.web.sockets import stream
from wavepool.web.sockets.hub import Hub
from wavepool.web.thread import in_thread

LARGE = 1024 * 1024
"""Of one change: a few of them fill what the kernel holds of a connection."""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web_ground(tmp_path_factory.mktemp("web")) as made:
        yield made


def told(line: ClientConnection) -> Any:
    return json.loads(line.recv(DEADLINE_S))


def until(line: ClientConnection, found: Callable[[Any], bool]) -> Any:
    """The first message that is what is looked for."""
    while not found(message := told(line)):
        pass
    return message


def closed(line: ClientConnection) -> int | None:
    """The code by which the server closes, after whatever it says before."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            told(line)
    return line.close_code


def follow(line: ClientConnection, channel: str = "overview") -> Any:
    line.send(json.dumps({"subscribe": channel}))
    return until(line, lambda message: "alive" not in message)


@contextmanager
def streaming(source: Source) -> Iterator[tuple[int, Hub]]:
    """The route over channels of the test's own, on a real port: (the port, the hub)."""
    port = listen("localhost", 0, option="--port")
    hub = Hub(source)
    app = FastAPI(openapi_url=None)
    app.include_router(stream.router(hub))

    async def run(ending: anyio.Event, ready: Callable[[], None]) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(hub.run)
            await _answer([app], [port], ending, ready)
            group.cancel_scope.cancel()

    with in_thread(run, name="test-web"):
        yield port.port, hub
    port.close()


def never_reads(port: int) -> socket.socket:
    """A client that follows the overview and reads nothing: its receive buffer is small and full at once."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.settimeout(DEADLINE_S)
    line.connect(("127.0.0.1", port))
    line.sendall(
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert line.recv(12) == b"HTTP/1.1 101"
    text = b'{"subscribe":"overview"}'
    line.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)  # masked by zeros
    return line


def eventually(condition: Callable[[], bool], what: str) -> None:
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end_s, what
        time.sleep(0.01)


def test_the_overview_is_told_and_said_to_be_alive(web: Web) -> None:
    with web.connect() as line:
        first = follow(line)
        assert (first["channel"], first["seq"] >= 0) == ("overview", True)
        assert first["document"]["runs"] == {}
        assert list(first) == ["channel", "seq", "document"]


def test_nothing_is_compressed_for_each_client_anew(web: Web) -> None:
    with web.connect(compression="deflate") as line:
        assert line.protocol.extensions == []


@pytest.mark.parametrize(
    "wrong",
    [
        "", "{", "[]", "null", "1", '"overview"', "{}", '{"subscribe": 1}', '{"subscribe": "run"}', '{"subscribe": ""}',
        '{"subscribe": "overview", "more": 1}', '{"subscribe": "/etc/passwd"}', '{"unsubscribe": null}', b"\xff\x00",
        '{"subscribe": "overview"}' + " " * 1100, "[" * 1000,
    ],
)  # fmt: skip
def test_what_is_not_understood_is_told_and_the_line_goes_on(web: Web, wrong: str | bytes) -> None:
    with web.connect() as line:
        line.send(wrong)
        assert told(line)["error"].startswith('expected {"subscribe": "overview"}')
        assert "document" in follow(line)


def test_a_run_that_is_not_there_is_an_error_of_its_channel(web: Web) -> None:
    with web.connect() as line:
        for name in ("20260101-000000-beef", "../../etc", "..", "x" * 900, "\0", "latest", ""):
            answer = follow(line, f"run:{name}")
            assert answer["channel"] == f"run:{name}"
            assert answer["error"].startswith("there is no run")
            assert answer["error"].endswith((".", "?"))
            assert "?." not in answer["error"]
            assert "\n" not in answer["error"]
        assert "document" in follow(line)


def test_a_message_that_is_too_large_ends_its_client_alone(web: Web) -> None:
    with web.connect() as other:
        follow(other)
        with web.connect() as line:
            line.send("x" * 70_000)
            assert closed(line) == 1009
        other.send('{"subscribe": "run:x"}')
        assert "error" in until(other, lambda message: "error" in message)


def test_one_who_says_nothing_right_is_let_go(web: Web) -> None:
    with web.connect() as line:
        for _ in range(100):
            line.send("?")
        assert closed(line) == 1008


def test_a_client_that_never_reads_costs_little_and_holds_up_nobody() -> None:
    source = Source()
    with streaming(source) as (port, hub), ExitStack() as stack:
        slow = [stack.enter_context(never_reads(port)) for _ in range(5)]
        quick = stack.enter_context(connect(f"ws://localhost:{port}/ws", max_size=None, proxy=None))
        follow(quick)
        eventually(lambda: hub.clients == 6, "all are there")
        for number in range(1, 16):
            source.overview.now = {"n": number, "text": f"{number % 10}" * LARGE}
            assert until(quick, lambda message: "patch" in message)["patch"]["n"] == number
        outboxes = list(hub._clients)
        eventually(lambda: sum(each.overruns > 0 for each in outboxes) == 5, "the slow ones are behind")
        assert all(each._size < 5 * 1024 * 1024 for each in outboxes)
        line = slow[0]
        seen = b""
        while b'"n":15' not in seen:
            data = line.recv(1 << 20)
            assert data, "it was cut off"
            seen = seen[-20:] + data


def test_the_server_ends_within_a_second_whoever_is_connected() -> None:
    source = Source()
    with ExitStack() as stack:
        with streaming(source) as (port, hub):
            for _ in range(20):
                stack.enter_context(never_reads(port))
            idle = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            half = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            half.sendall(b"GET /ws HTTP/1.1\r\nHost: loc")
            good = stack.enter_context(connect(f"ws://localhost:{port}/ws", max_size=None, proxy=None))
            follow(good)
            eventually(lambda: hub.clients == 21, "all are there")
            for number in range(8):
                source.overview.now = {"n": number, "text": f"{number}" * LARGE}
                until(good, lambda message: "patch" in message)
            before_s = time.monotonic()
        took_s = time.monotonic() - before_s
        assert took_s < DEADLINE_S  # 0.5 s on a quiet machine; without the cut it would wait for ever
        assert closed(good) == 1012  # it goes away, and may come back
        assert idle.recv(10) == b""
    assert not [each for each in threading.enumerate() if each.name == "test-web"]


def test_a_client_that_is_cut_off_is_forgotten() -> None:
    source = Source()
    with streaming(source) as (port, hub):
        lines = [never_reads(port) for _ in range(10)]
        eventually(lambda: len(hub._followed["overview"].outboxes) == 10, "all follow")
        for line in lines:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # a reset, not a farewell
            line.close()
        eventually(lambda: hub.clients == 0, "all are gone")
        assert hub._followed["overview"].outboxes == set()


def test_who_connects_and_asks_nothing_is_cut_off_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LINES", 4)
    with streaming(Source()) as (port, hub), ExitStack() as stack:
        good = stack.enter_context(connect(f"ws://localhost:{port}/ws", proxy=None))
        follow(good)
        later = stack.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE_S))
        later.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while not answer.endswith(b"}"):
            answer += later.recv(65536)
        monkeypatch.setattr(lines, "WHOLE_S", 0.2)
        silent = stack.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE_S))
        half = stack.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE_S))
        half.sendall(b"GET / HTTP/1.1\r\nHost: loc")
        later.sendall(b"GET / HTTP/1.1\r\nHost: loc")  # a whole one before it is no licence to hold the line
        assert (cut_off(silent), cut_off(half), cut_off(later)) == (True, True, True)
        monkeypatch.setattr(lines, "WHOLE_S", DEADLINE_S)
        held = [stack.enter_context(never_reads(port)) for _ in range(3)]
        more = stack.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE_S))
        assert cut_off(more)
        assert follow(good, "run:a")["channel"] == "run:a"
        assert len(held) == hub.clients - 1


def cut_off(line: socket.socket) -> bool:
    try:
        return line.recv(100) == b""
    except ConnectionResetError:
        return True


def test_two_servers_of_two_state_directories_go_on_side_by_side(tmp_path: Path) -> None:
    with web_ground(tmp_path / "one") as one, web_ground(tmp_path / "two") as two:
        with one.connect() as first, two.connect() as second:
            assert follow(first)["channel"] == follow(second)["channel"] == "overview"
        assert one.ask("/", two.bearer).status == 401


def test_a_page_that_cannot_begin_says_so_and_one_that_breaks_ends_nobody(logged: list[Mapping[str, Any]]) -> None:
    async def never(ending: anyio.Event, ready: Callable[[], None]) -> None:
        raise ValueError("no page today")

    with pytest.raises(ValueError, match="no page today"), in_thread(never, name="never"):
        raise AssertionError("it never began")

    async def breaks(ending: anyio.Event, ready: Callable[[], None]) -> None:
        ready()
        raise ValueError("no page any more")

    with in_thread(breaks, name="breaks"):
        pass
    assert [each["event"] for each in logged] == ["the page has ended"]
