"""Every driver, ready for the contract suite: `harness` is parametrised over memory, process and docker."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wavepool.drivers.base import AttemptSpec, Driver
from wavepool.drivers.docker import DockerDriver
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.process import ProcessDriver
from wavepool.drivers.process.liveness import kill_marked
from wavepool.testing.driver_harness import DriverHarness, ShellCommands
from wavepool.testing.memory_harness import MemoryHarness


class ProcessHarness(DriverHarness):
    """Supervised processes of this host."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.commands = ShellCommands(unexecutable=str(self.workspace / "not-executable"), enforces_memory=False)
        self._base = root / "process-driver"
        self._base.mkdir()

    async def __aenter__(self) -> ProcessHarness:
        async with self.driver() as driver:
            enforces_memory = (await driver.probe()).enforces_memory
        self.commands = ShellCommands(
            unexecutable=str(self.workspace / "not-executable"), enforces_memory=enforces_memory
        )
        return self

    def driver(self) -> Driver:
        return ProcessDriver(base_dir=self._base)

    async def remove_as_stranger(self, spec: AttemptSpec) -> None:
        record = self._base / "attempts" / spec.name
        marked = json.loads((record / "started").read_text())
        shutil.rmtree(record)
        os.kill(marked["pid"], signal.SIGKILL)
        kill_marked(spec.name, self.patience_s)


class DockerHarness(DriverHarness):
    """A real engine, with a small local image."""

    image = os.environ.get("WAVEPOOL_TEST_IMAGE", "wavepool-test:latest")
    missing_image = "wavepool-contract/no-such-image:latest"
    has_networks = True
    patience_s = 180.0

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.commands = ShellCommands(unexecutable="/workspace/not-executable", enforces_memory=True)

    def driver(self) -> Driver:
        return DockerDriver()

    async def remove_as_stranger(self, spec: AttemptSpec) -> None:
        async with DockerApi() as api:
            await api.change("DELETE", f"containers/{spec.name}", {"force": "1"})


@pytest.fixture(params=["memory", "process", pytest.param("docker", marks=pytest.mark.docker)])
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DriverHarness]:
    if request.param == "memory":
        made: DriverHarness = MemoryHarness(tmp_path)
    elif request.param == "process":
        made = ProcessHarness(tmp_path)
    else:
        made = DockerHarness(tmp_path)
    async with made:
        yield made
