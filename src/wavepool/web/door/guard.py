"""Who may come in: one ASGI middleware before everything, on both ports.

A request must name a host of ours (else a page that has its own name lead here could read us: DNS rebinding), come from
a page of ours if it comes from a page at all (cross-site requests, cross-site WebSockets), and have the token: as
``Authorization: Bearer``, or as the cookie that ``GET /?token=`` sets. What changes something must be JSON, which no
form of another site can send. All answers carry headers that keep them from being framed, guessed at or kept.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from wavepool.web.door.refusals import Refusal, answer_to
from wavepool.web.door.token import Token

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEALTH = "/health"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
BODY_LIMIT_BYTES = 64 * 1024 * 1024

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}
"""Of every answer that does not say something else itself."""

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What is asked of who comes in by one port.

    Attributes:
        token: None lets everybody in who reaches the port (`--no-token`, on loopback alone).
        cookie: name of the cookie; it has the port of the page in it, as browsers send cookies to all ports of a host.
        ports: of the page and the WebSocket: pages of both are ours.
        hosts: names that are ours beside loopback's, in lower case.
        any_address: whether an address (and no name) of any kind is ours: true where more than loopback is bound.
        open_socket: whether a WebSocket without an Origin needs no token (`--open-websocket`).
    """

    token: Token | None
    cookie: str
    ports: frozenset[int]
    hosts: frozenset[str] = frozenset()
    any_address: bool = False
    open_socket: bool = False


class Guard:
    """The middleware. What it lets in has ``scope["state"]["read_only"]``: true for who came without a token."""

    def __init__(self, app: App, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. What is refused gets an answer that says why, over a WebSocket too."""
        if scope["type"] not in ("http", "websocket"):
            return
        request = _Request(scope)
        sending = send if request.is_socket else _with_headers(send)
        try:
            greeted = self._greet(request)
            if greeted is not None:
                await _redirect(sending, greeted)
                return
            read_only = self._admit(request)
            scope.setdefault("state", {})["read_only"] = read_only
            await self._app(scope, receive, sending)
        except Refusal as refusal:
            await answer_to(refusal, request.path, sending, socket=request.is_socket)

    def _greet(self, request: _Request) -> str | None:
        """The cookie to set, where this is the link that was printed."""
        token = self._door.token
        if request.is_socket or token is None or request.path != "/" or request.method != "GET":
            return None
        given = parse_qs(request.query).get("token")
        if given is None:
            return None
        self._check_host(request)
        if len(given) != 1 or not token.is_(given[0]):
            raise Refusal.wrong_token()
        return f"{self._door.cookie}={token.cookie(self._door.cookie)}; Path=/; HttpOnly; SameSite=Strict"

    def _admit(self, request: _Request) -> bool:
        """Whether it may only read. Raises Refusal."""
        self._check_host(request)
        self._check_origin(request)
        if request.path == HEALTH and request.method in SAFE and not request.is_socket:
            return False
        read_only = self._check_token(request)
        if request.method not in SAFE:
            _check_body(request)
        return read_only

    def _check_host(self, request: _Request) -> None:
        host = _name_of(request.one(b"host"))
        if host is None or not self._is_ours(host):
            raise Refusal.host()

    def _is_ours(self, host: str) -> bool:
        return host in _LOOPBACK_NAMES or host in self._door.hosts or (self._door.any_address and _is_address(host))

    def _check_origin(self, request: _Request) -> None:
        if b"origin" not in request.headers:
            _check_destination(request)
            return
        origin, host = request.one(b"origin") or "", request.one(b"host") or ""
        try:
            parts = urlsplit(origin)
            port = parts.port
        except ValueError:  # no address at all
            raise Refusal.origin() from None
        same = parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()
        if not same and not self._is_sister(parts, port):
            raise Refusal.origin()

    def _is_sister(self, parts: SplitResult, port: int | None) -> bool:
        """Whether it is our page on the other port."""
        host = (parts.hostname or "").lower()
        return parts.scheme == "http" and port in self._door.ports and self._is_ours(host) and "@" not in parts.netloc

    def _check_token(self, request: _Request) -> bool:
        token = self._door.token
        if token is None:
            return False
        kind, _, given = (request.one(b"authorization") or "").partition(" ")
        if kind.lower() == "bearer":
            if not token.is_(given.strip()):
                raise Refusal.wrong_token()
            return False
        if self._has_cookie(request, token):
            if (request.is_socket or request.method not in SAFE) and b"origin" not in request.headers:
                raise Refusal.no_origin()
            return False
        if request.is_socket and self._door.open_socket and b"origin" not in request.headers:
            return True
        raise Refusal.no_token()

    def _has_cookie(self, request: _Request, token: Token) -> bool:
        name = self._door.cookie
        given = [value for line in request.headers.get(b"cookie", ()) for value in _cookies(line, name)]
        return any(token.is_cookie(name, value) for value in given)


class _Request:
    """What the guard looks at."""

    def __init__(self, scope: Scope) -> None:
        self.is_socket = scope["type"] == "websocket"
        self.method: str = scope.get("method", "GET")
        self.path: str = scope["path"]
        self.query: str = scope["query_string"].decode("ascii", "replace")
        self.headers: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            self.headers.setdefault(name.lower(), []).append(value.decode("latin-1"))

    def one(self, name: bytes) -> str | None:
        """A header that must not be there twice; None where it is not there, or is."""
        values = self.headers.get(name, [])
        return values[0] if len(values) == 1 else None


def _name_of(host: str | None) -> str | None:
    """Of a Host header, without its port, in lower case; None for what is none."""
    if not host or any(each in host for each in "/@?#\\ \t"):
        return None
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    return None if parts.hostname is None else parts.hostname.lower()


def _check_destination(request: _Request) -> None:
    """A part of another site's page (an image, a script) names no origin, but browsers say whose page it is for."""
    site, mode = request.one(b"sec-fetch-site"), request.one(b"sec-fetch-mode")
    if site in ("cross-site", "same-site") and mode != "navigate" and not request.is_socket:
        raise Refusal.origin()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _cookies(line: str, name: str) -> Iterable[str]:
    try:
        found = SimpleCookie(line).get(name)
    except CookieError:
        return []
    return [] if found is None else [found.value]


def _check_body(request: _Request) -> None:
    kind = (request.one(b"content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal.not_json()
    if b"transfer-encoding" in request.headers:
        raise Refusal.no_length()
    length = request.one(b"content-length") or "0"
    if not length.isdecimal() or int(length) > BODY_LIMIT_BYTES:
        raise Refusal.too_large(BODY_LIMIT_BYTES)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            told = list(message.get("headers", ()))
            names = {name.lower() for name, _ in told}
            message["headers"] = [*told, *((name, value) for name, value in HEADERS.items() if name not in names)]
        await send(message)

    return sending


async def _redirect(send: Send, cookie: str) -> None:
    headers = [(b"location", b"/"), (b"set-cookie", cookie.encode()), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
