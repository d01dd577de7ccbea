"""One warm pool: which containers it has, who gets which, and what is to be made and taken away."""

from __future__ import annotations

import math

from wavepool.core.pools.decisions import Decision, Park, Retire, Why
from wavepool.core.pools.demand import Demand
from wavepool.core.pools.readings import ContainerReading, Dispatch, PoolReading
from wavepool.core.pools.refill import Refill
from wavepool.core.pools.tally import Tally
from wavepool.core.pools.target import Target
from wavepool.errors import InputError, InvariantBroken
from wavepool.model import AgentType, PoolSettings

OVERDUE = 1.1
"""An old container goes when another has taken its place, and in any case at this many times its greatest age."""
LOOK_MIN_S = 0.001


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

    What the pool wants is its `target`: so many idle ones where each is used once, and with reuse so many altogether.
    It never makes one where `max_size` are there, tasks that run cold included: these alone can be more.

    Args:
        agent: what the containers are.
        settings: how they are kept.
        demand: what learns from the arrivals; None: a `Demand` of its own.

    Raises:
        InvariantBroken: something is told of a container that is not in the state for it.
    """

    def __init__(self, agent: AgentType, settings: PoolSettings, *, demand: Demand | None = None) -> None:
        self.agent = agent
        self.settings = settings
        self._idle: dict[str, _Container] = {}
        self._busy: dict[str, _Container] = {}
        self._spent: dict[str, Why] = {}
        self._cold = 0
        self._owed = 0
        self._demand = Demand(settings.max_size) if demand is None else demand
        self._target = Target(settings, self._demand)
        self._refill = Refill(agent.name, settings.refill_pause_s)
        self._tally = Tally()
        self._idle_timeout_s = settings.idle_timeout_s if settings.auto_cleanup else math.inf
        self._max_age_s = settings.max_age_s if settings.auto_cleanup else math.inf

    # -- making --

    def begin_park(self, now_s: float) -> None:
        """One is being made. At most one at a time."""
        self._note(now_s)
        self._refill.begin(now_s)

    def parked(self, key: str, now_s: float) -> None:
        """It is there, and idle from now on. `key` is told of no other container, ever."""
        self._note(now_s)
        if key in self._idle or key in self._busy:
            raise InvariantBroken(f"pool {self.agent.name}: {key} was parked twice")
        self._target.made(self._refill.done(now_s))
        self._idle[key] = _Container(key, now_s)
        self._owed = max(0, self._owed - 1)
        self._tally.counts["parked"] += 1

    def park_failed(self, now_s: float) -> None:
        """It could not be made: the next is tried after 1, 2, 4, ... up to 60 seconds."""
        self._note(now_s)
        self._refill.failed(now_s)
        self._tally.counts["park_failures"] += 1

    @property
    def failures(self) -> int:
        """How many in a row could not be made."""
        return self._refill.failures

    def try_again(self) -> None:
        """The cause of the failures so far is over: the next is tried at once."""
        self._refill.try_again()

    # -- handing out --

    def claim(self, now_s: float) -> str | None:
        """A task came: the key of the container that is its own from now on, or None: a miss, it goes cold."""
        self._note(now_s)
        self._tally.counts["arrivals"] += 1
        self._target.arrived(now_s, self._active())
        return self._take()

    def claim_failed(self, key: str, now_s: float) -> str | None:
        """It proved dead as it was claimed, and ran nothing: the same task's next one, or None: a miss after all."""
        self._note(now_s)
        self._leave(key)
        self._tally.counts["hits"] -= 1
        self._count_lost()
        return self._take()

    def dispatched(self, how: Dispatch, seconds: float) -> None:
        """A task began, so long after it came."""
        self._tally.dispatched(how, seconds)

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

    def _take(self) -> str | None:
        if not self._idle:
            return None
        key = next(reversed(self._idle)) if self.settings.reuse else next(iter(self._idle))
        self._busy[key] = self._idle.pop(key)
        self._tally.counts["hits"] += 1
        return key

    # -- coming back and going --

    def ended(self, key: str, now_s: float, took_s: float | None) -> None:
        """The task of a container that is used no more has ended; `took_s` is None if the task never ran."""
        self._note(now_s)
        self._leave(key)
        self._executed(took_s)

    def returned(self, key: str, now_s: float, took_s: float) -> None:
        """A reused container has run its task and is clean: it is idle again, or has been used enough."""
        self._note(now_s)
        container = self._leave(key)
        self._executed(took_s)
        container.executions += 1
        container.used_s = now_s
        if not container.healthy:
            self._spend(key, Why.UNHEALTHY)
        elif container.executions >= self.settings.max_uses:
            self._spend(key, Why.USED_UP)
        else:
            self._idle[key] = container

    def lost(self, key: str, now_s: float) -> None:
        """It died, unused: it is gone already. Of one that is not idle this says nothing: its task's end does."""
        self._note(now_s)
        if self._idle.pop(key, None) is not None:
            self._refill.lost(now_s)
            self._count_lost()

    def unhealthy(self, key: str, now_s: float) -> None:
        """It failed a check: an idle one is handed out no more and goes, a busy one goes when it comes back."""
        self._note(now_s)
        if self._idle.pop(key, None) is not None:
            self._spend(key, Why.UNHEALTHY)
        elif key in self._busy:
            self._busy[key].healthy = False

    def _spend(self, key: str, why: Why) -> None:
        self._spent[key] = why
        if why is Why.UNHEALTHY:
            self._owed += 1

    def _count_lost(self) -> None:
        self._tally.counts["lost"] += 1
        self._owed += 1

    def _leave(self, key: str) -> _Container:
        container = self._busy.pop(key, None)
        if container is None:
            raise InvariantBroken(f"pool {self.agent.name}: {key} is not busy")
        return container

    def _executed(self, took_s: float | None) -> None:
        if took_s is not None:
            self._tally.executed(took_s)
            self._target.ran(took_s)

    # -- deciding --

    def resize(self, size: int) -> None:
        """Scale by hand: this many from now on, until the demand asks for others.

        Raises:
            InputError: not within the pool's bounds.
        """
        low, high = self.settings.min_size, self.settings.max_size
        if not low <= size <= high:
            raise InputError(
                f"pool {self.agent.name}: got size {size}, expected {low} to {high}",
                advice="These are its min_size and max_size, of the settings that its pools were opened with. "
                "To have none, drain it.",
            )
        self._target.by_hand(size)

    def drain(self) -> None:
        """It wants none from now on, whatever its minimum says."""
        self._target.drain()

    def reopen(self) -> None:
        """After `drain`: it wants as many again as before."""
        self._target.reopen()

    def decide(self, now_s: float) -> list[Decision]:
        """What to do now. Ask after everything that was told, and when `next_look_s` is over."""
        self._note(now_s)
        self._target.scale(now_s)
        gone = [Retire(key=key, why=why) for key, why in self._spent.items()]
        self._spent.clear()
        gone += self._unused(now_s)
        gone += self._old(now_s)
        gone += self._surplus()
        self._tally.retire(gone)
        if self._stock() >= self.target:
            self._owed = 0
        if not self._wants_park(now_s):
            self._refill.unwish()
            return [*gone]
        self._refill.wish(now_s)
        return [*gone, Park()]

    def next_look_s(self, now_s: float) -> float | None:
        """In how many seconds time alone may change what is to be done; None if only an event can."""
        dues: list[float | None] = [self._target.due_in_s(now_s, self._active())]
        wait_s = self._refill.wait_s(now_s)
        if wait_s is not None and wait_s > 0:
            dues.append(wait_s)
        for container in self._idle.values():
            age_s, unused_s = now_s - container.created_s, now_s - container.used_s
            ends = (self._max_age_s - age_s, OVERDUE * self._max_age_s - age_s, self._idle_timeout_s - unused_s)
            dues += [end_s for end_s in ends if 0 < end_s < math.inf]
        soonest_s = min((due_s for due_s in dues if due_s is not None), default=None)
        return None if soonest_s is None else max(LOOK_MIN_S, soonest_s)

    def _unused(self, now_s: float) -> list[Retire]:
        """Those that nobody wanted for `idle_timeout_s`, down to `min_size`; the pool wants fewer from then on."""
        gone: list[Retire] = []
        for container in list(self._idle.values()):
            if now_s - container.used_s < self._idle_timeout_s or self._stock() <= self.settings.min_size:
                continue
            gone.append(self._retire(container.key, Why.IDLE))
            self._target.unused(max(self.settings.min_size, min(self.target - 1, self._stock())))
        return gone

    def _old(self, now_s: float) -> list[Retire]:
        """Old ones that are replaced, that stand in the way of it at the greatest size, or that are overdue."""
        gone: list[Retire] = []
        for container in list(self._idle.values()):
            age_s = now_s - container.created_s
            if age_s < self._max_age_s:
                continue
            blocks = not gone and not self._refill.under_way and self._present() >= self.settings.max_size
            if blocks or self._stock() > self.target or age_s >= OVERDUE * self._max_age_s:
                gone.append(self._retire(container.key, Why.OLD))
        return gone

    def _surplus(self) -> list[Retire]:
        gone: list[Retire] = []
        while self._idle and self._stock() > self.target:
            gone.append(self._retire(next(iter(self._idle)), Why.SCALED_DOWN))
        return gone

    def _retire(self, key: str, why: Why) -> Retire:
        del self._idle[key]
        return Retire(key=key, why=why)

    def _wants_park(self, now_s: float) -> bool:
        wait_s = self._refill.wait_s(now_s)
        if wait_s is None or wait_s > 0 or self._present() >= self.settings.max_size:
            return False
        old = sum(now_s - each.created_s >= self._max_age_s for each in self._idle.values())
        return self._stock() - old < self.target

    # -- telling --

    @property
    def idle(self) -> int:
        """How many could be claimed now."""
        return len(self._idle)

    @property
    def target(self) -> int:
        """How many it wants."""
        return self._target.size

    def snapshot(self, now_s: float) -> PoolReading:
        """How it stands."""
        counts, dispatch = self._tally.counts, self._tally.dispatch
        idle = (self._read(each, in_use=False) for each in self._idle.values())
        busy = (self._read(each, in_use=True) for each in self._busy.values())
        return PoolReading(
            agent_type=self.agent.name,
            target=self.target,
            idle=len(self._idle),
            busy=len(self._busy),
            cold=self._cold,
            parking=self._refill.under_way,
            unhealthy=self._owed + sum(not each.healthy for each in self._busy.values()),
            misses=counts["arrivals"] - counts["hits"],
            resized=dispatch[Dispatch.RESIZED].count,
            execution_s=self._tally.execution_s,
            retired=self._tally.retired,
            rate_per_s=self._demand.rate_per_s(now_s),
            lead_s=self._demand.lead_s,
            dispatch=dispatch,
            containers=(*idle, *busy),
            **counts,
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

    def _stock(self) -> int:
        """What counts towards the target: idle ones, and with reuse busy ones, which come back."""
        return len(self._idle) + (len(self._busy) if self.settings.reuse else 0)

    def _active(self) -> int:
        return len(self._busy) + self._cold

    def _present(self) -> int:
        return len(self._idle) + self._active() + self._refill.under_way

    def _note(self, now_s: float) -> None:
        """Before anything changes: how much was in use until now."""
        self._target.note(now_s, self._active(), self._active() + len(self._idle))
