"""Whole runs on the pure core alone: virtual time, random troubles, crashes, and what must hold at every instant.

`python -m wavepool.testing.simulation --schedules 10000 --seed 1` runs that many random ones and says what it saw.
A violation names the seed that shows it again.

scenarios.py    what is run, and what goes wrong; drawn by seed
world.py        what really happens: programs, their ends, the parked containers
driver.py       the driver between the two, and the agenda of virtual time
hands.py        what comes from outside: signals, pressure, people
run.py          our process: decides, commits, acts, dies and takes up again
checks.py       what must hold; fingerprint.py: what two equal states have in common
schedules.py    many random runs, and what was in them
"""

from wavepool.testing.simulation.run import Crashed, Simulated, Simulation
from wavepool.testing.simulation.scenarios import NO_TROUBLES, Scenario, Troubles
from wavepool.testing.simulation.schedules import census, main
from wavepool.testing.simulation.world import Violation

__all__ = [
    "NO_TROUBLES",
    "Crashed",
    "Scenario",
    "Simulated",
    "Simulation",
    "Troubles",
    "Violation",
    "census",
    "main",
]
