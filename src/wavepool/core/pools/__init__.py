"""Warm pools, decided: which containers there are of one agent type, and which to make, hand out and take away.

No I/O, no clock: what happened is told with its time, and `PoolBook.decide` says what to do about it.

    book.py       one pool: its containers, its claims, its decisions
    decisions.py  what is to be done: park one, retire one
    target.py     how many it wants: the level, or what was learned
    sizing.py     the seed's thresholds of utilisation, and the base stock of a demand
    demand.py     how much is asked for, learned from arrivals and refills
    refill.py     the making: one at a time, with pauses
    tally.py      counts, times and histograms
    readings.py   what a pool tells of itself: the seed's nine fields, its metrics, latency histograms
    alerts.py     the seed's three warnings, each told once until it clears
"""

from wavepool.core.pools.alerts import Alert, AlertBook
from wavepool.core.pools.book import PoolBook
from wavepool.core.pools.decisions import Decision, Park, Retire, Why
from wavepool.core.pools.demand import Demand
from wavepool.core.pools.readings import ContainerReading, Dispatch, PoolMetrics, PoolReading, metrics_of

__all__ = [
    "Alert",
    "AlertBook",
    "ContainerReading",
    "Decision",
    "Demand",
    "Dispatch",
    "Park",
    "PoolBook",
    "PoolMetrics",
    "PoolReading",
    "Retire",
    "Why",
    "metrics_of",
]
