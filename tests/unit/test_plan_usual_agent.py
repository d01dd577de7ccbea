"""The agent of a whole plan: batches without a command have it, and may change of it what they like."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wavepool.errors import PlanError
from wavepool.model import AgentOrder
from wavepool.plan import Plan, TierMap, parse_plan

USUAL = {"name": "claude", "max_turns": 5, "model": "small", "account": "ours"}


def plan_of(*batches: dict[str, Any], agent: object = USUAL, inner: bool = False) -> Plan:
    rows = [{"batch_id": f"b{n}", "files": [], **batch} for n, batch in enumerate(batches)]
    waves = [{"wave_number": 1, "batches": rows}]
    document = {"waves": {"agent": agent, "waves": waves}} if inner else {"agent": agent, "waves": waves}
    return parse_plan(json.dumps(document).encode(), source="p", tiers=TierMap())


@pytest.mark.parametrize("inner", [False, True])
def test_who_says_nothing_has_it_and_who_runs_a_command_has_none(inner: bool) -> None:
    plan = plan_of({}, {"command": "make"}, {"commands": ["a", "b"]}, {"agent": False}, inner=inner)
    usual = AgentOrder(name="claude", max_turns=5, model="small", account="ours")
    assert [task.agent for task in plan.tasks] == [usual, None, None, None]
    assert plan.warnings == ()


def test_a_batch_changes_single_fields_or_takes_another_agent() -> None:
    plan = plan_of({"agent": {"max_turns": 9}}, {"agent": "codex"}, {"agent": "claude", "command": "wrapper"})
    assert plan.tasks[0].agent == AgentOrder(name="claude", max_turns=9, model="small", account="ours")
    assert plan.tasks[1].agent == AgentOrder(name="codex", max_turns=5), "another agent has other models and accounts"
    assert plan.tasks[2].agent is not None, "it reads what the command writes"


@pytest.mark.parametrize(
    ("agent", "path"),
    [({"name": "claude", "max_turns": 0}, "agent.max_turns"), ({"model": "m"}, "agent.name"), (7, "agent")],
)
def test_what_is_wrong_is_told_with_its_place(agent: object, path: str) -> None:
    with pytest.raises(PlanError) as refused:
        plan_of({}, agent=agent)
    assert refused.value.path == path
    with pytest.raises(PlanError) as refused:
        plan_of({}, agent=agent, inner=True)
    assert refused.value.path == f"waves.{path}"
