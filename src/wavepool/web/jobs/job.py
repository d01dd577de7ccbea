"""One job: a verb that runs, or that has ended, with what it wrote."""

from __future__ import annotations

from datetime import UTC, datetime

import anyio

from wavepool.web.jobs.output import Output
from wavepool.web.jobs.process import PATIENCE_S, VerbProcess

STDOUT_BYTES = 4 << 20
STDERR_BYTES = 1 << 20
"""Kept of each stream, the newest."""

HURRY_S = 1.0
"""As `PATIENCE_S`, where we end ourselves."""


class Job:
    """What is known of it. Its arguments are not: a prompt or a variable may be among them.

    Attributes:
        id: of letters and digits.
        verb: as in ``pool run``.
        started_at, ended_at: in UTC; None while it runs.
        exit_code: of its process, below zero for a signal; None while it runs.
        cancelled: somebody asked for its end.
        ended: set at its end.
        stdout, stderr: what it wrote.
    """

    def __init__(self, job_id: str, verb: str, process: VerbProcess) -> None:
        self.id = job_id
        self.verb = verb
        self.started_at = datetime.now(UTC)
        self.ended_at: datetime | None = None
        self.exit_code: int | None = None
        self.ended = anyio.Event()
        self.stdout = Output(STDOUT_BYTES)
        self.stderr = Output(STDERR_BYTES)
        self._process = process
        self._asked = anyio.Event()
        self._hurried = anyio.Event()

    @property
    def cancelled(self) -> bool:
        return self._asked.is_set()

    @property
    def state(self) -> str:
        """running, stopping, succeeded, failed or cancelled."""
        if self.exit_code is None:
            return "stopping" if self.cancelled else "running"
        if self.cancelled:
            return "cancelled"
        return "failed" if self.exit_code else "succeeded"

    @property
    def kept_bytes(self) -> int:
        """What it takes in memory."""
        return self.stdout.kept + self.stderr.kept

    def cancel(self, *, hurry: bool = False) -> None:
        """Ask for its end, as Ctrl-C does; returns at once. Nothing happens to one that has ended.

        It has `PATIENCE_S` for ending well, and once more for stopping what it has at work; with `hurry` `HURRY_S`.
        """
        if not self.ended.is_set():
            self._asked.set()
            if hurry:
                self._hurried.set()

    async def attend(self) -> None:
        """To its end; one that is cancelled is asked, asked again, and killed."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._end_when_asked)
            exit_code = await self._process.attend(self.stdout, self.stderr)
            group.cancel_scope.cancel()
        self.exit_code, self.ended_at = exit_code, datetime.now(UTC)
        self.ended.set()

    async def _end_when_asked(self) -> None:
        await self._asked.wait()
        for end in (self._process.terminate, self._process.terminate, self._process.kill):
            end()
            with anyio.move_on_after(PATIENCE_S):
                await self._hurried.wait()
                await anyio.sleep(HURRY_S)
