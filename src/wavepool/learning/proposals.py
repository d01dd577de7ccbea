"""Better memory limits, proposed from what was seen. Nothing is changed by it.

What is proposed is the most that was seen, with headroom that shrinks as more is seen (`quantiles.headroom`), rounded
up. It is never below what was seen. Two readings are no peaks: one that met its own limit needs more than that, by an
amount that nobody knows; one that filled its limit and went on had file cache, which the kernel gives back: its limit
was enough, and what it needs at least is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from wavepool.learning.history import History
from wavepool.learning.kinds import kind_of
from wavepool.learning.quantiles import headroom, quantile
from wavepool.learning.samples import Sample
from wavepool.model import Task
from wavepool.units import MIB

OOM_GROWTH = 1.5
"""Times the limit that was met, where nothing of the kind has lived through more."""
FILLED = 0.95
"""Part of its limit from which on a peak may be file cache."""
ENOUGH_TO_LOWER = 3
"""Readings below which no limit is proposed to be lowered."""
STEP_LEAST_BYTES = 16 * MIB


class Change(StrEnum):
    """`UNKNOWN`: nothing was seen, or too little to lower it."""

    RAISE = "raise"
    LOWER = "lower"
    KEEP = "keep"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What is proposed for the tasks of one kind with one limit.

    Attributes:
        kind, tier, limit_bytes: what they have; `tasks` says how many there are.
        attempts: how many were seen of the kind; `ooms` of them met their own limit.
        p50_s, p95_s: of their durations; None where none is known.
        peak_bytes: the most memory that was seen, of one that met its limit all of that; None where none was.
        needed_bytes: what would do, rounded up; None where no memory was seen.
        headroom: which part of it is put on top; None where that rests on something else, or nothing is proposed.
        change, proposed_bytes, proposed_tier: the limit that is proposed; the tier where theirs came from the tier too.
    """

    kind: str
    tier: int
    limit_bytes: int
    tasks: int
    attempts: int
    ooms: int
    p50_s: float | None
    p95_s: float | None
    peak_bytes: int | None
    needed_bytes: int | None
    headroom: float | None
    change: Change
    proposed_bytes: int
    proposed_tier: int | None


def propose(tasks: Iterable[Task], image: str, history: History, tiers: Mapping[int, int]) -> list[Proposal]:
    """One proposal for each kind and limit among `tasks`, in their order.

    Args:
        tasks: of a plan; `image` is that of those that name none.
        tiers: tier -> bytes of each, as they hold for the plan.
    """
    groups: dict[tuple[str, int, int], int] = {}
    for task in tasks:
        key = (kind_of(task, image), task.tier, task.limits.memory_bytes)
        groups[key] = groups.get(key, 0) + 1
    return [
        _propose(kind, tier, limit_bytes, count, history.of_kind(kind), tiers)
        for (kind, tier, limit_bytes), count in groups.items()
    ]


def tier_memory(proposals: Sequence[Proposal], tiers: Mapping[int, int]) -> dict[int, int]:
    """Tier -> bytes that would do for all of its tasks, where that is known of all and is not what the tier has.

    A tier is lowered only where each of its kinds was seen often enough for that.
    """
    wanted: dict[int, int] = {}
    for tier, size_bytes in sorted(tiers.items()):
        of_tier = [each for each in proposals if each.tier == tier]
        needs = [each.needed_bytes for each in of_tier if each.needed_bytes is not None]
        if not needs or len(needs) < len(of_tier):
            continue
        enough = all(each.attempts >= ENOUGH_TO_LOWER for each in of_tier)
        need = max(needs)
        if need > size_bytes or (need < size_bytes and enough):
            wanted[tier] = need
    return wanted


def round_up(size_bytes: int) -> int:
    """To a multiple of 16 MiB, or of an eighth of the power of two below it, where that is more."""
    step = max(STEP_LEAST_BYTES, (1 << (size_bytes.bit_length() - 1)) // 8) if size_bytes else STEP_LEAST_BYTES
    return -(-size_bytes // step) * step


def needed_bytes(samples: Sequence[Sample]) -> tuple[int, float | None] | None:
    """(bytes that would do for the next like these, the headroom in it); None where no memory was seen.

    The headroom is None where what is needed is the limit that was enough, or a guess after a memory kill.
    """
    met = max((each.limit_bytes for each in samples if each.own_oom), default=0)
    seen = [each for each in samples if each.peak_bytes is not None and not each.own_oom]
    filled = max((max(each.limit_bytes, each.peak_bytes or 0) for each in seen if _is_filled(each)), default=0)
    peaks = [each.peak_bytes for each in seen if each.peak_bytes is not None and not _is_filled(each)]
    part = headroom(len(peaks)) if peaks else None
    by_peak = round(max(peaks) * (1 + part)) if peaks and part is not None else 0
    lived_through_more = any(each.limit_bytes > met for each in seen)
    by_kill = 0 if not met else met if lived_through_more else round(met * OOM_GROWTH)
    need = max(by_peak, filled, by_kill)
    if not need:
        return None
    return need, part if need == by_peak else None


def _is_filled(sample: Sample) -> bool:
    return sample.peak_bytes is not None and sample.peak_bytes >= FILLED * sample.limit_bytes


def _propose(
    kind: str, tier: int, limit_bytes: int, count: int, samples: Sequence[Sample], tiers: Mapping[int, int]
) -> Proposal:
    needed = needed_bytes(samples)
    durations_s = sorted(each.duration_s for each in samples if each.duration_s is not None)
    by_tier = tiers.get(tier) == limit_bytes
    change, proposed_bytes, proposed_tier = Change.UNKNOWN, limit_bytes, tier if by_tier else None
    if needed is not None:
        change, proposed_bytes, proposed_tier = _choose(needed[0], limit_bytes, tiers if by_tier else {}, len(samples))
    return Proposal(
        kind=kind,
        tier=tier,
        limit_bytes=limit_bytes,
        tasks=count,
        attempts=len(samples),
        ooms=sum(each.own_oom for each in samples),
        p50_s=quantile(durations_s, 0.5) if durations_s else None,
        p95_s=quantile(durations_s, 0.95) if durations_s else None,
        peak_bytes=_most_seen(samples),
        needed_bytes=None if needed is None else round_up(needed[0]),
        headroom=needed[1] if needed is not None else None,
        change=change,
        proposed_bytes=proposed_bytes,
        proposed_tier=proposed_tier,
    )


def _choose(need: int, limit_bytes: int, tiers: Mapping[int, int], seen: int) -> tuple[Change, int, int | None]:
    """The lowest tier that is enough, or a size where there is none."""
    enough = [(size_bytes, number) for number, size_bytes in tiers.items() if size_bytes >= need]
    proposed_bytes, tier = min(enough) if enough else (round_up(need), None)
    if proposed_bytes > limit_bytes and need > limit_bytes:
        return Change.RAISE, proposed_bytes, tier
    tier_now = next((number for number, size_bytes in tiers.items() if size_bytes == limit_bytes), None)
    if proposed_bytes < limit_bytes:
        if seen < ENOUGH_TO_LOWER:
            return Change.UNKNOWN, limit_bytes, tier_now
        return Change.LOWER, proposed_bytes, tier
    return Change.KEEP, limit_bytes, tier_now


def _most_seen(samples: Sequence[Sample]) -> int | None:
    known = [each.limit_bytes if each.own_oom else each.peak_bytes for each in samples]
    return max((each for each in known if each is not None), default=None)
