"""Whoever reads what a command writes: gone in the middle, or never there."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import sys
from typing import Any

import anyio
import typer
from typer.core import TyperGroup

from wavepool.errors import InfrastructureError, UserInterrupt
from wavepool.listeners.lines import swallow_rest

CLOSED_PIPE = 141
"""What a shell says of a command that SIGPIPE ended (128 + 13), so that it is taken for no outcome of ours."""

INTERRUPTED = UserInterrupt.exit_code
"""Also of a command that has a result, or more to say than that it was interrupted."""

STDOUT, STDERR = 1, 2


class Verbs(TyperGroup):
    """All verbs. One whose reader has gone ends without a word, with `CLOSED_PIPE`, unless it has a code of its own."""

    def invoke(self, ctx: Any) -> Any:
        """The verb that was asked for, and all that it said flushed. Raises what it raises, Exit, or UserInterrupt."""
        try:
            try:
                result = super().invoke(ctx)
            except typer.Exit:
                sys.stdout.flush()
                raise
            sys.stdout.flush()
        except KeyboardInterrupt as error:
            raise UserInterrupt("interrupted") from error
        except BrokenPipeError as error:
            swallow_rest(sys.stdout)
            raise typer.Exit(CLOSED_PIPE) from error
        return result


def write_all(descriptor: int, data: bytes) -> None:
    """Write output byte for byte; waits for its reader, also where the caller made the stream one that does not wait.

    Raises:
        BrokenPipeError: nobody reads it any more.
        InfrastructureError: it cannot be written, as on a full disk.
    """
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
        except BrokenPipeError:
            raise
        except OSError as error:
            raise InfrastructureError(f"its output cannot be written: {error.strerror}") from error


async def until_gone(*descriptors: int) -> None:
    """Return as soon as nobody reads any of these any more; never where one leads to a file or to nowhere.

    A pipe, a socket or a terminal is told of at once, also while nothing is written into it. Copies are watched: who
    writes may find first that the reader has gone, and lead the descriptor itself nowhere (`swallow_rest`).
    """
    with contextlib.ExitStack() as stack:
        copies = [os.dup(descriptor) for descriptor in descriptors]
        for copy in copies:
            stack.callback(os.close, copy)
        for copy in copies:
            await _until_hang_up(copy)


async def _until_hang_up(descriptor: int) -> None:
    with select.epoll() as watch:
        try:
            watch.register(descriptor, 0)  # errors and hang-ups alone, which are told unasked
        except OSError:  # a file, which never hangs up
            await anyio.sleep_forever()
        await anyio.wait_readable(watch.fileno())


def open_missing_streams() -> None:
    """Lead nowhere what the caller has closed (``>&-``): else a journal may become what is written to as stdout."""
    for descriptor, flags in ((0, os.O_RDONLY), (STDOUT, os.O_WRONLY), (STDERR, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            nowhere = os.open(os.devnull, flags)  # the lowest that is free: this one
            os.set_inheritable(nowhere, True)
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115  open to the end
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  open to the end
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115  open to the end


def is_refused_output(error: BaseException) -> bool:
    """Whether a stream takes no more, as on a full disk. An error of a file that was opened by us has its name."""
    return isinstance(error, OSError) and error.filename is None and error.errno in _NO_MORE


_NO_MORE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def complain(text: str) -> None:
    """The last words of a command, on stderr; where nothing takes them they are nobody's, and the exit code tells."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{text}\n")


def close_streams() -> None:
    """Flush both, and lead nowhere what nothing takes: else the exit code would be 120 and not the command's own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            swallow_rest(stream)
