"""One warm pool, told what happens: what it hands out, makes and takes away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wavepool.core.pools import Park, PoolBook, Retire, Why
from wavepool.errors import InputError, InvariantBroken
from wavepool.model import AgentType, Limits, PoolSettings

AGENT = AgentType(name="coder", image="agent:1", limits=Limits(memory_bytes=512 << 20))
FIXED = PoolSettings(size=2, min_size=1, max_size=4, auto_scaling=False)


class Pool:
    """A book, a clock that is moved by hand, and an engine that does at once what the book decides."""

    def __init__(self, settings: PoolSettings = FIXED, *, refill_s: float = 0.25) -> None:
        self.book = PoolBook(AGENT, settings)
        self.now_s = 100.0
        self.refill_s = refill_s
        self.made = 0
        self.gone: list[tuple[str, Why]] = []

    def settle(self) -> None:
        """Carry out decisions until there are none; each container takes `refill_s` to make."""
        while found := self.book.decide(self.now_s):
            self.gone += [(each.key, each.why) for each in found if isinstance(each, Retire)]
            if Park() in found:
                self.book.begin_park(self.now_s)
                self.now_s += self.refill_s
                self.made += 1
                self.book.parked(f"c{self.made}", self.now_s)

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.settle()

    @property
    def idle(self) -> list[str]:
        return [each.key for each in self.book.snapshot(self.now_s).containers if not each.in_use]


def warm(settings: PoolSettings = FIXED) -> Pool:
    pool = Pool(settings)
    pool.settle()
    return pool


def test_it_is_filled_to_its_size_one_at_a_time() -> None:
    pool = Pool()
    assert pool.book.decide(pool.now_s) == [Park()]
    pool.book.begin_park(pool.now_s)
    assert pool.book.decide(pool.now_s) == []
    pool.book.parked("a", 101.0)
    assert pool.book.decide(101.0) == [Park()]
    pool.book.begin_park(101.0)
    pool.book.parked("b", 102.0)
    assert pool.book.decide(102.0) == []


def test_the_oldest_is_claimed_first_and_replaced_while_it_works() -> None:
    pool = warm()
    assert pool.book.claim(pool.now_s) == "c1"
    pool.settle()
    assert pool.idle == ["c2", "c3"]
    pool.book.ended("c1", pool.now_s, 2.5)
    reading = pool.book.snapshot(pool.now_s)
    assert (reading.busy, reading.executions, reading.execution_s, reading.hits) == (0, 1, 2.5, 1)


def test_a_miss_goes_cold_and_is_counted_as_one() -> None:
    pool = warm()
    claims = [pool.book.claim(pool.now_s) for _ in range(3)]
    assert claims == ["c1", "c2", None]
    pool.book.cold_began(pool.now_s)
    reading = pool.book.snapshot(pool.now_s)
    assert (reading.arrivals, reading.hits, reading.misses, reading.cold, reading.total) == (3, 2, 1, 1, 3)
    pool.book.cold_ended(pool.now_s, 1.0)
    assert pool.book.snapshot(pool.now_s).cold == 0


def test_none_is_made_beyond_the_greatest_size_whatever_runs() -> None:
    pool = warm()
    for _ in range(4):
        pool.book.claim(pool.now_s)
        pool.settle()
    assert (pool.book.snapshot(pool.now_s).busy, pool.idle) == (4, [])
    pool.book.ended("c1", pool.now_s, 1.0)
    pool.settle()
    assert pool.idle == ["c5"]


def test_one_that_proves_dead_at_its_claim_hands_on_to_the_next() -> None:
    pool = warm()
    assert pool.book.claim(pool.now_s) == "c1"
    assert pool.book.claim_failed("c1", pool.now_s) == "c2"
    assert pool.book.claim_failed("c2", pool.now_s) is None
    reading = pool.book.snapshot(pool.now_s)
    assert (reading.arrivals, reading.hits, reading.misses, reading.lost) == (1, 0, 1, 2)


def test_scaled_by_hand() -> None:
    pool = warm()
    pool.book.resize(4)
    pool.settle()
    assert pool.idle == ["c1", "c2", "c3", "c4"]
    pool.book.resize(1)
    pool.settle()
    assert pool.idle == ["c4"]
    assert pool.gone == [("c1", Why.SCALED_DOWN), ("c2", Why.SCALED_DOWN), ("c3", Why.SCALED_DOWN)]
    for size in (0, 5):
        with pytest.raises(InputError, match=f"pool coder: got size {size}, expected 1 to 4"):
            pool.book.resize(size)


def test_idle_ones_go_down_to_the_least_and_stay_away() -> None:
    pool = warm(replace(FIXED, size=3, idle_timeout_s=60.0))
    pool.wait(59.0)
    pool.wait(10.0)
    assert pool.gone == [("c1", Why.IDLE), ("c2", Why.IDLE)]
    pool.wait(600.0)
    assert (pool.idle, pool.made) == (["c3"], 3)


def test_what_did_not_happen_cannot_be_told() -> None:
    pool = warm()
    with pytest.raises(InvariantBroken):
        pool.book.ended("c1", pool.now_s, 1.0)
    with pytest.raises(InvariantBroken):
        pool.book.parked("c9", pool.now_s)
    with pytest.raises(InvariantBroken):
        pool.book.cold_ended(pool.now_s, 1.0)
    pool.book.begin_park(pool.now_s)
    with pytest.raises(InvariantBroken):
        pool.book.begin_park(pool.now_s)
