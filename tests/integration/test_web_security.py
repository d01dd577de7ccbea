"""Who is let in: each refusal by a real request to a real server, and each answer's headers."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_ground import Web, settings_in, web_ground
from websockets.exceptions import InvalidStatus

from wavepool.errors import InfrastructureError, InputError, SettingError
from wavepool.web.pages import STATIC
from wavepool.web.server import Serving, serve_web

pytestmark = pytest.mark.filterwarnings("error")

TOKEN = "a-token-that-nobody-guesses-0123456789"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with web_ground(tmp_path_factory.mktemp("web")) as made:
        yield made


# -- the token --


def test_the_token_is_in_a_file_of_its_users_alone_and_stays(tmp_path: Path) -> None:
    with web_ground(tmp_path) as first:
        file = first.state / "web.token"
        assert first.address.token_file == file
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.read_text().strip() == first.token
        assert len(first.token) == 43
        assert re.fullmatch(r"http://localhost:\d+/", first.address.page)
    with web_ground(tmp_path) as second:
        assert second.token == first.token


def test_a_variable_or_another_file_has_it_too(tmp_path: Path) -> None:
    with web_ground(tmp_path, token=TOKEN) as web:
        assert (web.token, web.address.token_file) == (TOKEN, None)
        assert web.ask("/", web.bearer).status == 200
        assert not (web.state / "web.token").exists()
    other = tmp_path / "secrets" / "page"
    with web_ground(tmp_path, token_file=other) as web:
        assert other.read_text().strip() == web.token


def test_a_token_that_can_be_guessed_or_read_is_refused_unseen(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with pytest.raises(SettingError, match="WAVEPOOL_TOKEN: got a text of 5 characters") as caught:
        serve_web(Serving(settings=settings, token="short")).__enter__()
    assert "short" not in str(caught.value)
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o640)
    with pytest.raises(InputError, match=r"others than its owner may read the token.*\n.*chmod 600") as refused:
        serve_web(Serving(settings=settings, token_file=file)).__enter__()
    assert TOKEN not in str(refused.value)
    file.chmod(0o600)
    file.write_text("what is this")
    with pytest.raises(InputError, match="a text of 12 characters"):
        serve_web(Serving(settings=settings, token_file=file)).__enter__()


def test_without_the_token_nothing_is_told_but_that_it_lives(web: Web) -> None:
    names = [path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file()]
    assert names, "the page was not built"
    for path in ("/", *(f"/{name}" for name in names), "/api/runs", "/metrics", "/nothing", "/health/", "//health"):
        answer = web.ask(path)
        assert (answer.status, b"uvicorn" in answer.body) == (401, False), path
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert web.token.encode() not in answer.body
    assert web.ask("/api/runs").code == "unauthorized"
    assert b"Use the link" in web.ask("/").body
    for port in (web.port, web.ws_port):
        assert web.ask("/health", port=port).json["status"] == "ok"
        assert set(web.ask("/health", port=port).json) == {"status", "version"}
        assert web.ask("/health", method="POST", body=b"{}", headers=JSON, port=port).status == 401


def test_the_link_gives_a_cookie_that_scripts_and_other_sites_do_not_get(web: Web) -> None:
    answer = web.ask(f"/?token={web.token}")
    assert (answer.status, answer.headers["location"], answer.body) == (303, "/", b"")
    name, _, rest = answer.headers["set-cookie"].partition("=")
    value, *attributes = rest.split("; ")
    assert name == f"wavepool_{web.port}"
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Strict"]
    assert web.token not in answer.headers["set-cookie"], "the cookie goes to all ports of the host"
    page = web.ask("/", {"Cookie": f"other=1; {name}={value}"})
    assert (page.status, b'id="app"' in page.body) == (200, True)
    script = re.search(rb'src="\.?(/assets/[^"]+)"', page.body)
    assert script
    assert web.ask(script[1].decode(), {"Cookie": f"{name}={value}"}).headers["content-type"].startswith("text/javas")


@pytest.mark.parametrize(
    "path",
    ["/?token=", "/?token=wrong", "/?token={}x", "/?token={}&token={}", "/?token=%ff%00", "/api/runs?token={}"],
)
def test_a_wrong_link_opens_nothing(web: Web, path: str) -> None:
    answer = web.ask(path.replace("{}", web.token))
    assert (answer.status, "set-cookie" in answer.headers) == (401, False)


@pytest.mark.parametrize(
    "given",
    ["Bearer wrong", "Bearer", "Bearer ", "Basic {}", "{}", "Bearer {} {}", "Bearer é"],
)
def test_a_wrong_bearer_opens_nothing(web: Web, given: str) -> None:
    assert web.ask("/", {"Authorization": given.replace("{}", web.token)}).status == 401
    assert web.upgrade(headers={"Authorization": given.replace("{}", web.token)}).status == 401


def test_a_right_bearer_opens_all_whatever_its_spelling(web: Web) -> None:
    assert web.ask("/", web.bearer).status == 200
    assert web.ask("/", {"authorization": f"bearer  {web.token} "}).status == 200


def test_the_token_itself_is_no_cookie_and_a_cookie_of_another_port_is_none(web: Web, tmp_path: Path) -> None:
    name, _, value = web.cookie().partition("=")
    for cookie in (f"{name}={web.token}", f"wavepool_1={value}", f"{name}={value[:-1]}", f"{name}=", "=;;=", "\xe9"):
        assert web.ask("/", {"Cookie": cookie}).status == 401, cookie
    with web_ground(tmp_path, token=web.token) as other:
        assert other.ask("/", {"Cookie": f"wavepool_{other.port}={value}"}).status == 401


# -- the host --


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0:{port}",
        "192.168.1.5", "user@localhost", "localhost:port", "localhost/evil", "[::2]", "[::1", "127.0.0.2", "2130706433",
        None,
    ],
)  # fmt: skip
def test_a_spoofed_host_is_refused_even_with_the_token(web: Web, host: str | None) -> None:
    host = None if host is None else host.format(port=web.port)
    for path in ("/", "/health", f"/?token={web.token}"):
        answer = web.ask(path, web.bearer, host=host)
        assert answer.status in (400, 421), path  # one without any never comes that far
        assert "set-cookie" not in answer.headers
    if host is not None:
        assert web.upgrade(headers=web.bearer, host=host).status == 421
        assert web.upgrade("/", headers=web.bearer, host=host, port=web.ws_port).status == 421


def test_two_hosts_are_none(web: Web) -> None:
    head = f"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nAuthorization: Bearer {web.token}\r\n"
    assert web.exchange(f"{head}Connection: close\r\n\r\n".encode()).split()[1] in (b"400", b"421")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:{port}", "127.0.0.1:{port}", "[::1]:{port}", "localhost:1"])
def test_names_of_this_machine_are_ours(web: Web, host: str) -> None:
    assert web.ask("/", web.bearer, host=host.format(port=web.port)).status == 200


def test_a_name_that_was_allowed_is_ours(tmp_path: Path) -> None:
    with web_ground(tmp_path, allowed_hosts=("Pool.Example",)) as web:
        assert web.ask("/", web.bearer, host=f"pool.example:{web.port}").status == 200
        assert web.ask("/", web.bearer, host="other.example").status == 421
        origin = {"Origin": f"http://pool.example:{web.port}"}
        assert web.upgrade(headers={**web.bearer, **origin}, host=f"pool.example:{web.port}").status == 101


# -- the origin --


FOREIGN = [
    "http://evil.example", "null", "", "http://localhost:1", "https://localhost:1", "http://127.0.0.1",
    "http://localhost:{port}.evil.example", "http://evil@localhost:{port}", "file://", "ftp://localhost:{port}",
    "http://evil.example:{port}", "http://localhost:99999", "chrome-extension://abc",
]  # fmt: skip


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_foreign_origin_is_refused_whatever_else_it_has(web: Web, origin: str) -> None:
    given = {"Origin": origin.format(port=web.port)}
    for proof in (web.bearer, {"Cookie": web.cookie()}):
        for path in ("/ws", "/ws/log?run=x&task=y"):
            assert web.upgrade(path, headers={**proof, **given}).code == "foreign_origin"
        assert web.upgrade("/", headers={**proof, **given}, port=web.ws_port).code == "foreign_origin"
        posted = web.ask("/api/recover", {**proof, **given, **JSON}, method="POST", body=b"{}")
        assert (posted.status, posted.code) == (403, "foreign_origin")
        for method in ("GET", "OPTIONS", "DELETE"):
            answer = web.ask("/api/runs", {**proof, **given}, method=method)
            assert (answer.status, "access-control-allow-origin" in answer.headers) == (403, False)


def test_our_own_pages_may_connect_on_both_ports(web: Web) -> None:
    for host in ("localhost", "127.0.0.1", "[::1]"):
        own = {"Cookie": web.cookie(), "Origin": f"http://{host}:{web.port}"}
        assert web.upgrade(headers=own, host=f"{host}:{web.port}").status == 101
        assert web.upgrade("/", headers=own, host=f"{host}:{web.ws_port}", port=web.ws_port).status == 101


def test_no_part_of_another_sites_page_is_served(web: Web) -> None:
    """Pages of other ports of this host are of the same site, and have the cookie."""
    for site in ("cross-site", "same-site"):
        for mode in ("no-cors", "cors", "websocket", "navigate", None):
            told = {"Sec-Fetch-Site": site, **({} if mode is None else {"Sec-Fetch-Mode": mode})}
            answer = web.ask("/", {"Cookie": web.cookie(), **told})
            assert answer.status == (200 if mode == "navigate" else 403), told
    for site in ("same-origin", "none"):
        told = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors"}
        assert web.ask("/", {"Cookie": web.cookie(), **told}).status == 200


def test_a_tunnel_by_another_port_is_ours(web: Web) -> None:
    """As ``ssh -L 9999:localhost:8080``, where Host and Origin agree and neither has our port."""
    tunnel = {"Cookie": web.cookie(), "Origin": "http://localhost:9999"}
    assert web.upgrade(headers=tunnel, host="localhost:9999").status == 101
    assert web.upgrade(headers=tunnel).status == 403


def test_a_cookie_changes_nothing_without_an_origin(web: Web) -> None:
    cookie = {"Cookie": web.cookie()}
    assert web.upgrade(headers=cookie).code == "no_origin"
    assert web.ask("/api/recover", {**cookie, **JSON}, method="POST", body=b"{}").code == "no_origin"
    assert web.upgrade(headers=web.bearer).status == 101


@pytest.mark.parametrize(
    "kind",
    [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain; application/json"],
)
def test_only_json_changes_anything(web: Web, kind: str | None) -> None:
    headers = {**web.bearer, **({} if kind is None else {"Content-Type": kind})}
    for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE"):
        assert web.ask("/api/recover", headers, method=method, body=b"{}").code == "not_json"


def test_a_body_has_a_length_and_a_bound(web: Web) -> None:
    headers = {**web.bearer, **JSON}
    huge = web.ask("/api/recover", {**headers, "Content-Length": str(1 << 40)}, method="POST")
    assert (huge.status, huge.code) == (413, "too_large")
    pieces = web.ask("/api/recover", {**headers, "Transfer-Encoding": "chunked"}, method="POST")
    assert (pieces.status, pieces.code) == (411, "no_length")


# -- the WebSocket's port --


def test_the_websockets_port_needs_the_token_too(web: Web) -> None:
    for path in ("/", "/health", "//health", "/health/"):  # it takes any path
        assert web.upgrade(path, port=web.ws_port).code == "unauthorized"
    assert web.upgrade("/ws").code == web.upgrade("/ws/log?run=x&task=y").code == "unauthorized"
    assert web.ask("/", port=web.ws_port).status == 401


def test_it_may_be_opened_for_programs_but_not_for_pages(tmp_path: Path) -> None:
    with web_ground(tmp_path, open_socket=True) as web:
        assert web.upgrade("/", port=web.ws_port).status == 101
        own = {"Origin": f"http://localhost:{web.port}"}
        assert web.upgrade("/", headers=own, port=web.ws_port).status == 401
        assert web.upgrade("/", headers={"Origin": "http://evil.example"}, port=web.ws_port).status == 403
        assert web.upgrade("/", host="evil.example", port=web.ws_port).status == 421
        assert web.ask("/", port=web.ws_port).status == 401
        assert web.upgrade().status == 401, "the page's own socket is not opened by it"


# -- without a token, and elsewhere --


def test_without_a_token_this_machine_comes_in_and_pages_of_others_do_not(tmp_path: Path) -> None:
    with web_ground(tmp_path, no_token=True) as web:
        assert web.address.link == web.address.page
        assert (web.ask("/").status, web.upgrade().status) == (200, 101)
        assert not (web.state / "web.token").exists()
        assert web.ask("/", host="evil.example").status == 421
        assert web.upgrade(headers={"Origin": "http://evil.example"}).status == 403
        assert web.ask("/api/x", {"Origin": "http://evil.example", **JSON}, method="POST", body=b"{}").status == 403
        assert web.ask("/api/x", method="POST", body=b"a=b").status == 415


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
@pytest.mark.parametrize("given", ["no_token", "open_socket"])
def test_elsewhere_it_is_served_with_a_token_or_not_at_all(tmp_path: Path, host: str, given: str) -> None:
    with pytest.raises(InputError, match="whoever reaches this machine could come in without a token"):
        serve_web(Serving(settings=settings_in(tmp_path), host=host, **{given: True})).__enter__()  # type: ignore[arg-type]
    assert not (tmp_path / "state").exists()


def test_elsewhere_addresses_are_ours_and_names_are_not(tmp_path: Path) -> None:
    with web_ground(tmp_path, host="0.0.0.0") as web:
        assert web.address.page == f"http://localhost:{web.port}/"
        assert web.ask("/", host=f"192.0.2.7:{web.port}").status == 401
        assert web.ask("/", web.bearer, host=f"192.0.2.7:{web.port}").status == 200
        assert web.ask("/", web.bearer, host="evil.example").status == 421


def test_a_host_that_is_not_here_is_refused(tmp_path: Path) -> None:
    for host in ("no-such-host.invalid", "192.0.2.7", "a b", "\ud800"):
        with pytest.raises(InputError, match=r"--host: .* is no address of this machine"):
            serve_web(Serving(settings=settings_in(tmp_path), host=host)).__enter__()


def test_a_port_that_is_taken_is_told_with_advice(tmp_path: Path) -> None:
    with web_ground(tmp_path) as web:
        taken = settings_in(tmp_path / "other", http_port=str(web.port))
        with pytest.raises(InfrastructureError, match=rf"port {web.port} of localhost is taken.*\n.*`--port 0`"):
            serve_web(Serving(settings=taken)).__enter__()
        taken = settings_in(tmp_path / "other", websocket_port=str(web.port))
        with pytest.raises(InfrastructureError, match="`--ws-port 0`"):
            serve_web(Serving(settings=taken)).__enter__()
        with web_ground(tmp_path, settings={"http_port": str(web.port)}, any_port=True) as other:
            assert other.port != web.port
    with web_ground(tmp_path, settings={"http_port": str(web.port)}) as again:
        assert again.port == web.port


# -- what is answered --


def test_every_answer_has_the_headers_that_keep_it_safe(web: Web) -> None:
    paths = [("/", web.bearer), ("/", {}), ("/health", {}), ("/nothing", web.bearer), (f"/?token={web.token}", {})]
    for path, headers in paths:
        answer = web.ask(path, headers)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert all(f"{each} 'none'" in policy for each in ("base-uri", "form-action", "frame-ancestors"))
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "server" not in answer.headers
        assert answer.headers["cache-control"] in ("no-store", "no-cache")


def test_the_built_page_has_nothing_inline_that_the_policy_refuses() -> None:
    page = (STATIC / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", page)


@pytest.mark.parametrize(
    "path",
    [
        "/../web.token", "/assets/../../web.token", "/%2e%2e/web.token", "/assets/%2e%2e%2f%2e%2e%2fapp.py",
        "/..%5cweb.token", "/assets//etc/passwd", "//etc/passwd", "/static/../app.py", "/.sources", "/index.html%00.js",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_pages_files(web: Web, path: str) -> None:
    answer = web.ask(path, web.bearer)
    assert answer.status == 404
    assert web.token.encode() not in answer.body


def test_markup_in_an_address_comes_back_as_no_markup(web: Web) -> None:
    markup = "%3Cscript%3Ealert(1)%3C/script%3E"
    for path in (f"/{markup}", f"/?token={markup}", f"/api/runs/{markup}", f"/api/runs?q={markup}"):
        for headers in ({}, web.bearer):
            answer = web.ask(path, headers)
            assert b"<script>alert" not in answer.body
            if answer.headers["content-type"].startswith("text/html"):
                assert b"alert" not in answer.body
    with web.connect() as line:
        line.send('{"subscribe": "run:<script>alert(1)</script>"}')
        told = json.loads(line.recv(30))
        while "error" not in told:
            told = json.loads(line.recv(30))
        assert told["channel"] == "run:<script>alert(1)</script>", "text, in JSON, for who shows it as text"


def test_methods_and_requests_that_are_none_break_nothing(web: Web) -> None:
    for raw in (b"\r\n\r\n", b"GARBAGE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nA\x00: b\r\n\r\n",
                b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\x02\x00"):  # fmt: skip
        assert b"uvicorn" not in web.exchange(raw + b"\r\n\r\n").lower()
    assert web.ask("/", web.bearer).status == 200


def test_the_token_is_in_no_log_of_ours(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with web_ground(tmp_path) as web:
        web.ask(f"/?token={web.token}")
        web.ask(f"/nothing?token={web.token}", web.bearer)
        web.upgrade(f"/ws?token={web.token}", headers=web.bearer)
        with pytest.raises(InvalidStatus):
            web.connect(f"/ws?token={web.token}", headers={}).close()
    out, err = capfd.readouterr()
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("websockets.client")]
    assert web.token not in out + err + "".join(ours)
