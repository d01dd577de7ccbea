"""All scenarios there are."""

from __future__ import annotations

from wavepool.testing.chaos.claims import claims
from wavepool.testing.chaos.damage import damage
from wavepool.testing.chaos.hosts import hosts
from wavepool.testing.chaos.journals import journals
from wavepool.testing.chaos.kills import kills
from wavepool.testing.chaos.scenario import Registry
from wavepool.testing.chaos.tasks import tasks


def catalogue() -> Registry:
    """In the order in which they run."""
    return Registry().include(kills, claims, tasks, journals, damage, hosts)
