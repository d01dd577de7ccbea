"""What a kind of workspace is. One object serves one run; every method may be repeated, also by another process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from wavepool.model import AttemptId, Changes, Mount, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one attempt works.

    Attributes:
        directory: of the host, seen inside at /workspace.
        mounts: what it needs beside that; read-only.
        env: variables that make git work in it.
        user: ``uid:gid`` that it must run as; None for the owner of `directory`.
    """

    directory: Path
    mounts: tuple[Mount, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None


class Sealed(Protocol):
    """Runs a program where a task ran: in a container of the task's image without any network, or, where there are no
    containers, as a process. For what may not run on the host: git on a directory whose settings an agent wrote.
    """

    async def __call__(
        self, task: Task, attempt: AttemptId, argv: Sequence[str], *, place: Place, output: Path, timeout_s: float
    ) -> int:
        """Run `argv` in `place`; its exit code. `output` is an empty directory of the host, seen inside at /output
        (the variable WAVEPOOL_OUTPUT names it).

        Raises:
            InfrastructureError: it could not be run, or did not end in time.
        """


class Workspaces(ABC):
    """The workspaces of one run."""

    @abstractmethod
    async def check(self) -> None:
        """Look whether this kind can be had here, before anything is started.

        Raises:
            InputError: it is no git repository, has no commit, or what else is wrong, and what to do.
        """

    @abstractmethod
    async def obtain(self, task: Task, attempt: AttemptId) -> Place:
        """Make the workspace of an attempt, or find the one that was made for it before.

        Raises:
            WorkspaceError: it cannot be made.
        """

    @abstractmethod
    async def bring_back(self, task: Task, attempt: AttemptId, sealed: Sealed) -> Changes | None:
        """What the ended attempt changed; on a branch and in a patch. None where this kind brings nothing back.

        What cannot be brought back is told in the result, never raised.
        """

    @abstractmethod
    async def release(self, task: Task, attempt: AttemptId) -> None:
        """Remove the workspace, once its changes are back; what did not come back is saved as a patch first.

        Raises:
            WorkspaceError: it cannot be removed; it stays as it is.
        """
