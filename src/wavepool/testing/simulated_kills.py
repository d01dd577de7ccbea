"""Kills by the hundred thousand: random simulated runs, killed again and again, until so many kills were made.

`python -m wavepool.testing.simulated_kills --kills 100000 --seed 1` uses all processors, and says after which kind of
fact the kills came. The same seed and kills give the same runs on any number of processors, but for how many of the
last ones are made. A violation names the seed that shows it again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from wavepool.testing.simulation import Simulated, Simulation, Violation
from wavepool.testing.simulation.scenarios import Scenario, random_scenario
from wavepool.testing.simulation.world import CONTAINERS_OF_PARKING

CRASH_RATES = (0.02, 0.1, 0.3)
"""Of each commit, and of each action after it. At the last one hardly a commit follows another in the same process."""

ASKED = 8
"""So many times as often as else somebody pauses, cancels and retries: a process that dies often hears little of it."""

OFTEN = 250
"""Commits that end with a kind of fact before it counts that no kill came after it. Kills come after 2 to 20 of 100."""

CHUNK = 250
"""Schedules that a process simulates before it reports."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What many runs came to.

    Attributes:
        runs: how many.
        kills: how many processes died.
        attempts: how many had a program that began to run, once each (else there is a violation).
        warm: how many of those began by the claim of a parked container.
        killed_in: phase of a parked container -> how many were in it when their process died.
        killed_after: kind of the last committed fact -> kills that came then.
        commits_end_with: kind of fact -> how many commits ended with it, so that a kill could come after them.
        violations: what must never happen, each with its seed.
    """

    runs: int = 0
    kills: int = 0
    attempts: int = 0
    warm: int = 0
    killed_in: Counter[str] = field(default_factory=Counter)
    killed_after: Counter[str] = field(default_factory=Counter)
    commits_end_with: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def take(self, result: Simulated) -> None:
        """Add one run."""
        self.runs += 1
        self.kills += result.crashes
        self.attempts += result.executions
        self.warm += result.warm_starts
        self.killed_in.update(result.killed_in)
        self.killed_after.update(result.killed_after)
        self.commits_end_with.update(result.commits_end_with)

    def add(self, other: Tally) -> None:
        """Add the runs of another process."""
        self.runs += other.runs
        self.kills += other.kills
        self.attempts += other.attempts
        self.warm += other.warm
        self.killed_in.update(other.killed_in)
        self.killed_after.update(other.killed_after)
        self.commits_end_with.update(other.commits_end_with)
        self.violations += other.violations

    @property
    def missed(self) -> list[str]:
        """Kinds of fact that ended `OFTEN` commits, and after which no kill came; phases of parking without a kill."""
        often = {kind for kind, count in self.commits_end_with.items() if count >= OFTEN}
        phases = {phase.name for phase in CONTAINERS_OF_PARKING} if self.warm else set()
        return sorted(often - self.killed_after.keys()) + sorted(phases - self.killed_in.keys())


def scenario_with_kills(seed: int) -> Scenario:
    """A random scenario in which our process may die at any step, and people ask a lot of it."""
    scenario = random_scenario(seed)
    troubles = scenario.troubles
    return replace(
        scenario,
        troubles=replace(
            troubles,
            crash=Random(seed).choice(CRASH_RATES),
            pauses=ASKED * troubles.pauses,
            cancels=ASKED * troubles.cancels,
            live_retries=ASKED * troubles.live_retries,
        ),
    )


def kill(kills: int, *, seed: int, jobs: int) -> Tally:
    """Simulate until `kills` processes have died, on `jobs` processors; stops early at a violation."""
    tally = Tally()
    chunks: Iterator[int] = iter(range(seed, seed + sys.maxsize // 2, CHUNK))
    if jobs == 1:
        while tally.kills < kills and not tally.violations:
            tally.add(_simulate(next(chunks), kills - tally.kills))
        return tally
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        while tally.kills < kills and not tally.violations:
            round_of = [(next(chunks), kills - tally.kills) for _ in range(jobs)]
            for part in pool.starmap(_simulate, round_of, chunksize=1):
                tally.add(part)
    return tally


def _simulate(first_seed: int, enough: int) -> Tally:
    """One chunk, or less of it where it alone makes enough kills."""
    tally = Tally()
    for seed in range(first_seed, first_seed + CHUNK):
        try:
            tally.take(Simulation(scenario_with_kills(seed)).run())
        except Violation as violation:
            tally.violations.append(str(violation))
        if tally.kills >= enough or tally.violations:
            break
    return tally


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill so often; 0 if nothing was violated and no phase was missed, else 1, with what it was on stderr."""
    parser = argparse.ArgumentParser(prog="python -m wavepool.testing.simulated_kills", description=main.__doc__)
    parser.add_argument("--kills", type=int, default=10_000, help="how many processes must die")
    parser.add_argument("--seed", type=int, default=1, help="of the first run; each further one adds 1")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processors to use")
    options = parser.parse_args(arguments)
    began_s = time.monotonic()
    tally = kill(options.kills, seed=options.seed, jobs=max(1, options.jobs))
    took_s = time.monotonic() - began_s
    for kind, count in tally.killed_after.most_common():
        sys.stdout.write(f"  killed after {kind:16} {count:>8,}\n")
    for phase, count in tally.killed_in.most_common():
        sys.stdout.write(f"  containers that were {phase.lower():8} {count:>8,}\n")
    sys.stdout.write(f"{summary(tally)}, {took_s:.0f} s\n")
    for sentence in tally.violations[:20]:
        sys.stderr.write(f"VIOLATION: {sentence}\n")
    if tally.missed:
        sys.stderr.write(f"MISSED: no kill came after {', '.join(tally.missed)}\n")
    return 1 if tally.violations or tally.missed else 0


def summary(tally: Tally) -> str:
    """The numbers in one line."""
    return (
        f"{tally.kills:,} kills in {tally.runs:,} simulated runs of {tally.attempts:,} attempts ({tally.warm:,} warm): "
        f"{len(tally.violations)} violations (nothing lost, doubled or left); "
        f"{len(tally.killed_after)} kinds of last fact, {len(tally.missed)} missed"
    )


if __name__ == "__main__":
    sys.exit(main())
