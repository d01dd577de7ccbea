"""The file of ``--tier-config``: how many files and how much memory each of the four tiers has.

::

    {"tier_1": {"max_files": 1, "memory": "512m"}, "tier_4": {"max_files": null, "memory": "1g"}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from wavepool.errors import PlanError
from wavepool.plan.reading import read_json
from wavepool.plan.tiers import SEED_TIERS, Tier, read_memory

NAMES = tuple(f"tier_{tier.number}" for tier in SEED_TIERS)
FIELDS = ("max_files", "memory")
FILES_MAX = (1 << 31) - 1


def read_tiers(raw: bytes, source: str) -> tuple[Tier, ...]:
    """The four tiers that a file describes. A tier or field that it leaves out is as usual.

    Args:
        raw: the file; UTF-8, with or without a byte order mark.
        source: its name, for messages.

    Raises:
        PlanError: no JSON object, a tier or field that there is not, a value that is none, or a tier that takes fewer
            files than the one before it.
    """
    document = read_json(raw, source)
    if not isinstance(document, dict):
        raise PlanError(source, document, "a JSON object with " + ", ".join(NAMES))
    _refuse_unknown(document, NAMES, f"{source}: ", "one of the tiers ")
    tiers = tuple(
        _read_tier(tier, document.get(name), f"{source}: {name}") for name, tier in zip(NAMES, SEED_TIERS, strict=True)
    )
    _check_order(tiers, source)
    return tiers


def _read_tier(usual: Tier, given: object, path: str) -> Tier:
    if given is None:
        return usual
    if not isinstance(given, dict):
        raise PlanError(path, given, 'an object such as {"max_files": 3, "memory": "600m"}')
    _refuse_unknown(given, FIELDS, f"{path}.", "one of the fields ")
    max_files = _read_max_files(given["max_files"], f"{path}.max_files") if "max_files" in given else usual.max_files
    memory = given.get("memory")
    memory_bytes = usual.memory_bytes if memory is None else read_memory(memory, f"{path}.memory")
    return replace(usual, max_files=max_files, memory_bytes=memory_bytes)


def _read_max_files(given: object, path: str) -> int | None:
    if given is None or (type(given) is int and 1 <= given <= FILES_MAX):
        return given
    raise PlanError(path, given, f"a whole number from 1 to {FILES_MAX}, or null for any number of files")


def _refuse_unknown(given: Mapping[str, object], known: tuple[str, ...], prefix: str, expected: str) -> None:
    for name in given:
        if name not in known:
            raise PlanError(f"{prefix}{name}", given[name], expected + ", ".join(known))


def _check_order(tiers: tuple[Tier, ...], source: str) -> None:
    """Each tier takes at least as many files as the one before it, and the last any number."""
    last = tiers[-1]
    if last.max_files is not None:
        expected = "null: the last tier takes any number of files"
        raise PlanError(f"{source}: tier_{last.number}.max_files", last.max_files, expected)
    before = 1
    for tier in tiers[:-1]:
        path = f"{source}: tier_{tier.number}.max_files"
        if tier.max_files is None:
            raise PlanError(path, None, f"a number: only tier_{last.number} takes any number of files")
        if tier.max_files < before:
            raise PlanError(path, tier.max_files, f"at least {before}, as many as the tier before it takes")
        before = tier.max_files
