"""Which memory holds: the option, the environment, the batch or the tier map; and which tier."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.plan import TierMap, parse_plan
from wavepool.units import GIB, MIB


@pytest.mark.parametrize(
    ("tier", "memory_bytes", "files", "expected"),
    [
        (1, None, 9, (1, 512 * MIB)),
        (4, None, 0, (4, GIB)),
        (1, 2 * GIB, 1, (1, 2 * GIB)),
        (None, 512 * MIB, 9, (1, 512 * MIB)),
        (None, 513 * MIB, 1, (2, 513 * MIB)),
        (None, 5 * GIB, 1, (4, 5 * GIB)),
        (None, None, 0, (1, 512 * MIB)),
        (None, None, 1, (1, 512 * MIB)),
        (None, None, 3, (2, 600 * MIB)),
        (None, None, 8, (3, 800 * MIB)),
        (None, None, 9, (4, GIB)),
    ],
)
def test_tier_and_memory_come_from_one_another_else_from_the_files(
    tier: int | None, memory_bytes: int | None, files: int, expected: tuple[int, int]
) -> None:
    assert TierMap().resolve(tier=tier, memory_bytes=memory_bytes, files=files) == expected


def test_the_environment_beats_the_batch_and_the_option_beats_all() -> None:
    tiers = TierMap(overrides={1: 256 * MIB, 4: 2 * GIB})
    assert tiers.resolve(tier=1, memory_bytes=900 * MIB, files=1) == (1, 256 * MIB)
    assert tiers.resolve(tier=2, memory_bytes=900 * MIB, files=1) == (2, 900 * MIB)
    assert tiers.resolve(tier=None, memory_bytes=512 * MIB, files=1) == (2, 512 * MIB)
    raw = json.dumps({"waves": [{"wave_number": 1, "batches": [{"batch_id": "a", "tier": 1, "memory": "1g"}]}]})
    (task,) = parse_plan(raw.encode(), source="-", tiers=tiers, memory_override_bytes=64 * MIB).tasks
    assert (task.tier, task.limits.memory_bytes) == (1, 64 * MIB)


sizes = st.integers(6 * MIB, 8 * GIB)


@given(st.dictionaries(st.integers(1, 4), sizes), sizes, st.integers(0, 20))
def test_a_batch_that_names_its_memory_alone_gets_at_least_that_where_a_tier_has_it(
    overrides: dict[int, int], memory_bytes: int, files: int
) -> None:
    tiers = TierMap(overrides=overrides)
    tier, held_bytes = tiers.resolve(tier=None, memory_bytes=memory_bytes, files=files)
    if any(tiers.memory_of(number) >= memory_bytes for number in range(1, 5)):
        assert held_bytes >= memory_bytes
    assert held_bytes == overrides.get(tier, memory_bytes)


@given(st.integers(0, 50), st.integers(0, 50))
def test_more_files_never_mean_less_memory(fewer: int, more: int) -> None:
    fewer, more = sorted((fewer, more))
    resolve = TierMap().resolve
    assert resolve(tier=None, memory_bytes=None, files=fewer) <= resolve(tier=None, memory_bytes=None, files=more)
