"""One warm pool: which containers it has, who gets which, and what is to be made and taken away."""

from __future__ import annotations

import math
from collections import Counter

from wavepool.core.pools.decisions import Decision, Park, Retire, Why
from wavepool.core.pools.demand import Demand
from wavepool.core.pools.readings import ContainerReading, Dispatch, Histogram, PoolReading
from wavepool.core.pools.sizing import Thresholds
from wavepool.errors import InputError, InvariantBroken
from wavepool.model import AgentType, PoolSettings

FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 60.0
OVERDUE = 1.1
"""An old container goes when another has taken its place, and in any case at this many times its greatest age."""


class _Container:
    __slots__ = ("created_s", "executions", "healthy", "key", "used_s")

    def __init__(self, key: str, now_s: float) -> None:
        self.key = key
        self.created_s = self.used_s = now_s
        self.executions = 0
        self.healthy = True


class PoolBook:
    """The containers of one agent type, as they were told to be.

    Every time is given in seconds of one clock that does not go back. A container is idle, busy, or forgotten. Idle
    ones are claimed in a stated order: where each is used once, the oldest first, so that none grows old while others
    are used; with reuse the one that was used last first, so that those that are not needed fall idle and go.

    What the pool wants is `target`: so many idle ones where each is used once, and with reuse so many altogether. It
    is the level (the size at the start, moved by hand, by the thresholds, and by what was not used for long) or, where
    it learns, what the demand asks for, if that is more. It never makes one where `max_size` are there, tasks that run
    cold included: these alone can be more.

    Raises:
        InvariantBroken: something is told of a container that is not in the state for it.
    """

    def __init__(self, agent: AgentType, settings: PoolSettings) -> None:
        self.agent = agent
        self.settings = settings
        self._idle: dict[str, _Container] = {}
        self._busy: dict[str, _Container] = {}
        self._spent: dict[str, Why] = {}
        self._cold = 0
        self._level = settings.size
        self._learned = 0
        self._idle_timeout_s = settings.idle_timeout_s if settings.auto_cleanup else math.inf
        self._max_age_s = settings.max_age_s if settings.auto_cleanup else math.inf
        self._drained = False
        self._demand = Demand(settings.max_size)
        self._thresholds = Thresholds(
            up_percent=settings.scale_up_percent,
            down_percent=settings.scale_down_percent,
            window_s=settings.scale_interval_s,
        )
        self._park_begun_s: float | None = None
        self._next_park_s = 0.0
        self._failures_in_a_row = 0
        self._owed = 0
        self._counts: Counter[str] = Counter()
        self._retired: Counter[str] = Counter()
        self._execution_s = 0.0
        self._dispatch = {how: Histogram() for how in Dispatch}

    # -- making --

    def begin_park(self, now_s: float) -> None:
        """One is being made. At most one at a time."""
        if self._park_begun_s is not None:
            raise InvariantBroken(f"pool {self.agent.name}: a second container is made while one is under way")
        self._note(now_s)
        self._park_begun_s = now_s

    def parked(self, key: str, now_s: float) -> None:
        """It is there, and idle from now on. `key` is told of no other container, ever."""
        begun_s = self._end_park(now_s)
        if key in self._idle or key in self._busy:
            raise InvariantBroken(f"pool {self.agent.name}: {key} was parked twice")
        self._idle[key] = _Container(key, now_s)
        self._failures_in_a_row = 0
        self._next_park_s = now_s + self.settings.refill_pause_s
        self._owed = max(0, self._owed - 1)
        self._counts["parked"] += 1
        if not self.settings.reuse:
            self._demand.led(now_s - begun_s + self.settings.refill_pause_s)

    def park_failed(self, now_s: float) -> None:
        """It could not be made: the next is tried after 1, 2, 4, ... up to 60 seconds."""
        self._end_park(now_s)
        backoff_s = min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(self._failures_in_a_row, 16))
        self._failures_in_a_row += 1
        self._next_park_s = now_s + max(backoff_s, self.settings.refill_pause_s)
        self._counts["park_failures"] += 1

    def try_again(self) -> None:
        """The cause of the failures so far is over: the next is tried at once."""
        self._failures_in_a_row, self._next_park_s = 0, 0.0

    def _end_park(self, now_s: float) -> float:
        begun_s = self._park_begun_s
        if begun_s is None:
            raise InvariantBroken(f"pool {self.agent.name}: the end of a container's making, and none was being made")
        self._note(now_s)
        self._park_begun_s = None
        return begun_s

    # -- handing out --

    def claim(self, now_s: float) -> str | None:
        """A task came: the key of the container that is its own from now on, or None: a miss, it goes cold."""
        self._note(now_s)
        self._counts["arrivals"] += 1
        in_use = len(self._busy) + self._cold
        self._demand.arrived(now_s, needed=in_use + 1 if self.settings.reuse else None)
        self._learn(now_s)
        return self._take()

    def claim_failed(self, key: str, now_s: float) -> str | None:
        """It proved dead as it was claimed, and ran nothing: the same task's next one, or None: a miss after all."""
        self._note(now_s)
        self._leave(self._busy, key)
        self._counts["hits"] -= 1
        self._count_lost()
        return self._take()

    def _take(self) -> str | None:
        if not self._idle:
            return None
        key = next(reversed(self._idle)) if self.settings.reuse else next(iter(self._idle))
        self._busy[key] = self._idle.pop(key)
        self._counts["hits"] += 1
        return key

    def dispatched(self, how: Dispatch, seconds: float) -> None:
        """A task began, so long after it came."""
        self._dispatch[how].observe(seconds)

    def cold_began(self, now_s: float) -> None:
        """A miss goes into a container of its own."""
        self._note(now_s)
        self._cold += 1

    def cold_ended(self, now_s: float, took_s: float | None) -> None:
        """It is over; `took_s` is None if the task never ran."""
        if not self._cold:
            raise InvariantBroken(f"pool {self.agent.name}: the end of a cold task, and none was running")
        self._note(now_s)
        self._cold -= 1
        self._executed(took_s)

    # -- coming back and going --

    def ended(self, key: str, now_s: float, took_s: float | None) -> None:
        """The task of a container that is used no more has ended; `took_s` is None if the task never ran."""
        self._note(now_s)
        self._leave(self._busy, key)
        self._executed(took_s)

    def returned(self, key: str, now_s: float, took_s: float) -> None:
        """A reused container has run its task and is clean: it is idle again, or has been used enough."""
        self._note(now_s)
        container = self._leave(self._busy, key)
        self._executed(took_s)
        container.executions += 1
        container.used_s = now_s
        if not container.healthy:
            self._spent[key] = Why.UNHEALTHY
            self._owed += 1
        elif container.executions >= self.settings.max_uses:
            self._spent[key] = Why.USED_UP
        else:
            self._idle[key] = container

    def lost(self, key: str, now_s: float) -> None:
        """It died, unused: it is gone already. Of one that is not idle this says nothing: its task's end does."""
        self._note(now_s)
        if self._idle.pop(key, None) is not None:
            self._count_lost()

    def unhealthy(self, key: str, now_s: float) -> None:
        """It failed a check: an idle one is handed out no more and goes, a busy one goes when it comes back."""
        self._note(now_s)
        if self._idle.pop(key, None) is not None:
            self._spent[key] = Why.UNHEALTHY
            self._owed += 1
        elif key in self._busy:
            self._busy[key].healthy = False

    def _count_lost(self) -> None:
        self._counts["lost"] += 1
        self._owed += 1

    def _leave(self, place: dict[str, _Container], key: str) -> _Container:
        container = place.pop(key, None)
        if container is None:
            raise InvariantBroken(f"pool {self.agent.name}: {key} is not busy")
        return container

    def _executed(self, took_s: float | None) -> None:
        if took_s is None:
            return
        self._counts["executions"] += 1
        self._execution_s += took_s
        if self.settings.reuse:
            self._demand.led(took_s)

    # -- sizing --

    def resize(self, size: int) -> None:
        """Scale by hand: this many from now on, until the demand asks for others.

        Raises:
            InputError: not within the pool's bounds.
        """
        low, high = self.settings.min_size, self.settings.max_size
        if not low <= size <= high:
            raise InputError(
                f"pool {self.agent.name}: got size {size}, expected {low} to {high}",
                advice="These are its min_size and max_size; set others before the pools are opened.",
            )
        self._level, self._learned = size, 0
        self._demand.forget()

    def drain(self) -> None:
        """It wants none from now on, whatever its minimum says."""
        self._drained = True

    @property
    def target(self) -> int:
        """How many it wants (see above)."""
        return 0 if self._drained else min(max(self._level, self._learned), self.settings.max_size)

    def _learn(self, now_s: float) -> None:
        if self.settings.auto_scaling and self.settings.learning:
            self._learned = max(self._learned, self._demand.wanted(now_s))

    def _scale(self, now_s: float) -> None:
        """At the end of a window: the level by the thresholds, and what was learned at most one step down."""
        if not self.settings.auto_scaling or self._thresholds.due_in_s(now_s) > 0:
            return
        low, high = self.settings.min_size, self.settings.max_size
        self._level = min(max(self._level + self._thresholds.step(now_s), low), high)
        if self._demand.wanted(now_s) < self._learned:
            self._learned -= 1

    # -- deciding --

    def decide(self, now_s: float) -> list[Decision]:
        """What to do now. Ask after everything that was told, and when `next_look_s` is over."""
        self._note(now_s)
        self._scale(now_s)
        found = [Retire(key=key, why=why) for key, why in self._spent.items()]
        self._spent.clear()
        found += self._unused(now_s)
        found += self._surplus(now_s)
        self._retired.update(each.why.value for each in found)
        if self._stock() >= self.target:
            self._owed = 0
        parks: list[Decision] = [Park()] if self._wants_park(now_s) else []
        return [*found, *parks]

    def _unused(self, now_s: float) -> list[Retire]:
        """Those that nobody wanted for `idle_timeout_s`, down to `min_size`; the pool wants fewer from then on."""
        found = []
        for container in list(self._idle.values()):
            if now_s - container.used_s < self._idle_timeout_s or self._stock() <= self.settings.min_size:
                continue
            self._idle.pop(container.key)
            found.append(Retire(key=container.key, why=Why.IDLE))
            fewer = max(self.settings.min_size, min(self.target - 1, self._stock()))
            self._level, self._learned = min(self._level, fewer), min(self._learned, fewer)
            self._demand.clip(fewer)
        return found

    def _surplus(self, now_s: float) -> list[Retire]:
        """Old ones that are replaced, stand in the way of it, or are overdue; then what is above the target."""
        found: list[Retire] = []
        for container in list(self._idle.values()):
            age_s = now_s - container.created_s
            old = age_s >= self._max_age_s
            blocked = old and self._present() >= self.settings.max_size and not found and self._park_begun_s is None
            if old and (blocked or self._stock() > self.target or age_s >= OVERDUE * self._max_age_s):
                self._idle.pop(container.key)
                found.append(Retire(key=container.key, why=Why.OLD))
        while self._idle and self._stock() > self.target:
            key = next(iter(self._idle))
            self._idle.pop(key)
            found.append(Retire(key=key, why=Why.SCALED_DOWN))
        return found

    def _wants_park(self, now_s: float) -> bool:
        if self._park_begun_s is not None or now_s < self._next_park_s or self._present() >= self.settings.max_size:
            return False
        old = sum(now_s - each.created_s >= self._max_age_s for each in self._idle.values())
        return self._stock() - old < self.target

    def _stock(self) -> int:
        """What counts towards the target: idle ones, and with reuse busy ones, which come back."""
        return len(self._idle) + (len(self._busy) if self.settings.reuse else 0)

    def _present(self) -> int:
        return len(self._idle) + len(self._busy) + self._cold + (self._park_begun_s is not None)

    def next_look_s(self, now_s: float) -> float | None:
        """In how many seconds time alone may change what is to be done; None if only an event can."""
        dues = [each.created_s + age_s - now_s for each in self._idle.values() for age_s in self._ages_s()]
        dues += [each.used_s + self._idle_timeout_s - now_s for each in self._idle.values()]
        if self._park_begun_s is None:
            dues.append(self._next_park_s - now_s)
        coming = [due_s for due_s in dues if 0 < due_s < math.inf]
        if self.settings.auto_scaling and (self._busy or self._cold or self._thresholds.in_demand or self._learned):
            coming.append(self._thresholds.due_in_s(now_s))
        return min(coming, default=None)

    def _ages_s(self) -> tuple[float, float]:
        return self._max_age_s, OVERDUE * self._max_age_s

    # -- telling --

    def snapshot(self, now_s: float) -> PoolReading:
        """How it stands."""
        counts = self._counts
        return PoolReading(
            agent_type=self.agent.name,
            target=self.target,
            idle=len(self._idle),
            busy=len(self._busy),
            cold=self._cold,
            parking=self._park_begun_s is not None,
            unhealthy=self._owed + sum(not each.healthy for each in self._busy.values()),
            arrivals=counts["arrivals"],
            hits=counts["hits"],
            misses=counts["arrivals"] - counts["hits"],
            resized=self._dispatch[Dispatch.RESIZED].read().count,
            executions=counts["executions"],
            execution_s=self._execution_s,
            parked=counts["parked"],
            park_failures=counts["park_failures"],
            lost=counts["lost"],
            retired=dict(self._retired),
            rate_per_s=self._demand.rate_per_s(now_s),
            lead_s=self._demand.lead_s,
            dispatch={how: histogram.read() for how, histogram in self._dispatch.items()},
            containers=(
                *(self._read(each, in_use=False) for each in self._idle.values()),
                *(self._read(each, in_use=True) for each in self._busy.values()),
            ),
        )

    @staticmethod
    def _read(container: _Container, *, in_use: bool) -> ContainerReading:
        return ContainerReading(
            key=container.key,
            created_s=container.created_s,
            last_used_s=container.used_s,
            exec_count=container.executions + in_use,
            healthy=container.healthy,
            in_use=in_use,
        )

    def _note(self, now_s: float) -> None:
        """Before anything changes: how much was in use until now."""
        active = len(self._busy) + self._cold
        self._thresholds.note(now_s, active, active + len(self._idle))
