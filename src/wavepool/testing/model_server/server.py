"""The server: one thread for each connection, as many agents as like to talk to it."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from wavepool.testing.model_server.messages import events, failure_body, failure_headers, whole
from wavepool.testing.model_server.script import Answer, Failure, Script, text_of

BODY_MAX_BYTES = 64 << 20
RECEIVED_MAX = 10_000
"""Requests that are remembered, the newest ones."""
MODELS = ("claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-5")
CHARACTERS_PER_TOKEN = 4
IDLE_S = 120.0
"""A connection on which nothing is asked for so long is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request, without what might be secret.

    Attributes:
        at_s: monotonic seconds. `path` without the query.
        model, turn, streamed: of a request for an answer; `turn` counts the answers that it already holds.
        first_text: the beginning of its first message.
        status: what it was answered.
        running: requests for answers under way when it came, itself included.
    """

    at_s: float
    method: str
    path: str
    model: str = ""
    turn: int = 0
    streamed: bool = False
    first_text: str = ""
    status: int = 200
    running: int = 0


class ModelServer:
    """Serves a script while its context is open.

    Args:
        host, port: where it listens; port 0 for one that is free.
    """

    def __init__(self, script: Script, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = _Server((host, port), script)
        self._thread = threading.Thread(target=self._server.serve_forever, name="model server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """What an agent's base URL is set to."""
        return f"http://{self._server.server_address[0]!s}:{self.port}"

    @property
    def received(self) -> tuple[Received, ...]:
        """What was asked, in the order in which it was answered."""
        return tuple(self._server.received)

    def waiting(self, meets: int) -> int:
        """How many wait for the others, of answers that are given when `meets` of them do."""
        return self._server.meeting(meets).n_waiting

    def meet(self, meets: int, within_s: float) -> None:
        """Be one of those who wait; returns when they are all there.

        Raises:
            threading.BrokenBarrierError: they did not come in time, here or before.
        """
        self._server.meeting(meets).wait(within_s)

    def wait(self) -> None:
        """Until it is closed."""
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # an agent may hold its connection open
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], script: Script) -> None:
        super().__init__(address, _Handler)
        self.script = script
        self.received: deque[Received] = deque(maxlen=RECEIVED_MAX)
        self.lock = threading.Lock()
        self.running = 0
        self._failed: Counter[str] = Counter()
        self._meetings: dict[int, threading.Barrier] = {}
        self._count = 0

    def next_id(self) -> str:
        """An id for a message, never given twice."""
        with self.lock:
            self._count += 1
            return f"msg_{self._count:08d}"

    def meeting(self, meets: int) -> threading.Barrier:
        """Where so many wait for each other."""
        with self.lock:
            return self._meetings.setdefault(meets, threading.Barrier(meets))

    def next_failure(self, answer: Answer, request: Mapping[str, Any]) -> Failure | None:
        """The failure that comes before this answer, None when it had all of them; waits for those whom it meets."""
        return self._scripted_failure(answer, request) or self._missed(answer)

    def _missed(self, answer: Answer) -> Failure | None:
        if not answer.meets:
            return None
        try:
            self.meeting(answer.meets).wait(answer.meets_within_s)
        except threading.BrokenBarrierError:
            return Failure(status=400, message=f"not {answer.meets} came within {answer.meets_within_s:g} s")
        return None

    def _scripted_failure(self, answer: Answer, request: Mapping[str, Any]) -> Failure | None:
        if not answer.failures:
            return None
        key = hashlib.sha256(json.dumps(request.get("messages"), sort_keys=True).encode()).hexdigest()
        with self.lock:
            number = self._failed[key]
            self._failed[key] += 1
        return answer.failures[number] if number < len(answer.failures) else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    server: _Server

    def do_HEAD(self) -> None:
        self._note("HEAD")
        self._send(200, {})

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/v1/models":
            models = [{"type": "model", "id": name, "display_name": name} for name in MODELS]
            self._note("GET")
            self._send(200, {"data": models, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]})
        elif path == "/":
            self._note("GET")
            self._send(200, {})
        else:
            self._refuse("GET", Failure(status=404, message=f"there is no {path}"))

    def do_POST(self) -> None:
        try:
            request = self._read()
        except ValueError as error:
            self._refuse("POST", Failure(status=400, message=str(error)))
            return
        path = urlsplit(self.path).path
        if path == "/v1/messages":
            with self.server.lock:
                self.server.running += 1
            try:
                self._answer(request)
            finally:
                with self.server.lock:
                    self.server.running -= 1
        elif path == "/v1/messages/count_tokens":
            self._note("POST", request)
            characters = len(json.dumps([request.get("messages"), request.get("system"), request.get("tools")]))
            self._send(200, {"input_tokens": max(1, characters // CHARACTERS_PER_TOKEN)})
        else:
            self._refuse("POST", Failure(status=404, message=f"there is no {path}"))

    def _answer(self, request: Mapping[str, Any]) -> None:
        answer = self.server.script.answer(request)
        failure = self.server.next_failure(answer, request)
        if failure is not None:
            self._refuse("POST", failure, request)
            return
        self._note("POST", request)
        time.sleep(answer.delay_s)
        named = {"message_id": self.server.next_id(), "model": str(request.get("model") or MODELS[0])}
        if request.get("stream"):
            self._stream(answer, named)
        else:
            self._send(200, whole(answer, **named))

    def _stream(self, answer: Answer, named: Mapping[str, str]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for event in events(answer, **named):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                self.wfile.flush()
                time.sleep(answer.pace_s)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:  # whoever asked went away
            self.close_connection = True

    def _read(self) -> dict[str, Any]:
        length = int(self.headers.get("content-length") or 0)
        if not 0 < length <= BODY_MAX_BYTES:
            self.close_connection = True
            raise ValueError("a body of JSON is needed, with its length")
        given = json.loads(self.rfile.read(length))
        if not isinstance(given, dict):
            raise ValueError("the body must be a JSON object")
        return given

    def _refuse(self, method: str, failure: Failure, request: Mapping[str, Any] | None = None) -> None:
        self._note(method, request or {}, failure.status)
        self._send(failure.status, failure_body(failure), failure_headers(failure, time.time()))

    def _send(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        raw = json.dumps(body).encode()
        try:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(raw)
        except OSError:
            self.close_connection = True

    def _note(self, method: str, request: Mapping[str, Any] | None = None, status: int = 200) -> None:
        asked = request or {}
        messages = asked.get("messages") or []
        self.server.received.append(
            Received(
                at_s=time.monotonic(),
                method=method,
                path=urlsplit(self.path).path,
                model=str(asked.get("model") or ""),
                turn=sum(1 for each in messages if each.get("role") == "assistant"),
                streamed=bool(asked.get("stream")),
                first_text=text_of(messages[0])[:200] if messages else "",
                status=status,
                running=self.server.running,
            )
        )

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr: what was asked is in `ModelServer.received`."""
