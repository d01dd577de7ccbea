"""Five agents at once against the same five one by one, in real containers on clones of a repository.

The agent is a script that is called as the Claude CLI is and answers in its words; its turns take the time that a model
would. So the speed-up is what the engine leaves of five: clones, starts, exits, output, verdicts, patches and removals
are all in it.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.ground import Ground
from bench.harness import Figure, Goal, Options, interleave
from wavepool.model import Mount, Rules, WorkspaceKind
from wavepool.plan import TierMap, parse_plan
from wavepool.wiring import Hooks, RunRequest, run_plan

AGENTS = 5
TURNS, TURN_S = 3, 2.0
"""As in the script. Turns of a real agent are longer and more, which makes a speed-up easier."""
STUB = Path(__file__).with_name("stub_claude")
ROUNDS = 3
GOAL = Goal(bound=3.0, at_least=True)
AT_ONCE, ONE_BY_ONE = "at once", "one by one"


async def measure(options: Options) -> list[Figure]:
    """One row: how many times as fast five at once are."""
    async with Ground() as ground:
        _make_repository(ground.workspace)
        ways = {AT_ONCE: partial(_whole_run_s, ground, AGENTS), ONE_BY_ONE: partial(_whole_run_s, ground, 1)}
        readings = await interleave(ways, rounds=options.rounds(ROUNDS))
    ratios = [slow / quick for slow, quick in zip(readings[ONE_BY_ONE], readings[AT_ONCE], strict=True)]
    speedup = statistics.median(ratios)
    return [
        Figure(
            name=f"{AGENTS} agents at once",
            unit=f"x {ONE_BY_ONE}",
            ours=speedup,
            rivals={ONE_BY_ONE: 1.0},
            floor=float(AGENTS),
            ratio=speedup / AGENTS,
            goals=(str(GOAL),),
            missed=() if GOAL.is_met(speedup) else (str(GOAL),),
            runs={name: len(values) for name, values in readings.items()},
            note=f"whole runs on clones: at once {statistics.median(readings[AT_ONCE]):.1f} s, one by one "
            f"{statistics.median(readings[ONE_BY_ONE]):.1f} s, of each agent {TURNS * TURN_S:g} s are its model's; the "
            "floor is that nothing else takes any time.",
        )
    ]


async def _whole_run_s(ground: Ground, at_once: int) -> float:
    """Seconds of a run of all of them, so many at a time."""
    batches = [
        {"batch_id": f"agent-{number}", "memory": "32m", "agent": "claude", "task_prompt": f"Do part {number}"}
        for number in range(AGENTS)
    ]
    raw = json.dumps({"waves": [{"wave_number": 1, "parallelism": at_once, "batches": batches}]}).encode()
    program = Mount(source=str(STUB), target="/usr/bin/claude")
    request = RunRequest(
        plan=parse_plan(raw, source="bench", tiers=TierMap()),
        rules=Rules(nodes=()),
        surroundings=replace(ground.surroundings(), workspace_kind=WorkspaceKind.CLONE, mounts=(program,)),
        driver="docker",
        run_id=ground.run_id("agents"),
        state_dir=ground.state_dir.path,
    )
    began_s = time.perf_counter()
    report = await run_plan(request, Hooks())
    took_s = time.perf_counter() - began_s
    assert report.exit_code == 0, f"an agent failed: {report.result()}"
    return took_s


def _make_repository(directory: Path) -> None:
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")
    (directory / "README.txt").write_text("A project\n")
    for words in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-qm", "Begin")):
        subprocess.run(["git", "-C", str(directory), *words], check=True)
