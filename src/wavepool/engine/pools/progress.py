"""How far one task has come: what its claim, its cold start and its end tell each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from wavepool.drivers.parking import OutputSink
from wavepool.engine.pools.containers import Container
from wavepool.engine.pools.results import Timings, Where
from wavepool.model import StopReason


class Progress:
    """One task under way. Moments are seconds of the loop's clock.

    Args:
        container: its own until `TaskRun.leave`; another one where this one is dead before it ran anything.
        where: in what kind of container it runs.

    Attributes:
        stopped: why it is to end before it ends by itself.
        may_run: something was asked of the engine that may have it run: before it is left, it must be stopped.
        returned: its container is reused, and clean.
        tries: containers that were its own so far.
    """

    def __init__(self, container: Container, where: Where, submitted_at: float) -> None:
        self.container = container
        self.where = where
        self.stopped: StopReason | None = None
        self.may_run = False
        self.returned = False
        self.tries = 1
        self.claimed_at: float | None = None
        self.running_at: float | None = None
        self.ended_at: float | None = None
        self._submitted_at = submitted_at
        self._scope = anyio.CancelScope()

    def moves(self, container: Container, where: Where) -> None:
        """Another container is its own from now on."""
        self.container, self.where = container, where
        self.tries += 1

    def runs(self) -> None:
        """It is known to run."""
        self.container.ran = True
        self.running_at = self.container.since_s = anyio.current_time()

    def never_ran(self) -> None:
        """It is certain that nothing of it ran."""
        self.may_run, self.running_at = False, None

    def listen(self, listener: OutputSink | None) -> None:
        """Tell this listener what it writes; where that fails, the task is to end."""
        if listener is not None:
            self.container.output.listen(listener, self.interrupt)

    def interrupt(self) -> None:
        """Leave what is `interruptible` now."""
        self._scope.cancel()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Left early where its pool is closed, or where nobody can hear it any more."""
        self._scope = anyio.CancelScope()
        if self.stopped is not None or self.container.output.failure is not None:
            self._scope.cancel()
        with self._scope:
            yield

    def took_s(self) -> float | None:
        """How long it has run; None where it never did."""
        return None if self.running_at is None else (self.ended_at or anyio.current_time()) - self.running_at

    def timings(self) -> Timings:
        """All of it, from the submission on."""
        return Timings(
            claimed_s=self._since(self.claimed_at),
            running_s=self._since(self.running_at),
            first_byte_s=self._since(self.container.output.first_at),
            ended_s=self._since(self.ended_at),
            total_s=anyio.current_time() - self._submitted_at,
        )

    def _since(self, moment: float | None) -> float | None:
        return None if moment is None else moment - self._submitted_at
