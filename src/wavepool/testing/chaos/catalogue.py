"""All scenarios there are."""

from __future__ import annotations

from wavepool.testing.chaos.kills import kills
from wavepool.testing.chaos.scenario import Registry


def catalogue() -> Registry:
    """In the order in which they run."""
    return Registry().include(kills)
