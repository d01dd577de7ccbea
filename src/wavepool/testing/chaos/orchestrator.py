"""One `wavepool` command under way: a real process, with its streams in files, so that no output is too much."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import anyio
from anyio.abc import Process

POLL_S = 0.02
STDERR_SHOWN = 2000
"""Characters of a command's stderr that a report repeats."""


class TookTooLong(AssertionError):
    """A command, or what was waited for, is over its deadline."""


class Orchestrator:
    """One command. Make it with `launch`; end it with `kill`, or wait with `finish`.

    Attributes:
        stdout, stderr: the files that its streams go to.
    """

    def __init__(self, process: Process, stdout: Path, stderr: Path) -> None:
        self._process = process
        self.stdout = stdout
        self.stderr = stderr

    @classmethod
    async def launch(
        cls, command: Sequence[str], *, directory: Path, name: str, env: Mapping[str, str], cwd: Path
    ) -> Orchestrator:
        """Start it. Its streams go to files called `name` in `directory`."""
        stdout, stderr = directory / f"{name}.out", directory / f"{name}.err"
        with stdout.open("wb") as out, stderr.open("wb") as err:
            process = await anyio.open_process(
                command, stdin=DEVNULL, stdout=out, stderr=err, env=env, cwd=cwd, start_new_session=True
            )
        return cls(process, stdout, stderr)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; below zero for a signal."""
        return self._process.returncode

    def send(self, number: int) -> None:
        """Send a signal to it alone; harmless where it has ended."""
        if self._process.returncode is None:
            os.kill(self._process.pid, number)

    async def kill(self) -> bool:
        """SIGKILL, and wait for its end. False where it had ended by itself."""
        self.send(signal.SIGCONT)
        self.send(signal.SIGKILL)
        await self._process.wait()
        return self._process.returncode == -signal.SIGKILL

    async def finish(self, deadline_s: float) -> int:
        """Wait for its end; its exit code.

        Raises:
            TookTooLong: it was killed at the deadline.
        """
        with anyio.move_on_after(deadline_s):
            return await self._process.wait()
        await self.kill()
        raise TookTooLong(f"a command took more than {deadline_s:.0f} s; its last words: {self.last_words()}")

    async def ended_within(self, patience_s: float) -> bool:
        """Wait so long at most; True where it has ended."""
        with anyio.move_on_after(patience_s):
            await self._process.wait()
        return self._process.returncode is not None

    async def until(self, condition: Callable[[], bool], what: str, deadline_s: float) -> bool:
        """Wait until `condition` holds; False where the command ended before.

        Raises:
            TookTooLong: neither came.
        """
        with anyio.move_on_after(deadline_s):
            while not condition():
                if self._process.returncode is not None:
                    return condition()
                await anyio.sleep(POLL_S)
            return True
        raise TookTooLong(f"not within {deadline_s:.0f} s: {what}")

    def result(self) -> dict[str, Any]:
        """Its stdout as the JSON object that it must be, or the last of its lines."""
        text = self.stdout.read_bytes()
        try:
            found: dict[str, Any] = json.loads(text)
        except ValueError:
            found = json.loads(text.splitlines()[-1])
        return found

    def last_words(self) -> str:
        """The end of its stderr."""
        return self.stderr.read_text("utf-8", "replace")[-STDERR_SHOWN:].strip()
