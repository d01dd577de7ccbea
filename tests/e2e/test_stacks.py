"""`wavepool stack`: a development stack that is what its file says, whoever else is at work, until it is taken down."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from wavepool_cli import Finished, World, batch, docker, eventually, plan_of, wave

pytestmark = pytest.mark.docker

REDIS_IMAGE = os.environ.get("WAVEPOOL_REDIS_IMAGE", "wavepool-redis:latest")
SCRIPT = Path(__file__).parents[2] / "scripts" / "redis-image"
FILE = """
services:
  redis:
    image: ${IMAGE:?which image}
    ports: ["6379", "%s:0:6379"]
    mem_limit: 48m
    healthcheck: {test: [CMD, redis-cli, ping], interval: 1s}
  beside:
    image: $IMAGE
    mem_limit: 16m
    depends_on: [redis]
    command: [sh, -c, "redis-cli -h redis set from %s; exec sleep 600"]
    stop_grace_period: 1s
"""


class Stacks:
    """The `stack` verb in a world, on one file."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.file = world.root / "compose.yaml"
        subnet = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}")
        self.bridge = str(next(ip_network(subnet).hosts()))

    def write(self, word: str) -> None:
        self.file.write_text(FILE % (self.bridge, word))

    def call(self, verb: str, *options: str) -> Finished:
        words = ("stack", verb, str(self.file), "--state-dir", str(self.world.state), "--json", *options)
        return self.world.command(*words, env={"IMAGE": REDIS_IMAGE}).finish()

    def up(self, *options: str) -> dict[str, Any]:
        done = self.call("up", *options)
        assert done.exit_code == 0, done.stderr
        return done.result

    def containers(self, name: str) -> dict[str, str]:
        """Service -> id of its container."""
        ids = docker("ps", "-aq", "--filter", f"label=wavepool.stack={name}", *self._ours()).split()
        form = '{{index .Config.Labels "wavepool.sidecar"}} {{.Id}}'
        return dict(line.split() for line in docker("inspect", "--format", form, *ids).splitlines()) if ids else {}

    def networks(self) -> list[str]:
        return docker("network", "ls", "-q", "--filter", "label=wavepool.scope=stack", *self._ours()).split()

    def _ours(self) -> tuple[str, str]:
        return ("--filter", f"label=wavepool.owner={self.world.owner()}")


@pytest.fixture
def stacks(docker_world: World) -> Iterator[Stacks]:
    done = subprocess.run([SCRIPT], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    made = Stacks(docker_world)
    made.write("one")
    yield made
    for name in ("dev", "other"):
        if made.containers(name):
            made.call("down", "--name", name, "--volumes")


def ask(port: int, words: str) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(f"{words}\r\n".encode())
        return connection.recv(1000).decode()


def port_of(result: dict[str, Any]) -> int:
    return int(next(service["port"] for service in result["services"] if service["name"] == "redis"))


def test_a_stack_is_what_its_file_says_until_it_is_taken_down(stacks: Stacks) -> None:
    first = stacks.up("--name", "dev")
    assert first["created"] == ["redis", "beside"]
    eventually(lambda: "one" in ask(port_of(first), "GET from"), "one service reaches the other by name")
    made = stacks.containers("dev")

    again = stacks.up("--name", "dev")
    assert (again["kept"], stacks.containers("dev")) == (["redis", "beside"], made)

    stacks.write("two")
    changed = stacks.up("--name", "dev")
    assert (changed["recreated"], changed["kept"]) == (["beside"], ["redis"])
    assert stacks.containers("dev")["redis"] == made["redis"]
    eventually(lambda: "two" in ask(port_of(changed), "GET from"), "what changed is made anew")

    docker("kill", made["redis"])
    sick = stacks.call("ps", "--name", "dev")
    states = {service["name"]: (service["state"], service["ready"]) for service in sick.result["services"]}
    assert (sick.exit_code, states) == (1, {"redis": ("exited", False), "beside": ("running", True)})
    assert stacks.up("--name", "dev")["started"] == ["redis"]
    assert stacks.call("down", "--name", "dev").result["errors"] == []
    assert (stacks.containers("dev"), stacks.networks()) == ({}, [])


@pytest.mark.slow
def test_two_stacks_stand_side_by_side_and_their_data_stays(stacks: Stacks) -> None:
    _a_run_beside_it_reaches_it_and_leaves_it_alone(stacks, stacks.up("--name", "dev"))
    other = stacks.up("--name", "other")
    assert other["created"] == ["redis", "beside"]
    assert port_of(other) != port_of(stacks.call("ps", "--name", "dev").result)

    ask(port_of(other), "SET kept yes")
    assert stacks.call("down", "--name", "other").result["errors"] == []
    assert stacks.containers("other") == {}
    assert "yes" in ask(port_of(stacks.up("--name", "other")), "GET kept")
    for name in ("other", "dev"):
        assert stacks.call("down", "--name", name, "--volumes").result["data_removed"]
    assert stacks.networks() == []
    assert [path for path in (stacks.world.state / "stacks").rglob("*") if path.name == "dump.rdb"] == []


def _a_run_beside_it_reaches_it_and_leaves_it_alone(stacks: Stacks, result: dict[str, Any]) -> None:
    (outside,) = {
        port["outside"] for service in result["services"] for port in service["ports"] if port["outside"] is not None
    }
    host, _, port = outside.partition(":")
    before = stacks.containers("dev")
    done = stacks.world.run(plan_of(wave(1, batch("asks", f"echo PING | nc -w 5 {host} {port}"))))
    assert done.verdicts() == {"asks": "success"}, done.stderr
    assert stacks.world.log(done.entries()["asks"]).read_text().strip() == "+PONG"
    assert stacks.containers("dev") == before


def test_a_service_that_is_not_ready_is_told_and_stays(stacks: Stacks) -> None:
    slow = {"test": "true", "interval": "60s"}
    sick = {"image": REDIS_IMAGE, "command": ["sh", "-c", "echo no luck; exit 9"], "healthcheck": slow}
    stacks.file.write_text(json.dumps({"services": {"sick": sick}}))
    done = stacks.call("up", "--name", "dev")
    assert done.exit_code == 1
    assert "sick" in done.stderr
    assert "exit code 9" in done.stderr
    assert "no luck" in done.stderr
    assert list(stacks.containers("dev")) == ["sick"]
    assert stacks.call("down", "--name", "dev").exit_code == 0


@pytest.mark.slow
def test_what_is_interrupted_stays_and_is_gone_on_with(stacks: Stacks) -> None:
    stacks.file.write_text(FILE.replace("redis-cli, ping", "test, -e, /data/go") % (stacks.bridge, "x"))
    words = ("stack", "up", str(stacks.file), "--name", "dev", "--state-dir", str(stacks.world.state))
    running = stacks.world.command(*words, env={"IMAGE": REDIS_IMAGE})
    eventually(lambda: list(stacks.containers("dev")) == ["redis"], "the first service")
    running.interrupt()
    done = running.finish()
    assert done.exit_code == 130
    assert "is still there" in done.stderr
    before = stacks.containers("dev")
    (stacks.world.state / "stacks" / "dev" / "data" / "redis" / "go").touch()
    again = stacks.up("--name", "dev")
    assert (again["created"], stacks.containers("dev")["redis"]) == (["beside"], before["redis"])
