"""Output that was handed in: of a check that somebody else has run."""

from __future__ import annotations

import os
import select
import stat
import time
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path

import anyio
import anyio.to_thread

from wavepool.engine.signals import forward_interrupts
from wavepool.errors import CheckError, UnreadableFile, first_of_ours
from wavepool.fixing.checks import OUTPUT_LIMIT_BYTES, PROGRESS_S, Ended, Interrupted, Tell
from wavepool.fixing.doubts import DOCUMENTS, doubt_in
from wavepool.fixing.reading import LAST_WORDS_BYTES, CheckReading, last_words, progress_words
from wavepool.fixing.spool import Spool, open_spool
from wavepool.units import human_size

STDIN = "-"
LOOK_S = 0.2
"""How long a thread waits for more before it looks whether anybody still wants it."""
TAKEN_BYTES = 1 << 20
_AS_READER = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""A named pipe is opened at once, and its first writer is waited for where Ctrl-C is heard."""


async def read_given(
    path: str, reading: CheckReading, *, limit_bytes: int = OUTPUT_LIMIT_BYTES, tell: Tell = lambda text: None
) -> Ended:
    """Read a file, a pipe, or standard input for ``-``. Only in the main thread: signals are ours meanwhile.

    Raises:
        UnreadableFile: it cannot be read.
        CheckError: there is more of it than `limit_bytes`.
        Interrupted: the user ended it.
    """
    where = "standard input" if path == STDIN else path
    try:
        descriptor = os.dup(0) if path == STDIN else os.open(path, _AS_READER)
    except (OSError, ValueError) as error:
        raise UnreadableFile("--input", where, error, advice="Name a file, or - for standard input.") from None
    given = _Given(descriptor, where, reading, limit_bytes)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(forward_interrupts, given.interrupt)
            group.start_soon(given.progress, tell)
            await anyio.to_thread.run_sync(given.read)
            group.cancel_scope.cancel()
    except BaseExceptionGroup as errors:
        raise first_of_ours(errors) from errors
    finally:
        os.close(descriptor)
    if given.interrupted:
        raise Interrupted
    return given.ended()


class _Given:
    """One reading under way."""

    def __init__(self, descriptor: int, where: str, reading: CheckReading, limit_bytes: int) -> None:
        self._descriptor = descriptor
        self._where = where
        self._reading = reading
        self._limit_bytes = limit_bytes
        self._began_s = time.monotonic()
        self._size_bytes = 0
        self._words = ""
        self._doubt = ""
        self.interrupted = False

    def interrupt(self, _force: bool) -> None:
        """Have `read` return soon."""
        self.interrupted = True

    def read(self) -> None:
        """To the end. Raises UnreadableFile, CheckError."""
        with ExitStack() as stack:
            seen = os.fstat(self._descriptor)
            flows = not stat.S_ISREG(seen.st_mode)
            spool = stack.enter_context(open_spool()) if flows else Spool(self._descriptor, seen.st_size)
            self._check_size(spool)
            while not self.interrupted:
                flows = flows and self._take(spool, wait=not spool.unread_bytes)
                piece = spool.read()
                self._reading.feed("stdout", piece)
                if not piece and not flows:
                    break
            self._reading.end()
            if self._reading.content and not self._reading.errors:
                rest = takewhile(lambda _: not self.interrupted, spool.pieces())
                self._doubt = doubt_in(rest, document=self._reading.spoke in DOCUMENTS)
            self._words = last_words(spool.end(LAST_WORDS_BYTES))

    def ended(self) -> Ended:
        """What there is to be said of it."""
        return Ended(
            exit_code=None,
            took_s=time.monotonic() - self._began_s,
            output_bytes=self._size_bytes,
            last_words=self._words,
            where=self._where,
            doubt=self._doubt,
        )

    async def progress(self, tell: Tell) -> None:
        """A line now and then, until it is cancelled."""
        while True:
            await anyio.sleep(PROGRESS_S)
            words = progress_words(self._where, self._began_s, self._size_bytes, self._reading.errors)
            tell(words.replace("running", "reading", 1))

    def _take(self, spool: Spool, *, wait: bool) -> bool:
        """Take what there is, so that a flood is at the limit long before it could be read; False at its end."""
        while select.select([self._descriptor], [], [], LOOK_S if wait else 0)[0]:
            try:
                data = os.read(self._descriptor, TAKEN_BYTES)
            except BlockingIOError:  # another reader was quicker
                return True
            except OSError as error:
                raise UnreadableFile("--input", self._where, error) from None
            if not data:
                return False
            spool.append(data)
            self._check_size(spool)
            wait = False
        return True

    def _check_size(self, spool: Spool) -> None:
        self._size_bytes = spool.size_bytes
        if spool.size_bytes > self._limit_bytes:
            raise CheckError(
                f"there is more than {human_size(self._limit_bytes)} in {self._where}",
                advice="Hand in less, or allow more with --output-limit.",
                last_words=last_words(spool.end(LAST_WORDS_BYTES)),
            )


def check_input(path: str) -> None:
    """See, before anything is read, that it can be. Raises UnreadableFile."""
    if path != STDIN and not Path(path).exists():
        error = FileNotFoundError(2, os.strerror(2))
        raise UnreadableFile("--input", path, error, advice="Name a file, or - for standard input.")
