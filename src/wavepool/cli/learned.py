"""What `run --learn` shows: for each kind what it has, what was seen, and what is proposed. It changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from wavepool.cli.columns import aligned
from wavepool.config import Settings
from wavepool.learning import History
from wavepool.learning.proposals import Change, Proposal, propose, tier_memory
from wavepool.model import Task
from wavepool.plan import TierMap
from wavepool.plan.tiers import SEED_TIERS
from wavepool.units import format_duration, format_size, human_size

HEADINGS = ("kind", "tasks", "has", "seen", "p50", "p95", "peak", "proposed", "why")
SHOWN = 40
"""Rows of the table; all are in the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """All proposals for a plan, and the memory of tiers (number -> bytes) that would do for what is proposed."""

    proposals: Sequence[Proposal]
    tiers: dict[int, int]


def lesson_of(tasks: Sequence[Task], image: str, history: History, settings: Settings) -> Lesson:
    """What the history proposes for these tasks; `image` is that of those that name none."""
    tiers = TierMap(overrides=settings.tier_overrides)
    memory = {tier.number: tiers.memory_of(tier.number) for tier in SEED_TIERS}
    proposals = propose(tasks, image, history, memory)
    return Lesson(proposals=proposals, tiers=tier_memory(proposals, memory))


def lesson_json(lesson: Lesson) -> dict[str, Any]:
    """For machines. `settings` has the tiers as wavepool.toml takes them."""
    return {
        "proposals": [
            {
                "kind": each.kind,
                "tier": each.tier,
                "tasks": each.tasks,
                "memory_limit": format_size(each.limit_bytes),
                "attempts": each.attempts,
                "oom": each.ooms,
                "p50_s": each.p50_s,
                "p95_s": each.p95_s,
                "memory_peak_bytes": each.peak_bytes,
                "change": each.change.value,
                "headroom": each.headroom,
                "proposed_memory": format_size(each.proposed_bytes),
                "proposed_tier": each.proposed_tier,
            }
            for each in lesson.proposals
        ],
        "settings": {f"tier_{tier}_memory": format_size(size) for tier, size in lesson.tiers.items()},
    }


def print_lesson(lesson: Lesson, console: Console) -> None:
    """The table, and what to write where to take it up."""
    rows = [_row(each) for each in lesson.proposals[:SHOWN]]
    for line in aligned(HEADINGS, rows, right=HEADINGS[1:7]):
        console.print(Text(line), soft_wrap=True)
    if len(lesson.proposals) > SHOWN:
        console.print(f"… and {len(lesson.proposals) - SHOWN} more, in the result")
    console.print(Text(_closing(lesson)), soft_wrap=True)


def _closing(lesson: Lesson) -> str:
    if not lesson.tiers:
        return "Nothing was changed."
    wanted = ", ".join(f'tier_{tier}_memory = "{format_size(size)}"' for tier, size in lesson.tiers.items())
    return f"Nothing was changed. Tiers that would do for all of these tasks, as wavepool.toml takes them: {wanted}"


def _row(each: Proposal) -> tuple[str, ...]:
    tier = f"tier {each.proposed_tier}, " if each.proposed_tier is not None else ""
    changes = each.change in (Change.RAISE, Change.LOWER)
    return (
        each.kind,
        str(each.tasks),
        format_size(each.limit_bytes),
        str(each.attempts),
        "-" if each.p50_s is None else format_duration(each.p50_s),
        "-" if each.p95_s is None else format_duration(each.p95_s),
        "-" if each.peak_bytes is None else human_size(each.peak_bytes),
        f"{tier}{format_size(each.proposed_bytes)}" if changes else "as it is",
        why(each),
    )


def why(each: Proposal) -> str:
    """One short sentence for a person."""
    if each.change is Change.UNKNOWN:
        return "no memory was seen of it" if each.peak_bytes is None else "too few were seen to lower it"
    if each.ooms and each.headroom is None:
        return f"{each.ooms} met their limit"
    if each.headroom is None:
        return "some filled their limit, perhaps with file cache"
    return f"the peak and {each.headroom:.0%} on top"
