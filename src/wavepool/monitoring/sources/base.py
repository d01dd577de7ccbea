"""A source fills one member of the overview, again and again, from something outside of the journals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Source(Protocol):
    """What the monitor asks every `period_s`; one question at a time.

    Attributes:
        name: a member of `Overview`.
        period_s: from the end of one reading to the beginning of the next.
    """

    name: str
    period_s: float

    async def read(self) -> Mapping[str, Any]:
        """All of the member, as it is now; an empty one where there is nothing.

        Whatever it raises becomes a sentence in `problems`, and the member stays as it was. One that takes longer than
        `monitoring.monitor.PATIENCE_S` is cancelled, and counts as failed.
        """
        ...
