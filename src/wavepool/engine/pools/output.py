"""What a task of a pool writes: told as it comes, and kept up to a limit."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from wavepool.drivers.parking import OutputSink

OUTPUT_LIMIT_BYTES = 1024 * 1024
"""Default: of each stream so much is kept, the newest."""


class Tail:
    """The newest bytes of one stream.

    Attributes:
        limit_bytes: so many are kept.
        written: bytes that came in all.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._kept = bytearray()
        self.written = 0

    def add(self, data: bytes) -> None:
        """Take the next piece. Its cost is in proportion to the piece, however much came before it."""
        self.written += len(data)
        self._kept += data
        if len(self._kept) > 2 * self.limit_bytes:
            del self._kept[: len(self._kept) - self.limit_bytes]

    @property
    def dropped(self) -> int:
        """Bytes that came and are not kept."""
        return max(0, self.written - self.limit_bytes)

    def value(self) -> bytes:
        """What is kept, at most the limit."""
        return bytes(self._kept[max(0, len(self._kept) - self.limit_bytes) :])


class Output:
    """The output of one container. A log that is read again from its start is told only once.

    Args:
        limit_bytes: of each stream so much is kept.
        now: seconds, monotonic.

    Attributes:
        first_at: when the first byte came; None while there was none.
        gap: why some of it may be missing; empty where nothing is known to be.
        closed: set when nothing will come any more.
        failure: what the listener raised; it is told nothing after that.
    """

    def __init__(self, limit_bytes: int, now: Callable[[], float] = anyio.current_time) -> None:
        self.stdout = Tail(limit_bytes)
        self.stderr = Tail(limit_bytes)
        self.first_at: float | None = None
        self.gap = ""
        self.closed = anyio.Event()
        self.failure: Exception | None = None
        self._now = now
        self._listener: OutputSink | None = None
        self._on_failure: Callable[[], None] = lambda: None
        self._to_skip = {"stdout": 0, "stderr": 0}

    def listen(self, listener: OutputSink, on_failure: Callable[[], None]) -> None:
        """Tell `listener` each piece from now on; where it raises, `on_failure` is called once."""
        self._listener, self._on_failure = listener, on_failure

    def reopened(self) -> None:
        """The log is read from its start (again): what came already is left out."""
        self._to_skip = {"stdout": self.stdout.written, "stderr": self.stderr.written}

    def take(self, stream: str, data: bytes, gap_reason: str = "") -> None:
        """The next piece of a log, or of a connection. With a gap before it, what was read before is unknown."""
        if gap_reason:
            self.miss(gap_reason)
            self._to_skip[stream] = 0
        skipped = min(self._to_skip[stream], len(data))
        self._to_skip[stream] -= skipped
        if skipped < len(data):
            self._tell(stream, data[skipped:] if skipped else data)

    def miss(self, reason: str) -> None:
        """Some output may be missing; the first reason is kept."""
        self.gap = self.gap or reason

    def _tell(self, stream: str, data: bytes) -> None:
        if self.first_at is None:
            self.first_at = self._now()
        (self.stderr if stream == "stderr" else self.stdout).add(data)
        if self._listener is None or self.failure is not None:
            return
        try:
            self._listener(stream, data)
        except Exception as error:  # the caller's own code: it is raised where the task was submitted
            self.failure = error
            self._on_failure()
