"""What a driver is asked for where a task has an agent, a place of its own, or a seal."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wavepool.engine.attempts.egress import EGRESS
from wavepool.engine.attempts.sealing import sealed_attempt
from wavepool.engine.attempts.spec import AGENT_USER, SpecBuilder
from wavepool.errors import PlanError
from wavepool.model import AgentOrder, AttemptId, Isolation, Limits, Mount, Rules, Surroundings, Task, Wave
from wavepool.plan import Plan
from wavepool.plan.schema import WaveSlice
from wavepool.testing.scripted_agents import ScriptedAgent
from wavepool.wiring.agents import bounded_plan, sealed_plan
from wavepool.workspace.base import Place

ADAPTERS = {"scripted": ScriptedAgent()}
ATTEMPT = AttemptId("t", 1)
TASK = Task(
    id="t",
    key="t",
    wave=1,
    tier=1,
    limits=Limits(memory_bytes=1 << 26, lifetime_s=60.0),
    agent=AgentOrder(name="scripted", flags=("a",)),
    env={"MINE": "task"},
)
OTHER = replace(TASK, id="o", key="o", agent=None, command=("true",))


def builder(workspace: Path, *, contained: bool = True, **around: Any) -> SpecBuilder:
    surroundings = Surroundings(image="i", workspace=str(workspace), network="n", **around)
    return SpecBuilder(
        owner="o",
        run_id="r",
        surroundings=surroundings,
        isolation=Isolation.SHARED,
        secrets={"key": b"secret"},
        adapters=ADAPTERS,
        contained=contained,
    )


def plan_of(*tasks: Task) -> Plan:
    layout = (WaveSlice(position=0, first=0, end=len(tasks)),)
    return Plan(source="p", digest="d", waves=(Wave(number=1),), tasks=tasks, layout=layout)


def test_the_adapter_gives_the_command_and_the_user_s_variables_beat_its_own(tmp_path: Path) -> None:
    place = Place(
        directory=tmp_path / "place", env={"GIT": "1", "PLACE": "p"}, mounts=(Mount(source="/s", target="/t"),)
    )
    specs = builder(tmp_path, env={"SCRIPTED": "user", "PLACE": "user"}, mounts=(Mount(source="/a", target="/b"),))
    spec = specs.build(TASK, ATTEMPT, tmp_path, place=place)
    assert spec.command == ("sim", "a")
    assert (spec.env["SCRIPTED"], spec.env["PLACE"], spec.env["GIT"], spec.env["MINE"]) == ("user", "user", "1", "task")
    assert spec.workspace == tmp_path / "place"
    assert [mount.target for mount in spec.mounts] == ["/t", "/b"]
    assert specs.build(TASK, ATTEMPT, tmp_path).spec_hash != spec.spec_hash


def test_a_task_s_own_command_is_left_to_it(tmp_path: Path) -> None:
    assert builder(tmp_path).build(replace(TASK, command=("mine",)), ATTEMPT, tmp_path).command == ("mine",)


def test_on_the_bare_host_everything_is_where_it_is(tmp_path: Path) -> None:
    place = Place(directory=tmp_path, mounts=(Mount(source="/s", target="/t"),))
    spec = builder(tmp_path, contained=False).build(TASK, ATTEMPT, tmp_path, place=place)
    assert (spec.mounts, spec.user) == ((), None)


def test_git_s_own_of_the_workspace_is_read_only_and_makes_it_no_other_attempt(tmp_path: Path) -> None:
    before = builder(tmp_path).build(OTHER, ATTEMPT, tmp_path)
    (tmp_path / ".git").mkdir()
    after = builder(tmp_path).build(OTHER, ATTEMPT, tmp_path)
    assert (before.mounts, before.spec_hash) == ((), after.spec_hash)
    assert after.mounts == (Mount(source=str(tmp_path / ".git"), target="/workspace/.git", read_only=True),)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has directories of root to work in")
def test_an_agent_is_never_root_unless_that_was_asked_for(tmp_path: Path) -> None:
    owned = tmp_path / "owned"
    owned.mkdir()
    os.chown(owned, 1234, 1234)
    assert builder(tmp_path).build(TASK, ATTEMPT, tmp_path).user == AGENT_USER
    assert builder(tmp_path).build(OTHER, ATTEMPT, tmp_path).user is None, "the driver takes the owner"
    assert builder(owned).build(TASK, ATTEMPT, tmp_path).user is None
    assert builder(tmp_path, user="7:7").build(TASK, ATTEMPT, tmp_path).user == "7:7"
    place = Place(directory=tmp_path, user="8:8")
    assert builder(tmp_path, user="7:7").build(TASK, ATTEMPT, tmp_path, place=place).user == "8:8"


def test_a_sealed_program_gets_nothing_but_its_place(tmp_path: Path) -> None:
    place = Place(directory=tmp_path, env={"GIT": "1"}, mounts=(Mount(source="/s", target="/t"),), user="8:8")
    inner = sealed_attempt(ATTEMPT)
    specs = builder(tmp_path, env={"TOKEN": "x"}, mounts=(Mount(source="/a", target="/b"),))
    spec = specs.build_sealed(TASK, inner, tmp_path, argv=("git", "x"), place=place, output=tmp_path / "out")
    assert (spec.network, spec.secrets, spec.own_network, spec.sidecars) == (None, {}, None, ())
    assert spec.env == {"GIT": "1", "WAVEPOOL_OUTPUT": "/output"}
    assert [(mount.target, mount.read_only) for mount in spec.mounts] == [("/t", True), ("/output", False)]
    assert (spec.user, spec.limits.memory_bytes, spec.limits.lifetime_s) == ("8:8", 1 << 26, None)
    assert spec.name != specs.name(TASK, ATTEMPT)
    assert spec.labels["wavepool.run"] == "r"
    bare = builder(tmp_path, contained=False)
    spec = bare.build_sealed(TASK, inner, tmp_path, argv=("git",), place=place, output=tmp_path / "out")
    assert (spec.mounts, spec.env["WAVEPOOL_OUTPUT"]) == ((), str(tmp_path / "out"))


def test_agents_get_their_proxy_and_others_do_not(tmp_path: Path) -> None:
    plan = sealed_plan(plan_of(TASK, OTHER), ("docs.example.org",), ADAPTERS)
    sealed, other = plan.tasks
    assert [each.name for each in sealed.sidecars] == [EGRESS]
    assert sealed.sidecars[0].command == ("docs.example.org:443",)
    assert sealed.held().memory_bytes > TASK.held().memory_bytes, "it counts in the budget"
    assert other == OTHER
    specs = builder(tmp_path, egress=("docs.example.org",))
    spec = specs.build(sealed, ATTEMPT, tmp_path, data=tmp_path)
    assert spec.own_network is not None
    assert spec.own_network.internal
    assert spec.network is None, "a way around its proxy"
    assert spec.env["HTTPS_PROXY"] == "http://egress:3128"
    with_own_choice = replace(sealed, env={"HTTPS_PROXY": "mine"})
    assert specs.build(with_own_choice, ATTEMPT, tmp_path, data=tmp_path).env["HTTPS_PROXY"] == "mine"
    beside = replace(OTHER, sidecars=sealed.sidecars)
    spec = specs.build(beside, AttemptId("o", 1), tmp_path, data=tmp_path)
    assert spec.own_network is not None
    assert not spec.own_network.internal, "a sidecar of that name seals nobody who has no agent"


def test_a_sidecar_of_the_proxy_s_name_is_refused(tmp_path: Path) -> None:
    taken = sealed_plan(plan_of(TASK), (), ADAPTERS).tasks[0]
    with pytest.raises(PlanError, match=r"batches\[0\].sidecars.egress: got a sidecar, expected another name"):
        sealed_plan(plan_of(taken), (), ADAPTERS)


@pytest.mark.parametrize(
    ("own_usd", "of_run_usd", "told_usd"),
    [(None, 5.0, 5.0), (2.0, 5.0, 2.0), (9.0, 5.0, 5.0), (9.0, None, 9.0), (None, None, None)],
)
def test_no_agent_may_cost_more_than_its_run(
    own_usd: float | None, of_run_usd: float | None, told_usd: float | None
) -> None:
    """Nobody but the agent itself knows what it costs while it works."""
    order = AgentOrder(name="claude", max_cost_usd=own_usd, max_tokens=7)
    rules = Rules(nodes=(), max_cost_usd=of_run_usd, max_tokens=None)
    agent, other = bounded_plan(plan_of(replace(TASK, agent=order), OTHER), rules).tasks
    assert agent.agent is not None
    assert (agent.agent.max_cost_usd, agent.agent.max_tokens) == (told_usd, 7)
    assert other == OTHER
