"""Sweeps over what runs: the usage of all attempts on one driver, read together every two seconds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import anyio
import structlog

from wavepool.drivers.base import Driver, Usage
from wavepool.engine.clock import Clock
from wavepool.errors import WavepoolError
from wavepool.model import AttemptId, Handle
from wavepool.monitoring.usage.readings import UsageBook

SWEEP_S = 2.0

PATIENCE_S = 8.0
"""For one sweep, and for a driver to be opened: then the daemon counts as away until the next."""

LAST_LOOKS = 3
"""At an attempt that has ended, as long as it can still be read: so the driver lets go of what it holds open of it."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An attempt that may be running: of which run, on which driver."""

    run_id: str
    driver: str
    handle: Handle


class Sweeps:
    """One loop for each driver that has work, so that one that hangs keeps no other waiting.

    Args:
        running: asked before each sweep.
        open_driver: by its name.
        book: takes the readings.
        problem: told why the usage of a driver cannot be read; None when it can again.
    """

    def __init__(
        self,
        *,
        running: Callable[[], list[Running]],
        open_driver: Callable[[str], Awaitable[Driver]],
        book: UsageBook,
        problem: Callable[[str, str | None], None],
        clock: Clock,
        period_s: float = SWEEP_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._running = running
        self._open_driver = open_driver
        self._book = book
        self._problem = problem
        self._clock = clock
        self._period_s = period_s
        self._patience_s = patience_s
        self._busy: set[str] = set()
        self._last: dict[str, dict[Handle, int]] = {}
        """Of each driver, what was read before, and how often since it is not known to run any more."""

    async def run(self) -> None:
        """Sweep until this is cancelled."""
        async with anyio.create_task_group() as group:
            while True:
                names = {each.driver for each in self._running()} | {name for name, last in self._last.items() if last}
                for name in names - self._busy:
                    self._busy.add(name)
                    group.start_soon(self._guarded, name)
                await anyio.sleep(self._period_s)

    async def _guarded(self, name: str) -> None:
        member = f"usage on {name}"
        try:
            with anyio.fail_after(self._patience_s):
                await self.sweep(name)
            self._problem(member, None)
        except TimeoutError:
            self._problem(member, f"the driver has not answered for {self._patience_s:g} s")
        except WavepoolError as error:
            self._problem(member, error.message)
        except Exception as error:  # a reading that is broken must not take all that is shown with it
            _log.exception("usage could not be read", driver=name)
            self._problem(member, f"{type(error).__name__}: {error}")
        finally:
            self._busy.discard(name)

    async def sweep(self, name: str) -> None:
        """Read once all that runs on one driver.

        Raises:
            DriverUnavailable: it cannot be asked.
        """
        wanted = {each.handle: each for each in self._running() if each.driver == name}
        before = self._last.get(name, {})
        ended = {handle: looks + 1 for handle, looks in before.items() if handle not in wanted and looks < LAST_LOOKS}
        if not wanted and not ended:
            self._last.pop(name, None)
            return
        driver = await self._open_driver(name)
        found = await driver.usage([*wanted, *ended])
        self._last[name] = dict.fromkeys(wanted, 0) | {each: ended[each] for each in ended if each in found}
        self._share(wanted, found)

    def _share(self, wanted: Mapping[Handle, Running], found: Mapping[Handle, Usage]) -> None:
        now_s = self._clock.now().utc.timestamp()
        by_run: dict[str, dict[AttemptId, Usage]] = {each.run_id: {} for each in wanted.values()}
        for handle, usage in found.items():
            if handle in wanted:
                by_run[wanted[handle].run_id][handle.attempt] = usage
        for run_id, readings in by_run.items():
            self._book.of(run_id).take(now_s, readings)
