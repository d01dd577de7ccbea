"""Drivers that start sidecars with an attempt: the power, and how a sidecar stood when its task had ended."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime

from wavepool.model import Handle


@dataclass(frozen=True, slots=True, kw_only=True)
class Dismissed:
    """One sidecar of an attempt, and how it stood before it was stopped.

    Attributes:
        name: of the sidecar.
        handle: leads `Driver.logs` to its output.
        ran: it was running until we stopped it.
        exit_code, oom, finished_at: of one that had ended by itself.
    """

    name: str
    handle: Handle
    ran: bool
    exit_code: int | None = None
    oom: bool = False
    finished_at: datetime | None = None


class SupportsSidecars(ABC):
    """A driver that starts sidecars with an attempt (`AttemptSpec.sidecars`).

    `Driver.start` returns when they are ready and the attempt runs; a sidecar that does not become ready is NotStarted
    with `sidecars`. `Driver.stop` of an attempt whose sidecars are being waited for ends the wait. `Driver.remove`
    takes sidecars and the own network along.
    """

    @abstractmethod
    async def dismiss(self, handle: Handle, grace_s: float) -> tuple[Dismissed, ...]:
        """Stop the sidecars of an attempt that has ended, those that others depend on last; all that are there.

        Safe to repeat. Their containers stay, for their logs, until `remove`.

        Raises:
            Unknown: one of them could not be stopped for sure.
            DriverUnavailable: the engine cannot be reached.
        """
