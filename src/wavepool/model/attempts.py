"""One execution of a task: its phases, and what finds it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class AttemptPhase(StrEnum):
    """Where an attempt stands. Each phase but `REMOVED` has exactly one thing that must happen next."""

    INTENDED = "intended"
    """The start is in the journal; the driver has been, or must be, asked to start it."""
    RUNNING = "running"
    STOPPING = "stopping"
    """The stop and its reason are in the journal; the driver has been, or must be, asked to stop it."""
    EXITED = "exited"
    """It ended; its logs must be archived."""
    SETTLED = "settled"
    """Its verdict is committed; what is left of it must be removed."""
    REMOVED = "removed"


ATTEMPT_TRANSITIONS: Mapping[AttemptPhase, frozenset[AttemptPhase]] = {
    AttemptPhase.INTENDED: frozenset({AttemptPhase.RUNNING, AttemptPhase.STOPPING, AttemptPhase.EXITED}),
    AttemptPhase.RUNNING: frozenset({AttemptPhase.STOPPING, AttemptPhase.EXITED}),
    AttemptPhase.STOPPING: frozenset({AttemptPhase.EXITED}),
    AttemptPhase.EXITED: frozenset({AttemptPhase.SETTLED}),
    AttemptPhase.SETTLED: frozenset({AttemptPhase.REMOVED}),
    AttemptPhase.REMOVED: frozenset(),
}


class AttemptId(NamedTuple):
    """One execution of one task of one run. `number` counts from 1."""

    task_id: str
    number: int

    def __str__(self) -> str:
        return f"{self.task_id}#{self.number}"


HANDLE_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """What finds an attempt again after a restart; the journal keeps it.

    Attributes:
        driver: name of the driver that made it.
        id: container id, or the supervisor's slot; the driver's own business. Empty where only the name is known.
        name: the attempt's derived name.
        attempt: which attempt.
        version: of this shape.
    """

    driver: str
    id: str
    name: str
    attempt: AttemptId
    version: int = HANDLE_VERSION
