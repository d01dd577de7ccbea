"""A warm pool in virtual time: arrivals, refills and tasks of given lengths, decided about by the real `PoolBook`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random

from wavepool.core.pools import Demand, Park, PoolBook, PoolReading
from wavepool.model import AgentType, Limits, PoolSettings

_AGENT = AgentType(name="simulated", image="none", limits=Limits(memory_bytes=64 << 20))


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOutcome:
    """What became of one simulated pool.

    Attributes:
        hit_percent: of the arrivals after the warm-up.
        mean_idle: containers that waited, on average over all the time.
        parked: how many were made.
        reading: the book's own at the end.
    """

    hit_percent: float
    mean_idle: float
    parked: int
    reading: PoolReading


def simulate_pool(
    settings: PoolSettings,
    arrivals_s: Iterator[float],
    *,
    random: Random,
    refill_s: Callable[[Random], float],
    task_s: Callable[[Random], float],
    warm_up: int = 0,
    demand: Demand | None = None,
) -> PoolOutcome:
    """Play the arrivals, whose times do not fall, to their end.

    Args:
        settings: of the pool.
        arrivals_s: must end.
        random: of all that is random; the same one does the same again.
        refill_s: how long one refill takes.
        task_s: how long one task runs.
        warm_up: arrivals that do not count.
        demand: what the pool learns with; None: its own.
    """
    return _Simulation(PoolBook(_AGENT, settings, demand=demand), random, refill_s, task_s).play(arrivals_s, warm_up)


class _Simulation:
    def __init__(
        self,
        book: PoolBook,
        random: Random,
        refill_s: Callable[[Random], float],
        task_s: Callable[[Random], float],
    ) -> None:
        self._book = book
        self._random, self._refill_s, self._task_s = random, refill_s, task_s
        self._queue: list[tuple[float, int, Callable[[float], None]]] = []
        self._scheduled = 0
        self._made = 0
        self._idle_s = 0.0
        self._now_s = 0.0
        self._look_s: float | None = None

    def play(self, arrivals_s: Iterator[float], warm_up: int) -> PoolOutcome:
        self._advance(0.0)
        before = self._book.snapshot(0.0)
        for number, arrival_s in enumerate(arrivals_s):
            self._run_until(arrival_s)
            if number == warm_up:
                before = self._book.snapshot(arrival_s)
            self._arrive(arrival_s)
        reading = self._book.snapshot(self._now_s)
        counted = max(1, reading.arrivals - before.arrivals)
        return PoolOutcome(
            hit_percent=100.0 * (reading.hits - before.hits) / counted,
            mean_idle=self._idle_s / self._now_s if self._now_s else 0.0,
            parked=reading.parked,
            reading=reading,
        )

    def _run_until(self, until_s: float) -> None:
        while True:
            event_s = self._queue[0][0] if self._queue else until_s
            due_s = min(event_s, until_s if self._look_s is None else self._look_s)
            if due_s >= until_s:
                self._pass(until_s)
                return
            self._pass(due_s)
            if self._queue and self._queue[0][0] <= due_s:
                heappop(self._queue)[2](due_s)
            self._advance(due_s)

    def _pass(self, now_s: float) -> None:
        self._idle_s += (now_s - self._now_s) * self._book.idle
        self._now_s = now_s

    def _arrive(self, now_s: float) -> None:
        key, took_s = self._book.claim(now_s), self._task_s(self._random)
        if key is None:
            self._book.cold_began(now_s)
            self._at(now_s + took_s, lambda then_s: self._book.cold_ended(then_s, took_s))
        elif self._book.settings.reuse:
            self._at(now_s + took_s, lambda then_s: self._book.returned(key, then_s, took_s))
        else:
            self._at(now_s + took_s, lambda then_s: self._book.ended(key, then_s, took_s))
        self._advance(now_s)

    def _advance(self, now_s: float) -> None:
        """Carry out what the book decides; what is retired is gone at once."""
        if any(isinstance(each, Park) for each in self._book.decide(now_s)):
            self._made += 1
            key = f"c{self._made}"
            self._book.begin_park(now_s)
            self._at(now_s + self._refill_s(self._random), lambda then_s: self._book.parked(key, then_s))
        wait_s = self._book.next_look_s(now_s)
        self._look_s = None if wait_s is None else now_s + wait_s

    def _at(self, due_s: float, action: Callable[[float], None]) -> None:
        self._scheduled += 1
        heappush(self._queue, (due_s, self._scheduled, action))


def poisson(random: Random, rate_per_s: float, count: int) -> Iterator[float]:
    """Times of a Poisson process."""
    return steps(random, (rate_per_s,), count)


def bursts(random: Random, *, size: int, every_s: float, spread_s: float, count: int) -> Iterator[float]:
    """Groups of `size` arrivals within `spread_s`, with exponential times of mean `every_s` between the groups."""
    now_s = 0.0
    for _ in range(count):
        now_s += random.expovariate(1 / every_s)
        times_s = sorted(random.uniform(0.0, spread_s) for _ in range(size))
        yield from (now_s + each_s for each_s in times_s)
        now_s += spread_s


def steps(random: Random, rates_per_s: tuple[float, ...], count: int) -> Iterator[float]:
    """Poisson processes one after the other, `count` arrivals of each."""
    now_s = 0.0
    for rate_per_s in rates_per_s:
        for _ in range(count):
            now_s += random.expovariate(rate_per_s)
            yield now_s
