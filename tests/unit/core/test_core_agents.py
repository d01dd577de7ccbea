"""Agents in the core: what they say at their end, accounts that have no more to give, and budgets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from wavepool.core import events, facts
from wavepool.core.agentwords import heard
from wavepool.core.facts import Outcome
from wavepool.core.slices.accounts import FIRST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_UNTOLD_PAUSE_S
from wavepool.core.softlimits import measured
from wavepool.core.spending import Spent
from wavepool.model import (
    AgentEvent,
    AgentEventKind,
    AgentOrder,
    AgentReport,
    AttemptId,
    Ending,
    Evidence,
    Schedule,
    StopReason,
    Tokens,
    VerdictKind,
    WatchdogRule,
)

if TYPE_CHECKING:
    from conftest import CoreRun
    from wavepool.model import Task

NewRun = Callable[..., "CoreRun"]
MakeTask = Callable[..., "Task"]
GOOD = AgentReport(agent="claude", succeeded=True)
LIMITED = AgentReport(agent="claude", succeeded=False, rate_limited=True, problem="usage limit reached")


def by(make_task: MakeTask, name: str, **order: Any) -> Task:
    needs = order.pop("depends_on", ())
    return make_task(name, agent=AgentOrder(name="claude", **order), prompt="do it", depends_on=needs)


def spoke(name: str, kind: AgentEventKind = AgentEventKind.TEXT, number: int = 1, **fields: Any) -> events.Spoke:
    return events.Spoke(attempt=AttemptId(name, number), said=AgentEvent(kind=kind, **fields))


def until(run: CoreRun, in_s: float) -> datetime:
    opened = run.facts[0]
    assert isinstance(opened, facts.RunOpened)
    return opened.at + timedelta(seconds=run.now_s + in_s)


# -- verdicts --


@pytest.mark.parametrize(
    ("exit_code", "report", "kind"),
    [
        (0, GOOD, VerdictKind.SUCCESS),
        (0, AgentReport(agent="command"), VerdictKind.SUCCESS),
        (0, AgentReport(agent="claude", succeeded=True, rate_limited=True), VerdictKind.SUCCESS),
        (0, AgentReport(agent="claude", succeeded=False, problem="no result line"), VerdictKind.FAILED),
        (1, GOOD, VerdictKind.FAILED),
        (1, AgentReport(agent="claude", succeeded=True, rate_limited=True), VerdictKind.RATE_LIMITED),
        (0, LIMITED, VerdictKind.RATE_LIMITED),
        (1, LIMITED, VerdictKind.RATE_LIMITED),
        (0, AgentReport(agent="command", rate_limited=True), VerdictKind.RATE_LIMITED),
    ],
)
def test_success_needs_the_exit_code_and_the_report(exit_code: int, report: AgentReport, kind: VerdictKind) -> None:
    ended = VerdictKind.SUCCESS if exit_code == 0 else VerdictKind.FAILED
    assert heard(Ending(kind=ended, evidence=Evidence(exit_code=exit_code)), report)[0] is kind


@pytest.mark.parametrize("kind", [VerdictKind.OOM, VerdictKind.LOST])
def test_what_the_driver_knows_better_stays(kind: VerdictKind) -> None:
    assert heard(Ending(kind=kind, evidence=Evidence()), LIMITED) == (kind, Evidence())


def test_the_reason_carries_the_agents_problem(new_run: NewRun, make_task: MakeTask) -> None:
    run = new_run([by(make_task, "a")])
    run.runs("a")
    run.ends("a", agent=AgentReport(agent="claude", succeeded=False, problem="it gave up; give it more turns"))
    (settled,) = run.of(facts.AttemptSettled)
    assert settled.verdict.kind is VerdictKind.FAILED
    assert settled.verdict.evidence.reason == "it gave up; give it more turns"
    assert settled.verdict.evidence.exit_code == 0
    assert run.state.outcome is Outcome.FAILED


def test_a_stop_of_ours_beats_a_rate_limit(new_run: NewRun, make_task: MakeTask) -> None:
    run = new_run([by(make_task, "a")])
    run.runs("a")
    run.feed(events.Interrupted(force=True))
    run.ends("a", VerdictKind.FAILED, agent=LIMITED)
    assert run.verdict("a") is VerdictKind.CANCELLED
    assert len(run.of(facts.AccountPaused)) == 1, "the account is paused nevertheless"


# -- accounts --


def test_a_paused_account_lets_the_others_go_on(new_run: NewRun, make_task: MakeTask) -> None:
    """Two starts at a time: the task behind those that wait starts in their place."""
    tasks = [by(make_task, name, account="one") for name in "abc"] + [by(make_task, "d", account="two")]
    run = new_run(tasks, schedule=Schedule.ROLLING, parallel=2)
    decided = run.feed(spoke("a", AgentEventKind.RATE_LIMITED, text="429", resets_at=until(run, 100)))
    (paused,) = [fact for fact in decided if isinstance(fact, facts.AccountPaused)]
    assert (paused.account, paused.until_s, paused.because) == ("one", 100.0, "429")
    run.runs("a")
    assert run.started() == ["a#1", "b#1", "d#1"], "c waits, d does not"
    run.runs("b")
    run.runs("d")
    assert run.started() == ["a#1", "b#1", "d#1"]
    assert run.started(run.at(99)) == []
    assert run.started(run.at(100)) == ["c#1"]


def test_a_rate_limited_task_is_tried_again_after_the_reset(new_run: NewRun, make_task: MakeTask) -> None:
    run = new_run([by(make_task, "a")], max_attempts=1, rate_limit_retries=2)
    for number, at_s in ((1, 50.0), (2, 100.0), (3, 150.0)):
        run.runs("a", number)
        run.ends("a", number=number, agent=replace(LIMITED, resets_at=until(run, 50)))
        if number < 3:
            requeued = run.of(facts.TaskRequeued)[-1]
            assert f"({number} of 2 repeats)" in requeued.because
            assert run.started(run.at(at_s - 1)) == []
            assert run.started(run.at(at_s)) == [f"a#{number + 1}"]
    assert run.verdict("a") is VerdictKind.RATE_LIMITED
    assert run.state.outcome is Outcome.FAILED


def test_rate_limits_take_nothing_from_the_other_attempts(new_run: NewRun, make_task: MakeTask) -> None:
    run = new_run([by(make_task, "a")], max_attempts=2)
    run.runs("a")
    run.ends("a", agent=LIMITED)
    run.at(FIRST_PAUSE_S)
    run.runs("a", 2)
    run.ends("a", VerdictKind.FAILED, number=2)
    assert "attempt 1 of 2" in run.of(facts.TaskRequeued)[-1].because
    run.at(run.now_s + 30)
    run.runs("a", 3)
    run.ends("a", number=3, agent=GOOD)
    assert run.verdict("a") is VerdictKind.SUCCESS


def test_pauses_of_unknown_length_double_until_one_succeeds(new_run: NewRun, make_task: MakeTask) -> None:
    run = new_run([by(make_task, "a"), by(make_task, "b", account="other")])
    run.runs("a")
    run.runs("b")
    lengths_s = []
    for _ in range(10):
        run.feed(spoke("a", AgentEventKind.RATE_LIMITED))
        assert run.feed(spoke("a", AgentEventKind.RATE_LIMITED)) == [], "it is paused already"
        lengths_s.append(run.of(facts.AccountPaused)[-1].until_s - run.now_s)
        run.at(run.of(facts.AccountPaused)[-1].until_s)
    assert lengths_s[:4] == [FIRST_PAUSE_S * factor for factor in (1, 2, 4, 8)]
    assert lengths_s[-1] == LONGEST_UNTOLD_PAUSE_S
    run.ends("a", agent=GOOD)
    run.feed(spoke("b", AgentEventKind.RATE_LIMITED))
    assert run.of(facts.AccountPaused)[-1].until_s - run.now_s == FIRST_PAUSE_S, "another account counts for itself"
    assert run.state.accounts["claude"].pauses == 0
    run.replayed()


def test_a_later_reset_moves_the_end_and_an_earlier_one_does_not(new_run: NewRun, make_task: MakeTask) -> None:
    run = new_run([by(make_task, "a"), by(make_task, "b")])
    run.runs("a")
    for in_s in (100, 50, -50, 200, 1e9):
        run.feed(spoke("a", AgentEventKind.RATE_LIMITED, resets_at=until(run, in_s)))
    assert [fact.until_s for fact in run.of(facts.AccountPaused)] == [100, 200, LONGEST_PAUSE_S]


@pytest.mark.parametrize("shift_s", [0.0, -5000.0, 400.0])
def test_a_pause_ends_at_its_time_of_day_whatever_became_of_the_deadlines(
    new_run: NewRun, make_task: MakeTask, shift_s: float
) -> None:
    """The run stood still for 60 s, and its deadlines were moved; the account's reset was not."""
    run = new_run([by(make_task, "a"), by(make_task, "b", depends_on=("a",))])
    run.runs("a")
    run.feed(spoke("a", AgentEventKind.RATE_LIMITED, resets_at=until(run, 100)))
    run.state = run.replayed()
    run.now_s = 60.0
    run.feed(events.Resumed(boot_id="b2", shift_s=shift_s), advance=False)
    assert run.of(facts.AccountPaused)[-1].until_s == 100.0
    assert run.state.accounts["claude"].pauses == 1, "it is the same pause"
    run.ends("a", agent=GOOD)
    assert run.started(run.at(99)) == []
    assert run.started(run.at(100)) == ["b#1"]


def test_a_reset_that_came_while_the_run_stood_still_holds_nobody_back(new_run: NewRun, make_task: MakeTask) -> None:
    """The time in between counts for no deadline; it does for the account."""
    run = new_run([by(make_task, "a")])
    run.runs("a")
    run.ends("a", agent=replace(LIMITED, resets_at=until(run, 5000)))
    run.feed(events.Interrupted(force=False))
    assert run.state.outcome is Outcome.INTERRUPTED
    run.state = run.replayed()
    run.now_s = 6000.0
    run.feed(events.Resumed(boot_id="b", shift_s=6000.0))
    assert run.started(run.at(6001)) == ["a#2"]


def test_what_ended_attempts_and_others_say_is_not_heard(new_run: NewRun, make_task: MakeTask) -> None:
    run = new_run([by(make_task, "a", max_cost_usd=1.0), make_task("plain")])
    run.runs("a")
    run.exits("a")
    assert run.feed(spoke("a", AgentEventKind.RATE_LIMITED, cost_usd=5.0)) == []
    assert run.feed(spoke("plain", AgentEventKind.RATE_LIMITED)) == [], "it has no agent"
    assert run.feed(spoke("a", number=7)) == []


# -- budgets --


@pytest.mark.parametrize(
    ("bound", "said", "rule", "words"),
    [
        ({"max_cost_usd": 2.0}, {"cost_usd": 2.5}, WatchdogRule.COST, "its agent has cost $2.50, $2.00 allowed"),
        (
            {"max_tokens": 9000},
            {"tokens": Tokens(input=8000, cache_read=1500)},
            WatchdogRule.TOKENS,
            "its agent has used 9,500 tokens, 9,000 allowed",
        ),
    ],
)
def test_an_attempt_above_its_own_bound_is_stopped(
    new_run: NewRun, make_task: MakeTask, bound: dict[str, Any], said: dict[str, Any], rule: WatchdogRule, words: str
) -> None:
    run = new_run([by(make_task, "a", **bound), by(make_task, "b", **bound)], keep_going=True)
    run.runs("a")
    run.runs("b")
    assert run.feed(spoke("a", cost_usd=2.0, tokens=Tokens(output=9000))) == [], "up to the bound all is well"
    (stop,) = run.feed(spoke("a", **said))
    assert (stop.attempt, stop.reason, stop.finding.rule) == (AttemptId("a", 1), StopReason.WATCHDOG, rule)
    assert run.feed(spoke("a", **said)) == []
    run.ends("a", VerdictKind.FAILED)
    evidence = run.of(facts.AttemptSettled)[-1].verdict.evidence
    assert run.verdict("a") is VerdictKind.WATCHDOG
    assert evidence.reason.startswith(words)
    assert evidence.reason.endswith("give it less to do")
    run.ends("b", agent=GOOD)
    assert run.verdict("b") is VerdictKind.SUCCESS


def test_a_run_above_its_budget_stops_everything(new_run: NewRun, make_task: MakeTask) -> None:
    tasks = [by(make_task, name) for name in "abc"] + [make_task("later", depends_on=("a",))]
    run = new_run(tasks, max_cost_usd=10.0, keep_going=True)
    for name in "abc":
        run.runs(name)
    run.ends("a", agent=replace(GOOD, cost_usd=4.0))
    run.feed(spoke("b", cost_usd=3.0))
    decided = run.feed(spoke("c", cost_usd=3.5))
    (stopped,) = [fact for fact in decided if isinstance(fact, facts.RunStopped)]
    assert stopped.cause == (
        "the agents of the run have cost $10.50, $10.00 allowed: raise `run_max_cost`, or give the run less to do"
    )
    stops = [fact for fact in decided if isinstance(fact, facts.StopIntended)]
    assert {str(fact.attempt) for fact in stops} == {"b#1", "c#1", "later#1"}
    assert all(fact.finding.whole_run and fact.finding.rule is WatchdogRule.COST for fact in stops)
    for name in ("b", "c", "later"):
        run.ends(name, VerdictKind.FAILED)
    assert run.state.outcome is Outcome.FAILED
    assert run.of(facts.AttemptSettled)[-1].verdict.evidence.whole_run is True


def test_a_cost_that_is_told_at_the_end_counts_too(new_run: NewRun, make_task: MakeTask) -> None:
    """Many agents tell it in their last line only."""
    run = new_run([by(make_task, "a"), by(make_task, "b", depends_on=("a",))], max_tokens=1000)
    run.runs("a")
    run.ends("a", agent=replace(GOOD, tokens=Tokens(input=900, output=200)))
    assert run.started() == ["a#1"]
    assert "1,100 tokens, 1,000 allowed" in run.of(facts.RunStopped)[0].cause
    assert run.verdict("a") is VerdictKind.SUCCESS, "it had ended by itself"
    assert run.verdict("b") is VerdictKind.SKIPPED


def test_what_was_spent_survives_a_crash_and_readings_are_read_again(new_run: NewRun, make_task: MakeTask) -> None:
    run = new_run([by(make_task, "a"), by(make_task, "b")], max_cost_usd=5.0)
    run.runs("a")
    run.runs("b")
    run.ends("a", agent=replace(GOOD, cost_usd=3.0, tokens=Tokens(output=7)))
    run.feed(spoke("b", cost_usd=1.0))
    assert run.state.spending.total() == Spent(4.0, 7)
    run.crash()
    assert run.state.spending.total() == Spent(3.0, 7)
    assert run.feed(spoke("b", cost_usd=2.0)) == []
    assert run.feed(spoke("b", cost_usd=2.5)) != [], "the ended one still counts"


def test_readings_never_fall_and_are_replaced_by_the_report(new_run: NewRun, make_task: MakeTask) -> None:
    run = new_run([by(make_task, "a"), by(make_task, "b")])
    run.runs("a")
    run.runs("b")
    run.feed(spoke("b", tokens=Tokens(input=1)))
    run.feed(spoke("a", cost_usd=2.0, tokens=Tokens(input=10)))
    run.feed(spoke("a", cost_usd=None, tokens=Tokens(input=4)))
    assert run.state.spending.total() == Spent(2.0, 11)
    run.ends("a", agent=replace(GOOD, cost_usd=2.5, tokens=Tokens(input=12)))
    assert run.state.spending.total() == Spent(2.5, 13)
    run.ends("b", agent=replace(GOOD, tokens=Tokens(input=2)))
    assert run.state.spending.total() == Spent(2.5, 14), "a cost that nobody told counts 0"


def test_what_was_heard_stays_spent_where_the_output_was_lost(new_run: NewRun, make_task: MakeTask) -> None:
    """Somebody removed its container, and nothing is left to make a report from: the budget must not forget it."""
    run = new_run([by(make_task, "a"), by(make_task, "b", depends_on=("a",))], max_tokens=1000, retry_on=("lost",))
    run.runs("a")
    run.feed(spoke("a", cost_usd=0.25, tokens=Tokens(input=600, output=40)))
    run.ends("a", VerdictKind.LOST, agent=AgentReport(agent="claude", succeeded=False))
    [settled] = run.of(facts.AttemptSettled)
    assert (settled.agent.cost_usd, settled.agent.tokens) == (0.25, Tokens(input=600, output=40))
    assert run.replayed().spending.total() == Spent(0.25, 640)


@pytest.mark.parametrize("last", [True, False])
def test_a_budget_that_the_last_agent_used_up_stops_nothing(new_run: NewRun, make_task: MakeTask, last: bool) -> None:
    """All was done: a run that says it was stopped would have failed for nothing."""
    run = new_run([by(make_task, "a"), *([] if last else [by(make_task, "b")])], max_cost_usd=1.0)
    run.runs("a")
    if not last:
        run.runs("b")
    run.ends("a", agent=replace(GOOD, cost_usd=1.5))
    assert len(run.of(facts.RunStopped)) == (0 if last else 1)
    assert run.state.outcome is (Outcome.SUCCESS if last else None)
    warned = [measured(fact.finding) for fact in run.of(facts.WatchdogWarned)]
    assert warned == (["the agents of the run have cost $1.50, $1.00 allowed"] if last else [])


def test_an_attempt_that_tells_at_its_end_what_is_above_its_bound_is_warned_of(
    new_run: NewRun, make_task: MakeTask
) -> None:
    """Its verdict is that of its work: nothing was left to stop. One that was stopped is not told of twice."""
    run = new_run([by(make_task, name, max_cost_usd=1.0) for name in "abc"], keep_going=True)
    for name in "abc":
        run.runs(name)
    run.ends("a", agent=replace(GOOD, cost_usd=1.0))
    run.feed(spoke("b", cost_usd=2.0))
    run.ends("b", VerdictKind.FAILED, agent=replace(GOOD, cost_usd=2.0))
    assert run.of(facts.WatchdogWarned) == []
    run.ends("c", agent=replace(GOOD, cost_usd=3.0))
    (warned,) = run.of(facts.WatchdogWarned)
    assert (str(warned.attempt), measured(warned.finding)) == ("c#1", "its agent has cost $3.00, $1.00 allowed")
    assert [run.verdict(name) for name in "abc"] == [VerdictKind.SUCCESS, VerdictKind.WATCHDOG, VerdictKind.SUCCESS]
    assert run.replayed().outcome is Outcome.FAILED


def test_whoever_has_tasks_tried_again_has_the_budget_anew(new_run: NewRun, make_task: MakeTask) -> None:
    run = new_run([by(make_task, "a")], max_cost_usd=1.0)
    run.runs("a")
    run.feed(spoke("a", cost_usd=2.0))
    run.ends("a", VerdictKind.FAILED, agent=replace(GOOD, cost_usd=2.0))
    assert run.state.outcome is Outcome.FAILED
    assert run.started(run.feed(events.Reopened(tasks=("a",)))) == ["a#2"]
    run.runs("a", 2)
    assert run.feed(spoke("a", number=2, cost_usd=0.9)) == []
    run.ends("a", number=2, agent=GOOD)
    assert run.state.outcome is Outcome.SUCCESS
