"""Sealed tasks: what they are told that they may reach they reach, and nothing else.

Each attempt to get out is made from a task that is not sealed too, or by a proxy that allows it: there it succeeds.
"""

from __future__ import annotations

import socketserver
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sealed_attempts import build_images, gateway, run, sealed

from wavepool.drivers.docker import DockerDriver
from wavepool.engine.attempts.egress import EGRESS, refusals, sealed_sidecar
from wavepool.errors import NotStarted

if TYPE_CHECKING:
    from conftest import DockerWorld

pytestmark = [pytest.mark.docker, pytest.mark.anyio]

ASK = r"""
direct() {
    if printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 5 "$2" "$3" >/dev/null 2>&1; then echo "$1 open"; else echo "$1 shut"; fi
}
proxied() {
    answer=$(printf 'CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\nGET / HTTP/1.0\r\n\r\n' "$2:$3" "$2:$3" |
        nc -w 20 egress 3128 | head -n 1)
    case $answer in *' 200 '*) echo "$1 open" ;; *' 403 '*) echo "$1 refused" ;; *) echo "$1 $answer" ;; esac
}
"""


@pytest.fixture(scope="module")
def egress_image() -> None:
    build_images()


class Greeter(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nhello\n")


@pytest.fixture
def host_port() -> Iterator[int]:
    """A service of this very host, listening at the address that containers call their gateway."""
    with socketserver.ThreadingTCPServer((gateway(), 0), Greeter) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@asynccontextmanager
async def server(world: DockerWorld, driver: DockerDriver) -> AsyncIterator[str]:
    """Another task's container, which serves on port 8080; its address."""
    spec = world.sh("echo hello > /tmp/index.html; exec httpd -f -p 8080 -h /tmp", network="bridge")
    handle = await driver.start(spec)
    try:
        record = await world.inspect(handle.id)
        yield record["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    finally:
        await driver.stop(handle, 0)
        await driver.remove(handle)


def ways(allowed: str, other: str, host: str, port: int) -> str:
    """The script that tries every way out directly."""
    return f"""
direct allowed-directly {allowed} 8080
direct other-task {other} 8080
direct host {host} {port}
"""


@pytest.mark.usefixtures("egress_image")
async def test_a_sealed_task_reaches_its_hosts_by_the_proxy_and_nothing_else(
    world: DockerWorld, host_port: int, tmp_path: Path
) -> None:
    world.allow(300)
    host = gateway()
    async with world.driver() as driver, server(world, driver) as allowed, server(world, driver) as other:
        direct = ways(allowed, other, host, host_port)
        proxied = f"""
proxied allowed {allowed} 8080
wget -q -O - http://{allowed}:8080/ | grep -q hello && echo "plain open" || echo "plain refused"
proxied other-by-proxy {other} 8080
proxied host-by-proxy {host} {host_port}
proxied other-port {allowed} 8081
proxied another-name nowhere.example 443
"""
        inside = """
grep -q eth0 /proc/net/if_inet6 && echo "ipv6 open" || echo "ipv6 shut"
grep -q host.docker.internal /etc/hosts && echo "host-name open" || echo "host-name shut"
"""
        unsealed = await run(world, driver, world.sh(ASK + direct, network="bridge"))
        assert unsealed.found == {"allowed-directly": "open", "other-task": "open", "host": "open"}

        everything = [f"{allowed}:8080", f"{other}:8080", f"{host}:{host_port}"]
        control = await run(world, driver, sealed(world, world.sh(ASK + proxied), sealed_sidecar(everything)))
        open_ways = ("allowed", "other-by-proxy", "host-by-proxy")
        assert {control.found[name] for name in open_ways} == {"open"}, control

        script = world.sh(ASK + direct + proxied + inside)
        outcome = await run(world, driver, sealed(world, script, sealed_sidecar(everything[:1])))
        found, said = outcome.found, outcome.proxy
        assert {name: found[name] for name in ("allowed", "plain")} == {"allowed": "open", "plain": "open"}, said
        shut = ("allowed-directly", "other-task", "host", "ipv6", "host-name")
        assert {found[name] for name in shut} == {"shut"}
        refused = ("other-by-proxy", "host-by-proxy", "other-port", "another-name")
        assert {found[name] for name in refused} == {"refused"}

    (tmp_path / "log").write_bytes(said)
    trouble = refusals(tmp_path / "log")
    assert trouble is not None
    assert trouble.name == EGRESS
    for target in (f"{other}:8080", f"{host}:{host_port}", f"{allowed}:8081", "nowhere.example:443"):
        assert target in trouble.reason
    assert f"{allowed}:8080" not in trouble.reason


@pytest.mark.usefixtures("egress_image")
async def test_a_name_that_leads_into_a_private_network_is_refused_unless_that_is_meant(
    world: DockerWorld, host_port: int, tmp_path: Path
) -> None:
    """The Docker host's own name stands for one that a name server leads there; and only the task may use its proxy."""
    world.allow(300)
    name = f"host.docker.internal:{host_port}"
    script = f"proxied it host.docker.internal {host_port}"
    meant = sealed_sidecar([name])
    assert meant.command == (f"private:{name}",)
    async with world.driver() as driver:
        outcome = await run(world, driver, sealed(world, world.sh(ASK + script), meant))
        assert outcome.found == {"it": "open"}, outcome

        spec = sealed(world, world.sh(f"{ASK}{script}; exec sleep 600"), replace(meant, command=(name,)))
        handle = await driver.start(spec)
        record = await world.inspect(spec.sidecars[0].name)
        outside = record["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        stranger = ASK.replace("egress 3128", f"{outside} 3128") + script
        assert (await run(world, driver, world.sh(stranger, network="bridge"))).found == {"it": "refused"}
        async with driver.logs(handle, follow=True) as chunks:
            assert (await anext(aiter(chunks))).data == b"it refused\n"
        await driver.stop(handle, 0)
        (proxy,) = await driver.dismiss(handle, 0)
        async with driver.logs(proxy.handle) as chunks:
            told = b"".join([chunk.data async for chunk in chunks])
        await driver.remove(handle)
    lines = told.splitlines()
    assert b"private CONNECT " + name.encode() in lines
    assert b"stranger CONNECT " + name.encode() in lines
    (tmp_path / "log").write_bytes(told)
    assert f"{name}: lead into a private network" in str(refusals(tmp_path / "log"))


@pytest.mark.usefixtures("egress_image")
async def test_the_proxy_is_confined_as_tasks_are_and_fails_where_it_is_given_no_host(world: DockerWorld) -> None:
    world.allow(300)
    spec = sealed(world, world.sh("exec sleep 600"), sealed_sidecar([]))
    async with world.driver() as driver:
        handle = await driver.start(spec)
        record = await world.inspect(spec.sidecars[0].name)
        assert record["State"]["Health"]["Status"] == "healthy"
        host = record["HostConfig"]
        assert (host["CapDrop"], host["SecurityOpt"], host["ReadonlyRootfs"]) == (["ALL"], ["no-new-privileges"], True)
        assert host["Sysctls"] == {"net.ipv4.ip_forward": "0"}
        assert record["Config"]["User"].split(":")[0] != "0"
        task = await world.inspect(handle.id)
        assert task["HostConfig"]["Dns"] == ["127.0.0.1"]
        await driver.remove(handle)
        bad = sealed(world, world.sh("true"), replace(sealed_sidecar([]), command=("no port",)))
        with pytest.raises(NotStarted, match="ended with exit code 2") as caught:
            await driver.start(bad)
        assert "is not [private:]HOST:PORT" in caught.value.sidecars[0].last_lines
        await driver.remove(handle.__class__(driver=handle.driver, id="", name=bad.name, attempt=bad.attempt))
