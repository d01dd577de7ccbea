"""What results, screens and `wavepool show` say of agents, from a simulated run with three of them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from wavepool.cli import app
from wavepool.core import facts
from wavepool.core.events import Now
from wavepool.core.facts import Stamped
from wavepool.drivers.memory import MemoryWorld
from wavepool.engine.clock import SystemClock
from wavepool.engine.history.runs import RunHistory, Standing
from wavepool.engine.listener import Listener
from wavepool.engine.report import RunReport
from wavepool.listeners.heldback import held_back
from wavepool.listeners.jsonl import JsonLinesListener
from wavepool.listeners.live import render
from wavepool.listeners.plain import PlainListener
from wavepool.listeners.progress import Progress
from wavepool.listeners.saying import saying_words
from wavepool.model import (
    AgentEvent,
    AgentEventKind,
    AgentOrder,
    AttemptId,
    Limits,
    Node,
    Resources,
    Rules,
    Schedule,
    Task,
    Wave,
)
from wavepool.monitoring.runs.lines import run_line
from wavepool.plan import Plan
from wavepool.plan.schema import WaveSlice
from wavepool.testing.scripted_agents import CountedWorkspaces, ScriptedAgent, says
from wavepool.testing.whole_runs import SimulatedRun
from wavepool.units import GIB, MIB


class Tape(Listener):
    """All that listeners are told, in its order."""

    def __init__(self) -> None:
        self.told: list[Stamped | tuple[AttemptId, AgentEvent]] = []

    def on_facts(self, facts: Sequence[Stamped]) -> None:
        self.told += facts

    def on_agent(self, attempt: AttemptId, event: AgentEvent) -> None:
        self.told.append((attempt, event))

    def play(self, listener: Listener) -> None:
        for each in self.told:
            if isinstance(each, Stamped):
                listener.on_facts([each])
            else:
                listener.on_agent(*each)


def task(name: str, *lines: dict[str, Any], words: tuple[str, ...] = (), **order: Any) -> Task:
    flags = says(*lines, words=words)
    return Task(
        id=name,
        key=name,
        wave=1,
        tier=1,
        limits=Limits(memory_bytes=64 * MIB),
        agent=AgentOrder(name="scripted", flags=flags, **order),
    )


class Told:
    """One run, over; `tape` holds what its listeners were told."""

    def __init__(self, directory: Path) -> None:
        tasks = (
            task("good", {"say": "I look\x1b[31m first"}, {"cost": 0.5, "tokens": 1200}, {"result": True}),
            task("limited", {"limited": 1100}, words=("exit=1", "duration=3"), account="poor"),
            task("untold", {"tokens": 300}, {"result": True}),
        )
        layout = (WaveSlice(position=0, first=0, end=len(tasks)),)
        self.tape = Tape()
        self.run = SimulatedRun(
            plan=Plan(source="p", digest="d", waves=(Wave(number=1),), tasks=tasks, layout=layout),
            rules=Rules(
                nodes=(Node(name="local", capacity=Resources(GIB)),),
                keep_going=True,
                schedule=Schedule.ROLLING,
                rate_limit_retries=1,
            ),
            world=MemoryWorld(),
            directory=directory,
            adapters={"scripted": ScriptedAgent()},
            workspaces=CountedWorkspaces,
            listeners=(self.tape,),
        )
        report = self.run.process()
        assert report is not None
        self.result = report.result()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return Told(tmp_path_factory.mktemp("state"))


def entry(told: Told, name: str) -> dict[str, Any]:
    return next(each for each in told.result["waves"][0]["containers"] if each["batch_id"] == name)


def test_the_result_has_each_agent_its_changes_and_the_sums_of_all_attempts(told: Told) -> None:
    assert entry(told, "good")["agent"]["cost_usd"] == 0.5
    assert entry(told, "good")["agent"]["tokens"] == {
        "input": 0,
        "output": 1200,
        "cache_read": 0,
        "cache_write": 0,
        "total": 1200,
    }
    assert entry(told, "good")["changes"]["branch"] == "wavepool/good"
    assert entry(told, "untold")["agent"]["cost_told"] is False
    assert entry(told, "limited")["agent"]["rate_limited"] is True
    agents = told.result["agents"]
    assert agents["attempts"] == 4, "the repeated one too"
    assert (agents["cost_usd"], agents["attempts_without_cost"], agents["tokens"]["total"]) == (0.5, 3, 1500)
    [pause] = agents["accounts_paused"]
    assert (pause["account"], pause["until"]) == ("poor", "2026-01-01T00:18:20Z")
    json.dumps(told.result)


def test_a_run_without_agents_says_nothing_of_any() -> None:
    assert RunReport().result().get("agents") is None


def test_show_tells_of_an_attempt_s_agent_and_of_all(told: Told) -> None:
    def call(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["show", *arguments, "--state-dir", str(told.run.directory)])
        assert done.exit_code == 0, done.output
        return done.stdout

    whole = call(told.run.files.id)
    assert "agents used" in whole
    assert "1.5k tokens, $0.50 in 4 attempts (the cost of 3 of them was not told)" in whole
    good = call(told.run.files.id, "good")
    assert "command of the agent scripted" in good
    assert "agent     scripted: 2 turns, 1.2k tokens, $0.50" in good
    assert "changes   1 file +0 -0 on branch wavepool/good" in good
    assert "cost not told" in call(told.run.files.id, "untold")
    [attempt] = json.loads(call(told.run.files.id, "good", "--json"))["attempts"]
    assert attempt["agent"]["turns"] == 2
    assert attempt["changes"]["files"] == 1


def test_json_lines_have_what_agents_say_between_the_facts(told: Told) -> None:
    stream = io.BytesIO()
    with JsonLinesListener(stream) as listener:
        told.tape.play(listener)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    spoken = [line for line in lines if line["kind"] == "AgentSpoke"]
    assert ["good", 1] in [line["attempt"] for line in spoken]
    assert spoken[0]["said"]["kind"] in {"text", "rate_limited"}
    numbers = [line["seq"] for line in lines if "seq" in line]
    assert numbers == list(range(1, len(numbers) + 1)), "they take no number from the facts"


def test_plain_lines_say_little_unless_asked_for_more(told: Told) -> None:
    def lines(*, verbose: bool) -> str:
        stream = io.StringIO()
        with PlainListener(stream, 1.0, SystemClock(), verbose=verbose) as listener:
            told.tape.play(listener)
        return stream.getvalue()

    assert "account poor is paused until 2026-01-01T00:18:20Z" in lines(verbose=False)
    assert "agent is rate limited" not in lines(verbose=False), "the pause of its account says so"
    assert "agent is rate limited" in lines(verbose=True)
    assert "agent said" not in lines(verbose=False)
    assert "task good: agent said I look\\x1b[31m first" in lines(verbose=True)


def test_what_an_agent_says_is_one_safe_line() -> None:
    said = AgentEvent(kind=AgentEventKind.TEXT, text="I look\x1b[31m\n\nfirst " + "x" * 500)
    words = saying_words(said)
    assert words.startswith("said I look\\x1b[31m first xxx")
    assert len(words) < 180
    assert saying_words(AgentEvent(kind=AgentEventKind.TOOL, text="Bash")) == "uses Bash"
    assert saying_words(AgentEvent(kind=AgentEventKind.RATE_LIMITED)) == "is rate limited"
    assert saying_words(AgentEvent(kind=AgentEventKind.ERROR, text="no key")) == "met an error: no key"
    assert all(saying_words(AgentEvent(kind=kind)) for kind in AgentEventKind)


def test_the_screen_shows_who_does_what_and_who_is_paused(told: Told) -> None:
    """At the moment at which the account was paused, with both agents still at work."""
    progress = Progress()
    for each in told.tape.told:
        if not isinstance(each, Stamped):
            progress.hear(*each)
            continue
        progress.take(each)
        now = Now(each.boot_s, each.utc)
        if isinstance(each.fact, facts.AccountPaused):
            break
    progress.hear(AttemptId("limited", 1), AgentEvent(kind=AgentEventKind.TOOL, text="Bash", turns=3, cost_usd=0.25))
    console = Console(file=io.StringIO(), width=120)
    console.print(render(progress, now))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "limited  3 turns, 0 tokens, $0.25  uses Bash" in shown
    assert "account poor is paused until 00:18:20Z" in shown
    assert "agents used" in shown


def test_spent_counts_reports_of_the_ended_and_words_of_the_running(told: Told) -> None:
    progress = Progress()
    progress.take_all(stamped for stamped in RunHistory(told.run.files).facts())
    assert progress.spent is not None
    assert progress.spent.cost_usd == 0.5
    assert progress.spent.tokens == 1500
    assert progress.saying == {}
    progress.hear(AttemptId("good", 1), AgentEvent(kind=AgentEventKind.TEXT, cost_usd=9.0))
    assert progress.spent.cost_usd == 0.5, "a word that comes after the end is not counted twice"


def test_a_run_has_no_cost_where_no_agent_told_one(told: Told) -> None:
    progress, untold = Progress(), Progress()
    for stamped in RunHistory(told.run.files).facts():
        progress.take(stamped)
        fact = stamped.fact
        if isinstance(fact, facts.AttemptSettled) and fact.agent is not None:
            fact = replace(fact, agent=replace(fact.agent, cost_usd=None))
        untold.take(stamped._replace(fact=fact))
    now = Now(stamped.boot_s, stamped.utc)
    assert run_line("r", Standing.FAILED, progress, now)["spent_usd"] == 0.5
    line = run_line("r", Standing.FAILED, untold, now)
    assert "spent_usd" not in line
    assert line["tokens"] == 1500


def test_a_paused_account_is_a_state_that_progress_lines_and_the_estimate_know(told: Told) -> None:
    """Its task was put back and waits: for how long is known, and what was rate limited will be tried again."""
    progress = Progress()
    for each in told.tape.told:
        if isinstance(each, Stamped):
            progress.take(each)
            now = Now(each.boot_s, each.utc)
            if isinstance(each.fact, facts.TaskRequeued):
                break
    until = progress.paused["poor"]
    assert held_back(progress, now) == [f"account poor is paused until {until:%H:%M:%S}Z, 1 task waits"]
    left_s = progress.time_left_s(now)
    assert left_s is not None
    assert left_s > (until - now.utc).total_seconds() > 10
    assert progress.endings.troubled[-1].again
    out = io.StringIO()
    Console(file=out, width=160).print(render(progress, now))
    drawn = out.getvalue()
    assert "1 task waits" in drawn
    assert "; will be tried again" in drawn
    rest = [stamped for stamped in told.tape.told[told.tape.told.index(each) + 1 :] if isinstance(stamped, Stamped)]
    progress.take_all(rest)
    assert held_back(progress, Now(now.boot_s, until)) == []
