"""Where containers are measured: an owner of its own, directories of its own, and nothing left behind."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.to_thread

from bench.engine_api import EngineApi, each_of
from wavepool import labels
from wavepool.drivers.base import AttemptSpec
from wavepool.drivers.docker.starting.delivery import write_prompt
from wavepool.drivers.docker.starting.spec import create_body
from wavepool.engine.attempts.spec import SpecBuilder
from wavepool.model import AttemptId, Isolation, Limits, Surroundings, Task
from wavepool.statedir import StateDir
from wavepool.units import MIB

IMAGE = os.environ.get("WAVEPOOL_TEST_IMAGE", "wavepool-test:latest")
NETWORK = "bridge"
"""The default bridge: every container gets a network of the usual cost, and none has to be made."""
MEMORY_BYTES = 16 * MIB
PREFIX = "cfn-bench-"
SLEEP = ("sleep", "3600")
RIVALS = Path(__file__).parent / "rivals"


class Ground:
    """A place for containers of one benchmark. Leaving removes all that carries its owner's label.

    Attributes:
        owner: a new one each time: nothing of anyone else is ever touched.
        path: a temporary directory, with `workspace` (mounted at /workspace) and `state_dir` in it.
        api: open while the context is.
    """

    def __init__(self) -> None:
        self.api = EngineApi()
        self._directory = tempfile.TemporaryDirectory(prefix="wavepool-bench-")
        self.path = Path(self._directory.name)
        self.workspace = self.path / "workspace"
        self.state_dir = StateDir(self.path / "state")
        self.owner = self.state_dir.owner()
        self._runs = 0

    async def __aenter__(self) -> Self:
        self.workspace.mkdir()
        await self.api.__aenter__()
        await self.api.call("GET", f"images/{IMAGE}/json")
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self.clear()
            await self.api.__aexit__(exc_type, exc, tb)
            self._directory.cleanup()

    async def clear(self) -> None:
        """Remove every container of this owner."""
        await each_of(await self.api.ids(self.label), self.api.delete, at_once=10)

    @property
    def label(self) -> str:
        return f"{labels.OWNER}={self.owner}"

    def run_id(self, what: str) -> str:
        """A new run id, which no other owner uses either: a label of it alone finds these containers only."""
        self._runs += 1
        return f"{what}-{self._runs}-{self.owner}"

    def specs(self, run_id: str, count: int, command: tuple[str, ...] = SLEEP) -> list[AttemptSpec]:
        """Specs of `count` attempts, just as the engine builds them, with their slots made.

        ``{n}`` in a word of the command becomes the attempt's number.
        """
        builder = SpecBuilder(
            owner=self.owner, run_id=run_id, surroundings=self.surroundings(), isolation=Isolation.SHARED, secrets={}
        )
        return [self._spec(builder, number, command) for number in range(count)]

    def surroundings(self) -> Surroundings:
        return Surroundings(image=IMAGE, workspace=str(self.workspace), network=NETWORK, name_prefix=PREFIX)

    def body(self, spec: AttemptSpec) -> dict[str, Any]:
        """The body that the driver would send for this spec, for the raw calls: same HostConfig, same everything."""
        return create_body(spec, prompt_dir=write_prompt(spec.slot, spec.prompt), secrets_dir=None)

    def _spec(self, builder: SpecBuilder, number: int, command: tuple[str, ...]) -> AttemptSpec:
        task_id = f"batch-{number}"
        task = Task(
            id=task_id,
            key=labels.task_key(task_id),
            wave=1,
            tier=1,
            limits=Limits(memory_bytes=MEMORY_BYTES),
            command=tuple(word.replace("{n}", str(number)) for word in command),
            prompt="Fix errors in assigned files",
        )
        slot = self.path / "slots" / builder.run_id / task.key
        slot.mkdir(parents=True)
        return builder.build(task, AttemptId(task_id, 1), slot)

    async def shell(self, script: str, *arguments: str) -> str:
        """Run one of the rivals to its end; what it printed. Raises CalledProcessError."""
        done = await anyio.run_process(["bash", str(RIVALS / script), *arguments])
        return done.stdout.decode()
