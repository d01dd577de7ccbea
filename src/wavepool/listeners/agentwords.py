"""What agents used and changed, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wavepool.listeners.wording import count
from wavepool.units import format_usd

NOTHING = "–"


def amount(number: int) -> str:
    """A count of tokens, shortened: ``950``, ``45.2k``, ``1.3M``."""
    if number < 1000:
        return str(number)
    if number < 999_950:
        return f"{number / 1000:.1f}k"
    return f"{number / 1_000_000:.1f}M"


def dollars(cost_usd: float | None) -> str:
    """``$0.31``; of less than a cent as many digits as say something; a dash where it is not told."""
    return NOTHING if cost_usd is None else format_usd(cost_usd)


def diffstat(changes: Mapping[str, Any] | None) -> str:
    """``3 files +40 -2``; a dash where a task has no workspace of its own."""
    if changes is None:
        return NOTHING
    if not changes["files"]:
        return "none"
    return f"{count(changes['files'], 'file')} +{changes['insertions']} -{changes['deletions']}"
