"""Names that a sealed task asks for leave its network by no way, even where the engine asks for it on the host's side.

That is so where the host's name server is at a loopback address: a daemon of our own has such a one here, which notes
what it is asked.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from wavepool import labels
from wavepool.drivers.base import OwnNetwork
from wavepool.testing.own_daemon import OwnDaemon

if TYPE_CHECKING:
    from conftest import DockerWorld

pytestmark = [
    pytest.mark.docker,
    pytest.mark.anyio,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a Docker daemon"),
]

NAME_SERVER = r"""
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.54", 53))
with open(sys.argv[1], "a", buffering=1) as asked:
    print("ready", flush=True)
    while True:
        query, client = server.recvfrom(4096)
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        asked.write(".".join(labels) + "\n")
        question = query[12 : at + 5]
        answer = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\xc0\x00\x02\x07"
        is_a = question[-4:-2] == b"\x00\x01"
        head = query[:2] + b"\x81\x80\x00\x01" + (b"\x00\x01" if is_a else b"\x00\x00") + b"\x00" * 4
        server.sendto(head + question + (answer if is_a else b""), client)
"""


@contextmanager
def name_server(daemon: OwnDaemon, directory: Path) -> Iterator[Path]:
    """The daemon's host has a name server of ours at a loopback address; the file of what it was asked."""
    asked, settings, program = directory / "asked", directory / "resolv.conf", directory / "name_server.py"
    asked.touch()
    settings.write_text("nameserver 127.0.0.54\n")
    program.write_text(NAME_SERVER)
    enter = ["nsenter", "--target", str(daemon.namespace_pid), "--net", "--mount", "--"]
    subprocess.run([*enter, "mount", "--bind", settings, "/etc/resolv.conf"], check=True)
    with subprocess.Popen([*enter, sys.executable, "-I", program, asked], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield asked
        finally:
            process.kill()


async def test_no_name_is_asked_for_outside(world: DockerWorld, tmp_path: Path) -> None:
    world.allow(300)
    (tmp_path / "daemon").mkdir()
    async with OwnDaemon(tmp_path / "daemon") as daemon:
        await daemon.load_image(world.image)
        with name_server(daemon, tmp_path) as asked:
            ask = "nslookup {0}.example 2>&1; true"
            spec = world.sh(ask.format("sealed"))
            network = OwnNetwork(
                name=labels.task_network_name(spec.name),
                labels={labels.OWNER: world.owner},
                internal=True,
                subnet_pool="10.214.32.0/20",
            )
            async with world.driver(host=daemon.host) as driver:
                handle = await driver.start(replace(spec, own_network=network, network=None))
                async with driver.logs(handle) as chunks:
                    said = b"".join([chunk.data async for chunk in chunks]).decode()
            for name, on in (("internal", network.name), ("open", "open")):
                docker = ["docker", "--host", daemon.host]
                if name == "open":
                    await anyio.run_process([*docker, "network", "create", on])
                run = [*docker, "run", "--rm", "--network", on, world.image, "sh", "-c", ask.format(name)]
                await anyio.run_process(run)
            found = set(asked.read_text().split())
            assert "open.example" in found, said
            assert "sealed.example" not in found
            version = await anyio.run_process([*docker, "version", "-f", "{{.Server.Version}}"])
            if int(version.stdout.split(b".")[0]) < 26:
                # What would come of it without our doing: this engine asks for a container on an internal network too.
                assert "internal.example" in found
