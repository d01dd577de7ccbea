"""All jobs: any verb of the command line, each in a process of its own that ends with us."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from wavepool.errors import InputError, shorten
from wavepool.inputs.environment import string_problem, value_problem, variable_problem
from wavepool.monitoring.verbs import COMMAND, OURS_ALONE
from wavepool.web.jobs import process
from wavepool.web.jobs.job import Job
from wavepool.web.jobs.refused import check_arguments

RUNNING_MAX = 8
"""At once; one more is refused."""

KEPT_MAX = 100
KEPT_BYTES = 64 << 20
"""Jobs that have ended, and what they wrote: beyond either the oldest are forgotten."""

STATE_DIR = "WAVEPOOL_STATE_DIR"


class UnknownJob(InputError):
    """There is no such job, or it has been forgotten."""

    code = "unknown_job"


class TooManyJobs(InputError):
    """As many run as may."""

    code = "too_many_jobs"


class Jobs:
    """The jobs of one server; made by `open_jobs`. For one event loop.

    Args:
        state_dir: what they work with unless an argument says otherwise.
        group: where they are attended to.
        command: what their arguments follow.
        environ: variables of all of them.
    """

    def __init__(
        self,
        state_dir: Path,
        group: TaskGroup,
        *,
        command: Sequence[str] = COMMAND,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        inherited = os.environ if environ is None else environ
        self._environ = {name: value for name, value in inherited.items() if name not in OURS_ALONE}
        self._environ[STATE_DIR] = str(state_dir)
        self._command = tuple(command)
        self._group = group
        self._jobs: dict[str, Job] = {}
        self._starting = 0

    def all(self) -> list[Job]:
        """Those that run, and those that ended and are not forgotten; the newest first."""
        return list(reversed(self._jobs.values()))

    def get(self, job_id: str) -> Job:
        """Raises UnknownJob."""
        found = self._jobs.get(job_id)
        if found is None:
            raise UnknownJob(
                f"there is no job {shorten(job_id)}",
                advice=f"The newest {KEPT_MAX} are kept, until this server ends: GET /api/jobs lists them.",
            )
        return found

    @property
    def running(self) -> int:
        """How many have not ended."""
        return self._starting + sum(not job.ended.is_set() for job in self._jobs.values())

    async def start(
        self,
        arguments: Sequence[str],
        *,
        given: bytes = b"",
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> Job:
        """Start one.

        Args:
            arguments: what stands behind `wavepool`.
            given: its stdin.
            environment: variables over those of this process; what only its process may see.
            directory: where it works; where this process does unless told.

        Raises:
            InputError: it is refused, or cannot be started so.
            TooManyJobs: `RUNNING_MAX` run.
            InfrastructureError: no process can be made.
        """
        check_arguments(arguments)
        _check_texts(arguments, environment or {})
        if self.running >= RUNNING_MAX:
            raise TooManyJobs(f"{RUNNING_MAX} jobs run, and no more do at once", advice="Wait for one, or cancel one.")
        env = {**self._environ, **(environment or {})}
        self._starting += 1
        try:
            started = await anyio.to_thread.run_sync(
                lambda: process.start([*self._command, *arguments], given=given, env=env, directory=directory)
            )
        finally:
            self._starting -= 1
        job = Job(secrets.token_hex(6), _verb(arguments), started)
        self._jobs[job.id] = job
        self._group.start_soon(self._attend, job)
        return job

    def cancel_all(self) -> None:
        """Ask for the end of all that run, soon."""
        for job in self._jobs.values():
            job.cancel(hurry=True)

    async def _attend(self, job: Job) -> None:
        with anyio.CancelScope(shield=True):  # a process of ours is never left alone
            await job.attend()
        self._forget()

    def _forget(self) -> None:
        ended = [job for job in self._jobs.values() if job.ended.is_set()]
        kept_bytes = sum(job.kept_bytes for job in ended)
        while len(ended) > KEPT_MAX or kept_bytes > KEPT_BYTES:
            oldest = ended.pop(0)
            kept_bytes -= oldest.kept_bytes
            del self._jobs[oldest.id]


@asynccontextmanager
async def open_jobs(
    state_dir: Path, *, command: Sequence[str] = COMMAND, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Jobs]:
    """Jobs inside the block. At its end those that run are ended, within some three seconds."""
    async with anyio.create_task_group() as group:
        jobs = Jobs(state_dir, group, command=command, environ=environ)
        try:
            yield jobs
        finally:
            jobs.cancel_all()


def _verb(arguments: Sequence[str]) -> str:
    of_its_own = arguments[0] in ("pool", "image", "stack") and len(arguments) > 1 and arguments[1].isalpha()
    return " ".join(arguments[: 2 if of_its_own else 1])


def _check_texts(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    for number, argument in enumerate(arguments):
        problem = _unsayable(argument) or string_problem(argument)
        if problem is not None:
            raise InputError(f"argument {number} of the job: expected {problem}")
    for name, value in environment.items():
        problem = variable_problem(name) or _unsayable(value) or value_problem(name, value)
        if problem is not None:
            raise InputError(f"variable {shorten(name)} of the job: expected {problem}")


def _unsayable(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return "text without half of a surrogate pair"
    return None
