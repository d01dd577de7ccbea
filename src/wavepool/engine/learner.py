"""Learning from a run as it goes: a listener that turns settled attempts into samples, and a thread that keeps them.

What is not kept when the process is killed is lost: a few samples, and nothing depends on them.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

from wavepool.core.facts import AttemptSettled, Stamped, StartIntended
from wavepool.core.state import RunState
from wavepool.engine.listener import Listener
from wavepool.errors import InfrastructureError
from wavepool.learning import Sample, sample_of
from wavepool.model import AttemptId

WAITING_MAX = 10_000
"""Samples that wait to be kept; beyond these they are dropped."""
BATCH_MAX = 1_000
CLOSE_S = 15.0
"""At the end, for what waits to be kept."""


class Keeper:
    """Keeps samples from a thread of its own, in groups. A context manager: leaving waits until all are kept, bounded.

    Args:
        add: keeps some; may block, and raises InfrastructureError.
        notice: told once why samples cannot be kept; from then on they are dropped.
    """

    def __init__(self, add: Callable[[Sequence[Sample]], None], notice: Callable[[str], None]) -> None:
        self._add = add
        self._notice = notice
        self._waiting: queue.Queue[Sample | None] = queue.Queue(WAITING_MAX)
        self._thread = threading.Thread(target=self._work, name="wavepool-learning", daemon=True)
        self._trouble: str | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            self._waiting.put(None, timeout=CLOSE_S)
        except queue.Full:
            return  # the thread is stuck, and dies with the process
        self._thread.join(CLOSE_S)
        if self._trouble is not None:
            self._notice(self._trouble)

    def keep(self, sample: Sample) -> None:
        """Take it in; never blocks."""
        if self._trouble is None:
            try:
                self._waiting.put_nowait(sample)
            except queue.Full:
                self._trouble = "more attempts end than can be learned from: the rest of this run is not learned from"

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, ends = [first], False
            while len(batch) < BATCH_MAX and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    ends = True
                    break
                batch.append(following)
            self._keep(batch)
            if ends:
                return

    def _keep(self, batch: Sequence[Sample]) -> None:
        if self._trouble is not None:
            return
        try:
            self._add(batch)
        except InfrastructureError as error:
            self._trouble = f"nothing is learned from this run: {error}"


class Learner(Listener):
    """Makes a sample of each settled attempt that tells something. `begin` comes before the first fact.

    Args:
        keep: takes the samples; must not block.
    """

    def __init__(self, keep: Callable[[Sample], None]) -> None:
        self._keep = keep
        self._state: RunState | None = None
        self._intended: dict[AttemptId, datetime] = {}
        """Of attempts that are not settled, so never more than are live."""

    def begin(self, state: RunState) -> None:
        """The run whose facts will be told; only read."""
        self._state = state

    def on_facts(self, facts: Sequence[Stamped]) -> None:
        """Remember what was intended, and keep what is settled."""
        for stamped in facts:
            if isinstance(stamped.fact, StartIntended):
                self._intended[stamped.fact.attempt] = stamped.fact.at
            elif isinstance(stamped.fact, AttemptSettled):
                self._take(stamped.fact, stamped.utc)

    def _take(self, settled: AttemptSettled, at: datetime) -> None:
        intended_at = self._intended.pop(settled.attempt, None)
        if self._state is None:
            return
        task = self._state.tasks[settled.attempt.task_id].task
        image = self._state.run.surroundings.image
        sample = sample_of(task, image, settled, intended_at=intended_at, settled_at=at)
        if sample is not None:
            self._keep(sample)
