"""Hard limits, and what an attempt holds of a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Resources(NamedTuple):
    """What an attempt holds of a node while it may be running.

    `memory_bytes` at least 0. `milli_cpus` is thousandths of a core; 0 reserves none.
    """

    memory_bytes: int
    milli_cpus: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Hard limits of one attempt, enforced by the kernel.

    `memory_bytes` also bounds swap (memory plus swap is the same number). `cpus` in cores, None for all.
    `pids` counts processes and threads, None for no limit. `lifetime_s` counts from its start; no kernel knows such a
    limit: the run stops it then. None for no limit.
    """

    memory_bytes: int
    cpus: float | None = None
    pids: int | None = None
    lifetime_s: float | None = None

    def held(self) -> Resources:
        """What the budget sets aside for it."""
        return Resources(self.memory_bytes, round((self.cpus or 0) * 1000))
