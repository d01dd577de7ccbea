"""What the driver contract suite needs to know of a driver: how to get one, and how to say what a task does."""

from __future__ import annotations

import hashlib
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from unittest import SkipTest

import anyio

from wavepool.drivers.base import AttemptSpec, Driver, Scope
from wavepool.labels import attempt_labels, container_name, task_key
from wavepool.model import AttemptId, Limits, Task
from wavepool.units import MIB

Argv = tuple[str, ...]

CLEANUP_DEADLINE_S = 120.0
"""How long a harness may take to remove what its test made."""


class Commands(ABC):
    """Command lines with a known behaviour, in the language of the driver under test."""

    @abstractmethod
    def exits(self, code: int) -> Argv:
        """Ends at once with `code`."""

    @abstractmethod
    def prints(self, stdout: bytes, stderr: bytes) -> Argv:
        """Writes both byte strings (each at most 4 KiB), then ends with 0."""

    @abstractmethod
    def sleeps(self, seconds: float, code: int = 0) -> Argv:
        """Ends after `seconds` with `code`; SIGTERM ends it at once."""

    @abstractmethod
    def ignores_term(self) -> Argv:
        """Writes ``ready`` and a newline once SIGTERM is ignored, then runs until it is killed."""

    @abstractmethod
    def kills_itself(self) -> Argv:
        """Sends SIGKILL to itself."""

    @abstractmethod
    def counts(self, file_name: str, seconds: float) -> Argv:
        """Leaves one more trace of an execution under `file_name` (see `DriverHarness.executions`), then sleeps."""

    @abstractmethod
    def shows_prompt(self) -> Argv:
        """Writes the bytes of the file that TASK_PROMPT_FILE names."""

    @abstractmethod
    def shows_env(self, name: str) -> Argv:
        """Writes the value of one variable, with nothing after it."""

    @abstractmethod
    def shows_secret(self, name: str) -> Argv:
        """Writes the bytes of the file `name` in WAVEPOOL_SECRETS_DIR."""

    @abstractmethod
    def shows_directory(self) -> Argv:
        """Writes the absolute path of the directory that it runs in, with nothing after it."""

    @abstractmethod
    def missing_program(self) -> Argv:
        """A program that does not exist."""

    @abstractmethod
    def not_executable(self) -> Argv:
        """A file that exists and may not be executed."""

    def oom(self) -> Argv | None:
        """The main process takes 64 MiB; None where the driver cannot enforce memory."""
        return None

    def child_oom(self) -> Argv | None:
        """A child takes 64 MiB, the main process then ends with 0; None where the driver cannot enforce memory."""
        return None


class ShellCommands(Commands):
    """The commands for anything that has ``sh``, ``cat``, ``sleep`` and ``dd`` (busybox is enough).

    `unexecutable` is the path, as the task sees it, of a file without the execute bit.
    """

    def __init__(self, *, unexecutable: str, enforces_memory: bool) -> None:
        self._unexecutable = unexecutable
        self._enforces_memory = enforces_memory

    def exits(self, code: int) -> Argv:
        return _sh(f"exit {code}")

    def prints(self, stdout: bytes, stderr: bytes) -> Argv:
        return _sh(f"printf '{_octal(stdout)}'; printf '{_octal(stderr)}' >&2")

    def sleeps(self, seconds: float, code: int = 0) -> Argv:
        return _sh(f"exec sleep {seconds}" if code == 0 else f"sleep {seconds}; exit {code}")

    def ignores_term(self) -> Argv:
        return _sh("trap '' TERM; echo ready; while :; do sleep 1; done")

    def kills_itself(self) -> Argv:
        return _sh("kill -KILL $$")

    def counts(self, file_name: str, seconds: float) -> Argv:
        return _sh(f'echo ran >> "$WAVEPOOL_WORKSPACE/{file_name}"; exec sleep {seconds}')

    def shows_prompt(self) -> Argv:
        return _sh('exec cat "$TASK_PROMPT_FILE"')

    def shows_env(self, name: str) -> Argv:
        return _sh(f'printf %s "${name}"')

    def shows_secret(self, name: str) -> Argv:
        return _sh(f'exec cat "$WAVEPOOL_SECRETS_DIR/{name}"')

    def shows_directory(self) -> Argv:
        return _sh('printf %s "$(pwd -P)"')

    def missing_program(self) -> Argv:
        return ("/no/such/program", "argument")

    def not_executable(self) -> Argv:
        return (self._unexecutable,)

    def oom(self) -> Argv | None:
        # dd reads whole blocks into one buffer and so touches all of it
        return _sh("exec dd if=/dev/zero of=/dev/null bs=64M count=2") if self._enforces_memory else None

    def child_oom(self) -> Argv | None:
        script = "dd if=/dev/zero of=/dev/null bs=64M count=2; exit 0"
        return _sh(script) if self._enforces_memory else None


class DriverHarness(ABC):
    """One driver under test, its backing world, and a fresh owner. Leaving it removes what its owners have.

    Attributes:
        root: an empty directory of this test; slots and the workspace lie in it.
        owner: a fresh owner; `other_owner` is another one.
        image: an image that exists (any text for drivers without images).
        missing_image: one that cannot be had; None for drivers without images.
        has_networks: False for drivers that have none.
        marks_slots: False for drivers that remember without a mark in the slot which attempts were started.
        patience_s: the bound of each test.
    """

    image = "none"
    missing_image: str | None = None
    has_networks = False
    marks_slots = True
    patience_s = 120.0
    commands: Commands

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspace = root / "workspace"
        self.workspace.mkdir()
        unexecutable = self.workspace / "not-executable"
        unexecutable.write_text("#!/bin/sh\n")
        unexecutable.chmod(0o644)
        self.owner = f"contract-{secrets.token_hex(6)}"
        self.other_owner = f"contract-{secrets.token_hex(6)}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        with anyio.move_on_after(CLEANUP_DEADLINE_S, shield=True):
            async with self.driver() as driver:
                for owner in (self.owner, self.other_owner):
                    await driver.remove(Scope(owner=owner))

    @abstractmethod
    def driver(self) -> Driver:
        """A new driver object on the same world: what a restarted process would make."""

    async def remove_as_stranger(self, spec: AttemptSpec) -> None:
        """Remove all that the driver knows of this attempt, running or not, behind its back; the slot stays."""
        raise SkipTest("this harness cannot remove anything behind its driver's back")

    def executions(self, spec: AttemptSpec, file_name: str) -> int:
        """How often the command `Commands.counts(file_name, ...)` of this spec has begun to run."""
        trace = self.workspace / file_name
        return len(trace.read_text().splitlines()) if trace.exists() else 0

    def spec(
        self,
        command: Argv | None,
        *,
        task_id: str = "",
        number: int = 1,
        run_id: str = "run-a",
        wave: int = 1,
        owner: str = "",
        prompt: str = "",
        env: Mapping[str, str] | None = None,
        secret_values: Mapping[str, bytes] | None = None,
        memory_bytes: int = 32 * MIB,
        image: str = "",
        detached: bool = False,
    ) -> AttemptSpec:
        """A complete spec with a fresh name (a fresh task id unless given) and an existing slot."""
        owner = owner or self.owner
        task_id = task_id or f"task-{secrets.token_hex(4)}"
        limits = Limits(memory_bytes=memory_bytes)
        task = Task(id=task_id, key=task_key(task_id), wave=wave, tier=1, limits=limits, command=command)
        spec_hash = hashlib.sha256(repr((command, prompt, env, image)).encode()).hexdigest()[:16]
        name = container_name(owner=owner, run_id=run_id, task_id=task_id, wave=wave, attempt=number)
        return AttemptSpec(
            attempt=AttemptId(task_id, number),
            owner=owner,
            run_id=run_id,
            wave=wave,
            name=name,
            image=image or self.image,
            command=command,
            env={"TASK_ID": task_id, **(env or {})},
            prompt=prompt,
            limits=limits,
            workspace=self.workspace,
            slot=self._slot(name),
            secrets=secret_values or {},
            labels=attempt_labels(
                owner=owner,
                run_id=run_id,
                task=task,
                attempt=number,
                spec_hash=spec_hash,
                detached=detached,
                lifetime_end_s=None,
            ),
            spec_hash=spec_hash,
        )

    def _slot(self, name: str) -> Path:
        slot = self.root / "slots" / name
        slot.mkdir(mode=0o755, parents=True, exist_ok=True)
        return slot


def _sh(script: str) -> Argv:
    return ("/bin/sh", "-c", script)


def _octal(data: bytes) -> str:
    return "".join(f"\\{byte:03o}" for byte in data)
