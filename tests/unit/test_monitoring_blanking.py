"""What nobody is to see is gone before anything is made of a fact."""

from __future__ import annotations

from datetime import UTC, datetime

from wavepool.core import facts
from wavepool.model import (
    AgentOrder,
    Limits,
    Mount,
    Rules,
    SecretSource,
    Sidecar,
    Surroundings,
    Task,
    Wave,
)
from wavepool.monitoring.runs.blanking import blanked

PLANTED = "planted-7f3a9c"
LIMITS = Limits(memory_bytes=64)


def test_prompts_values_and_unknown_fields_are_taken_out_and_the_rest_stays() -> None:
    sidecar = Sidecar(name="db", image="i", limits=LIMITS, env={"PASSWORD": PLANTED})
    task = Task(
        id="a",
        key="a",
        wave=1,
        tier=1,
        limits=LIMITS,
        command=("make",),
        prompt=PLANTED,
        files=("f.py",),
        env={"TOKEN": PLANTED},
        sidecars=(sidecar,),
        extra={"note": {"deep": [PLANTED]}},
        agent=AgentOrder(name="claude"),
    )
    fact = blanked(facts.TasksAdded(waves=(Wave(number=1),), tasks=(task,)))
    assert isinstance(fact, facts.TasksAdded)
    assert PLANTED not in repr(fact)
    found = fact.tasks[0]
    assert (list(found.env), found.command, found.files) == (["TOKEN"], ("make",), ("f.py",))
    assert found.held() == task.held()
    assert found.agent == task.agent


def test_a_run_keeps_the_names_of_its_variables_alone() -> None:
    around = Surroundings(
        image="i",
        workspace="/w",
        network="n",
        env={"TOKEN": PLANTED},
        mounts=(Mount(source="/a", target="/b"),),
        secrets=(SecretSource(name="KEY", kind="env", source="KEY"),),
    )
    opened = facts.RunOpened(
        run_id="r",
        owner="o",
        rules=Rules(nodes=()),
        surroundings=around,
        driver="docker",
        execution_mode="docker",
        plan_digest="d",
        boot_id="b",
        at=datetime(2026, 11, 20, tzinfo=UTC),
    )
    fact = blanked(opened)
    assert isinstance(fact, facts.RunOpened)
    assert PLANTED not in repr(fact)
    assert list(fact.surroundings.env) == ["TOKEN"]
    assert fact.surroundings.mounts == around.mounts
    settled = facts.TaskSettled(task_id="a")
    assert blanked(settled) is settled
