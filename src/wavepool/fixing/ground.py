"""Where a fix happens: on a branch with a worktree, whose batches work in clones; or in the user's directory itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any, Protocol

from wavepool.core.fixes.course import Check, Course, Work
from wavepool.core.fixes.facts import MergeIntended
from wavepool.core.fixes.values import Checked, LeftOut, Worked
from wavepool.engine.merging import MergeReport
from wavepool.fixing.branch import FixBranch
from wavepool.fixing.checks import CheckLost
from wavepool.fixing.iterations import FixLog
from wavepool.fixing.tracked import changed_since, standing
from wavepool.fixing.work import left_out_of, merge_plan, worked_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """What all agents together may still use; None for no bound."""

    cost_usd: float | None = None
    tokens: int | None = None

    def less(self, worked: Worked) -> Purse:
        """What is left of it."""
        return Purse(
            cost_usd=None if self.cost_usd is None else self.cost_usd - worked.cost_usd,
            tokens=None if self.tokens is None else self.tokens - worked.tokens,
        )

    @property
    def empty(self) -> bool:
        """Nothing more may be used."""
        return any(each is not None and each <= 0 for each in (self.cost_usd, self.tokens))


class RunCheck(Protocol):
    """Runs the check in a directory, and makes a plan of what it finds.

    `run_id`: of the run that a process before has begun for it; CheckLost where that has no answer and will have none.
    """

    def __call__(self, number: int, directory: Path, run_id: str | None = None) -> Checked: ...


class RunBatches(Protocol):
    """Runs the batches of a plan on a directory; the result as `RunReport.result` has it."""

    def __call__(self, step: Work, directory: Path, purse: Purse) -> Mapping[str, Any]: ...


class SharedGround:
    """Batches work in the user's directory, and what they leave is there.

    Args:
        course: of the fix, as it goes on.
        purse: of all iterations together.
        give_up: ends the run of a check that a process before has begun, and that nobody waits for.
    """

    def __init__(
        self,
        directory: Path,
        course: Course,
        *,
        check: RunCheck,
        run: RunBatches,
        purse: Purse,
        give_up: Callable[[str], None] = lambda run_id: None,
    ) -> None:
        self._directory = directory
        self._course = course
        self._check = check
        self._give_up = give_up
        self._run = run
        self._purse = purse

    def check(self, step: Check) -> Checked:
        """Where the batches work; from its beginning, as what it has changed is known in no other way.

        Raises:
            WavepoolError: as the check.
        """
        self._end_other(step)
        before = standing(self._directory)
        checked = self._check(step.number, self._directory)
        return replace(checked, changed=changed_since(before, self._directory))

    def _end_other(self, step: Check) -> None:
        """What another process has begun would still write there, and stay."""
        for run_id in (step.run_id, step.left):
            if run_id is not None:
                self._give_up(run_id)

    def work(self, step: Work) -> Worked:
        """A run of all batches. Raises WavepoolError."""
        began_s = time.monotonic()
        purse = self._left(step.number)
        result = self._run(step, self._directory, purse)
        worked = self._settle(step, result, worked_of(result, took_s=time.monotonic() - began_s))
        return replace(worked, spent=purse.less(worked).empty)

    def _settle(self, step: Work, result: Mapping[str, Any], worked: Worked) -> Worked:
        return worked

    def _left(self, number: int) -> Purse:
        """What the rounds before this one have left of it."""
        return reduce(Purse.less, (each.worked for each in self._course.iterations[: number - 1]), self._purse)


class BranchGround(SharedGround):
    """Batches work in clones of the branch's worktree; what they leave is merged into the branch.

    Args:
        log: of the fix.
        told: gets a sentence for each branch that is kept although it is not merged.
    """

    def __init__(
        self,
        branch: FixBranch,
        log: FixLog,
        *,
        check: RunCheck,
        run: RunBatches,
        purse: Purse,
        told: Callable[[str], None],
        give_up: Callable[[str], None] = lambda run_id: None,
    ) -> None:
        super().__init__(branch.tree, log.course, check=check, run=run, purse=purse, give_up=give_up)
        self._branch = branch
        self._log = log
        self._told = told

    def check(self, step: Check) -> Checked:
        """In the worktree, which is as the branch has it. Raises WavepoolError."""
        checked = self._adopted(step) or self._anew(step)
        return replace(checked, changed=self._branch.changed())

    def _adopted(self, step: Check) -> Checked | None:
        """What the run of a process before tells; None where there is none, or it will tell nothing any more."""
        if step.run_id is None or not self._branch.as_it_was:
            return None
        with suppress(CheckLost):
            return self._check(step.number, self._directory, step.run_id)
        return None

    def _anew(self, step: Check) -> Checked:
        self._end_other(step)
        if self._branch.as_it_was:  # a check may have left half of its work there
            self._branch.restore()
        return self._check(step.number, self._directory)

    def work(self, step: Work) -> Worked:
        """A run of all batches, and the merge of what they left. Raises WavepoolError."""
        self._branch.restore()  # the check may have left something, and no batch begins with that
        return super().work(step)

    def _settle(self, step: Work, result: Mapping[str, Any], worked: Worked) -> Worked:
        plan = merge_plan(result, self._branch.tree)
        for each in plan.unsuccessful:
            self._told(f"{each.task_id} did not succeed, and is not merged: what it left is on {each.name}")
        if step.merge is not None and self._branch.finish(plan, step.merge):
            return self._brought(step, worked, step.merge.merged, step.merge.left_out)
        report = self._branch.take_in(plan, lambda report: self._intend(step, report))
        if report is None:
            return self._brought(step, worked, 0, ())
        for conflict in report.conflicts:
            why = conflict.problem or f"conflicts in {', '.join(conflict.files[:5])}"
            self._told(f"{conflict.branch.task_id} is left out: {why}; it is on {conflict.branch.name}")
        return self._brought(step, worked, len(report.merged), left_out_of(report))

    def _intend(self, step: Work, report: MergeReport) -> None:
        self._log.note(
            MergeIntended(
                number=step.number,
                before=report.before,
                after=report.after,
                merged=len(report.merged),
                left_out=left_out_of(report),
            )
        )

    def _brought(self, step: Work, worked: Worked, merged: int, left_out: tuple[LeftOut, ...]) -> Worked:
        branch, began_at = self._branch, self._course.begins_at(step.number)
        return replace(
            worked,
            merged=merged,
            left_out=left_out,
            commit=branch.commit,
            unchanged=branch.content() == branch.content(began_at),
        )
