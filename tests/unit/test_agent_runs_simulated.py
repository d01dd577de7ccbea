"""Runs with agents in virtual time: what they say decides, what they changed comes back, and no death alters it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from wavepool.agents.base import AgentReader
from wavepool.core import facts
from wavepool.core.facts import Stamped
from wavepool.drivers.base import Observation, Phase
from wavepool.drivers.memory import Fault, Hazards, MemoryWorld
from wavepool.engine.attempts.sealing import NUMBERS_FROM, SealedRuns, sealed_attempt
from wavepool.engine.history.runs import RunHistory
from wavepool.engine.listener import Listener
from wavepool.model import (
    AgentEvent,
    AgentOrder,
    AgentReport,
    AttemptId,
    Changes,
    Ending,
    Evidence,
    Handle,
    Limits,
    Node,
    Resources,
    Rules,
    Schedule,
    Task,
    VerdictKind,
    Wave,
)
from wavepool.plan import Plan
from wavepool.plan.schema import WaveSlice
from wavepool.statedir import RunDir
from wavepool.testing.kill_points import KillSwitch
from wavepool.testing.scripted_agents import CountedWorkspaces, ScriptedAgent, ScriptedReader, says
from wavepool.testing.whole_runs import SimulatedRun, crash_everywhere
from wavepool.units import GIB, MIB
from wavepool.workspace.base import Place, Sealed

NODES = (Node(name="local", capacity=Resources(4 * GIB)),)
RULES = Rules(nodes=NODES, keep_going=True, schedule=Schedule.ROLLING)
ADAPTERS = {"scripted": ScriptedAgent()}
OPENED_S = 1000.0
"""Where virtual time begins; resets are told in seconds of the same clock."""


class Heard(Listener):
    """What agents said, and what was decided."""

    def __init__(self) -> None:
        self.said: list[tuple[str, AgentEvent]] = []
        self.facts: list[facts.Fact] = []

    def on_facts(self, facts: Sequence[Stamped]) -> None:
        self.facts += [stamped.fact for stamped in facts]

    def on_agent(self, attempt: AttemptId, event: AgentEvent) -> None:
        self.said.append((str(attempt), event))


def agent(name: str, *lines: dict[str, Any], words: tuple[str, ...] = (), **order: Any) -> Task:
    order = {"flags": says(*lines, words=words), **order}
    return Task(
        id=name,
        key=name,
        wave=1,
        tier=1,
        limits=Limits(memory_bytes=64 * MIB),
        agent=AgentOrder(name="scripted", **order),
        prompt="do it",
    )


def plan_of(*tasks: Task) -> Plan:
    layout = (WaveSlice(position=0, first=0, end=len(tasks)),)
    return Plan(source="plan", digest="d", waves=(Wave(number=1),), tasks=tasks, layout=layout)


def run_of(directory: Path, *tasks: Task, rules: Rules = RULES, **more: Any) -> SimulatedRun:
    return SimulatedRun(
        plan=plan_of(*tasks),
        rules=rules,
        world=MemoryWorld(nodes=rules.nodes),
        directory=directory,
        adapters=ADAPTERS,
        **more,
    )


def facts_of(run: SimulatedRun, kind: type[Any]) -> list[Any]:
    return [stamped.fact for stamped in RunHistory(run.files).facts() if isinstance(stamped.fact, kind)]


def verdicts(run: SimulatedRun) -> dict[str, VerdictKind]:
    return {str(fact.attempt): fact.verdict.kind for fact in facts_of(run, facts.AttemptSettled)}


GOOD = ({"cost": 0.5, "tokens": 100}, {"result": True})


def test_the_report_decides_and_is_kept(tmp_path: Path) -> None:
    heard = Heard()
    silent = agent("silent", {"say": "hm"})
    run = run_of(tmp_path, agent("good", {"say": "hello"}, *GOOD), silent, listeners=(heard,))
    run.process()
    assert verdicts(run) == {"good#1": VerdictKind.SUCCESS, "silent#1": VerdictKind.FAILED}
    by_task = {fact.attempt.task_id: fact for fact in facts_of(run, facts.AttemptSettled)}
    assert by_task["good"].agent.cost_usd == 0.5
    assert by_task["good"].agent.tokens.total == 100
    assert by_task["good"].agent.turns == 2
    assert by_task["silent"].agent.cost_usd is None
    assert by_task["silent"].verdict.evidence.reason == "it said no result"
    assert [event.text for who, event in heard.said if who == "good#1"] == ["hello", "", ""]


def test_stderr_is_archived_and_not_listened_to(tmp_path: Path) -> None:
    run = run_of(tmp_path, agent("noisy", *GOOD, words=("stderr=%7Bbroken%0A",)))
    run.process()
    assert verdicts(run) == {"noisy#1": VerdictKind.SUCCESS}
    assert b"{broken" in (run.files.logs / "noisy.1.log").read_bytes()


def test_an_agent_above_its_bound_is_stopped_while_it_works(tmp_path: Path) -> None:
    dear = agent("dear", {"cost": 3.0}, words=("duration=1000",), max_cost_usd=2.0)
    late = agent("late", *GOOD, max_cost_usd=0.2)
    run = run_of(tmp_path, dear, agent("cheap", *GOOD, max_cost_usd=2.0), late)
    report = run.process()
    assert report is not None
    ends = {"dear#1": VerdictKind.WATCHDOG, "cheap#1": VerdictKind.SUCCESS, "late#1": VerdictKind.SUCCESS}
    assert verdicts(run) == ends
    warnings = {entry["batch_id"]: entry["warnings"] for entry in report.result()["waves"][0]["containers"]}
    assert warnings == {"dear": [], "cheap": [], "late": ["its agent has cost $0.50, $0.20 allowed"]}
    assert report.result()["duration_s"] < 60, "it would have gone on for 1000 s"


def test_a_run_above_its_budget_stops_and_a_resume_still_knows_what_was_spent(tmp_path: Path) -> None:
    first = agent("first", {"cost": 3.0}, {"result": True})
    rest = [agent(name, {"cost": 1.5}, words=("duration=1000",)) for name in ("b", "c")]
    rules = replace(RULES, max_cost_usd=5.5)
    killed = run_of(tmp_path, first, *rest, rules=rules)
    switch = KillSwitch()
    run_of(tmp_path / "undisturbed", first, *rest, rules=rules).process(switch)
    stops = [number for number, name in enumerate(switch.points, 1) if name.startswith("before stop")]
    killed.process(KillSwitch(kill_at=stops[0] - 1))
    report = killed.process()
    assert report is not None
    assert verdicts(killed) == {
        "first#1": VerdictKind.SUCCESS,
        "b#1": VerdictKind.WATCHDOG,
        "c#1": VerdictKind.WATCHDOG,
    }
    assert "the agents of the run have cost $6.00, $5.50 allowed" in report.result()["stopped_because"]


def test_a_rate_limited_agent_waits_for_the_reset_and_others_do_not(tmp_path: Path) -> None:
    limited = agent("limited", {"limited": OPENED_S + 200}, words=("exit=1",), account="poor")
    other = [agent(f"o{n}", *GOOD, words=("duration=20",), account="rich") for n in range(3)]
    run = run_of(tmp_path, limited, *other, rules=replace(RULES, rate_limit_retries=1))
    report = run.process()
    assert report is not None
    found = verdicts(run)
    assert found.pop("limited#1") is found.pop("limited#2") is VerdictKind.RATE_LIMITED
    assert set(found.values()) == {VerdictKind.SUCCESS}
    starts = {str(fact.attempt): fact.at_s for fact in facts_of(run, facts.StartIntended)}
    assert starts["limited#2"] >= OPENED_S + 200
    assert max(starts[f"o{n}#1"] for n in range(3)) < OPENED_S + 60
    assert len(facts_of(run, facts.AccountPaused)) == 1


def test_each_attempt_has_its_place_and_its_changes_come_back(tmp_path: Path) -> None:
    made: list[CountedWorkspaces] = []

    def workspaces(files: RunDir) -> CountedWorkspaces:
        made.append(CountedWorkspaces(files, broken=frozenset({"unlucky"})))
        return made[-1]

    here = agent("here", words=("show_directory", "show_env=PLACE", "show_env=SCRIPTED"))
    run = run_of(tmp_path, here, agent("good", *GOOD), agent("unlucky", *GOOD), workspaces=workspaces)
    here_only = replace(here, agent=None, command=("sim", "show_directory", "show_env=PLACE"))
    run = replace(run, plan=plan_of(here_only, *run.plan.tasks[1:]))
    report = run.process()
    assert report is not None
    assert report.left_behind == []
    [counted] = made
    assert counted.brought == {AttemptId("here", 1): 1, AttemptId("good", 1): 1}
    assert counted.left() == []
    settled = {fact.attempt.task_id: fact for fact in facts_of(run, facts.AttemptSettled)}
    assert settled["good"].changes.branch == "wavepool/good"
    assert settled["good"].changes.problem is None, "the sealed program ended well"
    assert settled["unlucky"].verdict.kind is VerdictKind.START_ERROR
    assert "it cannot be had. Do without" in settled["unlucky"].verdict.evidence.reason
    assert b"here.1" in (run.files.logs / "here.1.log").read_bytes()
    sealed = sealed_attempt(AttemptId("good", 1))
    assert sealed.number == NUMBERS_FROM + 1
    assert {attempt for _, attempt in run.world.executions} >= {AttemptId("good", 1), sealed}
    assert run.world.container_names() == []


class Slow(CountedWorkspaces):
    """Takes an hour for each, one after the other."""

    async def obtain(self, task: Task, attempt: AttemptId) -> Place:
        await anyio.sleep(3600)
        return await super().obtain(task, attempt)


def test_one_that_is_stopped_while_it_waits_for_its_workspace_waits_no_longer(tmp_path: Path) -> None:
    """Nor is it started, to be stopped then."""
    rules = replace(RULES, schedule=Schedule.BARRIER, wave_timeout_s=30.0)
    run = run_of(tmp_path, agent("a", *GOOD), agent("b", *GOOD), rules=rules, workspaces=Slow)
    report = run.process()
    assert report is not None
    assert set(verdicts(run).values()) == {VerdictKind.TIMEOUT}
    assert report.result()["duration_s"] < 60
    assert not run.world.executions
    assert report.left_behind == []


class Careless(ScriptedAgent):
    """An adapter of somebody else's: its flags say where its reader raises."""

    def reader(self, order: AgentOrder) -> AgentReader:
        if order.model == "reader":
            raise RuntimeError("no reader")
        return CarelessReader(order.model)


class CarelessReader(ScriptedReader):
    def __init__(self, where: str | None) -> None:
        super().__init__()
        self._where = where

    def feed(self, data: bytes) -> list[AgentEvent]:
        if self._where == "feed":
            raise KeyError("usage")
        return super().feed(data)

    def report(self, exit_code: int | None) -> AgentReport:
        if self._where == "report":
            raise ValueError("no result")
        return super().report(exit_code)


def test_an_adapter_that_raises_fails_its_own_attempts_and_no_others(tmp_path: Path) -> None:
    """The run goes on; and one that ended with exit code 0 has not succeeded, as nobody knows what it said."""
    odd = [agent(where, *GOOD, model=where) for where in ("reader", "feed", "report")]
    run = replace(run_of(tmp_path, agent("good", *GOOD), *odd), adapters={"scripted": Careless()})
    report = run.process()
    assert report is not None
    found = verdicts(run)
    assert found.pop("good#1") is VerdictKind.SUCCESS
    assert set(found.values()) == {VerdictKind.FAILED}
    reasons = {fact.attempt.task_id: fact.verdict.evidence.reason for fact in facts_of(run, facts.AttemptSettled)}
    assert "the adapter of scripted failed over its output: KeyError: 'usage'" in reasons["feed"]
    assert "ValueError: no result" in reasons["report"]
    assert "RuntimeError: no reader" in reasons["reader"]


class StrikesOnce(Hazards):
    """Hits the first call or event about `subject`."""

    def __init__(self, fault: Fault, subject: str) -> None:
        self._left = [(fault, f"simulated/{subject}")]

    def strikes(self, fault: Fault, subject: str) -> bool:
        if (fault, subject) not in self._left:
            return False
        self._left.remove((fault, subject))
        return True

    def fraction(self, fault: Fault, subject: str) -> float:
        return 0.5

    @property
    def has_struck(self) -> bool:
        return not self._left


@pytest.mark.parametrize("fault", [Fault.START_CUT_BEFORE, Fault.START_REFUSED])
def test_a_sealed_program_that_did_not_start_is_started_again(tmp_path: Path, fault: Fault) -> None:
    """What it would have brought back is lost for good, once the workspace is given up."""
    hazards = StrikesOnce(fault, f"good#{NUMBERS_FROM + 1}")
    run = replace(
        run_of(tmp_path, agent("good", *GOOD), workspaces=CountedWorkspaces),
        world=MemoryWorld(nodes=RULES.nodes, hazards=hazards),
    )
    run.process()
    assert hazards.has_struck
    [settled] = facts_of(run, facts.AttemptSettled)
    assert settled.changes.problem is None
    assert run.world.container_names() == []


class Haunted(CountedWorkspaces):
    """Just before its sealed program ends another end is told of its name: of one that an earlier process began."""

    async def bring_back(self, task: Task, attempt: AttemptId, sealed: Sealed) -> Changes | None:
        assert isinstance(sealed, SealedRuns)
        inner = sealed_attempt(attempt)
        killed = Ending(kind=VerdictKind.FAILED, evidence=Evidence(exit_code=137))
        handle = Handle(driver="memory", id="an older one", name="", attempt=inner)

        async def haunt() -> None:
            await anyio.sleep(0.9)
            sealed.saw(Observation(handle=handle, run_id="", wave=1, phase=Phase.EXITED, ending=killed))

        async with anyio.create_task_group() as group:
            group.start_soon(haunt)
            return await super().bring_back(task, attempt, sealed)


def test_the_end_of_an_older_sealed_program_is_not_taken_for_the_new_one_s(tmp_path: Path) -> None:
    run = run_of(tmp_path, agent("good", *GOOD), workspaces=Haunted)
    run.process()
    [settled] = facts_of(run, facts.AttemptSettled)
    assert settled.changes.problem is None


CRASHED = (
    agent("good", {"say": "hello"}, *GOOD, words=("duration=5",)),
    agent("limited", {"limited": OPENED_S + 40}, words=("exit=1",)),
    agent("dear", {"cost": 3.0, "tokens": 5}, words=("duration=1000",), max_cost_usd=2.0),
)


@pytest.mark.parametrize(
    "remainder", [pytest.param(0, id="some"), *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2))]
)
def test_a_death_anywhere_changes_no_verdict(tmp_path: Path, remainder: int) -> None:
    rules = replace(RULES, rate_limit_retries=1)
    report = crash_everywhere(
        plan_of(*CRASHED[remainder:], *CRASHED[:remainder]),
        rules,
        tmp_path,
        every=8 if remainder == 0 else 1,
        adapters=ADAPTERS,
        workspaces=CountedWorkspaces,
    )
    assert report.differences == []
    assert report.kills > 10
