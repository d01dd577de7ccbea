"""Who is kept out of the dashboard, tried by a real browser with a real session: other sites, other names, no token."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext
from served_page import ServedPage, served
from wavepool_cli import world_in

from browser import REBOUND, profile

SOCKET = """address => new Promise(done => {
  const socket = new WebSocket(address);
  socket.onopen = () => done("open");
  socket.onerror = () => done("refused");
})"""

POST = """([address, how]) => fetch(address, {method: "POST", ...how}).then(
  answer => answer.status || answer.type, error => "refused")"""


@pytest.fixture(scope="module")
def page_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPage]:
    """No engine is needed to refuse somebody."""
    with (
        world_in(tmp_path_factory.mktemp("refusals") / "world", "process") as world,
        served(world, "--driver", "process") as page,
    ):
        yield page


@pytest.fixture
def visitor(browser: Browser, page_server: ServedPage) -> Iterator[BrowserContext]:
    """A browser that has opened the link: it holds the cookie."""
    with profile(browser) as context:
        context.new_page().goto(page_server.link)
        assert [cookie["httpOnly"] for cookie in context.cookies()] == [True]
        yield context


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """The origin of a page of somebody else, on this very host: its requests take the cookie along."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Foreign) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.05))
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


class _Foreign(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><title>elsewhere</title><p>not yours</p>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing of it is of interest."""


def test_the_page_itself_is_let_in(visitor: BrowserContext, page_server: ServedPage) -> None:
    page = visitor.pages[0]
    assert page.url.startswith(page_server.origin)
    assert "token" not in page.url
    assert page.evaluate(SOCKET, _ws(page_server)) == "open"
    assert page.evaluate("fetch('/').then(answer => answer.status)") == 200


def test_a_page_of_another_origin_opens_no_socket(
    visitor: BrowserContext, page_server: ServedPage, elsewhere: str
) -> None:
    page = visitor.new_page()
    page.goto(elsewhere)
    assert page.evaluate(SOCKET, _ws(page_server)) == "refused"
    seeds = f"ws://localhost:{page_server.ws_port}/"
    assert page.evaluate(SOCKET, seeds) == "refused"
    for path, origin in (("/ws", elsewhere), ("/ws", "null"), ("/ws/log?run=r&task=t", elsewhere)):
        asked = {**_handshake(), "Origin": origin}
        assert page_server.ask("GET", path, headers=asked).status == 403, (path, origin)


def test_a_page_of_another_origin_changes_nothing_and_reads_nothing(
    visitor: BrowserContext, page_server: ServedPage, elsewhere: str
) -> None:
    page = visitor.new_page()
    page.goto(elsewhere)
    cookied = {"credentials": "include", "body": "{}"}
    target = f"{page_server.origin}/api/prune"
    json_type = {"headers": {"Content-Type": "application/json"}}
    assert page.evaluate(POST, [target, {**cookied, **json_type}]) == "refused"  # no answer to the preflight
    assert page.evaluate(POST, [target, {**cookied, "mode": "no-cors"}]) == "refused"  # as a form, which need not ask
    (cookie,) = visitor.cookies()
    form = {"Authorization": None, "Cookie": f"{cookie['name']}={cookie['value']}", "Content-Type": "text/plain"}
    assert page_server.ask("POST", "/api/prune", {}, headers={**form, "Origin": elsewhere}).status == 403
    assert page_server.ask("POST", "/api/prune", {}, headers={**form, "Origin": page_server.origin}).status == 415
    assert page_server.ask("POST", "/api/prune", {}, headers=form).status == 403  # a cookie without an origin
    read = "address => fetch(address, {credentials: 'include'}).then(answer => answer.text(), () => 'refused')"
    assert page.evaluate(read, f"{page_server.origin}/api/overview") == "refused"


def test_nobody_frames_the_page(visitor: BrowserContext, page_server: ServedPage, elsewhere: str) -> None:
    page = visitor.new_page()
    page.goto(elsewhere)
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        page.evaluate(
            "address => { const frame = document.createElement('iframe'); frame.src = address;"
            " document.body.append(frame); }",
            f"{page_server.origin}/",
        )


def test_a_name_that_was_made_to_lead_here_is_not_ours(visitor: BrowserContext, page_server: ServedPage) -> None:
    page = visitor.new_page()
    for path in ("/", "/api/overview", "/health", f"/?token={page_server.token}"):
        answer = page.goto(f"http://{REBOUND}:{page_server.port}{path}")
        assert answer is not None
        assert answer.status == 421, path
    assert page_server.ask("GET", "/api/overview", headers={"Host": "example.org"}).status == 421


def test_without_the_token_nothing_is_shown(browser: Browser, page_server: ServedPage) -> None:
    with profile(browser) as stranger:
        page = stranger.new_page()
        for path in ("/", "/?token=wrong", "/api/overview", "/metrics", "/api/openapi.json"):
            answer = page.goto(f"{page_server.origin}{path}")
            assert answer is not None
            assert answer.status == 401, path
            assert page_server.token not in page.content()
        assert page.evaluate(SOCKET, _ws(page_server)) == "refused"
        health = page.goto(f"{page_server.origin}/health")
        assert health is not None
        assert health.status == 200
    for headers in ({"Authorization": None}, {"Authorization": "Bearer wrong"}):
        for path in ("/ws", "/ws/log?run=r&task=t"):
            assert page_server.ask("GET", path, headers={**_handshake(), **headers}).status == 401
        assert page_server.ask("POST", "/api/prune", {}, headers=headers).status == 401


def test_the_page_runs_nothing_that_is_not_its_own(visitor: BrowserContext, page_server: ServedPage) -> None:
    page = visitor.pages[0]
    injected = """() => { const script = document.createElement("script"); script.textContent = "window.ran = true";
      document.body.append(script);
      const image = document.createElement("img"); image.setAttribute("onerror", "window.ran = true");
      image.src = "data:image/png,"; document.body.append(image);
      return new Promise(done => image.addEventListener("error", () => done(window.ran ?? "nothing ran"))); }"""
    assert page.evaluate(injected) == "nothing ran"
    outside = "fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')"
    with page.expect_console_message(lambda message: "connect-src" in message.text):
        assert page.evaluate(outside) == "refused"


@pytest.mark.parametrize("where", [("--host", "0.0.0.0", "--no-token"), ("--host", "::", "--no-token")])
def test_without_a_token_only_this_machine_is_served(where: tuple[str, ...], tmp_path: Path) -> None:
    with world_in(tmp_path / "world", "process") as world:
        done = world.command("serve", "--driver", "process", "--state-dir", str(world.state), *where).finish()
        assert done.exit_code == 2, done.stderr
        assert "--no-token" in done.stderr


def _ws(page_server: ServedPage) -> str:
    return f"{page_server.origin.replace('http', 'ws')}/ws"


def _handshake() -> dict[str, str | None]:
    return {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
