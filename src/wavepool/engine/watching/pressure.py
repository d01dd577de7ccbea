"""Reads the pressure on this host once a second, and tells the loop, while there is something that may start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import structlog

from wavepool.core import events
from wavepool.core.events import Event
from wavepool.core.state import RunState
from wavepool.model import Pressure

INTERVAL_S = 1.0

_log = structlog.get_logger(__name__)

ReadPressure = Callable[[], Pressure]
"""Reads this host, within a millisecond. May raise whatever it likes."""


class PressureLoop:
    """`run` reads until it is cancelled; it returns at once where the starts of the run follow nothing.

    Args:
        state: of the run; only read.
        read: None where attempts do not run on this host.
        tell: takes the events.
    """

    def __init__(
        self,
        *,
        state: RunState,
        read: ReadPressure | None,
        tell: Callable[[Event], Awaitable[None]],
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._state = state
        self._read = read
        self._tell = tell
        self._interval_s = interval_s
        self._blind = False

    async def run(self) -> None:
        """Read, tell, rest, and again."""
        if not self._state.rules.ramp or self._read is None:
            return
        while True:
            if self._state.pending:
                await self._look(self._read)
            await anyio.sleep(self._interval_s)

    async def _look(self, read: ReadPressure) -> None:
        """One that cannot be read is told of once: a run must not stand still for want of a reading."""
        try:
            reading = read()
        except Exception as error:
            if not self._blind:
                self._blind = True
                _log.warning("the pressure on this host cannot be read; starts go on without it", problem=str(error))
                await self._tell(events.Pressed(reading=None))
            return
        self._blind = False
        await self._tell(events.Pressed(reading=reading))
