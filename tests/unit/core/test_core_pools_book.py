"""One warm pool, told what happens: what it hands out, makes and takes away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wavepool.core.pools import Park, PoolBook, Retire, Why
from wavepool.core.pools.refill import LOST_PAUSE_S
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


# -- age, health and failures --


def test_old_ones_are_replaced_before_they_go() -> None:
    pool = warm(replace(FIXED, max_age_s=60.0, idle_timeout_s=600.0))
    pool.now_s += 60.0
    assert pool.book.decide(pool.now_s) == [Park()]
    pool.settle()
    assert (pool.gone, pool.idle) == ([("c1", Why.OLD), ("c2", Why.OLD)], ["c3", "c4"])


def test_at_the_greatest_size_an_old_one_makes_room_first_and_one_at_a_time() -> None:
    pool = warm(replace(FIXED, size=4, max_age_s=60.0, idle_timeout_s=600.0))
    pool.now_s += 63.0
    assert pool.book.decide(pool.now_s) == [Retire(key="c1", why=Why.OLD), Park()]
    pool.book.begin_park(pool.now_s)
    assert pool.book.decide(pool.now_s) == []
    pool.book.parked("c5", pool.now_s)
    assert pool.book.decide(pool.now_s) == [Retire(key="c2", why=Why.OLD), Park()]


def test_one_that_cannot_be_replaced_goes_when_it_is_overdue() -> None:
    pool = warm(replace(FIXED, size=1, max_age_s=60.0, idle_timeout_s=600.0))
    pool.now_s += 60.0
    pool.book.begin_park(pool.now_s)
    pool.book.park_failed(pool.now_s)
    assert pool.book.decide(pool.now_s + 0.5) == []
    assert Retire(key="c1", why=Why.OLD) in pool.book.decide(pool.now_s + 6.1)


def test_what_may_not_be_cleaned_up_stays_old_and_idle() -> None:
    pool = warm(replace(FIXED, max_age_s=60.0, idle_timeout_s=30.0, auto_cleanup=False))
    pool.wait(10_000.0)
    assert (pool.gone, pool.idle) == ([], ["c1", "c2"])
    assert pool.book.next_look_s(pool.now_s) is None


def test_an_ill_one_is_not_handed_out_and_is_replaced() -> None:
    pool = warm()
    pool.book.unhealthy("c1", pool.now_s)
    assert pool.book.snapshot(pool.now_s).unhealthy == 1
    assert pool.book.claim(pool.now_s) == "c2"
    pool.settle()
    assert pool.gone == [("c1", Why.UNHEALTHY)]
    assert pool.idle == ["c3", "c4"]
    assert pool.book.snapshot(pool.now_s).unhealthy == 0


def test_one_that_died_unused_counts_as_ill_until_it_is_replaced() -> None:
    pool = warm()
    pool.book.lost("c1", pool.now_s)
    pool.book.lost("c1", pool.now_s)
    reading = pool.book.snapshot(pool.now_s)
    assert (reading.lost, reading.unhealthy, reading.idle) == (1, 1, 1)
    pool.settle()
    assert pool.idle == ["c2"]  # what ended it, an engine that goes down, may end the next one half made
    assert pool.book.next_look_s(pool.now_s) == LOST_PAUSE_S
    pool.wait(LOST_PAUSE_S)
    assert len(pool.idle) == 2
    assert pool.book.snapshot(pool.now_s).unhealthy == 0


def test_after_failures_it_waits_longer_and_longer() -> None:
    pool, waits = Pool(), []
    for _ in range(8):
        pool.book.begin_park(pool.now_s)
        pool.book.park_failed(pool.now_s)
        wait_s = pool.book.next_look_s(pool.now_s)
        assert wait_s is not None
        assert pool.book.decide(pool.now_s + wait_s - 0.001) == []
        pool.now_s += wait_s
        assert pool.book.decide(pool.now_s) == [Park()]
        waits.append(wait_s)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    pool.settle()
    pool.book.claim(pool.now_s)
    pool.book.begin_park(pool.now_s)
    pool.book.park_failed(pool.now_s)
    assert pool.book.next_look_s(pool.now_s) == 1


def test_when_the_cause_is_over_the_next_is_made_at_once() -> None:
    pool = Pool()
    for _ in range(5):
        pool.book.begin_park(pool.now_s)
        pool.book.park_failed(pool.now_s)
    assert pool.book.decide(pool.now_s) == []
    pool.book.try_again()
    assert pool.book.decide(pool.now_s) == [Park()]


def test_a_refill_takes_as_long_as_it_was_wanted() -> None:
    pool = warm(replace(FIXED, size=1))
    assert pool.book.claim(pool.now_s) == "c1"
    assert pool.book.decide(pool.now_s) == [Park()]
    pool.now_s += 2.0  # whatever the engine waits for
    pool.settle()
    assert pool.book.snapshot(pool.now_s).lead_s == 2.25
    pool.book.resize(2)
    assert pool.book.decide(pool.now_s) == [Park()]
    pool.book.resize(1)
    assert pool.book.decide(pool.now_s) == []
    pool.now_s += 1000.0
    pool.book.resize(2)
    pool.settle()
    lead_s = pool.book.snapshot(pool.now_s).lead_s
    assert lead_s is not None
    assert lead_s < 2.25


def test_between_two_containers_there_may_be_a_pause() -> None:
    pool = Pool(replace(FIXED, refill_pause_s=5.0))
    pool.settle()
    assert (pool.idle, pool.book.decide(pool.now_s)) == (["c1"], [])
    assert pool.book.next_look_s(pool.now_s) == 5.0
    pool.wait(5.0)
    assert pool.idle == ["c1", "c2"]


# -- reuse --

REUSED = replace(FIXED, reuse=True, max_uses=2)


def test_a_reused_one_comes_back_and_the_last_used_is_claimed_first() -> None:
    pool = warm(replace(REUSED, max_uses=100))
    assert pool.book.claim(pool.now_s) == "c2"
    pool.settle()
    assert pool.made == 2  # a busy one counts: it comes back
    pool.book.returned("c2", pool.now_s, 1.0)
    assert pool.book.claim(pool.now_s) == "c2"
    reading = pool.book.snapshot(pool.now_s)
    assert {each.key: each.exec_count for each in reading.containers} == {"c1": 0, "c2": 2}


def test_one_that_was_used_enough_is_replaced() -> None:
    pool = warm(REUSED)
    for _ in range(2):
        assert pool.book.claim(pool.now_s) == "c2"
        pool.book.returned("c2", pool.now_s, 1.0)
    pool.settle()
    assert (pool.gone, pool.idle) == ([("c2", Why.USED_UP)], ["c1", "c3"])


def test_one_that_was_found_ill_at_work_goes_when_it_is_back() -> None:
    pool = warm(REUSED)
    assert pool.book.claim(pool.now_s) == "c2"
    pool.book.unhealthy("c2", pool.now_s)
    assert pool.book.decide(pool.now_s) == []
    pool.book.returned("c2", pool.now_s, 1.0)
    pool.settle()
    assert pool.gone == [("c2", Why.UNHEALTHY)]


def test_one_that_is_not_clean_is_gone_with_its_task() -> None:
    pool = warm(REUSED)
    assert pool.book.claim(pool.now_s) == "c2"
    pool.book.ended("c2", pool.now_s, 1.0)
    pool.settle()
    assert pool.idle == ["c1", "c3"]


# -- following the demand --


def test_it_learns_from_a_burst_and_shrinks_again_when_nothing_comes() -> None:
    pool = warm(replace(FIXED, auto_scaling=True, max_size=10, idle_timeout_s=600.0))
    pool.book.claim(pool.now_s)
    pool.settle()
    for _ in range(6):
        key = pool.book.claim(pool.now_s)
        if key is not None:
            pool.book.ended(key, pool.now_s, 0.1)
    pool.settle()
    assert len(pool.idle) >= 6
    pool.wait(601.0)
    assert len(pool.idle) == 1


def test_by_hand_beats_what_was_learned() -> None:
    pool = warm(replace(FIXED, auto_scaling=True, max_size=10))
    pool.book.claim(pool.now_s)
    pool.settle()
    for _ in range(6):
        pool.book.claim(pool.now_s)
    pool.book.resize(3)
    assert pool.book.target == 3


def test_drained_it_wants_none_whatever_its_least() -> None:
    pool = warm()
    assert pool.book.claim(pool.now_s) == "c1"
    pool.book.drain()
    pool.settle()
    assert (pool.idle, pool.gone) == ([], [("c2", Why.SCALED_DOWN)])
    pool.book.ended("c1", pool.now_s, 1.0)
    assert pool.book.decide(pool.now_s) == []


# -- when to look again --


def test_the_next_look_is_at_the_next_age_or_disuse() -> None:
    pool = warm(replace(FIXED, size=1, max_age_s=100.0, idle_timeout_s=40.0))
    made_s = pool.now_s
    assert pool.book.next_look_s(made_s) == 40.0
    assert pool.book.next_look_s(made_s + 40.0) == 60.0
    assert pool.book.next_look_s(made_s + 100.0) == pytest.approx(10.0)  # overdue, if nothing replaces it
    assert pool.book.next_look_s(made_s + 200.0) is None


def test_while_something_runs_it_looks_at_the_end_of_each_window() -> None:
    pool = warm(replace(FIXED, auto_scaling=True, learning=False, max_age_s=1e6, idle_timeout_s=1e6))
    pool.wait(100.0)
    assert (pool.book.next_look_s(pool.now_s) or 0) > 1000  # nothing ran: no window ends
    key = pool.book.claim(pool.now_s)
    assert key is not None
    pool.settle()
    look_s = pool.book.next_look_s(pool.now_s)
    assert look_s is not None
    assert look_s <= 10.0
    pool.now_s += 0.5
    pool.book.ended(key, pool.now_s, 0.5)
    look_s = pool.book.next_look_s(pool.now_s)
    assert look_s is not None
    assert look_s <= 10.0  # something ran in it
    pool.wait(look_s)
    assert pool.book.target == 1  # hardly in use: one less, and not below the least
    pool.wait(20.0)
    assert pool.book.target == 1


def test_what_is_ill_counts_until_each_is_replaced_or_not_wanted() -> None:
    pool = warm(replace(FIXED, size=3))
    for key in ("c1", "c2"):
        pool.book.lost(key, pool.now_s)
    pool.now_s += LOST_PAUSE_S
    assert pool.book.decide(pool.now_s) == [Park()]
    pool.book.begin_park(pool.now_s)
    pool.book.parked("c9", pool.now_s)
    assert pool.book.snapshot(pool.now_s).unhealthy == 1
    pool.book.resize(2)
    assert pool.book.decide(pool.now_s) == []
    assert pool.book.snapshot(pool.now_s).unhealthy == 0
