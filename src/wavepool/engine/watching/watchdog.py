"""The watchdog: reads what running attempts use, once a second, and tells the loop what crossed a soft limit.

One task reads all attempts in one call of the driver, also for whoever writes down what is used. Output is asked about
only of an attempt that has used no CPU for as long as its rule allows. Readings stay in memory; what they cross becomes
facts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from datetime import timedelta

import anyio
import structlog
from anyio.abc import TaskGroup

from wavepool.core import events
from wavepool.core.events import Event
from wavepool.core.softlimits import Crossing, Reading, calm, crossings, rules_of
from wavepool.core.state import AttemptState, RunState
from wavepool.drivers.base import Driver, Usage
from wavepool.engine.clock import Clock
from wavepool.model import AttemptId, AttemptPhase, Ending, Finding, Handle, Limits, Watchdog, WatchdogRule

INTERVAL_S = 1.0
REST, REST_MAX_S = 4.0, 5.0
"""After a slow sweep the watchdog rests this many times as long as it took, so that it never keeps an engine busy."""
CALM_REST, CALM_REST_MAX_S = 49.0, 60.0
"""The same where nothing is watched over, and readings are only written down."""
READ_DEADLINE_S = 10.0
LOG_DEADLINE_S = 2.0
"""How long an attempt that used no CPU is listened to before it counts as silent."""
IDLE_CPU = 0.001
"""Less CPU time than this part of a core counts as none: runtimes tick while they wait."""
LATE_S = 30.0
"""Beyond this, CPU time that comes after a quiet time is no average over it."""
GAP_S = 10.0
"""A longer time between two sweeps was a sleep of this machine or of this process: nobody was watched in it."""
ASKED_AT_ONCE = 8

Heard = Callable[[Collection[AttemptId], Mapping[AttemptId, Usage]], None]

_NOTHING = Watchdog()
_log = structlog.get_logger(__name__)


class _Watched:
    """What is remembered of one attempt. `quiet_since_s` is on the boot clock."""

    __slots__ = (
        "asking",
        "cpu_at_s",
        "cpu_s",
        "limits",
        "peak_bytes",
        "quiet_since_s",
        "read_at_s",
        "rules",
        "told",
        "usage",
    )

    def __init__(self, rules: Watchdog, limits: Limits, warned: tuple[WatchdogRule, ...], now_s: float) -> None:
        self.rules = rules
        self.limits = limits
        self.told = set(warned)
        """Rules that were told of, until their reading is calm again."""
        self.usage: Usage | None = None
        self.cpu_s = 0.0
        self.peak_bytes = 0
        self.read_at_s = self.quiet_since_s = self.cpu_at_s = now_s
        self.asking = False

    def take(self, usage: Usage, now_s: float) -> Reading:
        """Take in one reading; what it means for the rules."""
        passed_s = now_s - self.read_at_s
        if passed_s > GAP_S:
            self.quiet_since_s += passed_s - INTERVAL_S
        used_s = usage.cpu_s - self.cpu_s
        if used_s:
            # Drivers may tell of little CPU time late: it is held against the time since they last told of any.
            if used_s > IDLE_CPU * min(now_s - self.cpu_at_s, LATE_S):
                self.quiet_since_s = now_s
            self.cpu_s, self.cpu_at_s = usage.cpu_s, now_s
        self.read_at_s = now_s
        self.peak_bytes = max(self.peak_bytes, usage.memory_peak_bytes or usage.memory_bytes)
        return Reading(memory_bytes=usage.memory_bytes, pids=usage.pids, quiet_s=now_s - self.quiet_since_s)

    def news(self, reading: Reading) -> list[Crossing]:
        """What was crossed since it was calm."""
        for rule in [rule for rule in self.told if calm(rule, self.rules, self.limits, reading)]:
            self.told.discard(rule)
        return [c for c in crossings(self.rules, self.limits, reading) if c.finding.rule not in self.told]


class WatchdogLoop:
    """Watches over the attempts of one run; `run` does so until it is cancelled.

    Args:
        state: of the run; only read.
        driver: open; its failures are logged, once for each series, and never end the watchdog.
        clock: tells the time.
        tell: takes the events.
        interval_s: between two sweeps.
        clock_offset_s: the driver's clock less ours.
        heard: told all readings of each sweep, and which attempts run; None where nobody wants them.
    """

    def __init__(
        self,
        *,
        state: RunState,
        driver: Driver,
        clock: Clock,
        tell: Callable[[Event], Awaitable[None]],
        interval_s: float = INTERVAL_S,
        clock_offset_s: float = 0.0,
        heard: Heard | None = None,
    ) -> None:
        self._state = state
        self._driver = driver
        self._clock = clock
        self._tell = tell
        self._interval_s = interval_s
        self._offset = timedelta(seconds=clock_offset_s)
        self._heard = heard
        self._watched: dict[AttemptId, _Watched] = {}
        self._failing: set[str] = set()
        self._asking = anyio.CapacityLimiter(ASKED_AT_ONCE)

    @property
    def has_work(self) -> bool:
        """False where neither the run nor any of its tasks has a soft limit to be read for."""
        if self._state.rules.watchdog != _NOTHING:
            return True
        return any(entry.task.watchdog is not None for entry in self._state.order)

    async def run(self) -> None:
        """Sweep, rest, and again. Returns at once where nothing is to be watched, and nobody wants readings."""
        watches = self.has_work
        if not watches and self._heard is None:
            return
        rest, rest_max_s = (REST, REST_MAX_S) if watches else (CALM_REST, CALM_REST_MAX_S)
        async with anyio.create_task_group() as group:
            while True:
                began_s = anyio.current_time()
                await self._sweep(group)
                took_s = anyio.current_time() - began_s
                await anyio.sleep(max(self._interval_s - took_s, min(took_s * rest, rest_max_s)))

    def with_peak(self, attempt: AttemptId, ending: Ending) -> Ending:
        """The ending with the highest memory that was read, where its driver does not know a higher one."""
        watched = self._watched.get(attempt)
        if watched is None or watched.peak_bytes <= (ending.evidence.memory_peak_bytes or 0):
            return ending
        return replace(ending, evidence=replace(ending.evidence, memory_peak_bytes=watched.peak_bytes))

    async def _sweep(self, group: TaskGroup) -> None:
        running = {a.handle: a for a in self._state.live.values() if a.phase is AttemptPhase.RUNNING and a.handle}
        self._forget_ended()
        if not running:
            self._share(running, {})
            return
        try:
            with anyio.fail_after(READ_DEADLINE_S):
                readings = await self._driver.usage(running.keys())
        except Exception as error:  # whatever a driver comes up with: a watchdog that is gone protects nobody
            self._note("usage", error)
            self._share(running, {})
            return
        self._note("usage", None)
        self._share(running, readings)
        now_s = self._clock.now().boot_s
        for handle, attempt in running.items():
            usage = readings.get(handle)
            if usage is not None and attempt.phase is AttemptPhase.RUNNING:
                await self._look(attempt, usage, now_s, group)

    def _share(self, running: Mapping[Handle, AttemptState], readings: Mapping[Handle, Usage]) -> None:
        if self._heard is not None:
            found = {running[handle].id: usage for handle, usage in readings.items() if handle in running}
            self._heard({each.id for each in running.values()}, found)

    async def _look(self, attempt: AttemptState, usage: Usage, now_s: float, group: TaskGroup) -> None:
        watched = self._watched.get(attempt.id)
        if watched is None:
            task = self._state.tasks[attempt.id.task_id].task
            rules = rules_of(task, self._state.rules.watchdog)
            watched = self._watched[attempt.id] = _Watched(rules, task.limits, attempt.warned, now_s)
        elif watched.usage is usage and watched.rules.no_progress_s is None:
            return  # the driver says that nothing changed, and no clock of ours runs
        watched.usage = usage
        for crossing in watched.news(watched.take(usage, now_s)):
            if crossing.finding.rule is not WatchdogRule.NO_PROGRESS:
                await self._report(attempt.id, watched, crossing)
            elif not watched.asking:
                watched.asking = True
                group.start_soon(self._listen, attempt, watched, crossing)

    async def _report(self, attempt: AttemptId, watched: _Watched, crossing: Crossing) -> None:
        watched.told.add(crossing.finding.rule)
        await self._tell(events.Crossed(attempt=attempt, finding=crossing.finding, act=crossing.act))

    async def _listen(self, attempt: AttemptState, watched: _Watched, crossing: Crossing) -> None:
        """It used no CPU: did it write anything meanwhile? If nobody can tell, it is left alone."""
        since_s = watched.quiet_since_s
        try:
            async with self._asking:
                heard = await self._wrote_since(attempt, since_s)
        except Exception as error:
            self._note("logs", error)
            watched.quiet_since_s = self._clock.now().boot_s
        else:
            self._note("logs", None)
            now_s = self._clock.now().boot_s
            if heard:
                watched.quiet_since_s = now_s
            elif watched.quiet_since_s == since_s:
                finding = Finding(
                    rule=WatchdogRule.NO_PROGRESS, reading=now_s - since_s, threshold=crossing.finding.threshold
                )
                await self._report(attempt.id, watched, Crossing(finding, crossing.act))
        finally:
            watched.asking = False

    async def _wrote_since(self, attempt: AttemptState, since_s: float) -> bool:
        now = self._clock.now()
        since = now.utc - timedelta(seconds=now.boot_s - since_s) + self._offset
        assert attempt.handle is not None
        with anyio.move_on_after(LOG_DEADLINE_S):
            async with self._driver.logs(attempt.handle, since=since) as chunks:
                async for _ in chunks:
                    return True
        return False

    def _forget_ended(self) -> None:
        if len(self._watched) > len(self._state.live):
            self._watched = {key: value for key, value in self._watched.items() if key in self._state.live}

    def _note(self, what: str, error: Exception | None) -> None:
        """Log the first failure of a series, and its end."""
        if error is None:
            if what in self._failing:
                self._failing.discard(what)
                _log.info("the watchdog can read again", what=what)
        elif what not in self._failing:
            self._failing.add(what)
            words = str(error) or type(error).__name__
            _log.warning("the watchdog cannot read; it goes on trying", what=what, problem=words)
