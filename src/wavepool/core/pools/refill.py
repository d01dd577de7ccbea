"""The making of containers for one pool: one at a time, with a pause between two, longer after a loss or failures."""

from __future__ import annotations

from wavepool.errors import InvariantBroken

FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 60.0
LOST_PAUSE_S = 5.0
"""Nothing is made for so long after one has died: an engine that goes down ends what is parked first, and of what it
makes in its last second the file system stays mounted, so that the next engine can never remove it (Docker 20.10;
tests/integration/docker/test_pools_on_docker.py)."""


class Refill:
    """Whether one is being made, and from when on the next may be. `pool` is its name, for messages."""

    def __init__(self, pool: str, pause_s: float) -> None:
        self._pool = pool
        self._pause_s = pause_s
        self._wished_s: float | None = None
        self._begun_s: float | None = None
        self._next_s = 0.0
        self._failures = 0

    @property
    def failures(self) -> int:
        """How many in a row could not be made."""
        return self._failures

    @property
    def under_way(self) -> bool:
        """Whether one is being made."""
        return self._begun_s is not None

    def wish(self, now_s: float) -> None:
        """One is wanted, since now if not before."""
        if self._wished_s is None:
            self._wished_s = now_s

    def unwish(self) -> None:
        """None is wanted now. What is under way goes on."""
        if not self.under_way:
            self._wished_s = None

    def begin(self, now_s: float) -> None:
        """One is being made from now on."""
        self.wish(now_s)
        if self._begun_s is not None:
            raise InvariantBroken(f"pool {self._pool}: a second container is made while one is under way")
        self._begun_s = now_s

    def done(self, now_s: float) -> float:
        """It is there. Returns the seconds since it was wanted, with the pause that follows."""
        took_s = self._end(now_s)
        self._failures = 0
        self._next_s = now_s + self._pause_s
        return took_s + self._pause_s

    def failed(self, now_s: float) -> None:
        """It could not be made: the next may be after 1, 2, 4, ... up to 60 seconds."""
        self._end(now_s)
        backoff_s = min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(self._failures, 16))
        self._failures += 1
        self._next_s = now_s + max(backoff_s, self._pause_s)

    def lost(self, now_s: float) -> None:
        """One has died, unused: the next may be made after a pause."""
        self._next_s = max(self._next_s, now_s + LOST_PAUSE_S)

    def try_again(self) -> None:
        """The cause of the failures so far is over: the next may be made at once."""
        self._failures, self._next_s = 0, 0.0

    def wait_s(self, now_s: float) -> float | None:
        """Seconds until the next may be made, 0 or less if it may be now; None while one is under way."""
        return None if self.under_way else self._next_s - now_s

    def _end(self, now_s: float) -> float:
        if self._begun_s is None:
            raise InvariantBroken(f"pool {self._pool}: a container was made, or was not, and none was under way")
        wished_s = self._begun_s if self._wished_s is None else self._wished_s
        self._wished_s = self._begun_s = None
        return max(0.0, now_s - wished_s)
