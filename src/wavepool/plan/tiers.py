"""Memory tiers: from a batch's tier, memory and number of files to the tier and limit that hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wavepool.errors import PlanError, SizeError
from wavepool.units import DOCKER_MEMORY_MIN_BYTES, GIB, MIB, parse_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One tier: the memory of its tasks, and up to how many files a batch of it has (None: any number)."""

    number: int
    memory_bytes: int
    max_files: int | None


SEED_TIERS = (
    Tier(number=1, memory_bytes=512 * MIB, max_files=1),
    Tier(number=2, memory_bytes=600 * MIB, max_files=3),
    Tier(number=3, memory_bytes=800 * MIB, max_files=8),
    Tier(number=4, memory_bytes=1 * GIB, max_files=None),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TierMap:
    """The four tiers, and what the user's environment says instead.

    Attributes:
        tiers: by rising number; the last has no bound on files.
        overrides: tier number -> bytes (``CFN_TIER_n_MEMORY``); beats what a batch says.
    """

    tiers: tuple[Tier, ...] = SEED_TIERS
    overrides: Mapping[int, int] = field(default_factory=dict)

    def memory_of(self, tier: int) -> int:
        """The bytes that a task of this tier gets where its batch says nothing."""
        override = self.overrides.get(tier)
        return self.tiers[tier - 1].memory_bytes if override is None else override

    def resolve(self, *, tier: int | None, memory_bytes: int | None, files: int) -> tuple[int, int]:
        """The tier and the memory in bytes of one batch.

        An override of the tier beats the batch's memory, which beats the map. A missing tier comes from the memory
        (the lowest tier that has as much), else from the number of files.

        Args:
            tier: 1 to 4, or None where the batch has none.
            memory_bytes: the batch's own, or None.
            files: how many files the batch has.
        """
        if tier is None:
            tier = self._tier_for_files(files) if memory_bytes is None else self._tier_for_memory(memory_bytes)
        if memory_bytes is None or tier in self.overrides:
            return tier, self.memory_of(tier)
        return tier, memory_bytes

    def _tier_for_memory(self, memory_bytes: int) -> int:
        # By the memory that really holds: a batch of 512m under CFN_TIER_1_MEMORY=256m must not shrink to 256m.
        enough = (tier.number for tier in self.tiers if self.memory_of(tier.number) >= memory_bytes)
        return next(enough, self.tiers[-1].number)

    def _tier_for_files(self, files: int) -> int:
        fitting = (tier.number for tier in self.tiers if tier.max_files is None or files <= tier.max_files)
        return next(fitting, self.tiers[-1].number)


def read_memory(given: object, path: str) -> int:
    """The bytes of a memory limit in JSON.

    Args:
        given: a size as text, or a number of bytes.
        path: where it stands, for the error.

    Raises:
        PlanError: no size, or below the least that Docker accepts.
    """
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise PlanError(path, given, "a size such as 512m, or a number of bytes")
    try:
        size_bytes = parse_size(given)
    except SizeError as error:
        raise PlanError(path, given, error.expected) from None
    if size_bytes < DOCKER_MEMORY_MIN_BYTES:
        raise PlanError(path, given, "at least 6m, the least that Docker accepts")
    return size_bytes
