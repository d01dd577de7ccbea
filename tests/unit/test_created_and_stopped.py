"""A resume after a stop that was decided while its attempt was only created: it must end, and start nothing."""

from __future__ import annotations

import json
from pathlib import Path

from wavepool.drivers.memory import Fault, MemoryWorld
from wavepool.drivers.memory.hazards import NoHazards
from wavepool.model import Node, Resources, Rules
from wavepool.plan import TierMap, parse_plan
from wavepool.testing.kill_points import KillSwitch
from wavepool.testing.whole_runs import SimulatedRun
from wavepool.units import GIB

NODES = (Node(name="local", capacity=Resources(GIB)),)


class StartsAreCut(NoHazards):
    """Every start is cut off between its create and its start."""

    def strikes(self, fault: Fault, subject: str) -> bool:
        return fault is Fault.START_CUT_BETWEEN


def run_in(directory: Path) -> SimulatedRun:
    batch = {"batch_id": "one", "memory": "64m", "files": [], "command": ["sim", "exit=0"]}
    plan = parse_plan(
        json.dumps({"waves": [{"wave_number": 1, "batches": [batch]}]}).encode(), source="plan", tiers=TierMap()
    )
    return SimulatedRun(
        plan=plan,
        rules=Rules(nodes=NODES, wave_timeout_s=0.3),
        world=MemoryWorld(nodes=NODES, hazards=StartsAreCut()),
        directory=directory,
    )


def test_a_resume_ends_what_was_created_and_is_to_be_stopped(tmp_path: Path) -> None:
    switch = KillSwitch()
    run_in(tmp_path / "undisturbed").process(switch)
    timed_out = next(i for i, name in enumerate(switch.points) if name.startswith("after append WaveTimedOut"))
    run = run_in(tmp_path / "killed")
    assert run.process(KillSwitch(kill_at=timed_out + 1)) is None
    assert list(run.world.container_names()) != []
    run.world.hazards = NoHazards()
    report = run.process()
    assert report is not None
    [told] = report.result()["waves"][0]["containers"]
    assert told["verdict"] == "timeout"
    assert list(run.world.container_names()) == []
