"""The file of --tier-config: the seed's own, parts of it, and what is wrong in it."""

from __future__ import annotations

import json

import pytest

from wavepool.errors import PlanError
from wavepool.plan.tierfile import read_tiers
from wavepool.plan.tiers import SEED_TIERS, TierMap
from wavepool.units import GIB, MIB

SEED = b"""
{
  "tier_1": {"max_files": 1, "memory": "512m"},
  "tier_2": {"max_files": 3, "memory": "600m"},
  "tier_3": {"max_files": 8, "memory": "800m"},
  "tier_4": {"max_files": null, "memory": "1g"}
}
"""


def test_the_seeds_own_file_is_what_holds_without_one() -> None:
    assert read_tiers(SEED, "tiers.json") == SEED_TIERS


def test_what_a_file_leaves_out_is_as_usual_and_the_environment_beats_it() -> None:
    tiers = read_tiers(b'{"tier_2": {"max_files": 5}, "tier_4": {"memory": 2147483648}}', "tiers.json")
    assert [(tier.max_files, tier.memory_bytes) for tier in tiers] == [
        (1, 512 * MIB),
        (5, 600 * MIB),
        (8, 800 * MIB),
        (None, 2 * GIB),
    ]
    held = TierMap(tiers=tiers, overrides={4: 3 * GIB})
    assert held.resolve(tier=None, memory_bytes=None, files=5) == (2, 600 * MIB)
    assert held.resolve(tier=None, memory_bytes=None, files=9) == (4, 3 * GIB)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "t.json: got [], expected a JSON object with tier_1, tier_2, tier_3, tier_4"),
        (
            {"tier_5": {}},
            "t.json: tier_5: got {}, expected one of the tiers tier_1, tier_2, tier_3, tier_4",
        ),
        ({"tier_1": 3}, 't.json: tier_1: got 3, expected an object such as {"max_files": 3, "memory": "600m"}'),
        (
            {"tier_1": {"maxfiles": 3}},
            "t.json: tier_1.maxfiles: got 3, expected one of the fields max_files, memory",
        ),
        (
            {"tier_1": {"max_files": 0}},
            "t.json: tier_1.max_files: got 0, expected a whole number from 1 to 2147483647, or null for any number of"
            " files",
        ),
        (
            {"tier_1": {"memory": "5m"}},
            "t.json: tier_1.memory: got '5m', expected at least 6m, the least that Docker accepts",
        ),
        (
            {"tier_1": {"memory": True}},
            "t.json: tier_1.memory: got True, expected a size such as 512m, or a number of bytes",
        ),
        (
            {"tier_4": {"max_files": 90}},
            "t.json: tier_4.max_files: got 90, expected null: the last tier takes any number of files",
        ),
        (
            {"tier_2": {"max_files": None}},
            "t.json: tier_2.max_files: got nothing, expected a number: only tier_4 takes any number of files",
        ),
        (
            {"tier_3": {"max_files": 2}},
            "t.json: tier_3.max_files: got 2, expected at least 3, as many as the tier before it takes",
        ),
    ],
)
def test_what_is_wrong_is_named(document: object, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        read_tiers(json.dumps(document).encode(), "t.json")
    assert str(caught.value) == message


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe{", b'{"tier_1": {}, "tier_1": {}}'])
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(PlanError):
        read_tiers(raw, "t.json")
