"""Sidecars with a real Redis: ready before the task, reached by name, and gone with it however it ended."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wavepool_cli import World, batch, docker, eventually, plan_of, wave

pytestmark = pytest.mark.docker

REDIS_IMAGE = os.environ.get("WAVEPOOL_REDIS_IMAGE", "wavepool-redis:latest")
SCRIPT = Path(__file__).parents[2] / "scripts" / "redis-image"
REDIS = {
    "image": REDIS_IMAGE,
    "mem_limit": "48m",
    "expose": [6379],
    "healthcheck": {"test": ["CMD", "redis-cli", "ping"], "interval": "1s"},
}
ADDRESS = "$WAVEPOOL_SIDECAR_REDIS_HOST $WAVEPOOL_SIDECAR_REDIS_PORT"
ASK = f"printf '%s\\r\\n' PING \"SET from $BATCH_ID\" 'GET from' QUIT | nc {ADDRESS}"

GREEDY = {
    "image": REDIS_IMAGE,
    "mem_limit": "16m",
    "command": ["sh", "-c", "nc -l -p 7000; exec dd if=/dev/zero of=/dev/null bs=64M count=2"],
}
UNTIL_GONE = (
    "until echo go | nc app 7000; do :; done; while nc -w 1 app 9 2>&1 < /dev/null | grep -q refused; do :; done"
)


@pytest.fixture(scope="module", autouse=True)
def redis_image() -> None:
    done = subprocess.run([SCRIPT], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def redis_world(docker_world: World) -> Iterator[World]:
    """Its workspace belongs to an ordinary user, as a database refuses to run as root."""
    docker_world.workspace.chmod(0o777)
    return docker_world


def with_redis(*batches: dict[str, object], **sidecars: Any) -> dict[str, object]:
    return {"sidecars": {"redis": REDIS, **sidecars}, **plan_of(wave(1, *batches))}


def data_of(world: World, task: str, attempt: int = 1) -> Path:
    (run,) = world.run_dirs()
    return run / "data" / f"{task}.{attempt}" / "redis"


def log_of(world: World, task: str, sidecar: str) -> str:
    (run,) = world.run_dirs()
    return (run / "logs" / f"{task}.1.{sidecar}.log").read_text()


def sidecars_of(world: World) -> list[str]:
    label = f"label=wavepool.owner={world.owner()}"
    return docker("ps", "-q", "--filter", label, "--filter", "label=wavepool.role=sidecar").split()


def test_every_end_of_a_task_is_the_end_of_its_sidecars(redis_world: World) -> None:
    """One run in which tasks succeed, fail, time out, and have sidecars that are never ready, or that end too early."""
    world = redis_world
    slow = {"test": "true", "interval": "60s"}
    ends = {"image": REDIS_IMAGE, "command": ["sh", "-c", "echo no such luck >&2; exit 7"], "healthcheck": slow}
    never = {**REDIS, "healthcheck": {"test": "echo still down; exit 1", "interval": "1s", "retries": 1}}
    done = world.run(
        with_redis(
            batch("talks", ASK),
            batch("fails", f"{ASK}; exit 3"),
            batch("too-slow", f"{ASK}; exec sleep 600", timeout="8s"),
            batch("outlives", "echo SHUTDOWN NOSAVE | nc redis 6379; while nc -z -w 1 redis 6379; do :; done"),
            batch("starves-it", UNTIL_GONE, sidecars={"redis": False, "app": GREEDY}),
            batch("never-ready", "echo ran >> ran", sidecars={"redis": never}),
            batch("ends-early", "echo ran >> ran", sidecars={"redis": False, "app": {**ends, "user": "1:1"}}),
            batch("alone", "nc -w 1 redis 6379 < /dev/null", sidecars=False),
        ),
        "--keep-going",
    )
    entries = done.entries()
    assert done.verdicts() == {
        "talks": "success",
        "fails": "failed",
        "too-slow": "timeout",
        "outlives": "success",
        "starves-it": "success",
        "never-ready": "start_error",
        "ends-early": "start_error",
        "alone": "failed",
    }, done.stderr
    for task in ("talks", "fails", "too-slow"):
        assert world.log(entries[task]).read_text().split() == ["+PONG", "+OK", f"${len(task)}", task, "+OK"]
        assert b"from" in (data_of(world, task) / "dump.rdb").read_bytes()
        assert "Ready to accept connections" in log_of(world, task, "redis")

    (gone,) = entries["outlives"]["evidence"]["sidecars"]
    assert (gone["name"], gone["exit_code"]) == ("redis", 0)
    assert "while the task ran" in entries["outlives"]["evidence"]["reason"]
    (starved,) = entries["starves-it"]["evidence"]["sidecars"]
    assert (starved["name"], starved["exit_code"], starved["oom"]) == ("app", 137, True)
    assert "mem_limit" in starved["reason"]
    (sick,) = entries["never-ready"]["evidence"]["sidecars"]
    assert (sick["name"], sick.get("exit_code")) == ("redis", None)
    assert "still down" in sick["reason"]
    assert "Ready to accept connections" in sick["last_lines"]
    (early,) = entries["ends-early"]["evidence"]["sidecars"]
    assert (early["name"], early["exit_code"], early["last_lines"]) == ("app", 7, "no such luck\n")
    assert log_of(world, "ends-early", "app") == "no such luck\n"
    assert world.marks("ran") == []
    assert entries["alone"]["evidence"].get("sidecars") is None


def test_sidecars_survive_their_orchestrator_and_end_with_their_task(redis_world: World) -> None:
    """SIGKILL while one task runs beside its Redis and another still waits for its own; then the same command again."""
    world = redis_world
    slow = {**REDIS, "healthcheck": {"test": "test -e /data/go && redis-cli ping", "interval": "1s", "retries": 500}}
    once = "echo $BATCH_ID >> executed"
    plan = with_redis(
        batch("runs", f"{once}; while [ ! -e go ]; do sleep 0.05; done; {ASK}"),
        batch("waits", f"{once}; {ASK}", sidecars={"redis": slow}),
    )
    killed = world.start(plan, "--run-id", "crashed", "--json")
    killed.wait_for("AttemptStarted")
    eventually(lambda: len(sidecars_of(world)) == 2, "both sidecars")
    eventually(lambda: world.marks("executed") == ["runs"], "one task at work")
    before = sorted(sidecars_of(world))
    killed.kill()

    run = world.start(world.root / "plan-1.json", "--run-id", "crashed", "--json")
    run.wait_for("RunResumed")
    assert sorted(sidecars_of(world)) == before
    world.touch("go")
    (data_of(world, "waits") / "go").touch()
    done = run.finish()
    entries = {entry["batch_id"]: entry for entry in done.lines[-1]["waves"][0]["containers"]}
    assert {name: (entry["verdict"], entry["attempts"]) for name, entry in entries.items()} == {
        "runs": ("success", 1),
        "waits": ("success", 1),
    }, done.stderr
    assert sorted(world.marks("executed")) == ["runs", "waits"]
    for task, entry in entries.items():
        assert world.log(entry).read_text().split() == ["+PONG", "+OK", f"${len(task)}", task, "+OK"]
        assert b"from" in (data_of(world, task) / "dump.rdb").read_bytes()
        assert "evidence" not in entry or "sidecars" not in entry["evidence"]


def test_nobody_waits_for_a_sidecar_of_a_run_that_is_cancelled(redis_world: World) -> None:
    never = {**REDIS, "healthcheck": {"test": "exit 1", "interval": "1s", "retries": 1000}}
    run = redis_world.start(with_redis(batch("waits", "echo ran >> ran"), redis=never), "--json")
    eventually(lambda: len(sidecars_of(redis_world)) == 1, "a sidecar that is waited for")
    run.interrupt()
    run.wait_for("RunInterrupted")
    run.interrupt()
    done = run.finish()
    assert done.exit_code == 130
    (entry,) = done.lines[-1]["waves"][0]["containers"]
    assert entry["verdict"] == "cancelled"
    assert redis_world.marks("ran") == []


@pytest.mark.slow
def test_without_isolation_there_is_no_way_out_but_to_the_sidecars(redis_world: World) -> None:
    """Not even to the host: its end of an ordinary bridge would refuse the connection, here nobody answers."""
    gateway = "$(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p')"
    look = f"grep -c docker.internal /etc/hosts; nc -w 3 {gateway} 9 2>&1; nc -w 3 redis 9 2>&1; true"
    done = redis_world.run(with_redis(batch("inside", f"{ASK}; {look}")), "--isolate", "none")
    (entry,) = done.entries().values()
    assert entry["verdict"] == "success", done.stderr
    lines = [line.strip() for line in redis_world.log(entry).read_text().splitlines()]
    assert lines[:6] == ["+PONG", "+OK", "$6", "inside", "+OK", "0"]
    assert ["refused" in line for line in lines[6:]] == [False, True]


@pytest.mark.slow
def test_kills_at_random_moments_double_and_leave_nothing(redis_world: World, record_property: Any) -> None:
    """The orchestrator dies again and again, sidecars or not; at the end each task ran once, beside its own Redis."""
    world, rng = redis_world, random.Random(20_261_127)
    tasks = [batch(f"t{number}", f"echo $BATCH_ID >> executed; {ASK}") for number in range(8)]
    path = world.plan(with_redis(*tasks))
    kills = 0
    while True:
        run = world.start(path, "--run-id", "killed", "--parallel", "3", "--keep-going", "--json")
        if not run.wait_for_facts(rng.randint(1, 12)):
            done = run.finish()
            break
        wait_s = rng.uniform(0.0, 1.5)
        try:
            run.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            run.kill()
            kills += 1
            continue
        done = run.finish()
        break
    entries = {entry["batch_id"]: entry for entry in done.lines[-1]["waves"][0]["containers"]}
    assert {name: (entry["verdict"], entry["attempts"]) for name, entry in entries.items()} == {
        f"t{number}": ("success", 1) for number in range(8)
    }, done.stderr
    assert sorted(world.marks("executed")) == [f"t{number}" for number in range(8)]
    for task, entry in entries.items():
        assert world.log(entry).read_text().split() == ["+PONG", "+OK", f"${len(task)}", task, "+OK"]
        assert (data_of(world, task) / "dump.rdb").exists()
    assert kills >= 3
    record_property(
        "proof", f"{kills} kills of a run with 8 tasks beside a Redis each: each ran once, nothing was left"
    )
