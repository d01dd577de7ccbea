"""A process of ours that ends orderly with us, also where we are killed: there is a guardian between us and it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import anyio

BOOT = "import sys; sys.path.append(sys.argv.pop(1)); import guardian; guardian.main()"
"""As `launch.BOOT`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How it ends where we are gone.

    Attributes:
        whole: all that it has ever started ends too, and its whole group is asked; else it alone is asked, and what
            has a session of its own stays.
        terms: how often it is asked by SIGTERM, before SIGKILL.
        patience_s: after each time.
    """

    whole: bool
    terms: int
    patience_s: float


class Guarded:
    """One such process, the leader of a session and a group of its own; made by `start`. A context manager.

    Attributes:
        pid: its number, and its group's; nobody else's until `close`.
        stdout, stderr: what Popen has of them.
        exit_code: below zero for a signal; None while it runs.
    """

    def __init__(self, guardian: subprocess.Popen[bytes], pid: int, life: int, told: IO[bytes]) -> None:
        self.pid = pid
        self.stdout, self.stderr = guardian.stdout, guardian.stderr
        self.exit_code: int | None = None
        self._guardian, self._told = guardian, told
        self._life: int | None = life

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def ended(self) -> int:
        """Its exit code, as soon as it has ended; its output may go on."""
        while self.exit_code is None:
            await anyio.wait_readable(self._told)
            self.exit_code = _exit_code(self._told.readline())
        return self.exit_code

    def signal(self, number: int) -> None:
        """To it alone. Nothing happens where it has been closed, or has ended."""
        if self._life is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)

    def signal_group(self, number: int) -> None:
        """To all of its group."""
        if self._life is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def close(self) -> None:
        """End what there still is of it, as `Ending.whole` says: SIGKILL for its group at once. Safe to repeat.

        Blocks until that has ended.
        """
        if self._life is None:
            return
        self.signal_group(signal.SIGKILL)
        os.close(self._life)
        self._life = None
        with self._told:
            if self.exit_code is None:
                self.exit_code = _exit_code(self._told.readline())
        self._guardian.wait()


def start(
    command: Sequence[str],
    *,
    ending: Ending,
    stdin: int,
    stdout: int,
    stderr: int,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Guarded:
    """Start it; returns when it is executed, some 30 ms later. The arguments are those of Popen.

    Raises:
        OSError, ValueError: as Popen.
    """
    with contextlib.ExitStack() as ours:
        life_read, life = os.pipe()
        ours.callback(os.close, life)
        told_read, told_write = os.pipe()
        told = ours.enter_context(os.fdopen(told_read, "rb", buffering=0))
        with contextlib.ExitStack() as theirs:
            theirs.callback(os.close, life_read)
            theirs.callback(os.close, told_write)
            how = (str(life_read), str(told_write), str(int(ending.whole)), str(ending.terms), str(ending.patience_s))
            boot = (sys.executable, "-I", "-S", "-X", "utf8", "-c", BOOT, str(Path(__file__).parent))
            guardian = subprocess.Popen(
                [*boot, *how, *command],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
                pass_fds=(life_read, told_write),
            )
        word, _, number = told.readline().partition(b" ")
        if word == b"error":
            _give_up(guardian)
            raise _as_popen(int(number), command[0])
        if not word.strip().isdigit():
            _give_up(guardian)
            raise OSError(0, "its guardian ended")
        ours.pop_all()
    return Guarded(guardian, int(word), life, told)


def _give_up(guardian: subprocess.Popen[bytes]) -> None:
    for stream in (guardian.stdout, guardian.stderr):
        if stream is not None:
            stream.close()
    guardian.kill()
    guardian.wait()


def _as_popen(number: int, name: str) -> OSError:
    return OSError(number, os.strerror(number), name)


def _exit_code(line: bytes) -> int:
    """Where the guardian itself was killed, the command was with it."""
    _, _, status = line.partition(b" ")
    return int(status) if status else -signal.SIGKILL
