"""What a run or an attempt used, in a few figures: for reports, documents and people."""

from __future__ import annotations

from typing_extensions import TypedDict

from wavepool.engine.usage.series import Series
from wavepool.units import format_duration, human_size


class Used(TypedDict):
    """What was used, over the `read_s` seconds in which something ran and somebody looked, once a second at best.

    `memory_peak_bytes` is the highest reading of all that ran at that moment, `memory_mean_bytes` the mean over that
    time, `cpu_s` CPU time, `cpu_mean_percent` that of one core.
    """

    read_s: float
    memory_peak_bytes: int
    memory_mean_bytes: int
    cpu_s: float
    cpu_mean_percent: float


def used_of(series: Series) -> Used | None:
    """None where nothing was read."""
    whole = series.whole()
    if whole is None or whole.memory_mean_bytes is None or whole.cpu_percent is None:
        return None
    return {
        "read_s": round(whole.read_s, 1),
        "memory_peak_bytes": whole.memory_peak_bytes,
        "memory_mean_bytes": whole.memory_mean_bytes,
        "cpu_s": round(whole.cpu_s, 2),
        "cpu_mean_percent": round(whole.cpu_percent, 1),
    }


def used_words(used: Used) -> str:
    """In a sentence without its end: ``312MiB of memory at most, 100MiB on average; 4.1s of CPU, 82% of a core``."""
    peak, mean = human_size(used["memory_peak_bytes"]), human_size(used["memory_mean_bytes"])
    cpu = f"{format_duration(used['cpu_s'])} of CPU, {used['cpu_mean_percent']:.0f}% of a core"
    return f"{peak} of memory at most, {mean} on average; {cpu}"
