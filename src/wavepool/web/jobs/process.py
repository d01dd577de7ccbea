"""A verb of the command line as a process of ours: read, waited for, and ended whole, also where we are killed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio

from wavepool.drivers.process import guarded
from wavepool.drivers.process.guarded import Ending, Guarded
from wavepool.errors import InfrastructureError, InputError
from wavepool.web.jobs.output import Output

PATIENCE_S = 5.0
"""For ending well, and then once more for ending at all."""

REST_S = 1.0
"""How long what the verb has left in sessions of their own may go on writing into our pipes; then nobody reads."""

_READ_BYTES = 1 << 16


class VerbProcess:
    """One process, the leader of its own session and process group; made by `start`. Should we be killed, it ends as a
    cancelled job does."""

    def __init__(self, process: Guarded) -> None:
        self._process = process

    async def attend(self, stdout: Output, stderr: Output) -> int:
        """Read it to its end; returns its exit code, below zero for a signal. Never cancelled half way.

        What it has left in its process group is killed then.
        """
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as group:
                group.start_soon(self._read, self._process.stdout, stdout)
                group.start_soon(self._read, self._process.stderr, stderr)
                exit_code = await self._process.ended()
                await anyio.to_thread.run_sync(self._process.close, limiter=anyio.CapacityLimiter(1))
                group.cancel_scope.deadline = anyio.current_time() + REST_S
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        return exit_code

    def terminate(self) -> None:
        """As the Ctrl-C of a person: the first lets it end well, the second hurries it."""
        self._process.signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, with its process group."""
        self._process.signal_group(signal.SIGKILL)

    async def _read(self, stream: object, output: Output) -> None:
        descriptor = stream.fileno()  # type: ignore[attr-defined]  # a pipe, as Popen was asked for
        os.set_blocking(descriptor, False)
        while True:
            await anyio.wait_readable(descriptor)
            try:
                data = os.read(descriptor, _READ_BYTES)
            except BlockingIOError:
                continue
            if not data:
                return
            output.add(data)


def start(command: Sequence[str], *, given: bytes, env: Mapping[str, str], directory: Path | None) -> VerbProcess:
    """Start it, with `given` on stdin. Blocks until it is executed.

    Raises:
        InputError: its arguments, variables or directory cannot be.
        InfrastructureError: no process can be made.
    """
    stdin = os.memfd_create("stdin", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(stdin), "wb") as file:
            file.write(given)
        os.lseek(stdin, 0, os.SEEK_SET)
        process = guarded.start(
            command,
            ending=Ending(whole=False, terms=2, patience_s=PATIENCE_S),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=directory,
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise InputError(f"nothing can be started in {directory}: {error.strerror}") from error
    except (ValueError, UnicodeError) as error:
        raise InputError(f"these arguments or variables cannot be given to a program: {error}") from error
    except OSError as error:
        if error.errno == 7:  # E2BIG
            raise InputError("there are more arguments and variables than Linux gives to a program") from error
        raise InfrastructureError(f"no process can be started: {error.strerror}") from error
    finally:
        os.close(stdin)
    return VerbProcess(process)
