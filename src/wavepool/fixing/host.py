"""A check on this host: a process group of its own, ended when it lasts too long, writes too much, or on Ctrl-C.

With it ends all that it has started, wherever that went: there is a guardian between us and it, to which orphans fall.
So it ends too where we are killed.

What it writes goes into `Spool`s as fast as it comes, and is read behind that: neither waits for the other, and what
floods its output is ended in the time that the flood takes to reach the limit.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import anyio.lowlevel
import anyio.to_thread

from wavepool.drivers.process import guarded
from wavepool.drivers.process.guarded import Ending, Guarded
from wavepool.engine.signals import forward_interrupts
from wavepool.errors import CheckError, InfrastructureError, InputError, first_of_ours
from wavepool.fixing.checks import PROGRESS_S, Check, Ended, Interrupted, Tell
from wavepool.fixing.holders import end_holders
from wavepool.fixing.reading import CheckReading, CheckStreams, progress_words, quoted
from wavepool.fixing.spool import Spool
from wavepool.units import format_duration, human_size

_GET_IT = "Install it, correct its name, or give its path; what only a shell knows needs --shell."
GRACE_S = 5.0
"""Between SIGTERM and SIGKILL."""
DRAIN_S = 2.0
"""How long after its end what it left running may go on writing, before that is ended."""
PUMP_BYTES = 1 << 20
"""The pipes' size where the kernel lets us, and what is taken out of them at once."""


async def run_on_host(check: Check, reading: CheckReading, tell: Tell = lambda text: None) -> Ended:
    """Run the check to its end, and read all that it writes. Only in the main thread: signals are ours meanwhile.

    Args:
        reading: takes its output, to the end.
        tell: is given a line of progress every `PROGRESS_S` seconds.

    Raises:
        InputError: there is no such command, or it cannot be executed.
        CheckError: it was ended, by us or by others.
        Interrupted: the user ended it.
    """
    with CheckStreams(reading) as streams:
        run = _HostRun(check, reading, streams, tell)
        try:
            return await run.to_its_end()
        except BaseExceptionGroup as errors:
            raise first_of_ours(errors) from errors


class _HostRun:
    """One check under way."""

    def __init__(self, check: Check, reading: CheckReading, streams: CheckStreams, tell: Tell) -> None:
        self._check = check
        self._reading = reading
        self._streams = streams
        self._tell = tell
        self._written = anyio.Event()
        self._pumping = anyio.CancelScope()
        self._flowing = True
        self._began_s = time.monotonic()
        self._notices: list[str] = []

    async def to_its_end(self) -> Ended:
        async with anyio.create_task_group() as group:
            group.start_soon(forward_interrupts, self._interrupt)
            await anyio.lowlevel.checkpoint()  # it listens before there is anything to be ended
            exit_code = await self._run()
            group.cancel_scope.cancel()
        await anyio.to_thread.run_sync(self._reading.end)
        return Ended(
            exit_code=exit_code,
            took_s=time.monotonic() - self._began_s,
            output_bytes=self._streams.size_bytes,
            last_words=self._streams.last_words(),
            where="host",
            notices=tuple(self._notices),
        )

    async def _run(self) -> int:
        with _pipes() as (reads, writes), self._process(reads, writes) as process:
            async with anyio.create_task_group() as beside:
                beside.start_soon(self._progress)
                async with anyio.create_task_group() as group:
                    group.start_soon(self._pump_both, reads)
                    group.start_soon(self._wait, process, reads)
                    group.start_soon(self._read)
                beside.cancel_scope.cancel()
        return await process.ended()

    def _interrupt(self, _force: bool) -> None:
        raise Interrupted

    @contextmanager
    def _process(self, reads: tuple[int, int], writes: tuple[int, int]) -> Iterator[Guarded]:
        """The process. At the end nothing is left of it, and nobody holds its output."""
        with contextlib.ExitStack() as closing:
            for end in writes:
                closing.callback(os.close, end)
            process = self._start(*writes)
        try:
            yield process
        finally:
            process.close()
            end_holders(reads)

    def _start(self, stdout: int, stderr: int) -> Guarded:
        try:
            return guarded.start(
                self._check.argv,
                ending=Ending(whole=True, terms=1, patience_s=GRACE_S),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=self._check.workspace,
            )
        except OSError as error:
            raise _cannot_start(self._check, error) from None

    async def _wait(self, process: Guarded, reads: tuple[int, int]) -> None:
        """Let it end, or end it; and see that its output comes to its end too."""
        with anyio.move_on_after(self._check.timeout_s) as scope:
            await process.ended()
        if scope.cancelled_caught:
            with anyio.move_on_after(GRACE_S):
                process.signal_group(signal.SIGTERM)
                await process.ended()
            await self._end_rest(process, reads)
            raise self._cut_off(
                f"did not end within {format_duration(self._check.timeout_s)}",
                "Give it more time with --check-timeout.",
            )
        if not await self._drained():
            held_by = await self._end_rest(process, reads)
            self._notices.append(f"the check ended, and left what held its output open: ended too: {held_by}")
            if not await self._drained():
                self._pumping.cancel()

    async def _drained(self) -> bool:
        """Whether its output comes to its end within a while."""
        with anyio.move_on_after(DRAIN_S):
            while self._flowing:
                await self._written.wait()
        return not self._flowing

    async def _end_rest(self, process: Guarded, reads: tuple[int, int]) -> str:
        """End its group, and whoever else holds its output; the names of the latter."""
        held_by = await anyio.to_thread.run_sync(end_holders, reads)
        process.signal_group(signal.SIGKILL)
        return ", ".join(held_by) or "nobody that may be ended"

    async def _pump_both(self, reads: tuple[int, int]) -> None:
        try:
            with self._pumping:
                async with anyio.create_task_group() as group:
                    for end, name in zip(reads, ("stdout", "stderr"), strict=True):
                        group.start_soon(self._pump, end, self._streams.spools[name])
        finally:
            self._flowing = False
            self._notify()

    async def _pump(self, pipe: int, spool: Spool) -> None:
        while True:
            await anyio.wait_readable(pipe)
            data = os.read(pipe, PUMP_BYTES)
            if not data:
                break
            spool.append(data)
            if self._streams.size_bytes > self._check.output_limit_bytes:
                limit = human_size(self._check.output_limit_bytes)
                raise self._cut_off(
                    f"wrote more than {limit}", "Have it write less, or allow more with --output-limit."
                )
            self._notify()

    async def _read(self) -> None:
        """Read behind the pumps, to the end of both."""
        while True:
            ended, written = not self._flowing, self._written
            if await anyio.to_thread.run_sync(self._streams.read_piece):
                continue
            if ended:
                return
            await written.wait()

    def _notify(self) -> None:
        self._written.set()
        self._written = anyio.Event()

    async def _progress(self) -> None:
        while True:
            await anyio.sleep(PROGRESS_S)
            self._tell(progress_words(self._check.shown, self._began_s, self._streams.size_bytes, self._reading.errors))

    def _cut_off(self, what: str, advice: str) -> CheckError:
        return CheckError(
            f"the check `{quoted(self._check.shown)}` {what} and was ended: what it has told so far proves nothing",
            advice=advice,
            last_words=self._streams.last_words(),
        )


@contextmanager
def _pipes() -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """(ends to read, ends to write) of two pipes. The read ends are closed at the end, the others by the caller."""
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    try:
        for end in (out_read, err_read):
            with contextlib.suppress(OSError):  # above what this user may have in pipes: the usual size does
                fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, PUMP_BYTES)
        yield (out_read, err_read), (out_write, err_write)
    finally:
        os.close(out_read)
        os.close(err_read)


def _cannot_start(check: Check, error: OSError) -> Exception:
    name = check.argv[0]
    found = shutil.which(name) if "/" not in name else str(check.workspace / name)
    if isinstance(error, FileNotFoundError) and (found is None or not os.path.lexists(found)):
        where = "in no directory of PATH" if "/" not in name else f"not there, seen from {check.workspace}"
        return InputError(f"--command: cannot run {name}: it is {where}", advice=_GET_IT)
    if isinstance(error, FileNotFoundError):
        return InputError(
            f"--command: cannot run {name}: the interpreter that its first line names is not there",
            advice="Name the interpreter in the command, as in `python3 tool.py`.",
        )
    if isinstance(error, PermissionError):
        return InputError(
            f"--command: cannot run {name}: it is not executable",
            advice=f"`chmod +x` it, or name its interpreter in the command, as in `sh {name}`.",
        )
    if error.errno == errno.ENOEXEC:
        return InputError(
            f"--command: cannot run {name}: it is no program, and has no first line such as #!/bin/sh",
            advice=f"Name its interpreter in the command, as in `sh {name}`.",
        )
    if error.errno == errno.E2BIG:
        return InputError("--command: it is longer than the system can carry", advice="Put it into a script.")
    return InfrastructureError(f"the check `{quoted(check.shown)}` cannot be started: {error.strerror or error}")
