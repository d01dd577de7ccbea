"""What sidecars mean for the rest: memory that is held, labels that are no attempt's, evidence that is shown."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from wavepool import labels
from wavepool.drivers.base import Scope
from wavepool.drivers.docker.watching.sightings import in_scope, sight
from wavepool.engine.report import evidence_json
from wavepool.errors import DriverUnavailable
from wavepool.model import Evidence, Limits, Resources, Rules, Sidecar, SidecarTrouble, Surroundings, Task
from wavepool.plan import TierMap, parse_plan
from wavepool.units import MIB
from wavepool.wiring import Hooks, RunRequest, run_plan

ATTEMPT = {labels.OWNER: "o", labels.RUN: "r", labels.WAVE: "1", labels.TASK: "a", labels.ATTEMPT: "1"}


def test_a_task_holds_what_its_sidecars_may_use() -> None:
    beside = [
        Sidecar(name="db", image="i", limits=Limits(memory_bytes=100 * MIB, cpus=0.5)),
        Sidecar(name="cache", image="i", limits=Limits(memory_bytes=28 * MIB)),
    ]
    task = Task(id="a", key="a", wave=1, tier=1, limits=Limits(memory_bytes=64 * MIB, cpus=1))
    assert task.held() == task.limits.held() == Resources(64 * MIB, 1000)
    assert Task(id="a", key="a", wave=1, tier=1, limits=task.limits, sidecars=tuple(beside)).held() == Resources(
        192 * MIB, 1500
    )


def test_only_a_container_without_a_role_is_an_attempt() -> None:
    assert sight("id", "name", ATTEMPT) is not None
    assert sight("id", "name", {**ATTEMPT, labels.ROLE: "sidecar", labels.SIDECAR: "db"}) is None


def test_no_scope_reaches_a_stack() -> None:
    assert in_scope(ATTEMPT, Scope(owner="o"))
    assert not in_scope({**ATTEMPT, labels.STACK: "dev"}, Scope(owner="o"))


def test_evidence_shows_the_readings_of_each_sidecar() -> None:
    trouble = SidecarTrouble(name="db", reason="it exited with 1", exit_code=1, last_lines="no such directory\n")
    assert "sidecars" not in evidence_json(Evidence(reason="x"))
    assert evidence_json(Evidence(reason="x", sidecars=(trouble,)))["sidecars"] == [
        {"name": "db", "reason": "it exited with 1", "exit_code": 1, "last_lines": "no such directory\n"}
    ]


def test_plain_processes_have_no_sidecars(tmp_path: Path) -> None:
    raw = (
        b'{"sidecars": {"db": {"image": "i"}},'
        b' "waves": [{"wave_number": 1, "batches": [{"batch_id": "a", "command": "echo ran > ran"}]}]}'
    )
    request = RunRequest(
        plan=parse_plan(raw, source="p", tiers=TierMap()),
        rules=Rules(nodes=()),
        surroundings=Surroundings(image="i", workspace=str(tmp_path), network="n"),
        driver="process",
        state_dir=tmp_path / "state",
    )
    with pytest.raises(DriverUnavailable, match=r"waves\[0\].batches\[0\] has sidecars \(db\)"):
        anyio.run(run_plan, request, Hooks())
    assert not (tmp_path / "ran").exists()
