"""`wavepool serve` and `wavepool pool` as processes on real Docker: tasks, ends, faults, and nothing left behind."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import anyio
import pytest
from wavepool_cli import COMMAND, DEADLINE_S, TEST_IMAGE, Finished, Running, World, docker, eventually

from wavepool.engine.control.pools import TaskOrder, open_client
from wavepool.statedir import StateDir

pytestmark = pytest.mark.docker

ENDLESS = "while sleep 0.05; do echo y; done"
NINE = {
    "containerId", "agentType", "createdAt", "lastUsed", "execCount", "isHealthy", "isInUse", "networkId", "volumeId",
}  # fmt: skip
METRICS = {
    "totalContainers", "activeContainers", "idleContainers", "containersByType", "poolUtilization",
    "averageExecutionTime", "containerHitRate", "healthyContainers", "unhealthyContainers",
}  # fmt: skip


def settings_of(world: World, **more: object) -> dict[str, object]:
    """One agent type that works in the world's workspace, two containers of it ready."""
    coder = {"memory": "64m", "workspace": str(world.workspace), "user": "0:0", "environment": {"CODER": "yes"}}
    return {"image": TEST_IMAGE, "size": 2, "auto_scaling": False, "pools": {"coder": coder}, **more}


def start_server(world: World, settings: Mapping[str, object], *options: str) -> Running:
    path = world.root / "pools.json"
    path.write_text(json.dumps(settings))
    return world.command("serve", "--config", str(path), "--state-dir", str(world.state), "--json", *options)


@contextmanager
def serving(world: World, **more: object) -> Iterator[Running]:
    """A server with full pools, that ends by one Ctrl-C and leaves nothing."""
    server = start_server(world, settings_of(world, **more), "--pull", "never")
    server.wait_for("ready")
    yield server
    server.interrupt()
    assert server.finish().exit_code == 0
    assert world.left_behind() == []
    assert world.run_dirs() == []


def pool(world: World, *arguments: str, **how: Any) -> Running:
    verb, *rest = arguments
    return world.command("pool", verb, "--state-dir", str(world.state), *rest, **how)


def ended(world: World, *arguments: str, **how: Any) -> Finished:
    return pool(world, *arguments, **how).finish()


def sh(script: str) -> tuple[str, ...]:
    return ("--", "sh", "-c", script)


def test_a_task_is_as_docker_run_would_run_it(docker_world: World) -> None:
    with serving(docker_world) as server:
        script = 'echo "first $CODER $A"; echo oops >&2; until [ -e go ]; do sleep 0.05; done; exit 7'
        running = pool(docker_world, "run", "coder", "--env", "A=b", *sh(script))
        running.wait_for_line("oops")
        docker_world.touch("go")
        done = running.finish()
        assert (done.exit_code, done.stdout, done.stderr) == (7, b"first yes b\n", "oops\n")

        script = 'cat "$TASK_PROMPT_FILE" /run/secrets/KEY; stat -c %a /run/secrets/KEY; tr "\\0" " " </proc/1/cmdline'
        done = ended(
            docker_world, "run", "coder", "--secret", "KEY=env:MY_KEY", "--prompt-file", "-", *sh(script),
            env={"MY_KEY": "s3cret\n"}, stdin=b"do\xc3\xa9 it\n",
        )  # fmt: skip
        assert done.stdout.startswith(b"do\xc3\xa9 it\ns3cret\n400\n")
        assert b"s3cret" not in done.stdout.rpartition(b"400\n")[2]

        assert ended(docker_world, "warm", "coder", "2").exit_code == 0
        done = ended(docker_world, "run", "coder", "--json", "--memory", "48m", *sh("echo out; echo err >&2"))
        assert (done.exit_code, done.stderr) == (0, "")
        told = {name: done.result[name] for name in ("verdict", "exit_code", "where", "stdout", "stderr")}
        assert told == {"verdict": "success", "exit_code": 0, "where": "resized", "stdout": "out\n", "stderr": "err\n"}

        done = ended(docker_world, "run", "coder", "--timeout", "0.5", "--", "sleep", "1000")
        assert (done.exit_code, done.stdout) == (124, b"")
        assert done.stderr.startswith("wavepool: timeout: it reached its timeout and was stopped")
        assert ended(docker_world, "run", "coder", "--", "no-such-program").exit_code == 127
        assert ended(docker_world, "run", "coder", *sh("kill -9 $$")).exit_code == 137

        facts = [json.loads(line) for line in server._streams["stdout"].splitlines()]
        tasks = [fact for fact in facts if fact["kind"] == "task_ended"]
        assert [fact["exit_code"] for fact in tasks] == [7, 0, 0, 124, 127, 137]
        assert [fact["where"] for fact in tasks][:3] == ["warm", "warm", "resized"]
        assert "s3cret" not in str(facts)


def test_pools_are_told_warmed_scaled_and_drained(docker_world: World) -> None:
    with serving(docker_world):
        found = ended(docker_world, "status", "--json").result
        (coder,) = found["pools"]
        assert [set(each) for each in coder["containers"]] == [NINE, NINE]
        assert set(found["metrics"]) == METRICS
        ids = docker_world.containers()
        assert sorted(each["containerId"] for each in coder["containers"]) == sorted(ids)

        assert "coder: 3 idle of 3, 0 busy" in ended(docker_world, "warm", "coder", "3").stderr
        assert ended(docker_world, "scale", "coder", "1", "--json").result["pools"][0]["target"] == 1
        shown = ended(docker_world, "status").stdout.decode()
        assert "hit rate 0.0%" in shown
        assert any(each[:12] in shown for each in docker_world.containers())
        refused = ended(docker_world, "scale", "coder", "99")
        assert (refused.exit_code, "expected 1 to 10" in refused.stderr) == (2, True)
        assert ended(docker_world, "run", "No!", "--", "true").exit_code == 2

        running = pool(docker_world, "run", "coder", *sh("echo begun; until [ -e go ]; do sleep 0.05; done"))
        running._await(lambda: bool(running._streams["stdout"]), "its first line")
        draining = pool(docker_world, "drain", "coder")
        eventually(lambda: ended(docker_world, "status", "--json").result["pools"][0]["drained"], "a drained pool")
        refused = ended(docker_world, "run", "coder", "--", "true")
        assert (refused.exit_code, "is drained, and takes no more tasks" in refused.stderr) == (3, True)
        docker_world.touch("go")
        assert (running.finish().exit_code, draining.finish().exit_code) == (0, 0)
        assert docker_world.containers() == []
        assert ended(docker_world, "warm", "coder").exit_code == 0
        assert ended(docker_world, "run", "coder", "--", "true").exit_code == 0


def test_ctrl_c_stops_the_task_and_so_does_a_client_that_dies(docker_world: World) -> None:
    with serving(docker_world) as server:
        script = "trap 'echo asked; exit 3' TERM; echo begun; while :; do sleep 0.05; done"
        stopped = pool(docker_world, "run", "coder", *sh(script))
        stopped._await(lambda: b"begun" in stopped._streams["stdout"], "begun")
        stopped.interrupt()
        done = stopped.finish()
        assert (done.exit_code, done.stdout) == (130, b"begun\nasked\n")
        assert done.stderr.startswith("wavepool: cancelled: it was cancelled, and stopped")

        killed = pool(docker_world, "run", "coder", *sh(script))
        killed._await(lambda: b"begun" in killed._streams["stdout"], "begun")
        killed.kill()
        server.wait_for("task_ended", count=2)

        line = shlex.join([str(COMMAND), "pool", "run", "--state-dir", str(docker_world.state), "coder", *sh(ENDLESS)])
        piped = subprocess.run(
            ["bash", "-c", f"{line} | head -1; echo ${{PIPESTATUS[0]}}"],
            env=docker_world.environment(), capture_output=True, timeout=DEADLINE_S, check=True,
        )  # fmt: skip
        assert (piped.stdout, piped.stderr) == (b"y\n141\n", b"")
        server.wait_for("task_ended", count=3)
        assert ended(docker_world, "run", "coder", "--", "true").exit_code == 0


def test_there_is_one_server_and_without_one_the_advice_is_to_start_it(docker_world: World) -> None:
    for verb in (("run", "coder", "--secret", "NOT_SET", "--", "true"), ("status",), ("warm", "coder"), ("drain",)):
        alone = ended(docker_world, *verb)
        assert (alone.exit_code, alone.stdout) == (3, b"")
        assert "no `wavepool serve` works with" in alone.stderr
        assert "Start one: `wavepool serve`" in alone.stderr
    with serving(docker_world):
        second = start_server(docker_world, settings_of(docker_world)).finish()
        assert second.exit_code == 3
        assert "is served already, by process" in second.stderr
        assert ended(docker_world, "run", "coder", "--secret", "NOT_SET", "--", "true").exit_code == 2


def test_the_first_ctrl_c_waits_for_tasks_and_the_second_stops_them(docker_world: World) -> None:
    server = start_server(docker_world, settings_of(docker_world), "--pull", "never")
    server.wait_for("ready")
    running = pool(docker_world, "run", "coder", *sh("echo begun; sleep 1000"))
    running._await(lambda: bool(running._streams["stdout"]), "its first line")
    server.interrupt()
    server.wait_for("draining")
    refused = ended(docker_world, "run", "coder", "--", "true")
    assert (refused.exit_code, "the server is ending" in refused.stderr) == (3, True)
    assert ended(docker_world, "status", "--json").result["server"]["ending"]
    server.interrupt()
    assert running.finish().exit_code == 130
    done = server.finish()
    assert (done.exit_code, done.lines[-1]["kind"], done.lines[-1]["stopped"]) == (130, "ended", 1)
    assert docker_world.left_behind() == []


def test_a_killed_server_leaves_what_recover_clears(docker_world: World) -> None:
    server = start_server(docker_world, settings_of(docker_world), "--pull", "never")
    server.wait_for("ready")
    running = pool(docker_world, "run", "coder", *sh("echo begun; exec sleep 1000"))
    running._await(lambda: bool(running._streams["stdout"]), "its first line")
    server.wait_for("task_started")
    server.kill()
    done = running.finish()
    assert done.exit_code == 125
    assert "the server has gone in the middle" in done.stderr
    assert "`wavepool recover --grace 0s`" in done.stderr
    eventually(lambda: len(_running(docker_world)) == 1, "only the claimed one runs")

    alone = ended(docker_world, "status")
    assert (alone.exit_code, "was killed: `wavepool recover` removes what it left" in alone.stderr) == (3, True)
    again = start_server(docker_world, settings_of(docker_world), "--pull", "never")
    again.wait_for("ready")
    assert any("was killed: `wavepool recover" in each["text"] for each in again.wait_for("notice"))
    recovered = docker_world.command("recover", "--grace", "0s", "--state-dir", str(docker_world.state)).finish()
    assert recovered.exit_code == 0, recovered.stderr
    assert ended(docker_world, "run", "coder", "--", "true").exit_code == 0
    again.interrupt()
    assert again.finish().exit_code == 0
    assert docker_world.left_behind() == []


def test_settings_that_cannot_be_are_refused_before_anything_starts(docker_world: World) -> None:
    for wrong, words in (
        ({"poolSize": -1}, "poolSize: got -1"),
        ({"minPoolSize": 5, "maxPoolSize": 4}, "at most max_size, which is 4"),
        ({"pols": {}}, "Did you mean"),
    ):
        done = start_server(docker_world, {**settings_of(docker_world), **wrong}).finish()
        assert (done.exit_code, words in done.stderr) == (2, True), done.stderr
    done = docker_world.command("serve", "--size", "-1", "--state-dir", str(docker_world.state)).finish()
    assert (done.exit_code, "--size: got '-1', expected a whole number from 0" in done.stderr) == (2, True)
    assert not docker_world.state.exists()


def test_an_image_that_is_missing_is_told_and_its_tasks_do_not_begin(docker_world: World) -> None:
    server = start_server(
        docker_world, settings_of(docker_world, image="no-such-image:latest", size=1), "--pull", "never"
    )
    (notice,) = server.wait_for("notice")
    assert "no-such-image:latest" in notice["text"]
    done = ended(docker_world, "run", "coder", "--", "true")
    assert (done.exit_code, done.stdout) == (125, b"")
    assert "wavepool: start_error: it could not be started: " in done.stderr
    warm = ended(docker_world, "warm", "coder")
    assert (warm.exit_code, "no-such-image:latest" in warm.stderr) == (3, True)
    server.interrupt()
    assert server.finish().exit_code == 0
    assert docker_world.left_behind() == []


@pytest.mark.slow
def test_fifty_at_once_on_a_pool_of_two_all_run_once(docker_world: World) -> None:
    results: list[Mapping[str, Any]] = []

    async def one(number: int) -> None:
        async def read(stream: str, data: bytes) -> None:
            assert data == b"%d\n" % number

        async with open_client(StateDir(docker_world.state).server()) as client:
            order = TaskOrder(agent_type="coder", command=("sh", "-c", f"echo {number} | tee -a all"))
            results.append(await client.run(order, read))

    async def all_of_them() -> None:
        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(one, number)

    with serving(docker_world):
        anyio.run(all_of_them)
        assert {each["verdict"] for each in results} == {"success"}
        assert sorted(map(int, docker_world.marks("all"))) == list(range(50))
        pool_told = ended(docker_world, "status", "--json").result["pools"][0]
        assert (pool_told["arrivals"], pool_told["hits"] >= 2) == (50, True)


def _running(world: World) -> list[str]:
    return [each for each in world.containers() if docker("inspect", "-f", "{{.State.Running}}", each) == "true"]
