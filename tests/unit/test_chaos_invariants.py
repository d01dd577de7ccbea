"""The net under chaos catches what it is there for: a proof that cannot fail proves nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from wavepool.core import facts
from wavepool.core.facts import Fact, Stamped
from wavepool.errors import InputError, SettingError
from wavepool.model import AttemptId, Ending, Evidence, Handle, LogRecord, Resources, Verdict, VerdictKind
from wavepool.testing.chaos import invariants
from wavepool.testing.chaos.ground import Ground
from wavepool.testing.chaos.mortal import arm
from wavepool.testing.chaos.scenario import QUICK, Round
from wavepool.testing.chaos.session import choose

AT = datetime(2026, 1, 1, tzinfo=UTC)
ATTEMPT = AttemptId("a", 1)
EXPECTED = {"a": VerdictKind.SUCCESS}


def journal(kind: VerdictKind = VerdictKind.SUCCESS, *, seconds: float = 1.0) -> list[Stamped]:
    """Of one task and its one attempt; each fact `seconds` after the one before it."""
    evidence = Evidence(exit_code=0)
    handle = Handle(driver="none", id="x", name="x", attempt=ATTEMPT)
    told: list[Fact] = [
        facts.StartIntended(attempt=ATTEMPT, node=0, held=Resources(1), at=AT),
        facts.AttemptStarted(attempt=ATTEMPT, handle=handle, started_at=AT, deadline_s=None),
        facts.AttemptExited(attempt=ATTEMPT, ending=Ending(kind=kind, evidence=evidence), archive=True),
        facts.AttemptSettled(
            attempt=ATTEMPT,
            verdict=Verdict(kind=kind, exit_code=0, evidence=evidence),
            log=LogRecord(),
            started_at=AT,
            finished_at=AT,
        ),
        facts.TaskSettled(task_id="a"),
        facts.AttemptRemoved(attempt=ATTEMPT),
    ]
    return [Stamped(number * seconds, AT, fact) for number, fact in enumerate(told)]


@pytest.fixture
def round_(tmp_path: Path) -> Round:
    ground = Ground(tmp_path, driver="process", image="none")
    ground.workspace.mkdir()
    (ground.workspace / "executed").write_text("a\n")
    return Round(number=1, ground=ground, rng=Random(1), dose=QUICK)


def problems(round_: Round, told: list[Stamped]) -> list[str]:
    invariants.check_verdicts(round_, told, EXPECTED)
    invariants.check_attempts(round_, told, EXPECTED, {})
    invariants.check_executions(round_, told)
    invariants.check_deadlines(round_, told)
    return [check.name for check in round_.checks if not check.ok]


def test_a_run_as_it_must_be_has_no_problem(round_: Round) -> None:
    assert problems(round_, journal()) == []


def test_another_verdict(round_: Round) -> None:
    assert problems(round_, journal(VerdictKind.FAILED)) == ["the right verdict for every task"]


def test_two_verdicts(round_: Round) -> None:
    told = journal()
    assert problems(round_, [*told, *told[3:5]]) == [
        "exactly one final verdict each",
        "no attempt lost, none executed twice",
    ]


def test_no_verdict(round_: Round) -> None:
    assert "exactly one final verdict each" in problems(round_, journal()[:3])


def test_one_attempt_too_many(round_: Round) -> None:
    told = journal()
    assert problems(round_, [*told, told[0]]) == ["as many attempts as there must be"]


@pytest.mark.parametrize("marks", ["", "a\na\n"])
def test_an_attempt_that_never_ran_or_ran_twice(round_: Round, marks: str) -> None:
    (round_.ground.workspace / "executed").write_text(marks)
    assert problems(round_, journal()) == ["no attempt lost, none executed twice"]


def test_one_that_was_lost_may_have_run_or_not(round_: Round) -> None:
    told = journal(VerdictKind.LOST)
    invariants.check_executions(round_, told)
    (round_.ground.workspace / "executed").write_text("")
    invariants.check_executions(round_, told)
    assert round_.ok


def test_a_call_over_its_deadline_but_not_what_a_dead_process_left(round_: Round) -> None:
    slow = journal(seconds=invariants.CALL_DEADLINE_S + 1)
    assert problems(round_, slow) == ["no call over its deadline"]
    resumed = Stamped(1.0, AT, facts.RunResumed(boot_id="b", shift_s=0, at=AT))
    again = Round(number=1, ground=round_.ground, rng=Random(1), dose=QUICK)
    invariants.check_deadlines(again, [slow[0], resumed, slow[1]])
    assert again.ok


@pytest.mark.anyio
async def test_what_is_left_is_found(round_: Round) -> None:
    slot = round_.ground.state.path / "runs" / "r" / "slots" / "a.1"
    slot.mkdir(parents=True)
    await invariants.check_nothing_left(round_)
    assert [check.problem for check in round_.checks] == ["slot a.1"]


@pytest.mark.parametrize("point", ["", "after append", "@", "*@x"])
def test_what_is_no_point_arms_nothing(point: str) -> None:
    with pytest.raises(InputError, match="a point such as"):
        arm(point)


def test_an_unknown_scenario_is_refused_with_all_that_there_are() -> None:
    with pytest.raises(SettingError, match="kill, steps"):
        choose(["earthquake"])
    assert [scenario.name for scenario in choose(["steps", "kill"])] == ["kill", "steps"]
