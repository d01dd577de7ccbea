"""What is said of a fix at its end, in words and as JSON; and what is read out of the result of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from wavepool.core.fixes.course import Course, Work
from wavepool.core.fixes.facts import CheckEnded, RoundEnded
from wavepool.core.fixes.values import Checked, Ending, Iteration, LeftOut, Trouble, Worked
from wavepool.errors import InfrastructureError
from wavepool.fixing.brings import Brings
from wavepool.fixing.ground import Purse, SharedGround
from wavepool.fixing.iterations import Fixed, Told
from wavepool.fixing.report import (
    Setting,
    check_line,
    codes_line,
    headline,
    result_of,
    summary_lines,
    told_json,
    work_lines,
)
from wavepool.fixing.work import merge_plan, worked_of

BRANCH = "wavepool/fix-1"
SETTING = Setting(
    fix_id="1",
    command="ruff check .",
    where="image:1",
    kind="clone",
    most=3,
    branch=BRANCH,
    base="a" * 40,
    commit="b" * 40,
)


def checked(errors: int, **fields: Any) -> Checked:
    return Checked(**{"passed": not errors, "errors": errors, "batches": errors, "waves": 1, "files": errors, **fields})


def rounds(*errors: int, **fields: Any) -> tuple[Iteration, ...]:
    """Iterations between these counts."""
    return tuple(
        Iteration(
            number=number,
            before=checked(before),
            after=checked(after),
            worked=Worked(run_id=f"run-{number}", merged=before, succeeded=before, commit="c" * 40, **fields),
        )
        for number, (before, after) in enumerate(pairwise(errors), 1)
    )


@pytest.mark.parametrize(
    ("fixed", "told"),
    [
        (Fixed(ending=Ending.FIXED, first=checked(12), iterations=rounds(12, 3, 0)), "12 errors -> 0 in 2 iterations"),
        (Fixed(ending=Ending.FIXED, first=checked(0)), "nothing to do: the check finds no errors"),
        (
            Fixed(ending=Ending.ERRORS_LEFT, first=checked(9), iterations=rounds(9, 1)),
            "9 errors -> 1 in 1 iteration: 1 error is left after as many iterations as were asked for (-n)",
        ),
        (
            Fixed(ending=Ending.NO_PROGRESS, first=checked(9), iterations=rounds(9, 9)),
            "9 errors -> 9 in 1 iteration: the last one left no fewer errors, so there is none after it (--keep-going)",
        ),
        (
            Fixed(ending=Ending.UNSTABLE, first=checked(1), iterations=rounds(1, 0)),
            "1 error -> 0 in 1 iteration: the check passed without any change, which proves nothing: it is not stable, "
            "or depends on what is not in git",
        ),
        (Fixed(ending=Ending.INTERRUPTED), "interrupted, before there was a first plan"),
        (Fixed(ending=Ending.INTERRUPTED, first=checked(1)), "1 error -> 1 in 0 iterations: interrupted"),
    ],
)
def test_one_line_says_what_it_came_to(fixed: Fixed, told: str) -> None:
    assert headline(fixed, SETTING) == told


def test_the_last_check_is_believed_though_it_has_counted_errors() -> None:
    fixed = Fixed(
        ending=Ending.FIXED,
        first=checked(4),
        iterations=(replace(rounds(4, 2)[0], after=checked(2, passed=True)),),
    )
    assert headline(fixed, SETTING) == "4 errors -> 0 in 1 iteration"


def test_the_end_tells_where_the_work_is_and_how_to_go_on() -> None:
    left = Fixed(ending=Ending.ERRORS_LEFT, first=checked(9), iterations=rounds(9, 4))
    lines = list(summary_lines(left, replace(SETTING, kept=("feature/parallel-x",))))
    assert lines[1] == "  iteration 1: 9 -> 4 (9 batches, 9 merged, commit cccccccccccc)"
    assert f"next: git merge {BRANCH}" in lines
    assert f"to go on from there: git switch {BRANCH}, and the same command again" in lines
    assert "not in it: feature/parallel-x" in lines
    fixed = Fixed(ending=Ending.FIXED, first=checked(9), iterations=rounds(9, 0))
    assert list(summary_lines(fixed, SETTING))[-1] == f"next: git merge {BRANCH}"


def test_the_first_errors_that_are_left_are_told_one_by_one() -> None:
    last = checked(3, examples=("a.py:1: E711 Comparison\x1b", "b.py: odd"))
    iterations = (replace(rounds(9, 3)[0], after=last),)
    left = Fixed(ending=Ending.ERRORS_LEFT, first=checked(9), iterations=iterations)
    lines = list(summary_lines(left, SETTING))
    assert lines[2:5] == ["  left: a.py:1: E711 Comparison\\x1b", "  left: b.py: odd", "  and 1 more"]
    planned = Fixed(ending=Ending.PLANNED, first=last)
    assert not any("left:" in line for line in summary_lines(planned, SETTING))


@pytest.mark.parametrize("ending", [Ending.INTERRUPTED, Ending.INFRASTRUCTURE])
def test_work_that_no_check_has_followed_is_not_counted(ending: Ending) -> None:
    """What the check before it had counted may be mended and merged by now."""
    before = checked(3, examples=("a.py:1: F401 unused",))
    worked = Worked(run_id="run-1", merged=3, succeeded=3, commit="c" * 40)
    one = Iteration(number=1, before=before, worked=worked)
    fixed = Fixed(ending=ending, first=before, iterations=(one,), unchecked=True)
    lines = list(summary_lines(fixed, SETTING))
    assert lines[0].startswith("3 errors -> not checked in 1 iteration: ")
    assert not any("left:" in line for line in lines)
    assert result_of(fixed, SETTING)["errors_after"] is None
    early = Fixed(ending=ending, first=before, unchecked=True)
    assert headline(early, SETTING).startswith("3 errors -> not checked in 0 iterations")


def test_a_check_that_changes_files_is_not_believed() -> None:
    odd = checked(0, changed=tuple(f"{number}.py" for number in range(7)))
    fixed = Fixed(ending=Ending.CHECK_CHANGES, first=odd)
    first, advice, *_ = summary_lines(fixed, SETTING)
    assert first == (
        "the check changed 7 tracked files (0.py, 1.py, 2.py, 3.py, 4.py, ...), "
        "so its word says nothing about what is committed"
    )
    assert "leave out --fix" in advice
    told = result_of(fixed, SETTING)
    assert (told["exit_code"], told["errors_before"], told["errors_after"]) == (1, None, None)
    later = Fixed(ending=fixed.ending, first=checked(3), iterations=(replace(rounds(3, 0)[0], after=odd),))
    assert headline(later, SETTING).startswith("3 errors -> not known in 1 iteration: the check changed 7 tracked")
    assert "; it changed 7 tracked files (" in check_line(Told(number=1, checked=odd))


def test_before_a_merge_it_is_said_what_it_brings() -> None:
    fixed = Fixed(ending=Ending.FIXED, first=checked(3), iterations=rounds(3, 0))
    gone = Brings(files=3, insertions=0, deletions=9, deleted=("a.py", "b.py"), uncommitted=2)
    *_, told, clean, merge = summary_lines(fixed, replace(SETTING, brings=gone))
    assert told == f"the branch: 3 files changed, +0 -9, 2 files (a.py, b.py) deleted: git diff HEAD...{BRANCH}"
    assert clean == "git merge needs a clean checkout, and yours has 2 uncommitted changes: commit or stash first"
    assert merge == f"next: git merge {BRANCH}"
    assert result_of(fixed, replace(SETTING, brings=gone))["changes"]["deleted_files"] == 2
    clashing = replace(SETTING, brings=replace(gone, clashing=("a.py",)))
    assert "changed by the branch too: 1 file (a.py)" in list(summary_lines(fixed, clashing))[-2]


def test_where_nothing_was_merged_nobody_is_sent_to_a_branch() -> None:
    fixed = Fixed(ending=Ending.NO_PROGRESS, first=checked(2), iterations=rounds(2, 2))
    nothing = replace(SETTING, commit=SETTING.base)
    assert not any("git merge" in line for line in summary_lines(fixed, nothing))
    assert result_of(fixed, nothing)["branch"] is None


def test_of_a_shared_workspace_no_branch_is_told() -> None:
    fixed = Fixed(ending=Ending.FIXED, first=checked(2), iterations=rounds(2, 0))
    shared = Setting(fix_id="1", command="x", where="host", kind="shared", most=3)
    assert list(summary_lines(fixed, shared))[-1] == "the changes are in the workspace"


def test_what_agents_used_is_added_up_and_an_untold_cost_is_said() -> None:
    used = {"agents": True, "turns": 5, "tokens": 1000, "cost_usd": 0.25}
    fixed = Fixed(ending=Ending.FIXED, first=checked(9), iterations=rounds(9, 3, 0, **used))
    assert "  agents: 10 turns, 2.0k tokens, $0.50" in list(summary_lines(fixed, SETTING))
    assert result_of(fixed, SETTING)["agents"] == {
        "turns": 10,
        "tokens": 2000,
        "cost_usd": 0.5,
        "cost_complete": True,
    }
    untold = Fixed(ending=Ending.FIXED, first=checked(9), iterations=rounds(9, 0, cost_known=False, **used))
    assert "  agents: 5 turns, 1.0k tokens, at least $0.25" in list(summary_lines(untold, SETTING))


def test_the_result_is_json_with_all_of_it() -> None:
    fixed = Fixed(
        ending=Ending.INFRASTRUCTURE,
        first=checked(3, codes={"F401": 2, "E1": 1}),
        iterations=rounds(3, 1),
        error=InfrastructureError("no daemon", advice="Start it."),
    )
    result = json.loads(json.dumps(result_of(fixed, SETTING)))
    assert result["exit_code"] == 3
    assert result["problem"] == "no daemon\nStart it."
    assert (result["errors_before"], result["errors_after"]) == (3, 1)
    assert result["iterations"][0]["run_id"] == "run-1"
    assert result["merge"] == f"git merge {BRANCH}"


def test_a_check_says_what_it_counted() -> None:
    line = check_line(Told(number=2, checked=checked(3, warnings=1, set_apart=2, batches=1, took_s=1.26)))
    assert line == "check 2: 3 errors in 3 files, 2 of them in no batch, 1 warning; 1 batch in 1 wave (1.3s)"
    assert check_line(Told(number=1, checked=checked(0, took_s=0.5))) == "check 1: no errors (0.5s)"
    many = {f"E{number}": 1 for number in range(25)}
    assert codes_line(checked(25, codes={"F401": 7, "": 2, **many})).endswith("E17 1, 7 more kinds")
    assert "without a code 2" in codes_line(checked(2, codes={"": 2}))


def test_a_run_says_what_it_brought_and_what_did_not_end_well() -> None:
    worked = Worked(
        run_id="run-1",
        succeeded=1,
        merged=1,
        left_out=(LeftOut(batch_id="b", branch="x"),),
        troubles=(Trouble(batch_id="c\x1b", verdict="timeout", why="too long"),),
        stopped_because="the budget",
    )
    assert list(work_lines(Told(number=1, worked=worked), batches=3)) == [
        "iteration 1: 1 of 3 batches succeeded, 1 merged, 1 left out, as they conflict; run run-1",
        "  c\\x1b: timeout, too long",
        "  stopped because the budget",
    ]
    assert told_json(Told(number=1, worked=worked))["kind"] == "IterationWorked"


# -- what is read out of a run --


def entry(batch_id: str, verdict: str, exit_code: int | None = 0, **fields: Any) -> dict[str, Any]:
    changes = {"base": "a", "branch": f"feature/{batch_id}", "commit": f"c-{batch_id}"}
    return {
        "batch_id": batch_id,
        "verdict": verdict,
        "exit_code": exit_code,
        "agent": None,
        "evidence": {},
        "changes": changes,
        **fields,
    }


def result(*entries: Mapping[str, Any], status: str = "failed", **fields: Any) -> dict[str, Any]:
    return {"run_id": "run-1", "status": status, "waves": [{"containers": list(entries)}], **fields}


def test_of_a_plain_command_what_it_left_is_merged_if_it_ended_by_itself() -> None:
    plan = merge_plan(
        result(
            entry("done", "success"),
            entry("some-left", "failed", 1),
            entry("no-command", "failed", 127),
            entry("killed", "failed", 137),
            entry("late", "timeout", 124),
            entry("nothing", "success", changes=None),
        ),
        Path("/w"),
    )
    assert [each.task_id for each in plan.branches] == ["done", "some-left"]
    assert [each.task_id for each in plan.unsuccessful] == ["no-command", "killed", "late"]


def test_of_an_agent_only_success_is_merged() -> None:
    agent = {"problem": "too many turns"}
    plan = merge_plan(result(entry("a", "failed", 1, agent=agent), entry("b", "success", agent=agent)), Path("/w"))
    assert [each.task_id for each in plan.branches] == ["b"]
    assert [each.task_id for each in plan.unsuccessful] == ["a"]


@pytest.mark.parametrize(
    ("status", "interrupted", "broken"),
    [
        ("success", False, False),
        ("failed", False, False),
        ("interrupted", True, False),
        ("infrastructure", False, True),
    ],
)
def test_how_a_run_ended_is_read(status: str, interrupted: bool, broken: bool) -> None:
    worked = worked_of(result(entry("a", "failed", 2), entry("b", "success"), status=status), took_s=1.0)
    assert (worked.interrupted, worked.broken) == (interrupted, broken)
    assert worked.succeeded == 1
    assert worked.troubles == (Trouble(batch_id="a", verdict="failed", why="exit code 2"),)


def test_the_purse_is_shared_by_all_iterations() -> None:
    purses: list[Purse] = []
    agents = {"turns": 1, "tokens": {"total": 10}, "cost_usd": 0.75, "attempts_without_cost": 0}

    def run(step: Work, directory: Path, purse: Purse) -> Mapping[str, Any]:
        purses.append(purse)
        return result(entry("a", "success"), status="success", agents=agents)

    course, told = Course(), checked(1)
    course.apply(CheckEnded(number=1, checked=told))
    purse = Purse(cost_usd=1.0)
    ground = SharedGround(Path("/w"), course, check=lambda number, directory, run_id: told, run=run, purse=purse)
    worked = ground.work(Work(number=1, checked=told))
    assert not worked.spent
    course.apply(RoundEnded(number=1, worked=worked))
    course.apply(CheckEnded(number=2, checked=told))
    assert ground.work(Work(number=2, checked=told)).spent
    assert [each.cost_usd for each in purses] == [1.0, 0.25]
