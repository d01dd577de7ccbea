"""A real web server in this process, on ports that are free, and who talks to it: byte by byte, or over a WebSocket."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.sync.client import ClientConnection, connect

from answers import Answer
from wavepool.config import Settings, load_settings
from wavepool.web.server import Address, Serving, serve_web

DEADLINE_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """The server, as its user sees it."""

    address: Address
    token: str
    state: Path

    @property
    def port(self) -> int:
        return urlsplit(self.address.page).port or 0

    @property
    def ws_port(self) -> int:
        return urlsplit(self.address.websocket or "").port or 0

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def cookie(self) -> str:
        """What a browser has after it has followed the link."""
        answer = self.ask(f"/?token={self.token}")
        assert answer.status == 303
        return answer.headers["set-cookie"].partition(";")[0]

    def ask(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        body: bytes | None = None,
        host: str | None = "",
        port: int | None = None,
    ) -> Answer:
        """One request in the bytes given here; `host` "" is the right one, None sends none."""
        port = port or self.port
        lines = [f"{method} {path} HTTP/1.1"]
        if host is not None:
            lines.append(f"Host: {host or f'localhost:{port}'}")
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join((*lines, "Connection: close", "", "")).encode("latin-1")
        return answer_of(self.exchange(head + (body or b""), port=port))

    def exchange(self, raw: bytes, *, port: int | None = None) -> bytes:
        """All that is answered to these bytes, until the server closes."""
        with socket.create_connection(("127.0.0.1", port or self.port), DEADLINE_S) as line:
            line.sendall(raw)
            return b"".join(iter(lambda: line.recv(65536), b""))

    def upgrade(self, path: str = "/ws", headers: Mapping[str, str] | None = None, **how: Any) -> Answer:
        """The answer to a handshake; a line that is taken is cut at once."""
        port = how.pop("port", None) or self.port
        host = how.pop("host", "") or f"localhost:{port}"
        asked = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            **(headers or {}),
        }
        lines = (f"GET {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in asked.items()))
        with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as line:
            line.sendall("\r\n".join((*lines, "", "")).encode())
            raw = b""
            while b"\r\n\r\n" not in raw:
                if not (more := line.recv(65536)):
                    break
                raw += more
            if b" 101 " not in raw.partition(b"\r\n")[0]:
                raw += b"".join(iter(lambda: line.recv(65536), b""))
        return answer_of(raw)

    def connect(self, path: str = "/ws", headers: Mapping[str, str] | None = None, **how: Any) -> ClientConnection:
        """A WebSocket, by a library of others; with the token unless other headers are given."""
        port = how.pop("port", None) or self.port
        return connect(
            f"ws://localhost:{port}{path}",
            additional_headers=self.bearer if headers is None else headers,
            open_timeout=DEADLINE_S,
            close_timeout=DEADLINE_S,
            proxy=None,
            **how,
        )


def answer_of(raw: bytes) -> Answer:
    """The first answer in these bytes."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(status=int(first.split()[1]), headers=headers, body=body)


def settings_in(root: Path, **given: object) -> Settings:
    """Settings with a state directory below `root`, and ports that are free."""
    options = {"state_dir": str(root / "state"), "http_port": "0", "websocket_port": "0", **given}
    return load_settings(options, environ={"HOME": str(root)}, cwd=root)


@contextmanager
def web_ground(root: Path, *, settings: Mapping[str, object] | None = None, **options: Any) -> Iterator[Web]:
    """A server until the block ends. `options` are those of `Serving`."""
    serving = Serving(settings=settings_in(root, **(settings or {})), **options)
    with serve_web(serving) as address:
        token = "" if serving.no_token else address.link.partition("token=")[2]
        yield Web(address=address, token=token, state=serving.settings.state_dir)
