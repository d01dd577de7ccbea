"""The optional powers behind warm pools: containers that are started ahead, and told later what to run.

A parked container was started and runs its image's shell, which reads from stdin over one connection that this driver
holds. Its claim sends one compound command; then the shell *becomes* the task, so that its exit code, output, memory
kill and events are those of a container that was started cold. Each is used once. Where this process dies, those that
were not claimed read the end of their stdin and end by themselves; those that were go on.

What ran is told by the start mark. The command leaves it in the slot when all that can fail is done, directly before
the shell becomes the task: a container without a mark never ran one, whatever its exit code. Where a driver cannot tell
a mark that was never made from one that was lost, it says `Unknown`, or `MayHaveRun`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from wavepool.drivers.base import AttemptSpec, Handle
from wavepool.model import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a parked container is told to run.

    Attributes:
        command: argv, not empty; None for the image's own entrypoint.
        env: variables over those that it was parked with. Names are shell names (``[A-Za-z_][A-Za-z0-9_]*``).
        secrets: name -> value; each becomes /run/secrets/<name> (mode 0400) on a tmpfs of the container's own. They
            travel over stdin: no argv, environment, label or file of the host ever holds them.
        prompt: delivered byte for byte as the file that TASK_PROMPT_FILE names.
        limits: other limits than it was parked with (resized before the command is sent); None for the same.
        directory: where it runs inside; empty for /workspace.
    """

    command: tuple[str, ...] | None
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    prompt: str = ""
    limits: Limits | None = None
    directory: str = ""


class SupportsParking(ABC):
    """A driver that can park. What is parked is watched, read, measured, stopped and removed by its handle as usual.

    A watch tells a parked container as CREATED until it is claimed, and then as RUNNING or with its ending, whose
    `started_at` is the time of its start mark. One that ended unclaimed stays CREATED for a watch; its log ends.
    """

    @abstractmethod
    async def park(self, spec: AttemptSpec) -> Handle:
        """Start the container of `spec` up to where its command would run.

        With `spec.late` its command, secrets and prompt are empty, and `claim` tells them; /workspace is the directory
        `work` of the slot unless the spec mounts another one. Without, `Driver.start` of the same spec claims it: that
        is a start like any other, at most once ever.

        Raises:
            CannotPark: it never can be with this image (no shell) or this engine (remote): start it cold.
            NotStarted: it could not be started now, or it runs, or ran, already.
            MayHaveRun: an earlier container of it was parked, and what would show that it never ran is gone.
            Unknown: the call was cut off; `Driver.remove` takes away what came of it.
            DriverUnavailable: the engine cannot be reached.
        """

    @abstractmethod
    async def claim(self, handle: Handle, claim: Claim) -> None:
        """Send the command, and return as soon as its start mark is seen. At most once for a handle.

        Raises:
            NotClaimed: it is certain that nothing ran, and that nothing will. Either nothing was sent (it is not parked
                here any more, could not be resized, or its prompt could not be written; its stdin is closed then), or
                it had ended, or was stopped by us because it did not answer.
            Unknown: it cannot be said whether it ran.
            InputError: the claim cannot be told to a shell (a variable's name, a NUL), or says nothing to run; nothing
                was sent, and it is parked as before.
        """

    @abstractmethod
    async def unpark(self, handle: Handle) -> None:
        """Close its stdin: unclaimed, it ends by itself. Safe to repeat; `Driver.remove` is still to be called."""

    @abstractmethod
    def is_parked(self, handle: Handle) -> bool:
        """True while this driver holds the connection of an unclaimed container, as far as it knows. Asks nobody."""

    @abstractmethod
    def claimed_at(self, slot: Path) -> datetime | None:
        """When the task of this slot's container began; None where there is no start mark.

        That it never ran is proven by this only once its container has ended, and while its slot is as it was left.
        """


class OutputSink(Protocol):
    """Called with each piece of output (`stream` is ``stdout`` or ``stderr``, `data` never empty). Must not block."""

    def __call__(self, stream: str, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One task in a reused container.

    Attributes:
        exit_code: of the command; 128 + N where signal N ended it.
        clean: the proof afterwards held: no process but the shell, nothing left in any place that it could write to
            (but those that are shared), and the shell as it was.
        problem: why it is not clean.
        oom_kills: how many processes of the container the kernel killed for memory meanwhile; None where not counted.
    """

    exit_code: int
    clean: bool
    problem: str = ""
    oom_kills: int | None = None


class ReusableContainer(ABC):
    """A container that runs one task after the other, of one trust domain. Closed and removed by its owner.

    Attributes:
        handle: leads to the container as any handle does.
        uses: how many tasks it was given.
    """

    handle: Handle
    uses: int

    @abstractmethod
    async def execute(self, claim: Claim, output: OutputSink) -> Execution:
        """Run one task, wipe what it left, and prove it. All of its output is told before this returns.

        Where the caller is cancelled the container is spoilt: close and remove it.

        Raises:
            InputError: secrets (what one task learns it can leave for the next), or what cannot be told to a shell.
            NotClaimed: nothing ran, and nothing will: the container had ended before, was spoilt by the task before, or
                could not be made ready (limits, prompt).
            Unknown: the container ended, or its connection was cut, while the task ran.
            InvariantBroken: it runs another task.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close its connection: it ends by itself. Safe to repeat; `Driver.remove` is still to be called."""


class SupportsReuse(ABC):
    """A driver whose containers may run several tasks, one after the other."""

    @abstractmethod
    async def open_reusable(self, spec: AttemptSpec) -> ReusableContainer:
        """Start a container for many tasks; the spec is `late`. `Driver.remove` takes away what comes of a failure.

        Raises:
            InputError: the spec has what reuse could not keep its promise for (a writable root, root, secrets).
            CannotPark: it never can be with this image or this engine; the container was seen to run on, or its shell
                to say so itself.
            NotStarted: it could not be opened now. `transient` where it ended at its start: another may do better.
            Unknown: the call was cut off, or the shell does not answer.
            DriverUnavailable: the engine cannot be reached.
        """
