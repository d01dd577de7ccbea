"""A warm pool through any sequence of events: what must hold after each of them."""

from __future__ import annotations

from copy import deepcopy

from hypothesis import settings as dose
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from wavepool.core.pools import Park, PoolBook, Retire, Why
from wavepool.core.pools.book import LOOK_MIN_S
from wavepool.model import AgentType, Limits, PoolSettings

AGENT = AgentType(name="any", image="any", limits=Limits(memory_bytes=64 << 20))
INDEX = st.integers(0, 1000)
EVER_S = 1e6


@st.composite
def some_settings(draw: st.DrawFn) -> PoolSettings:
    low, middle, high = sorted(draw(st.lists(st.integers(0, 6), min_size=3, max_size=3)))
    return PoolSettings(
        size=middle,
        min_size=low,
        max_size=max(1, high),
        auto_scaling=draw(st.booleans()),
        learning=draw(st.booleans()),
        max_age_s=draw(st.sampled_from([5.0, 60.0])),
        idle_timeout_s=draw(st.sampled_from([3.0, 30.0, 90.0])),
        auto_cleanup=draw(st.booleans()),
        refill_pause_s=draw(st.sampled_from([0.0, 0.5])),
        reuse=draw(st.booleans()),
        max_uses=draw(st.sampled_from([1, 3])),
        scale_interval_s=draw(st.sampled_from([1.0, 10.0])),
    )


class AnyPool(RuleBasedStateMachine):
    """Beside the book stands what an engine knows: which containers wait, which work, and what was told of them."""

    @initialize(settings=some_settings())
    def open(self, settings: PoolSettings) -> None:
        self.settings = settings
        self.book = PoolBook(AGENT, settings)
        self.now_s = 50.0
        self.made = 0
        self.parking = False
        self.idle: list[str] = []
        self.busy: list[str] = []
        self.gone: set[str] = set()
        self.cold = self.arrivals = self.hits = 0

    def _leave(self, place: list[str], index: int) -> str:
        key = place.pop(index % len(place))
        self.gone.add(key)
        return key

    def _got(self, key: str | None) -> None:
        if key is None:
            assert not self.idle or all(each in self.gone for each in self.idle)
            self.book.cold_began(self.now_s)
            self.cold += 1
            return
        expected = self.idle[-1] if self.settings.reuse else self.idle[0]
        assert key == expected
        self.idle.remove(key)
        self.busy.append(key)
        self.hits += 1

    @rule(wait_s=st.floats(0.0, 40.0))
    def wait_and_decide(self, wait_s: float) -> None:
        self.now_s += wait_s
        decisions = self.book.decide(self.now_s)
        stock = len(self.idle) + (len(self.busy) if self.settings.reuse else 0)
        for each in decisions:
            if isinstance(each, Retire):
                assert each.key not in self.busy
                assert each.key not in self.gone
                if each.key in self.idle:
                    self.idle.remove(each.key)
                    stock -= 1
                if each.why is Why.IDLE:
                    assert stock >= self.settings.min_size
                if each.why in (Why.IDLE, Why.OLD):
                    assert self.settings.auto_cleanup
                self.gone.add(each.key)
        assert decisions.count(Park()) <= 1
        if Park() in decisions:
            assert not self.parking
            assert len(self.idle) + len(self.busy) + self.cold < self.settings.max_size
            self.book.begin_park(self.now_s)
            self.parking = True

    @precondition(lambda self: self.parking)
    @rule(took_s=st.floats(0.01, 3.0))
    def it_is_made(self, took_s: float) -> None:
        self.now_s += took_s
        self.made += 1
        self.parking = False
        self.book.parked(f"c{self.made}", self.now_s)
        self.idle.append(f"c{self.made}")

    @precondition(lambda self: self.parking)
    @rule()
    def it_is_not_made(self) -> None:
        self.parking = False
        self.book.park_failed(self.now_s)
        assert Park() not in self.book.decide(self.now_s)

    @rule()
    def claim(self) -> None:
        self.arrivals += 1
        self._got(self.book.claim(self.now_s))

    @precondition(lambda self: self.busy)
    @rule(index=INDEX)
    def the_claim_fails(self, index: int) -> None:
        key = self._leave(self.busy, index)
        self.hits -= 1
        self._got(self.book.claim_failed(key, self.now_s))

    @precondition(lambda self: self.busy)
    @rule(index=INDEX, took_s=st.floats(0.0, 9.0))
    def a_task_ends(self, index: int, took_s: float) -> None:
        self.book.ended(self._leave(self.busy, index), self.now_s, took_s)

    @precondition(lambda self: self.busy and self.settings.reuse)
    @rule(index=INDEX, took_s=st.floats(0.0, 9.0))
    def a_container_returns(self, index: int, took_s: float) -> None:
        key = self.busy.pop(index % len(self.busy))
        self.book.returned(key, self.now_s, took_s)
        if any(each.key == key for each in self.book.snapshot(self.now_s).containers):
            self.idle.append(key)

    @precondition(lambda self: self.cold)
    @rule()
    def a_cold_task_ends(self) -> None:
        self.cold -= 1
        self.book.cold_ended(self.now_s, 1.0)

    @precondition(lambda self: self.idle)
    @rule(index=INDEX)
    def one_dies(self, index: int) -> None:
        self.book.lost(self._leave(self.idle, index), self.now_s)

    @precondition(lambda self: self.idle)
    @rule(index=INDEX)
    def one_is_ill(self, index: int) -> None:
        key = self.idle.pop(index % len(self.idle))
        self.book.unhealthy(key, self.now_s)
        before = self.book.snapshot(self.now_s).retired.get("unhealthy", 0)
        self.wait_and_decide(0.0)
        assert key in self.gone
        assert self.book.snapshot(self.now_s).retired["unhealthy"] > before

    @precondition(lambda self: self.busy)
    @rule(index=INDEX)
    def a_busy_one_is_ill(self, index: int) -> None:
        self.book.unhealthy(self.busy[index % len(self.busy)], self.now_s)

    @rule(index=INDEX)
    def scale_by_hand(self, index: int) -> None:
        low, high = self.settings.min_size, self.settings.max_size
        self.book.resize(low + index % (high - low + 1))
        self.wait_and_decide(0.0)
        assert len(self.idle) <= self.book.target

    @rule()
    def time_alone_changes_nothing_before_the_next_look(self) -> None:
        self.wait_and_decide(0.0)
        look_s = self.book.next_look_s(self.now_s)
        if look_s == LOOK_MIN_S:  # it may be due sooner than that
            return
        later_s = self.now_s + (EVER_S if look_s is None else 0.99 * look_s)
        assert deepcopy(self.book).decide(later_s) == deepcopy(self.book).decide(self.now_s)

    @invariant()
    def each_key_is_in_its_place(self) -> None:
        reading = self.book.snapshot(self.now_s)
        assert [each.key for each in reading.containers if not each.in_use] == self.idle
        assert sorted(each.key for each in reading.containers if each.in_use) == sorted(self.busy)
        assert (reading.idle, reading.busy, reading.cold) == (len(self.idle), len(self.busy), self.cold)
        assert self.gone.isdisjoint(each.key for each in reading.containers)

    @invariant()
    def there_are_never_too_many(self) -> None:
        assert len(self.idle) + len(self.busy) + self.parking <= self.settings.max_size
        assert self.settings.min_size <= self.book.target <= self.settings.max_size

    @invariant()
    def every_arrival_hits_or_misses(self) -> None:
        reading = self.book.snapshot(self.now_s)
        assert (reading.arrivals, reading.hits) == (self.arrivals, self.hits)
        assert reading.hits + reading.misses == reading.arrivals
        assert reading.unhealthy >= 0


AnyPool.TestCase.settings = dose(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyPool = AnyPool.TestCase
