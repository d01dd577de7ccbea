"""The guard by itself: whatever a request says, nobody comes in without the secret, and every answer is a whole one."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavepool.web.door.guard import HEADERS, Door, Guard
from wavepool.web.door.token import Token

TOKEN = Token("t" * 43)
COOKIE = "wavepool_8080"
DOOR = Door(token=TOKEN, cookie=COOKIE, ports=frozenset({8080, 9001}))

HOSTS = [b"localhost", b"localhost:8080", b"127.0.0.1:9001", b"[::1]:8080", b"evil.example", b"", b"\xff", b"[", b":"]
ORIGINS = [b"http://localhost:8080", b"http://evil.example", b"null", b"", b"http://[", b"\xff://", b"http://localhost"]
SECRETS = [
    b"Bearer wrong",
    b"Bearer",
    b"\xff\xfe",
    f"bearer {'t' * 42}".encode(),
    b"Basic dDp0",
    b"Bearer " + b"t" * 44,
]
COOKIES = [f"{COOKIE}={'t' * 43}".encode(), COOKIE.encode(), b"=", b'a="', f"{COOKIE}=".encode(), b"\xff=\xff", b"; ;"]
NAMES = {b"host": HOSTS, b"origin": ORIGINS, b"authorization": SECRETS, b"cookie": COOKIES}
HEADER = st.one_of(
    *(st.tuples(st.just(name), st.sampled_from(values) | st.binary(max_size=20)) for name, values in NAMES.items()),
    st.tuples(st.sampled_from([b"content-type", b"content-length", b"sec-fetch-site", b"x"]), st.binary(max_size=20)),
)


def scope_of(kind: str, method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    made: dict[str, Any] = {"type": kind, "path": path, "query_string": query, "headers": headers}
    return made if kind == "websocket" else {**made, "method": method}


async def knock(scope: dict[str, Any], door: Door = DOOR) -> tuple[bool, list[dict[str, Any]]]:
    """(whether it came in, what was answered)."""
    inside: list[bool] = []
    said: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        inside.append(scope["state"]["read_only"])
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"private")]})
            await send({"type": "http.response.body", "body": b""})

    async def receive() -> Any:
        raise AssertionError("the guard reads no body")

    async def send(message: Any) -> None:
        said.append(message)

    await Guard(app, door)(scope, receive, send)
    return bool(inside), said


@settings(max_examples=80)
@given(
    kind=st.sampled_from(["http", "websocket"]),
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "DELETE", "x"]),
    path=st.sampled_from(["/", "/health", "/api/runs", "/ws", "/\udcff", ""]),
    query=st.sampled_from([b"", b"token=", b"token=wrong", b"token=%ff", b"token=a&token=b", b"\xff"]),
    headers=st.lists(HEADER, max_size=6),
)
def test_nobody_comes_in_without_the_secret_and_nothing_breaks(
    kind: str, method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    scope = scope_of(kind, method, path, query, headers)
    inside, said = anyio.run(knock, scope)
    if inside:
        assert (kind, path, method in ("GET", "HEAD", "OPTIONS")) == ("http", "/health", True)
        return
    start, body = said
    assert 400 <= start["status"] < 500
    assert start["type"].endswith("http.response.start")
    told = dict(start["headers"])
    assert told[b"content-length"] == str(len(body["body"])).encode()
    if told[b"content-type"] == b"application/json":
        assert set(json.loads(body["body"])["error"]) == {"code", "message", "advice"}


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("origin", [b"http://[", b"http://[::1", b"http://localhost:99999", b"http://localhost:x"])
async def test_an_origin_that_is_no_address_is_foreign(kind: str, origin: bytes) -> None:
    headers = [(b"host", b"localhost"), (b"origin", origin), (b"authorization", b"Bearer " + b"t" * 43)]
    inside, said = await knock(scope_of(kind, "GET", "/api/runs", b"", headers))
    assert (inside, said[0]["status"]) == (False, 403)


@pytest.mark.anyio
async def test_an_answer_keeps_its_own_headers_and_gets_the_others() -> None:
    right = [(b"host", b"localhost"), (b"authorization", b"Bearer " + b"t" * 43)]
    inside, said = await knock(scope_of("http", "GET", "/", b"", right))
    told = said[0]["headers"]
    assert inside
    assert [value for name, value in told if name == b"cache-control"] == [b"private"]
    assert {name for name, _ in told} == set(HEADERS)


@pytest.mark.anyio
async def test_who_comes_in_without_a_token_may_only_read() -> None:
    seen: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["state"]["read_only"])

    async def nothing(*_: Any) -> Any:
        raise AssertionError("nothing is answered")

    opened = Door(token=TOKEN, cookie=COOKIE, ports=frozenset({8080}), open_socket=True)
    right = [(b"host", b"localhost"), (b"authorization", b"Bearer " + b"t" * 43)]
    for headers in ([(b"host", b"localhost")], right):
        await Guard(app, opened)(scope_of("websocket", "", "/", b"", headers), nothing, nothing)
    assert seen == [True, False]


def test_neither_words_nor_looks_of_a_token_tell_it() -> None:
    assert TOKEN.reveal() not in f"{TOKEN} {TOKEN!r} {DOOR}"
    assert TOKEN.cookie("wavepool_1") != TOKEN.cookie("wavepool_2")
