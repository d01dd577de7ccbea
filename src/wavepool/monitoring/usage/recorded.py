"""What a run wrote down of its usage, as documents have histories."""

from __future__ import annotations

from collections.abc import Iterator

from wavepool.engine.usage.series import Series, Stretch
from wavepool.monitoring.documents.runs import UsageHistory

GAP_S = 5.0
"""A shorter time without a reading is none that is shown."""


def history_of(series: Series) -> UsageHistory:
    """A reading at the end of each stretch: its peak of memory, its mean of CPU; None in a time that nobody read."""
    history: UsageHistory = {"at": [], "memory_bytes": [], "cpu_percent": []}
    for at_s, stretch in _points(series):
        cpu = None if stretch is None else stretch.cpu_percent
        history["at"].append(round(at_s, 3))
        history["memory_bytes"].append(None if stretch is None else stretch.memory_peak_bytes)
        history["cpu_percent"].append(None if cpu is None else round(cpu, 1))
    return history


def _points(series: Series) -> Iterator[tuple[float, Stretch | None]]:
    end_s: float | None = None
    for each in series:
        if end_s is None or each.begin_s - end_s > GAP_S:
            if end_s is not None:
                yield (end_s + each.begin_s) / 2, None
            yield each.begin_s, each
        if each.end_s > each.begin_s:
            yield each.end_s, each
        end_s = each.end_s


def joined(before: UsageHistory, later: UsageHistory) -> UsageHistory:
    """`later`, and of the other what is before that."""
    count = len(before["at"])
    if later["at"]:
        count = sum(at < later["at"][0] for at in before["at"])
    return {
        "at": [*before["at"][:count], *later["at"]],
        "memory_bytes": [*before["memory_bytes"][:count], *later["memory_bytes"]],
        "cpu_percent": [*before["cpu_percent"][:count], *later["cpu_percent"]],
    }
