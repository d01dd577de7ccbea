"""A driver without an engine: containers are simulated in this process, in real or in virtual time.

`MemoryWorld` is the simulated engine and outlives its drivers, as a daemon outlives its clients; `MemoryDriver` is one
client of it; `Script` is what a simulated task does; `Hazards` says which calls go wrong.
"""

from __future__ import annotations

from wavepool.drivers.memory.driver import MemoryDriver
from wavepool.drivers.memory.hazards import Fault, Hazards, NoHazards
from wavepool.drivers.memory.script import Script
from wavepool.drivers.memory.world import Latencies, MemoryWorld

__all__ = ["Fault", "Hazards", "Latencies", "MemoryDriver", "MemoryWorld", "NoHazards", "Script"]
