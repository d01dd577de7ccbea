"""A real `wavepool serve` in a world of its own, and a client of its REST interface."""

from __future__ import annotations

import contextlib
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from wavepool_cli import DEADLINE_S, Running, World, eventually

from answers import Answer

ANY_PORTS = {"HTTP_PORT": "0", "WEBSOCKET_PORT": "0"}


class Api:
    """A client with the token."""

    def __init__(self, address: str, token: str) -> None:
        self.address = address.rstrip("/")
        self.token = token
        self.host, _, port = self.address.removeprefix("http://").rpartition(":")
        self.port = int(port)

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, None, headers)

    def post(self, path: str, body: object = None, **headers: str) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        return self.call("POST", path, data, {"Content-Type": "application/json", **headers})

    def call(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> Answer:
        told = {"Authorization": f"Bearer {self.token}", **headers}
        request = urllib.request.Request(f"{self.address}{path}", data=data, headers=told, method=method)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as reply:
                return Answer(status=reply.status, headers=dict(reply.headers), body=reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(status=error.code, headers=dict(error.headers), body=error.read())

    def announce(self, path: str, size_bytes: int) -> Answer:
        """What is answered to the head of a request whose body would be of this size."""
        connection = http.client.HTTPConnection(self.address.removeprefix("http://"), timeout=DEADLINE_S)
        with contextlib.closing(connection):
            connection.putrequest("POST", path)
            told = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
            for name, value in {**told, "Content-Length": str(size_bytes)}.items():
                connection.putheader(name, value)
            connection.endheaders()
            reply = connection.getresponse()
            return Answer(status=reply.status, headers=dict(reply.headers), body=reply.read())

    # -- waiting --

    def state_of(self, run_id: str) -> str:
        return str(self.get(f"/api/runs/{run_id}").json["run"]["state"])

    def wait_for_run(self, run_id: str, state: str) -> None:
        eventually(lambda: self.state_of(run_id) == state, f"run {run_id} is {state}")

    def wait_for_job(self, job_id: str) -> dict[str, Any]:
        eventually(lambda: "exit_code" in self.get(f"/api/jobs/{job_id}?wait_s=20").json, f"the end of job {job_id}")
        found: dict[str, Any] = self.get(f"/api/jobs/{job_id}").json
        return found


def begin_serving(world: World, *options: str) -> tuple[Running, Api]:
    """A server on any ports, and its client."""
    server = world.command(
        *("serve", "--json", "--driver", world.driver, "--state-dir", str(world.state), *options), env=ANY_PORTS
    )
    address = server.wait_for("page")[0]["url"]
    server.wait_for("serving")
    return server, Api(address, (world.state / "web.token").read_text().strip())


@contextmanager
def serving(world: World, *options: str) -> Iterator[Api]:
    """A server until the block ends, which ends it well."""
    server, api = begin_serving(world, *options)
    with ended_well(server):
        yield api


@contextmanager
def ended_well(server: Running) -> Iterator[None]:
    """Ends it when the block does."""
    yield
    server.interrupt()
    assert server.finish().exit_code == 0
