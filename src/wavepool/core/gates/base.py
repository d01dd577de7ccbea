"""What a gate is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import NamedTuple

from wavepool.core.state import RunState, TaskState


class Wait(NamedTuple):
    """Not yet. `key` is what will wake the task; `blocks`: the tasks behind it wait too, and it is not set aside."""

    key: Hashable
    blocks: bool


class Gate(ABC):
    """One kind of reason to wait. Stateless; asked for one task at a time; must answer in O(1)."""

    __slots__ = ()

    @abstractmethod
    def check(self, state: RunState, entry: TaskState) -> Wait | None:
        """None to let `entry` through, else what it waits for."""
