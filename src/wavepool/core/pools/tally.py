"""What one pool has counted and measured since it was opened. Its size is fixed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from wavepool.core.pools.decisions import Retire
from wavepool.core.pools.readings import Dispatch, Histogram, HistogramReading


class Tally:
    """Counts by name, as `PoolReading` has them, the time that tasks took, and histograms of dispatches."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter(arrivals=0, hits=0, executions=0, parked=0, park_failures=0, lost=0)
        self.execution_s = 0.0
        self._retired: Counter[str] = Counter()
        self._dispatch = {how: Histogram() for how in Dispatch}

    def executed(self, took_s: float) -> None:
        """A task ran so long."""
        self.counts["executions"] += 1
        self.execution_s += took_s

    def dispatched(self, how: Dispatch, seconds: float) -> None:
        """A task began, so long after it came."""
        self._dispatch[how].observe(seconds)

    def retire(self, gone: Iterable[Retire]) -> None:
        """These went."""
        self._retired.update(each.why.value for each in gone)

    @property
    def retired(self) -> Mapping[str, int]:
        """Reason -> how many went for it."""
        return dict(self._retired)

    @property
    def dispatch(self) -> Mapping[Dispatch, HistogramReading]:
        """How -> from the claim to the start."""
        return {how: histogram.read() for how, histogram in self._dispatch.items()}
