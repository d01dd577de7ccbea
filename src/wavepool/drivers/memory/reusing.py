"""A simulated container that runs one task after the other."""

from __future__ import annotations

from dataclasses import replace

from wavepool.drivers.base import AttemptSpec, Phase
from wavepool.drivers.memory.containers import Container
from wavepool.drivers.memory.script import Script
from wavepool.drivers.memory.world import DEFAULT_ENTRYPOINT, MemoryWorld
from wavepool.drivers.parking import Claim, Execution, OutputSink, ReusableContainer
from wavepool.errors import InputError, InvariantBroken, NotClaimed, Unknown
from wavepool.model import VerdictKind

FOR_EVER = ("sim", "duration=1e12")


def idle_spec(spec: AttemptSpec) -> AttemptSpec:
    """What a reusable container is started from. Raises InputError for what no driver reuses."""
    if not spec.read_only:
        raise InputError(f"{spec.name}: containers are reused with a read-only root only")
    if not spec.late or spec.secrets or spec.command is not None:
        raise InputError(f"{spec.name}: what a reused container runs is told later, and it takes no secrets")
    return replace(spec, late=False, command=FOR_EVER)


class MemoryReusable(ReusableContainer):
    """Its tasks take the world's time; one that is ``unclean`` spoils it, as what a real one cannot wipe does."""

    def __init__(self, world: MemoryWorld, container: Container) -> None:
        self.handle = container.handle
        self.uses = 0
        self._world = world
        self._container = container
        self._usable = True
        self._busy = False

    async def execute(self, claim: Claim, output: OutputSink) -> Execution:
        if claim.secrets:
            raise InputError("a reused container takes no secrets", advice="Use a pool without reuse.")
        if self._busy:
            raise InvariantBroken(f"{self.handle.name} was given two tasks at once")
        self._world.advance()
        if not self._usable or self._container.phase is not Phase.RUNNING:
            raise NotClaimed(f"{self.handle.name} had ended, or was spoilt by the task before; nothing ran")
        self._busy, self._usable = True, False
        self.uses += 1
        try:
            execution = await self._run(self._task(claim), output)
        finally:
            self._busy = False
        self._usable = execution.clean
        return execution

    async def close(self) -> None:
        self._usable = False
        self._world.signal(self._container, "SIGKILL")

    def _task(self, claim: Claim) -> Container:
        """A container of the task alone, which the world does not know: what it would write, and how it would end."""
        spec = self._container.spec
        spec = replace(
            spec,
            command=claim.command,
            env={**spec.env, **claim.env},
            prompt=claim.prompt,
            limits=claim.limits or spec.limits,
            directory=claim.directory,
        )
        script = Script.parse(claim.command if claim.command is not None else DEFAULT_ENTRYPOINT)
        return replace(self._container, spec=spec, script=script, output=[])

    async def _run(self, task: Container, output: OutputSink) -> Execution:
        task.write_output(self._world.time_s)
        for _, chunk in task.output:
            output(chunk.stream, chunk.data)
        end_s = self._world.time_s + task.script.duration_s
        self._world.at(end_s, self._world.wake)
        while self._container.phase is Phase.RUNNING and self._world.time_s < end_s:
            await self._world.wait()
        if self._container.phase is not Phase.RUNNING:
            raise Unknown(f"{self.handle.name} ended while its task ran")
        kind, evidence = task.own_end()
        unclean = task.script.unclean
        return Execution(
            exit_code=evidence.exit_code or 0,
            clean=not unclean,
            problem="it left what cannot be removed: simulated" if unclean else "",
            oom_kills=1 if kind is VerdictKind.OOM else evidence.oom_kills,
        )
