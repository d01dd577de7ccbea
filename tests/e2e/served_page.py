"""`wavepool serve` with its page, as a process in a world of its own; what it answers, and its death and return."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from wavepool_cli import DEADLINE_S, TEST_IMAGE, Running, World, eventually

from answers import Answer

_LINK = re.compile(rb"http://[^\s\"]+/\?token=[\w~.-]+")
_WEBSOCKET = re.compile(rb"ws://[^\s\"/]+:(\d+)")


class ServedPage:
    """The server of a world.

    Attributes:
        world: its state directory is served.
        running: the process, and the next one after `start_again`.
        link: what it printed: the page's address with the token.
        port, ws_port: of the page and of the seed's WebSocket; the same again after `start_again`.
        token: as in the link.
    """

    def __init__(self, world: World, *options: str, settings: Mapping[str, object] | None = None) -> None:
        self.world = world
        self._options = options
        self._was_killed = False
        self._settings = world.root / "pools.json"
        self._settings.write_text(json.dumps(settings or {"image": TEST_IMAGE}))
        self._start(0, 0)
        parts = urlsplit(self.link)
        assert parts.port is not None
        self.port = parts.port
        (self.token,) = parse_qs(parts.query)["token"]

    def _start(self, port: int, ws_port: int) -> None:
        self.running = self.world.command(
            *("serve", "--config", str(self._settings), "--pull", "never", "--state-dir", str(self.world.state)),
            *("--port", str(port), "--ws-port", str(ws_port), "--json", *self._options),
            env={"WAVEPOOL_BASE_IMAGE": TEST_IMAGE, "WAVEPOOL_BUDGET": "2g"},
        )
        self.link = _printed(self.running, _LINK)
        self.ws_port = int(_printed(self.running, _WEBSOCKET))

    @property
    def origin(self) -> str:
        """As a browser names it that opened the link."""
        parts = urlsplit(self.link)
        return f"{parts.scheme}://{parts.netloc}"

    def kill(self) -> None:
        """SIGKILL; returns when it is gone. What it held ready for its pools is left behind."""
        self._was_killed = True
        self.running.kill()

    def start_again(self) -> None:
        """Another process, on the same port."""
        self._start(self.port, self.ws_port)

    def end(self) -> None:
        """One SIGINT, as of Ctrl-C; it must end well. Then what one that was killed has left is taken away."""
        self.running.interrupt(signal.SIGINT)
        done = self.running.finish()
        assert done.exit_code == 0, done.stderr
        if self._was_killed:
            found = self.world.command("recover", "--grace", "0s", "--state-dir", str(self.world.state)).finish()
            assert found.exit_code == 0, found.stderr

    def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request with the token, past any browser. `headers` are added, and override: None sends none of it."""
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            connection.request(method, path, data, {name: each for name, each in sent.items() if each is not None})
            got = connection.getresponse()
            answer_headers = {name.lower(): each for name, each in got.getheaders()}
            return Answer(status=got.status, headers=answer_headers, body=got.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """The JSON at a path, which must be there."""
        answer = self.ask("GET", path)
        assert answer.status == 200, (path, answer.status, answer.body[:500])
        return answer.json

    def post(self, path: str, body: object = None) -> Any:
        """The JSON that an action answers with; it must not be refused."""
        answer = self.ask("POST", path, {} if body is None else body)
        assert answer.status < 300, (path, answer.status, answer.body[:500])
        return answer.json


@contextmanager
def served(world: World, *options: str, settings: Mapping[str, object] | None = None) -> Iterator[ServedPage]:
    """A server that ends with the block, whether it was killed in it or not."""
    page = ServedPage(world, *options, settings=settings)
    try:
        yield page
    finally:
        if page.running.process.poll() is None:
            page.end()


def port_is_free(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _printed(running: Running, wanted: re.Pattern[bytes]) -> str:
    """The first match, or its group, in what it prints."""
    found: list[bytes] = []

    def printed() -> bool:
        assert running.process.poll() is None, running.finish().stderr
        found[:] = wanted.findall(running.printed())
        return bool(found)

    eventually(printed, f"{wanted.pattern!r} in what `wavepool serve` prints")
    return found[0].decode()
