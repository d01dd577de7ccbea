"""Everything over HTTP, against a real server with real runs on the process driver."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from served_api import Api, begin_serving, ended_well, serving
from wavepool_cli import DEADLINE_S, World, batch, eventually, plan_of, wave, world_in

from wavepool.engine.history.runs import LATEST, find_run
from wavepool.statedir import StateDir

ODD = "../a b/ü?#%2e"
PRIVATE = "hunter2-of-the-interface"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_in(tmp_path_factory.mktemp("rest"), "process") as made:
        yield made


@pytest.fixture(scope="module")
def api(place: World) -> Iterator[Api]:
    """One server for all that does not end it; a run of three tasks is over there: `done`."""
    with serving(place) as client:
        plan = plan_of(
            wave(1, batch(ODD, "test -s $WAVEPOOL_SECRETS_DIR/KEY && echo out"), batch("bad", "exit 3")),
            wave(2, batch("after", "exit 0")),
        )
        started = start(client, place, plan, secrets={"KEY": PRIVATE}, run_id="done")
        assert started.status == 201, started.body
        client.wait_for_run("done", "failed")
        yield client


def start(api: Api, world: World, plan: object, *, secrets: object = None, **options: object):  # type: ignore[no-untyped-def]
    where = {"driver": world.driver, "workspace": str(world.workspace), "budget": "2g"}
    return api.post("/api/runs", {"plan": plan, "options": {**where, **options}, "secrets": secrets or {}})


def test_a_run_is_started_watched_and_its_tasks_are_found_by_key(api: Api) -> None:
    document = api.get("/api/runs/done").json
    assert document["run"]["tasks"]["failed"] == 1
    tasks = api.get("/api/runs/done/tasks").json
    assert [(task["id"], task["state"]) for task in tasks["tasks"]][:2] == [(ODD, "success"), ("bad", "failed")]
    key = tasks["tasks"][0]["key"]
    assert api.get(f"/api/runs/done/tasks/{key}").json["id"] == ODD
    page = api.get("/api/runs/done/tasks?state=failed&limit=1").json
    assert [task["id"] for task in page["tasks"]] == ["bad"]
    assert page["total"] == 1
    assert [task["id"] for task in api.get("/api/runs/done/tasks?wave=2&q=AFTER").json["tasks"]] == ["after"]
    assert api.get("/api/runs/done/tasks?wave=3").json["total"] == 0
    assert api.get("/api/runs/done/tasks?wave=first").status == 422
    assert api.get("/api/runs/done/tasks?offset=9007199254740992").json["tasks"] == []
    assert api.get("/api/runs?state=failed").json["runs"][0]["id"] == "done"


def test_a_run_goes_by_the_start_of_its_id_and_the_newest_one_as_latest(api: Api, place: World) -> None:
    assert api.get("/api/runs/don").json["run"]["id"] == "done"
    assert api.get("/api/runs/don/tasks/bad/log").status == 200
    page = api.get("/api/runs/don/report?format=md")
    assert (page.status, 'filename="wavepool-done.md"' in page.headers["content-disposition"]) == (200, True)
    assert api.post("/api/runs/don/tasks/bad/cancel").code == "not_now"
    newest = find_run(StateDir(place.state), LATEST).id
    assert api.get("/api/runs/latest").json["run"]["id"] == newest
    twins = [place.state / "runs" / name for name in ("twin-a", "twin-b")]
    for twin in twins:
        twin.mkdir()
    both = api.get("/api/runs/twin")
    assert (both.status, both.code) == (409, "ambiguous_run")
    assert both.json["error"]["advice"] == "Which one: twin-a, twin-b?"
    for twin in twins:
        twin.rmdir()


def test_what_cannot_be_is_refused_with_code_message_and_advice(api: Api, place: World) -> None:
    refused = {
        "/api/runs/none/cancel": (404, "unknown_run"),
        "/api/runs/..../cancel": (404, "unknown_run"),
        "/api/runs/done/cancel": (409, "not_now"),
        "/api/runs/done/tasks/none/retry": (404, "unknown_task"),
        "/api/jobs/none/cancel": (404, "unknown_job"),
        "/api/nothing": (404, "not_found"),
        "/api/overview": (405, "method_not_allowed"),
    }
    for path, expected in refused.items():
        answer = api.post(path)
        assert (answer.status, answer.code) == expected, path
        assert answer.json["error"]["message"]
    both = api.post("/api/runs/done/retry", {"failed": True, "tasks": ["bad"]})
    assert (both.status, both.code) == (400, "bad_input")
    assert "both" in both.json["error"]["message"]
    assert api.post("/api/runs/done/retry", {}).status == 400
    assert api.get("/api/runs/done/tasks?limit=0").status == 422
    assert api.post("/api/runs", b"{").status == 422
    assert api.post("/api/runs", b"[" * 100_000).status in (400, 422)
    assert api.post("/api/jobs", {"arguments": ["runs", "\ud800"]}).status in (400, 422)
    assert api.post("/api/jobs", {"arguments": ["runs"], "directory": "/nowhere"}).status == 400
    plain = api.post("/api/runs", b"plan=x", **{"Content-Type": "application/x-www-form-urlencoded"})
    assert (plain.status, plain.code) == (415, "not_json")
    large = api.announce("/api/runs", 17 << 20)
    assert (large.status, large.code) == (413, "too_large")
    before = place.run_dirs()
    wrong = start(api, place, {"waves": [{"wave_number": 1, "batches": [{"batch_id": "a"}, {"batch_id": "a"}]}]})
    assert (wrong.status, wrong.code) == (400, "bad_plan")
    assert wrong.json["error"]["about"] == {"path": "waves[0].batches[1].batch_id"}
    unknown = start(api, place, plan_of(wave(1, batch("a"))), watch_nothing="1")
    assert "watch_nothing" in unknown.json["error"]["message"]
    assert start(api, place, plan_of(wave(1, batch("a"))), secrets={"K/": PRIVATE}).status == 400
    assert start(api, place, plan_of(wave(1, batch("a"))), run_id="done").code == "not_now"
    assert place.run_dirs() == before


def test_secrets_are_in_no_argv_and_in_no_answer(api: Api, place: World) -> None:
    waiting = batch("waits", "touch began; while [ ! -e go ]; do sleep 0.05; done")
    answer = start(api, place, plan_of(wave(1, waiting)), secrets={"KEY": PRIVATE}, run_id="private")
    assert answer.headers["location"] == "/api/runs/private"
    place.wait_for_file("began")
    words = list(argvs())
    assert any(b"private" in each for each in words)
    assert not any(PRIVATE.encode() in each for each in words)
    for path in ("/api/runs/private", "/api/runs/private/tasks", "/api/overview", "/api/processes"):
        assert PRIVATE.encode() not in api.get(path).body
    assert (again := start(api, place, plan_of(wave(1, batch("a"))), run_id="private")).status == 409, again.body
    place.touch("go")
    api.wait_for_run("private", "success")
    kept = [path for path in place.state.rglob("*") if path.is_file() and PRIVATE.encode() in path.read_bytes()]
    assert kept == []


def test_a_live_run_is_paused_has_tasks_cancelled_and_tried_again_and_is_ended(api: Api, place: World) -> None:
    until = "while [ ! -e {} ]; do sleep 0.05; done"
    plan = plan_of(
        wave(1, batch("long", f"touch long; {until.format('end')}"), batch("fails", "exit 1")), wave(2, batch("later"))
    )
    assert start(api, place, plan, run_id="busy", keep_going=True).status == 201
    place.wait_for_file("long")
    eventually(lambda: api.get("/api/runs/busy/tasks/fails").json["state"] == "failed", "one fails")
    assert api.post("/api/runs/busy/pause").json["changed"] is True
    assert api.post("/api/runs/busy/pause").json["changed"] is False
    eventually(lambda: api.get("/api/runs/busy").json["run"].get("paused") is True, "it is shown as paused")
    again = api.post("/api/runs/busy/tasks/fails/retry").json
    assert again["tasks"] == ["fails"]
    assert api.post("/api/runs/busy/unpause").json["changed"] is True
    eventually(lambda: len(api.get("/api/runs/busy/tasks/fails").json["attempts"]) == 2, "it is tried again")
    assert api.post("/api/runs/busy/tasks/later/cancel").json["skipped"] == ["later"]
    assert api.post("/api/runs/busy/tasks/later/cancel").status == 409
    assert api.post("/api/runs/busy/resume").code == "run_locked"
    assert api.post("/api/runs/busy/cancel", {"force": True}).json["taken"] is True
    api.wait_for_run("busy", "interrupted")
    assert api.get("/api/runs/busy/tasks/long").json["state"] == "cancelled"


def test_a_retry_of_a_run_that_is_over_needs_its_secrets_anew(api: Api) -> None:
    without = api.post("/api/runs/done/retry", {"failed": True})
    assert without.status == 400
    assert "--secret KEY" in without.json["error"]["message"]
    assert api.post("/api/runs/done/retry", {"tasks": ["bad"], "secrets": {"KEY": PRIVATE}}).status == 200
    eventually(lambda: len(api.get("/api/runs/done/tasks/bad").json["attempts"]) == 2, "another attempt")
    api.wait_for_run("done", "failed")


def test_any_verb_is_a_job_whose_output_is_paged(api: Api) -> None:
    job = api.post("/api/jobs", {"arguments": ["show", "done", "--json"]})
    assert job.status == 201
    assert set(job.json) <= {"id", "verb", "state", "started_at", "stdout_bytes", "stderr_bytes"}
    ended = api.wait_for_job(job.json["id"])
    assert (ended["state"], ended["exit_code"]) == ("succeeded", 0)
    first = api.get(f"/api/jobs/{ended['id']}/output?limit=10")
    rest = api.get(f"/api/jobs/{ended['id']}/output?offset=10&limit=1000000")
    assert first.headers["wavepool-total-bytes"] == str(ended["stdout_bytes"])
    assert rest.headers["wavepool-offset"] == "10"
    assert b'"run_id": "done"' in first.body + rest.body
    for verb in ("serve", "attach", "run"):
        refused = api.post("/api/jobs", {"arguments": [verb, "done"]})
        assert (refused.status, refused.json["error"]["advice"] != "") == (400, True)


def test_the_host_is_looked_after(api: Api) -> None:
    pruned = api.post("/api/prune", {"dry_run": True, "keep_last": 5}).json
    assert "done" in [run["run_id"] for run in pruned["result"]["runs"]]
    assert api.post("/api/prune", {"max_size": "no size"}).status == 400


def test_a_run_as_a_file(api: Api) -> None:
    answer = api.get("/api/runs/done/report?format=junit")
    assert (answer.status, answer.body[:5]) == (200, b"<?xml")
    assert answer.headers["content-disposition"].startswith('attachment; filename="wavepool-done.xml"')
    assert api.get("/api/runs/none/report").status == 404


def test_pools_are_used(api: Api) -> None:
    done = api.post("/api/pools/coder/run", {"command": ["sh", "-c", "echo $A; exit 4"], "env": {"A": "b"}}).json
    assert (done["verdict"], done["exit_code"], done["stdout"]) == ("failed", 4, "b\n")
    assert api.post("/api/pools/coder/run", {"command": ["true"], "memory": "much"}).status == 400
    assert api.post("/api/pools/coder/scale", {"count": 2}).json["done"] is True
    assert api.post("/api/pools/coder/scale", {"count": -2}).status == 422
    assert api.post("/api/pools/codre/warm").json["error"]["code"] == "unknown_agent_type"
    assert api.post("/api/pools/Not%20a%20type/scale", {"count": 1}).status == 404
    assert api.post("/api/pools/coder/drain").json["done"] is True
    refused = api.post("/api/pools/coder/run", {"command": ["true"]})
    assert (refused.status, refused.json["error"]["code"]) == (409, "pool_drained")
    assert api.post("/api/pools/coder/warm").json["done"] is True


def test_metrics_are_as_prometheus_wants_them(api: Api) -> None:
    answer = api.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}
    assert families["wavepool_live_runs"].samples[0].value >= 0
    shown = {sample.labels["state"]: sample.value for sample in families["wavepool_shown_runs"].samples}
    assert shown["failed"] >= 1
    assert b"# EOF" in api.get("/metrics", Accept="application/openmetrics-text; version=1.0.0").body


def test_the_next_server_goes_on_with_a_run_that_died(process_world: World) -> None:
    world = process_world
    server, api = begin_serving(world)
    waiting = batch("waits", "touch began; while [ ! -e go ]; do sleep 0.05; done; echo done >> marks")
    assert start(api, world, plan_of(wave(1, waiting), wave(2, batch("next"))), run_id="cut").status == 201
    pid = api.get("/api/runs/cut").json["run"].get("pid")
    world.wait_for_file("began")
    os.kill(pid, signal.SIGKILL)
    server.kill()
    server, again = begin_serving(world)
    with ended_well(server):
        server.wait_for_line("run cut, which a server started, died, and process")
        again.wait_for_run("cut", "live")
        world.touch("go")
        again.wait_for_run("cut", "success")
    assert world.marks("marks") == ["done"]


def test_who_hangs_up_has_stopped_its_task(api: Api, place: World) -> None:
    head = f"POST /api/pools/coder/run HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {api.token}\r\n"
    seconds = unlike_any_other()
    body = b'{"command": ["sh", "-c", "exec sleep %b"]}' % seconds
    told = f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    with socket.create_connection((api.host, api.port), timeout=DEADLINE_S) as client:
        client.sendall(told)
        eventually(lambda: sleepers(seconds) == 1, "the task runs")
    eventually(lambda: sleepers(seconds) == 0, "the task is stopped")


def unlike_any_other() -> bytes:
    """Seconds to sleep that no other test on this machine sleeps."""
    return b"%d" % (1_000_000 + secrets.randbelow(1_000_000_000))


def argvs() -> Iterator[bytes]:
    """The arguments of every process of this machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            yield path.read_bytes()


def sleepers(word: bytes) -> int:
    """Processes whose arguments are `sleep` and this."""
    return sum(words.split(b"\0")[:2] == [b"sleep", word] for words in argvs())


def test_jobs_end_with_the_server(process_world: World) -> None:
    server, api = begin_serving(process_world)
    first, other = unlike_any_other(), unlike_any_other()
    job = api.post("/api/jobs", {"arguments": ["pool", "run", "coder", "--", "sleep", first.decode()]}).json
    second = api.post("/api/jobs", {"arguments": ["pool", "run", "coder", "--", "sleep", other.decode()]}).json
    api.post(f"/api/jobs/{second['id']}/cancel")
    assert api.wait_for_job(second["id"])["state"] == "cancelled"
    assert api.get(f"/api/jobs/{job['id']}").json["state"] == "running"
    eventually(lambda: sleepers(first) == 1, "it runs")
    server.interrupt()
    server.wait_for("draining")
    server.interrupt()
    assert server.finish().exit_code == 130
    eventually(lambda: sleepers(first) == 0, "it has ended")
