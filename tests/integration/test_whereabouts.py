"""What a rehearsal says of where agents would work and what they would reach; and a retry with nothing to do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from git_ground import Ground
from typer.testing import CliRunner, Result

from wavepool.cli import app
from wavepool.cli.whereabouts import whereabouts, whereabouts_lines
from wavepool.drivers.base import DriverFacts
from wavepool.model import AgentOrder, Isolation, Limits, Rules, Surroundings, Task, Wave, WorkspaceKind
from wavepool.plan import Plan
from wavepool.plan.schema import WaveSlice
from wavepool.wiring import RunRequest

DOCKER = DriverFacts(driver="docker", version="1", execution_mode="docker", nodes=())


def call(ground: Ground, *words: str) -> Result:
    done = CliRunner().invoke(app, [*words, "--state-dir", str(ground.root / "state")])
    assert done.exit_code == 0, (done.output, done.stderr, done.exception)
    return done


def test_a_rehearsal_names_the_workspaces_their_commit_and_the_seal(ground: Ground) -> None:
    around = Surroundings(image="i", workspace=str(ground.repo), network="n", egress=("docs.example.org",))
    task = Task(id="a", key="a", wave=1, tier=1, limits=Limits(memory_bytes=1 << 26), agent=AgentOrder(name="claude"))
    layout = (WaveSlice(position=0, first=0, end=1),)
    request = RunRequest(
        plan=Plan(source="p", digest="d", waves=(Wave(number=1),), tasks=(task,), layout=layout),
        rules=Rules(nodes=()),
        surroundings=replace(around, workspace_kind=WorkspaceKind.CLONE),
        state_dir=ground.root / "state",
    )
    told = whereabouts(request, DOCKER)
    assert told["workspace"] == {"path": str(ground.repo), "kind": "clone", "base": ground.head()}
    assert list(whereabouts_lines(told)) == [
        f"each task works in a clone of its own of {ground.repo}, from the commit {ground.head()[:12]}",
        "agents are sealed off: claude reaches api.anthropic.com, docs.example.org",
    ]
    alone = replace(request, surroundings=replace(around, egress=None), rules=Rules(nodes=(), isolation=Isolation.NONE))
    assert list(whereabouts_lines(whereabouts(alone, DOCKER))) == [
        f"all tasks work in {ground.repo} itself",
        "agents reach nothing: they have no network",
    ]
    bare = whereabouts(request, replace(DOCKER, execution_mode="subprocess"))
    assert list(whereabouts_lines(bare))[1] == "agents are not sealed off: they reach whatever their network does"


def test_a_retry_with_nothing_to_try_again_needs_no_secrets(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ground.repo)
    order = ("task", "x", "--agent", "command", "--driver", "process", "--allow-host", "--secret", "TOKEN")
    monkeypatch.setenv("TOKEN", "secret")
    done = CliRunner().invoke(app, [*order, "--state-dir", str(ground.root / "state"), "--", "true"])
    assert done.exit_code == 0, (done.stderr, done.exception)
    monkeypatch.delenv("TOKEN")
    again = call(ground, "retry", "latest", "--failed")
    assert "there is nothing to try again" in again.stderr
    assert json.loads(again.stdout)["status"] == "success"


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)
