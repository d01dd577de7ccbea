"""The reasons to wait, one file each. A task starts when every gate of the run's schedule lets it through.

A gate answers None (let it through) or a `Wait`: with `blocks`, everything behind the task waits too (so that none
starves); without, the task is set aside until its key is woken, and the next one is looked at.
"""

from __future__ import annotations

from wavepool.core.gates.accounts import Accounts
from wavepool.core.gates.backoff import Backoff
from wavepool.core.gates.barrier import Barrier
from wavepool.core.gates.base import Gate, Wait
from wavepool.core.gates.capacity import Capacity
from wavepool.core.gates.dependencies import Dependencies
from wavepool.core.gates.parallelism import Parallelism
from wavepool.core.gates.pause import Pause
from wavepool.core.gates.prepared import Prepared
from wavepool.core.gates.ramp import Ramp
from wavepool.core.gates.starts import Starts
from wavepool.model import Schedule

__all__ = ["Gate", "Wait", "gates_of"]


def gates_of(schedule: Schedule, *, ramp: bool = False) -> tuple[Gate, ...]:
    """The gates in the order in which they are asked. The schedules differ by one of them.

    With `ramp` the pressure on the host says how many starts may be under way, else a number of the user's.
    """
    starts: Gate = Ramp() if ramp else Starts()
    common: tuple[Gate, ...] = (Prepared(), Dependencies(), Backoff(), Accounts(), Parallelism(), starts, Capacity())
    return (Pause(), Barrier(), *common) if schedule is Schedule.BARRIER else (Pause(), *common)
