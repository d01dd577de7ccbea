"""Groups become batches: each with an id, a tier and its memory, a prompt, and a note of what others own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wavepool.plan.grouping import Foreign, Group
from wavepool.plan.making.findings import FileFindings
from wavepool.plan.making.planned import PlannedBatch
from wavepool.plan.making.prompts import prompt_of
from wavepool.plan.tiers import TierMap

NOTED_MAX = 20
"""Files of others that a note names."""


def batches_of(
    groups: Sequence[Group],
    tiers: TierMap,
    *,
    memory_bytes: int | None = None,
    iteration: int = 1,
    check: str | None = None,
    unplaced: FileFindings | None = None,
) -> tuple[PlannedBatch, ...]:
    """The batches of these groups, by tier, and within one in the order of the groups.

    Args:
        groups: all of them, as they name one another by their places.
        tiers: which tier so many files have, and its memory.
        memory_bytes: of each batch, whatever its tier has; None for the tier's.
        iteration: from 1; a part of the ids.
        check, unplaced: told to each; see `prompt_of`.
    """
    sized = [tiers.resolve(tier=None, memory_bytes=None, files=len(each.files)) for each in groups]
    order = sorted(range(len(groups)), key=lambda place: sized[place][0])
    names = [""] * len(groups)
    for number, place in enumerate(order, 1):
        names[place] = f"iter{iteration}-batch-{number}"
    return tuple(
        PlannedBatch(
            batch_id=names[place],
            tier=sized[place][0],
            memory_bytes=sized[place][1] if memory_bytes is None else memory_bytes,
            files=groups[place].files,
            errors=groups[place].errors,
            prompt=prompt_of(groups[place], names, check=check, unplaced=unplaced),
            note=_note(groups[place].foreign, names),
        )
        for place in order
    )


def _note(foreign: Iterable[Foreign], names: Sequence[str]) -> str:
    """Who owns what these files import; empty where nobody else does."""
    told = [f"{each.path} belongs to {names[each.owner]}" for each in foreign]
    more = [f"and {len(told) - NOTED_MAX} more"] if len(told) > NOTED_MAX else []
    return "; ".join([*told[:NOTED_MAX], *more])
