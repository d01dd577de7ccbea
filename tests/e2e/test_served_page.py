"""The page of `wavepool serve` and of `--dashboard`, as the installed command: its link, its ends, and its refusals."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import stat
import urllib.error
import urllib.request
from email.message import Message
from typing import Any

import pytest
from wavepool_cli import DEADLINE_S, Running, World, batch, eventually, plan_of, wave
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

MARKUP = "<script>alert(1)</script>"
LINK = re.compile(r"http://localhost:(\d+)/\?token=([\w-]{43})")


def serve(world: World, *options: str, **how: object) -> Running:
    return world.command("serve", "--driver", "process", "--state-dir", str(world.state), *options, **how)  # type: ignore[arg-type]


def link_of(running: Running) -> tuple[int, str]:
    """(port, token) of the link on stderr."""
    running.wait_for_line("/?token=")
    running._await(lambda: bool(LINK.search(running._streams["stderr"].decode())), "the link")
    found = LINK.search(running._streams["stderr"].decode())
    assert found
    return int(found[1]), found[2]


def get(port: int, token: str, path: str = "/") -> tuple[int, Message, bytes]:
    """(status, headers, body)."""
    request = urllib.request.Request(f"http://localhost:{port}{path}", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def ask(port: int, token: str, path: str = "/") -> int:
    return get(port, token, path)[0]


def watching(port: int, token: str) -> ClientConnection:
    headers = {"Authorization": f"Bearer {token}"}
    return connect(f"ws://localhost:{port}/ws", additional_headers=headers, proxy=None, max_size=None)


def heard(line: ClientConnection, channel: str) -> dict[str, Any]:
    """The document of this channel."""
    line.send(json.dumps({"subscribe": channel}))
    while True:
        message = json.loads(line.recv(DEADLINE_S))
        assert "error" not in message, message
        if message.get("channel") == channel and "document" in message:
            return dict(message["document"])


def closed(line: ClientConnection) -> int | None:
    """The code by which the server closes the line."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            line.recv(DEADLINE_S)
    return line.close_code


def test_serve_says_its_link_once_and_ends_at_once_with_the_page_open(process_world: World) -> None:
    server = serve(process_world, "--json")
    port, token = link_of(server)
    (event,) = server.wait_for("page")
    file = process_world.state / "web.token"
    assert (event["url"], event["token_file"]) == (f"http://localhost:{port}/", str(file))
    assert event["websocket"].startswith("ws://localhost:")
    assert (file.read_text().strip(), stat.S_IMODE(file.stat().st_mode)) == (token, 0o600)
    server.wait_for("serving")
    assert (ask(port, token), ask(port, "x" * 43)) == (200, 401)
    with watching(port, token) as line:
        assert heard(line, "overview")["runs"] == {}
        server.interrupt()
        done = server.finish()  # an open page would hold it up for ever
        assert closed(line) == 1012
    assert (done.exit_code, done.lines[-1]["kind"]) == (0, "ended")
    assert (done.stderr.count(token), token.encode() in done.stdout) == (1, False)
    assert "keep it to yourself" in done.stderr
    assert "Traceback" not in done.stderr


def test_state_directories_are_served_side_by_side_and_a_link_outlives_a_kill(process_world: World) -> None:
    one, other = serve(process_world), serve(process_world, "--state-dir", str(process_world.root / "other"))
    port, token = link_of(one)
    other_port, other_token = link_of(other)
    assert (ask(port, token), ask(other_port, other_token), ask(port, other_token)) == (200, 200, 401)
    taken = serve(process_world, "--state-dir", str(process_world.root / "third"), "--port", str(port))
    same = serve(process_world)
    assert taken.finish().exit_code == 3
    assert f"port {port} of localhost is taken" in taken.finish().stderr
    assert "`--port 0` takes any that is free" in taken.finish().stderr
    assert (same.finish().exit_code, "is served already, by process" in same.finish().stderr) == (3, True)
    with watching(port, token) as line:
        heard(line, "overview")
        one.kill()
        again = serve(process_world, "--port", str(port))
        assert link_of(again) == (port, token)
        assert closed(line) == 1006
    for each in (other, again):
        each.interrupt(signal.SIGTERM)
        assert each.finish().exit_code == 0


def test_what_cannot_be_is_refused_before_anything_begins(process_world: World) -> None:
    short = {"WAVEPOOL_TOKEN": "hunter2"}
    for words, options, env in (
        ("--no-token with --host 0.0.0.0: whoever reaches this machine", ("--host", "0.0.0.0", "--no-token"), {}),
        ("--no-dashboard and --no-token: there is no page", ("--no-dashboard", "--no-token"), {}),
        ("WAVEPOOL_TOKEN: got a text of 7 characters", (), short),
    ):
        done = serve(process_world, *options, env=env).finish()
        assert (done.exit_code, done.stdout, words in done.stderr) == (2, b"", True), done.stderr
        assert "hunter2" not in done.stderr
    assert not (process_world.state / "serve.sock").exists()


def test_without_docker_no_link_is_told_that_leads_nowhere(process_world: World) -> None:
    away = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    done = process_world.command("serve", "--state-dir", str(process_world.state), env=away).finish()
    assert (done.exit_code, "http://" in done.stderr) == (3, False)
    assert "`wavepool serve --driver process` does without" in done.stderr


def test_pools_alone_have_no_page(process_world: World) -> None:
    server = serve(process_world, "--no-dashboard", "--json")
    server.wait_for("ready")
    server.interrupt()
    done = server.finish()
    assert (done.exit_code, "http://" in done.stderr) == (0, False)
    assert [line for line in done.lines if line["kind"] == "page"] == []
    assert not (process_world.state / "web.token").exists()


@pytest.fixture
def without_the_extra(process_world: World) -> dict[str, str]:
    """Variables with which Python finds none of what the extra brings."""
    for name in ("uvicorn", "fastapi"):
        (process_world.root / f"{name}.py").write_text(
            f"raise ModuleNotFoundError(\"No module named '{name}'\", name='{name}')\n"
        )
    return {"PYTHONPATH": str(process_world.root)}


def test_without_the_extra_pools_are_served_and_the_page_is_told_how_to_get(
    process_world: World, without_the_extra: dict[str, str]
) -> None:
    server = serve(process_world, "--json", env=without_the_extra)
    server.wait_for("ready")
    server.interrupt()
    done = server.finish()
    assert done.exit_code == 0
    assert "no page is shown, as it is not installed: `pip install 'wavepool[serve]'` brings it." in done.stderr
    refused = process_world.run(plan_of(wave(1, batch("a"))), "--dashboard", env=without_the_extra)
    assert (refused.exit_code, refused.stdout) == (2, b"")
    assert "--dashboard: the page is not installed\n`pip install 'wavepool[serve]'` brings it." in refused.stderr
    assert process_world.run_dirs() == []


def test_a_run_shows_itself_until_ctrl_c_has_drained_it(process_world: World) -> None:
    waits = f"echo '{MARKUP}'; until [ -e go ]; do sleep 0.05; done"
    plan = plan_of(wave(1, batch(MARKUP, waits)), wave(2, batch("b")))
    running = process_world.start(plan, "--dashboard", "--run-id", "shown")
    port, token = link_of(running)
    assert ask(port, token) == 200
    with watching(port, token) as line:
        eventually(lambda: "shown" in heard_runs(port, token), "the run is told")
        document = heard(line, "run:shown")
        assert set(document) >= {"run", "waves", "tasks"}
        key = next(entry["key"] for entry in document["tasks"].values() if entry["id"] == MARKUP)
        log = f"/api/runs/shown/tasks/{key}/log"
        eventually(lambda: MARKUP.encode() in get(port, token, log)[2], "its output is told as it is")
        for path in (
            log,
            f"{log}/download",
            f"{log}/search?q=script",
            "/api/runs/shown",
            f"/api/runs/shown/tasks/{key}",
        ):
            status, headers, _ = get(port, token, path)
            assert (status, headers["X-Content-Type-Options"]) == (200, "nosniff"), path
            assert headers["Content-Type"] in ("application/json", "application/octet-stream"), path
            assert "script-src 'self'" in headers["Content-Security-Policy"], path
        running.interrupt()
        running.wait_for_line("nothing new starts")
        assert ask(port, token) == 200
        process_world.touch("go")
        done = running.finish()
        assert closed(line) == 1012
    assert (done.exit_code, done.verdicts()[MARKUP]) == (130, "success")
    assert (done.stderr.count(token), token.encode() in done.stdout) == (1, False)
    assert "Traceback" not in done.stderr
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port))


def heard_runs(port: int, token: str) -> set[str]:
    with watching(port, token) as line:
        runs = heard(line, "overview")["runs"]
        assert isinstance(runs, dict)
        return set(runs)


def test_the_page_of_a_run_finds_another_port_unless_one_was_asked_for(process_world: World) -> None:
    plan = plan_of(wave(1, batch("a")))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        asked = process_world.run(plan, "--dashboard", env={"HTTP_PORT": port})
        assert (asked.exit_code, asked.stdout) == (3, b"")
        assert f"port {port} of localhost is taken" in asked.stderr
        assert process_world.run_dirs() == []
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # somebody else has it: the better
            stack.enter_context(socket.create_server(("127.0.0.1", 8080)))
        usual = process_world.run(plan, "--dashboard", env={"HTTP_PORT": ""})
        assert usual.exit_code == 0, usual.stderr
        found = LINK.search(usual.stderr)
        assert found
        assert found[1] != "8080"


def test_a_page_and_a_detached_run_are_refused_together(process_world: World) -> None:
    done = process_world.run(plan_of(wave(1, batch("a"))), "--dashboard", "--detach")
    assert done.exit_code == 2
    assert "--dashboard and --detach: the link of the page would be in the log" in done.stderr
    assert "`wavepool serve` shows all runs" in done.stderr
    assert process_world.run_dirs() == []


def test_going_on_with_a_run_has_the_page_too(process_world: World) -> None:
    plan = plan_of(wave(1, batch("a", "[ -e mended ]")))
    assert process_world.run(plan, "--run-id", "again").exit_code == 1
    process_world.touch("mended")
    retry = ("retry", "again", "--failed", "--dashboard", "--state-dir", str(process_world.state))
    done = process_world.command(*retry).finish()
    assert (done.exit_code, len(LINK.findall(done.stderr))) == (0, 1), done.stderr
