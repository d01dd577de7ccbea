"""The contract suite's view of the memory driver."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote_from_bytes

from wavepool.drivers.base import AttemptSpec, Driver
from wavepool.drivers.memory import MemoryDriver, MemoryWorld
from wavepool.testing.driver_harness import Argv, Commands, DriverHarness


class SimulatedCommands(Commands):
    """The contract's commands in the language of `wavepool.drivers.memory.script`."""

    def exits(self, code: int) -> Argv:
        return ("sim", f"exit={code}")

    def prints(self, stdout: bytes, stderr: bytes) -> Argv:
        return ("sim", f"stdout={quote_from_bytes(stdout)}", f"stderr={quote_from_bytes(stderr)}")

    def sleeps(self, seconds: float, code: int = 0) -> Argv:
        return ("sim", f"duration={seconds}", f"exit={code}")

    def ignores_term(self) -> Argv:
        return ("sim", "duration=1e9", "ignore_term", "stdout=ready%0A")

    def kills_itself(self) -> Argv:
        return ("sim", "kill_self")

    def counts(self, file_name: str, seconds: float) -> Argv:
        return self.sleeps(seconds)

    def shows_prompt(self) -> Argv:
        return ("sim", "show_prompt")

    def shows_env(self, name: str) -> Argv:
        return ("sim", f"show_env={name}")

    def shows_secret(self, name: str) -> Argv:
        return ("sim", f"show_secret={name}")

    def shows_directory(self) -> Argv:
        return ("sim", "show_directory")

    def missing_program(self) -> Argv:
        return ("/no/such/program",)

    def not_executable(self) -> Argv:
        return ("sim", "not_executable")

    def oom(self) -> Argv:
        return ("sim", "memory=64m")

    def child_oom(self) -> Argv:
        return ("sim", "child_oom")


class MemoryHarness(DriverHarness):
    """Drivers of one simulated world."""

    missing_image = "absent:latest"
    has_networks = True
    marks_slots = False
    commands = SimulatedCommands()

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.world = MemoryWorld(absent_images={self.missing_image})

    def driver(self) -> Driver:
        return MemoryDriver(self.world)

    async def remove_as_stranger(self, spec: AttemptSpec) -> None:
        found = self.world.named(spec.name)
        assert found is not None
        self.world.destroy(found)

    def executions(self, spec: AttemptSpec, file_name: str) -> int:
        # each file name belongs to one command of one attempt: another spec of that attempt left no trace
        started = self.world.named(spec.name)
        if started is None or started.spec.spec_hash != spec.spec_hash:
            return 0
        return self.world.executions[spec.run_id, spec.attempt]
