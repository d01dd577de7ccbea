"""One reused container: a task goes in over the connection to its shell, output and proof come out of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import anyio
import anyio.to_thread

from wavepool.drivers.base import AttemptSpec, Handle
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.attachment import Attachment
from wavepool.drivers.docker.parking.claiming import INLINE_PROMPT_BYTES, resources
from wavepool.drivers.docker.parking.script import CHANGED_BY_SHELLS
from wavepool.drivers.docker.reusing import shell
from wavepool.drivers.docker.reusing.ground import Ground
from wavepool.drivers.docker.reusing.marks import Mark, MarkFinder
from wavepool.drivers.docker.reusing.places import Place
from wavepool.drivers.docker.reusing.witness import Witness
from wavepool.drivers.docker.starting.delivery import write_prompt
from wavepool.drivers.docker.starting.spec import WORKSPACE_TARGET, environment
from wavepool.drivers.docker.trouble import Refused
from wavepool.drivers.parking import Claim, Execution, OutputSink, ReusableContainer
from wavepool.errors import DriverUnavailable, InputError, InvariantBroken, NotClaimed, Unknown

WIPE_S = 30.0
"""How long a wipe may take; then the container is given up, and its task's exit code stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an open container consists of.

    Attributes:
        ground: its workspace; None for one that is shared.
        image_argv: what its image would run by itself, for tasks without a command.
        variables: that it was made with, the image's among them.
    """

    spec: AttemptSpec
    handle: Handle
    attachment: Attachment
    witness: Witness
    ground: Ground | None
    image_argv: tuple[str, ...]
    variables: Mapping[str, str]


class DockerReusable(ReusableContainer):
    """See `ReusableContainer`. Made by `Reuse.open`."""

    def __init__(self, api: DockerApi, parts: Parts) -> None:
        self.handle = parts.handle
        self.uses = 0
        self._api = api
        self._parts = parts
        self._limits = parts.spec.limits
        self._prompt = parts.spec.prompt
        self._usable = True
        self._busy = False

    async def execute(self, claim: Claim, output: OutputSink) -> Execution:
        if claim.secrets:
            raise InputError(
                "a reused container takes no secrets: the tasks after could find what this one did with them",
                advice="Use a pool without reuse.",
            )
        nonce = secrets.token_hex(16)
        command = self._command(nonce, claim)
        if self._busy:
            raise InvariantBroken(f"{self.handle.name} was given two tasks at once")
        if not self._usable:
            raise NotClaimed(f"{self.handle.name} had ended, or was spoilt by the task before; nothing ran")
        self._busy, self._usable = True, False
        try:
            await self._make_ready(claim)
            execution = await self._run(nonce, command, output)
        finally:
            self._busy = False
        self._usable = execution.clean
        return execution

    async def close(self) -> None:
        self._usable = False
        self._parts.attachment.close()
        self._parts.witness.close()

    async def prove(self, places: Sequence[Place]) -> str:
        """Leave files and have them wiped: why that cannot be proved of it, or an empty text.

        Raises:
            NotClaimed: it had ended before.
            Unknown: it ended meanwhile.
        """
        nonce = secrets.token_hex(16)
        execution = await self._run(nonce, shell.trial(nonce, places), _drop)
        self.uses = 0
        return execution.problem or ("its output cannot be opened anew" if execution.exit_code else "")

    def _command(self, nonce: str, claim: Claim) -> bytes:
        argv = claim.command if claim.command is not None else self._parts.image_argv
        if not argv:
            raise InputError(
                f"image {self._parts.spec.image} has neither entrypoint nor command", advice="Give a command."
            )
        made_with = self._parts.variables
        wanted = environment(replace(self._parts.spec, env=claim.env, prompt=claim.prompt))
        variables: dict[str, str | bytes | None] = {
            name: made_with[name] for name in CHANGED_BY_SHELLS if name in made_with
        }
        variables |= {name: value for name, value in wanted.items() if made_with.get(name) != value}
        prompt = wanted.get("TASK_PROMPT")
        if prompt != made_with.get("TASK_PROMPT"):
            variables["TASK_PROMPT"] = None if prompt is None else prompt.encode("utf-8", "surrogatepass")
        return shell.task(nonce, argv=argv, variables=variables, directory=claim.directory or WORKSPACE_TARGET)

    async def _make_ready(self, claim: Claim) -> None:
        """Its limits and its prompt. Raises NotClaimed; what became of them then is not known."""
        try:
            limits = claim.limits or self._parts.spec.limits
            if changes := resources(self._limits, limits):
                await self._api.change("POST", f"containers/{self.handle.id}/update", body=changes)
            self._limits = limits
            if claim.prompt != self._prompt:
                await self._deliver(claim.prompt)
                self._prompt = claim.prompt
        except (Refused, Unknown, DriverUnavailable, OSError) as error:
            raise NotClaimed(f"{self.handle.name} could not be made ready for its task: {error}") from error

    async def _deliver(self, prompt: str) -> None:
        """Put the prompt in the last one's place. Raises OSError."""
        if len(prompt) <= INLINE_PROMPT_BYTES:
            write_prompt(self._parts.spec.slot, prompt)
        else:
            await anyio.to_thread.run_sync(write_prompt, self._parts.spec.slot, prompt)

    async def _run(self, nonce: str, command: bytes, output: OutputSink) -> Execution:
        kills = self._parts.witness.oom_kills()
        try:
            self._parts.attachment.write(command)
        except DriverUnavailable as error:
            raise NotClaimed(f"{self.handle.name} had ended before its task; nothing ran") from error
        self.uses += 1
        hearing = Hearing(nonce, output)
        with anyio.CancelScope() as bound:
            await self._hear(hearing, bound)
        problem = self._judge(hearing, too_long=bound.cancelled_caught)
        if hearing.exit_code is None:
            raise Unknown(f"{self.handle.name} ended while its task ran ({problem})")
        now = self._parts.witness.oom_kills()
        return Execution(
            exit_code=hearing.exit_code,
            clean=not problem,
            problem=problem,
            oom_kills=None if kills is None or now is None else now - kills,
        )

    async def _hear(self, hearing: Hearing, bound: anyio.CancelScope) -> None:
        """Until the end of the task, and of the wipe, has been told on both streams; or until there is no more."""
        try:
            async for frame in self._parts.attachment:
                hearing.hear(frame.stream, frame.data)
                if hearing.is_done:
                    return
                if hearing.exit_code is not None and bound.deadline == float("inf"):
                    bound.deadline = anyio.current_time() + WIPE_S
        except (DriverUnavailable, ValueError) as error:
            hearing.problem = str(error)

    def _judge(self, hearing: Hearing, *, too_long: bool) -> str:
        """Why it cannot be used again; empty where all is proved."""
        if too_long:
            return f"what it left could not be removed within {WIPE_S:.0f} s"
        if not hearing.is_done:
            return hearing.problem or "its shell or the connection to it ended"
        try:
            return hearing.problem or self._parts.witness.look() or self._ground_problem()
        except OSError:
            return "its container ended"

    def _ground_problem(self) -> str:
        return self._parts.ground.restore() if self._parts.ground is not None else ""


class Hearing:
    """Listens to one task: tells its output, and keeps what the shell's marks say.

    Attributes:
        exit_code: told as soon as the task has ended and left something, else with the proof; None before.
        problem: what the shell could not prove; empty where it could.
    """

    def __init__(self, nonce: str, output: OutputSink) -> None:
        self.exit_code: int | None = None
        self.problem = ""
        self._output = output
        self._finders = {stream: MarkFinder(nonce) for stream in ("stdout", "stderr")}
        self._done: set[str] = set()

    @property
    def is_done(self) -> bool:
        """Both streams are at their end."""
        return len(self._done) == len(self._finders)

    def hear(self, stream: str, data: bytes) -> None:
        """Take in a piece of a stream. Raises ValueError: a mark that cannot be read."""
        for each in self._finders[stream].feed(data):
            if isinstance(each, Mark):
                self._note(stream, each)
            else:
                self._output(stream, each)
                if stream in self._done:
                    self.problem = "it wrote on after its end"

    def _note(self, stream: str, mark: Mark) -> None:
        if mark.word == "ended":
            self.exit_code = int(mark.rest)
        elif mark.word == "done":
            self._done.add(stream)
            if stream == "stdout":
                code, _, problem = mark.rest.partition(" ")
                self.exit_code = int(code)
                self.problem = problem or self.problem


def _drop(stream: str, data: bytes) -> None:
    """For what nobody wants to hear."""
