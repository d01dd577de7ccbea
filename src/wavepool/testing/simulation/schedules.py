"""Many random runs: what was in them, and which of them broke a rule."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence

from wavepool.core import facts
from wavepool.testing.simulation.run import Simulated, Simulation
from wavepool.testing.simulation.scenarios import random_scenario
from wavepool.testing.simulation.world import Violation


def census(result: Simulated) -> Counter[str]:
    """What was in one run, to be summed over many: its outcome, verdicts, crashes, executions, facts."""
    counted = Counter({f"outcome {result.outcome}": 1, "crashes": result.crashes, "facts": len(result.journal)})
    counted["executions"] = result.executions
    counted["executions, warm"] = result.warm_starts
    counted["starts paced"] = sum(isinstance(stamped.fact, facts.StartsPaced) for stamped in result.journal)
    counted["retries"] = sum(isinstance(stamped.fact, facts.TaskRequeued) for stamped in result.journal)
    counted["pauses"] = sum(isinstance(stamped.fact, facts.RunPaused) for stamped in result.journal)
    counted["tasks cancelled"] = sum(
        len(stamped.fact.tasks) for stamped in result.journal if isinstance(stamped.fact, facts.TasksCancelled)
    )
    counted["reopened"] = sum(isinstance(stamped.fact, facts.RunReopened) for stamped in result.journal)
    counted["account pauses"] = sum(isinstance(stamped.fact, facts.AccountPaused) for stamped in result.journal)
    findings = (s.fact.finding for s in result.journal if isinstance(s.fact, facts.StopIntended) and s.fact.finding)
    counted["stopped for a budget"] = sum(1 for _ in findings)
    counted["resumes after an end"] = result.resumes
    counted.update({f"verdict {kind}": count for kind, count in result.state.verdicts.items()})
    return counted


def main(arguments: Sequence[str] | None = None) -> int:
    """Run random schedules; 0 if nothing was violated, 1 with the first violations' seeds on stderr."""
    parser = argparse.ArgumentParser(prog="python -m wavepool.testing.simulation", description=main.__doc__)
    parser.add_argument("--schedules", type=int, default=1000, help="how many random ones")
    parser.add_argument("--seed", type=int, default=1, help="the first one's; each further one adds 1")
    options = parser.parse_args(arguments)
    counted: Counter[str] = Counter()
    violations: list[str] = []
    began_s = time.monotonic()
    for seed in range(options.seed, options.seed + options.schedules):
        try:
            counted.update(census(Simulation(random_scenario(seed)).run()))
        except Violation as violation:
            violations.append(str(violation))
    for name in sorted(counted):
        sys.stdout.write(f"{name:24} {counted[name]:>9}\n")
    for sentence in violations[:20]:
        sys.stderr.write(f"VIOLATION: {sentence}\n")
    took_s = time.monotonic() - began_s
    sys.stdout.write(f"{options.schedules} random schedules, {len(violations)} violations, {took_s:.1f} s\n")
    return 1 if violations else 0
