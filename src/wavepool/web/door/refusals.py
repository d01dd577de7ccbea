"""What is answered to who may not come in: JSON for programs, a page of plain words for people."""

from __future__ import annotations

import html
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Refusal(Exception):
    """Raised by the guard, and answered by it.

    Attributes:
        status: of HTTP.
        code: for programs.
        message, advice: for people; never anything that the request said.
    """

    def __init__(self, status: int, code: str, message: str, advice: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.advice = advice

    @classmethod
    def host(cls) -> Refusal:
        """The Host header names nobody here."""
        return cls(
            421,
            "unknown_host",
            "This server does not go by that name.",
            "Use localhost or its address; `--allowed-host NAME` lets it go by another one.",
        )

    @classmethod
    def origin(cls) -> Refusal:
        """A page of somebody else asks."""
        return cls(403, "foreign_origin", "This was asked by a page of another origin.", "Use the page of this server.")

    @classmethod
    def no_origin(cls) -> Refusal:
        """The cookie alone proves nothing where something is changed."""
        return cls(
            403,
            "no_origin",
            "A cookie is taken only from a page, which names its origin.",
            "A program sends the token as `Authorization: Bearer TOKEN`.",
        )

    @classmethod
    def no_token(cls) -> Refusal:
        """Nothing says who it is."""
        return cls(
            401,
            "unauthorized",
            "This page opens with its token.",
            "Use the link that `wavepool serve` printed on its terminal, or send `Authorization: Bearer TOKEN`; "
            "the token is in the file web.token of its state directory.",
        )

    @classmethod
    def wrong_token(cls) -> Refusal:
        """It is not ours."""
        return cls(
            401,
            "unauthorized",
            "That is not the token of this server.",
            "Use the link that `wavepool serve` printed on its terminal; the token is in the file web.token of its "
            "state directory.",
        )

    @classmethod
    def not_json(cls) -> Refusal:
        """A form of another site could send anything else."""
        return cls(415, "not_json", "What changes something must be JSON.", "Send `Content-Type: application/json`.")

    @classmethod
    def no_length(cls) -> Refusal:
        """It comes in pieces, and nobody knows of how many."""
        return cls(411, "no_length", "The length of what is sent must be told first.", "Send `Content-Length`.")

    @classmethod
    def too_large(cls, limit_bytes: int) -> Refusal:
        """More than anybody has reason to send."""
        return cls(413, "too_large", f"At most {limit_bytes} bytes are taken.", "Send less.")


async def answer_to(refusal: Refusal, path: str, send: _Send, *, socket: bool) -> None:
    """Send it; before a WebSocket is accepted it is the answer to its handshake."""
    is_page = path == "/" and not socket
    body = _page(refusal) if is_page else _json(refusal)
    kind = b"text/html; charset=utf-8" if is_page else b"application/json"
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="wavepool"'))
    prefix = "websocket.http" if socket else "http"
    await send({"type": f"{prefix}.response.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{prefix}.response.body", "body": body})


def _json(refusal: Refusal) -> bytes:
    error = {"code": refusal.code, "message": refusal.message, "advice": refusal.advice}
    return json.dumps({"error": error}).encode()


def _page(refusal: Refusal) -> bytes:
    """A link to the page itself is on it: a browser that came by a link on another site has the cookie by then."""
    message, advice = html.escape(refusal.message), html.escape(refusal.advice)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Wavepool</title></head><body><main>'
        f'<h1>Wavepool</h1><p>{message}</p><p>{advice}</p><p><a href="/">Try again</a></p></main></body></html>\n'
    ).encode()
