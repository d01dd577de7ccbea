"""How often a fix goes round, and why it ends: decided from what checks count and runs bring, without either."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from wavepool.core.fixes.course import Check, Course, Work
from wavepool.core.fixes.facts import FixOpened
from wavepool.core.fixes.values import Checked, Ending, LeftOut, Trouble, Worked
from wavepool.errors import InfrastructureError, InputError
from wavepool.fixing.iterations import Fixed, FixLog, Told
from wavepool.fixing.iterations import iterate as iterate_from

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def found(errors: int, **fields: Any) -> Checked:
    """A check that found so many, and a plan with a batch for each."""
    return Checked(**{"passed": errors == 0, "errors": errors, "batches": errors, **fields})


Step = Checked | Worked | Exception | type[BaseException]


class Script:
    """A ground whose checks and runs are told beforehand; each may raise."""

    def __init__(self, checks: Sequence[Step], runs: Sequence[Step] = ()) -> None:
        self.checks = list(checks)
        self.runs = list(runs)
        self.calls: list[str] = []

    def check(self, step: Check) -> Checked:
        self.calls.append(f"check {step.number}")
        return self._next(self.checks, Checked)

    def work(self, step: Work) -> Worked:
        self.calls.append(f"work {step.number} on {step.checked.errors}")
        return self._next(self.runs, Worked) if self.runs else Worked(run_id=f"run-{step.number}")

    def _next(self, steps: list[Step], kind: Callable[..., Any]) -> Any:
        step = steps.pop(0)
        if isinstance(step, Checked | Worked):
            return step
        raise step


def opened(most: int, *, keep_going: bool = False) -> FixOpened:
    return FixOpened(
        fix_id="1", command="", where="", kind="", workspace="", most=most, keep_going=keep_going, order="", at=NOW
    )


def iterate(
    ground: Script, *, most: int, keep_going: bool = False, tell: Callable[[Told], None] = lambda told: None
) -> Fixed:
    """From the beginning."""
    log = FixLog(Course())
    log.note(opened(most, keep_going=keep_going))
    return iterate_from(ground, log, tell=tell)


def run(*checks: Step, most: int = 3, **how: Any) -> Fixed:
    return iterate(Script(checks), most=most, **how)


def test_nothing_wrong_is_nothing_to_do() -> None:
    ground = Script([found(0)])
    fixed = iterate(ground, most=3)
    assert (fixed.ending, fixed.exit_code, fixed.iterations) == (Ending.FIXED, 0, ())
    assert ground.calls == ["check 1"]


def test_it_goes_on_until_the_check_is_content() -> None:
    ground = Script([found(12), found(3), found(0)])
    fixed = iterate(ground, most=5)
    assert fixed.ending is Ending.FIXED
    assert ground.calls == ["check 1", "work 1 on 12", "check 2", "work 2 on 3", "check 3"]
    assert [(each.before.errors, each.after and each.after.errors) for each in fixed.iterations] == [(12, 3), (3, 0)]
    assert fixed.first == found(12)
    assert fixed.last == found(0)


def test_a_check_that_passes_is_believed_whatever_it_has_said() -> None:
    assert run(found(3), found(2, passed=True)).ending is Ending.FIXED


def test_it_ends_after_as_many_iterations_as_were_asked_for() -> None:
    ground = Script([found(9), found(8), found(7), found(6)])
    fixed = iterate(ground, most=2)
    assert (fixed.ending, fixed.exit_code) == (Ending.ERRORS_LEFT, 1)
    assert ground.calls == ["check 1", "work 1 on 9", "check 2", "work 2 on 8", "check 3"]


@pytest.mark.parametrize("after", [5, 6], ids=["as many", "more"])
def test_an_iteration_that_leaves_no_fewer_errors_is_the_last(after: int) -> None:
    fixed = run(found(9), found(5), found(after), found(0), most=9)
    assert (fixed.ending, fixed.exit_code) == (Ending.NO_PROGRESS, 1)
    assert len(fixed.iterations) == 2
    assert fixed.last == found(after)


def test_it_may_be_told_to_go_on_all_the_same() -> None:
    fixed = run(found(9), found(9), found(12), found(0), most=9, keep_going=True)
    assert fixed.ending is Ending.FIXED
    assert len(fixed.iterations) == 3


def test_errors_that_come_and_go_end_too() -> None:
    to_and_fro = [found(4) if number % 2 else found(5) for number in range(20)]
    assert len(run(*to_and_fro, most=9).iterations) == 2
    kept = run(*to_and_fro, most=9, keep_going=True)
    assert (kept.ending, len(kept.iterations)) == (Ending.ERRORS_LEFT, 9)


def test_errors_that_nobody_can_be_given_are_an_end() -> None:
    ground = Script([found(2, batches=0, set_apart=2)])
    fixed = iterate(ground, most=3)
    assert (fixed.ending, fixed.exit_code) == (Ending.NO_BATCHES, 1)
    assert ground.calls == ["check 1"]
    later = run(found(5), found(2, batches=0))
    assert (later.ending, len(later.iterations)) == (Ending.NO_BATCHES, 1)


def test_a_check_that_changes_files_ends_it_whatever_it_says() -> None:
    for odd in (found(0, changed=("a.py",)), found(2, changed=("a.py",))):
        ground = Script([odd])
        fixed = iterate(ground, most=3)
        assert (fixed.ending, fixed.exit_code, fixed.now) == (Ending.CHECK_CHANGES, 1, None)
        assert ground.calls == ["check 1"]
        later = run(found(3), odd)
        assert (later.ending, len(later.iterations), later.now) == (Ending.CHECK_CHANGES, 1, None)


def test_a_rehearsal_checks_once_and_runs_nothing() -> None:
    for errors, ending in ((3, Ending.PLANNED), (0, Ending.FIXED)):
        ground = Script([found(errors)])
        fixed = iterate(ground, most=0)
        assert (fixed.ending, fixed.exit_code, ground.calls) == (ending, 0, ["check 1"])
    assert run(found(2, batches=0), most=0).ending is Ending.NO_BATCHES


def test_batches_that_fail_or_conflict_end_nothing_by_themselves() -> None:
    bad = Worked(
        run_id="run-1",
        troubles=(Trouble(batch_id="iter1-batch-1", verdict="timeout"),),
        left_out=(LeftOut(batch_id="iter1-batch-2", branch="feature/x", files=("a.py",)),),
        merged=1,
    )
    fixed = iterate(Script([found(3), found(2), found(0)], [bad, Worked(run_id="run-2")]), most=3)
    assert fixed.ending is Ending.FIXED
    assert fixed.iterations[0].worked == bad


def test_a_check_that_passes_although_nothing_was_changed_proves_nothing() -> None:
    idle = Worked(run_id="run-2", merged=0, unchanged=True)
    fixed = iterate(Script([found(3), found(1), found(0)], [Worked(run_id="run-1", merged=1), idle]), most=3)
    assert (fixed.ending, fixed.exit_code) == (Ending.UNSTABLE, 1)


def test_a_run_that_was_interrupted_is_followed_by_no_check() -> None:
    ground = Script([found(3)], [Worked(run_id="run-1", interrupted=True, merged=1)])
    fixed = iterate(ground, most=3)
    assert (fixed.ending, fixed.exit_code) == (Ending.INTERRUPTED, 130)
    assert ground.calls == ["check 1", "work 1 on 3"]
    assert fixed.iterations[0].after is None
    assert fixed.last == found(3)
    assert fixed.now is None


def test_a_run_that_the_machine_ended_is_followed_by_no_check() -> None:
    fixed = iterate(Script([found(3)], [Worked(run_id="run-1", broken=True)]), most=3)
    assert (fixed.ending, fixed.exit_code) == (Ending.INFRASTRUCTURE, 3)


def test_when_all_money_is_spent_a_last_check_says_what_for() -> None:
    spent = Worked(run_id="run-1", spent=True)
    fixed = iterate(Script([found(3), found(1)], [spent]), most=3)
    assert (fixed.ending, fixed.exit_code, fixed.last) == (Ending.SPENT, 1, found(1))
    assert iterate(Script([found(3), found(0)], [spent]), most=3).ending is Ending.FIXED


@pytest.mark.parametrize(
    ("checks", "runs", "iterations"),
    [
        ([KeyboardInterrupt], [], 0),
        ([found(3)], [KeyboardInterrupt], 0),
        ([found(3), KeyboardInterrupt], [Worked(run_id="run-1", merged=2)], 1),
    ],
    ids=["first check", "run", "second check"],
)
def test_ctrl_c_keeps_what_is_known(checks: list[Step], runs: list[Step], iterations: int) -> None:
    fixed = iterate(Script(checks, runs), most=3)
    assert (fixed.ending, fixed.exit_code, len(fixed.iterations)) == (Ending.INTERRUPTED, 130, iterations)
    assert fixed.now is None


@pytest.mark.parametrize("error", [InputError("a batch above the budget"), InfrastructureError("no daemon")])
def test_an_error_ends_it_with_its_own_exit_code_and_keeps_what_is_known(error: Exception) -> None:
    fixed = iterate(Script([found(3), error]), most=3)
    assert fixed.ending is Ending.INFRASTRUCTURE
    assert fixed.error is error
    assert fixed.exit_code == getattr(error, "exit_code", None)
    assert len(fixed.iterations) == 1


def test_each_check_and_each_run_is_told_as_it_ends() -> None:
    told: list[Told] = []
    run(found(3), found(0), tell=told.append)
    assert [(each.number, each.checked, each.worked and each.worked.run_id) for each in told] == [
        (1, found(3), None),
        (1, None, "run-1"),
        (2, found(0), None),
    ]
