"""What is proposed: never below what was seen, more after a memory kill, less only where enough was seen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.learning import History, Sample, kind_of
from wavepool.learning.proposals import Change, needed_bytes, propose, round_up, tier_memory
from wavepool.model import Limits, Task, VerdictKind
from wavepool.units import GIB, MIB

TIERS = {1: 512 * MIB, 2: 600 * MIB, 3: 800 * MIB, 4: GIB}
TASK = Task(id="a", key="a", wave=1, tier=2, limits=Limits(memory_bytes=600 * MIB), kind="k")


def seen(*peaks, limit=600, own_oom=False, kind="k"):
    verdict = VerdictKind.OOM if own_oom else VerdictKind.SUCCESS
    return [
        Sample(
            kind=kind,
            twin=f"{n}",
            tier=2,
            limit_bytes=limit * MIB,
            verdict=verdict,
            own_oom=own_oom,
            peak_bytes=peak * MIB,
            duration_s=float(peak),
        )
        for n, peak in enumerate(peaks)
    ]


def proposal(samples, task=TASK):
    [found] = propose([task, task], "i", History(samples), TIERS)
    assert found.tasks == 2
    return found


def test_what_has_room_gets_a_lower_tier_when_enough_was_seen():
    few, enough = proposal(seen(100, 120)), proposal(seen(100, 120, 140, 130))
    assert (few.change, few.proposed_bytes) == (Change.UNKNOWN, 600 * MIB)
    assert (enough.change, enough.proposed_tier, enough.proposed_bytes) == (Change.LOWER, 1, 512 * MIB)
    assert (enough.peak_bytes, enough.headroom) == (140 * MIB, pytest.approx(0.4))
    assert (enough.p50_s, enough.p95_s, enough.attempts) == (125.0, 140.0, 4)
    assert enough.needed_bytes == 208 * MIB  # 196, rounded up


def test_what_is_nearly_full_gets_a_higher_tier_at_once():
    found = proposal(seen(400))
    assert (found.change, found.proposed_tier, found.proposed_bytes) == (Change.RAISE, 3, 800 * MIB)
    beyond = proposal(seen(560))
    assert (beyond.change, beyond.proposed_tier, beyond.proposed_bytes) == (Change.RAISE, None, 1152 * MIB)


def test_a_memory_kill_raises_the_proposal():
    killed = proposal(seen(600, own_oom=True))
    assert (killed.change, killed.ooms, killed.headroom) == (Change.RAISE, 1, None)
    assert killed.proposed_bytes == GIB  # one and a half times 600 MiB, and the tier that has that
    beside_small_ones = proposal([*seen(*[100] * 50), *seen(600, own_oom=True)])
    assert beside_small_ones.proposed_bytes == GIB


def test_what_lived_through_more_says_how_much_it_needs():
    found = proposal([*seen(600, own_oom=True), *seen(*[640] * 20, limit=1024)])
    assert (found.change, found.needed_bytes) == (Change.RAISE, 832 * MIB)  # 640 and 24%


def test_one_that_filled_its_limit_and_went_on_has_enough():
    found = proposal(seen(*[600] * 10))
    assert (found.change, found.proposed_bytes, found.headroom) == (Change.KEEP, 600 * MIB, None)


def test_nothing_is_proposed_of_what_was_not_seen():
    found = proposal(seen(100, kind="other"))
    assert (found.change, found.peak_bytes, found.needed_bytes, found.attempts) == (Change.UNKNOWN, None, None, 0)


def test_a_limit_of_its_own_gets_a_size_and_no_tier():
    own = replace(TASK, limits=Limits(memory_bytes=100 * MIB))
    found = proposal(seen(90, 90, 90, limit=100), own)
    assert (found.change, found.proposed_tier, found.proposed_bytes) == (Change.RAISE, None, 144 * MIB)


def test_tiers_are_proposed_where_all_of_their_tasks_are_known():
    other = replace(TASK, kind="l")
    history = History([*seen(100, 120, 140), *seen(700, kind="l", limit=800)])
    assert tier_memory(propose([TASK, other], "i", history, TIERS), TIERS) == {2: 1408 * MIB}
    assert tier_memory(propose([TASK], "i", history, TIERS), TIERS) == {2: 208 * MIB}
    assert tier_memory(propose([TASK, replace(TASK, kind="m")], "i", history, TIERS), TIERS) == {}
    assert tier_memory(propose([TASK], "i", History(seen(100)), TIERS), TIERS) == {}


samples = st.builds(
    lambda peak, limit, oom: replace(seen(1, limit=limit, own_oom=oom)[0], peak_bytes=peak),
    st.one_of(st.none(), st.integers(0, 4 * GIB)),
    st.integers(6, 4096),
    st.booleans(),
)


@given(st.lists(samples), st.sampled_from([1, 2, 3, 4]))
def test_no_proposal_is_below_what_was_seen(found, tier):
    task = replace(TASK, tier=tier, limits=Limits(memory_bytes=TIERS[tier]))
    made = proposal(found, task)
    needed = needed_bytes(found)
    if made.change in (Change.RAISE, Change.LOWER):
        assert made.proposed_bytes >= (made.peak_bytes or 0)
        assert (made.change is Change.RAISE) == (made.proposed_bytes > task.limits.memory_bytes)
    if made.change is Change.KEEP:
        assert needed is not None
        assert needed[0] <= task.limits.memory_bytes
    if needed is not None:
        assert needed[0] >= (made.peak_bytes or 0)
        assert made.needed_bytes >= needed[0]
    assert made.kind == kind_of(task, "i")


@given(st.integers(0, 1 << 50))
def test_rounding_is_up_and_by_little(size):
    rounded = round_up(size)
    assert size <= rounded < size + max(16 * MIB, size / 8 + 1)
    assert rounded % (16 * MIB) == 0
    assert round_up(rounded) == rounded
