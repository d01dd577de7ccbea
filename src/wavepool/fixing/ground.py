"""Where a fix happens: on a branch with a worktree, whose batches work in clones; or in the user's directory itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from wavepool.fixing.branch import FixBranch
from wavepool.fixing.iterations import Checked, Worked
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
    """Runs the check in a directory, and makes a plan of what it finds."""

    def __call__(self, number: int, directory: Path) -> Checked: ...


class RunBatches(Protocol):
    """Runs the batches of a plan on a directory; the result as `RunReport.result` has it."""

    def __call__(self, number: int, checked: Checked, directory: Path, purse: Purse) -> Mapping[str, Any]: ...


class SharedGround:
    """Batches work in the user's directory, and what they leave is there.

    Args:
        purse: of all iterations together.
    """

    def __init__(self, directory: Path, *, check: RunCheck, run: RunBatches, purse: Purse) -> None:
        self._directory = directory
        self._check = check
        self._run = run
        self._purse = purse

    def check(self, number: int) -> Checked:
        """Where the batches work. Raises WavepoolError."""
        before = standing(self._directory)
        checked = self._check(number, self._directory)
        return replace(checked, changed=changed_since(before, self._directory))

    def work(self, number: int, checked: Checked) -> Worked:
        """A run of all batches. Raises WavepoolError."""
        began_s = time.monotonic()
        result = self._run(number, checked, self._directory, self._purse)
        return self._counted(self._settle(result, worked_of(result, took_s=time.monotonic() - began_s)))

    def _settle(self, result: Mapping[str, Any], worked: Worked) -> Worked:
        return worked

    def _counted(self, worked: Worked) -> Worked:
        self._purse = self._purse.less(worked)
        return replace(worked, spent=self._purse.empty)


class BranchGround(SharedGround):
    """Batches work in clones of the branch's worktree; what they leave is merged into the branch.

    Args:
        told: gets a sentence for each branch that is kept although it is not merged.
    """

    def __init__(
        self, branch: FixBranch, *, check: RunCheck, run: RunBatches, purse: Purse, told: Callable[[str], None]
    ) -> None:
        super().__init__(branch.tree, check=check, run=run, purse=purse)
        self._branch = branch
        self._told = told

    def check(self, number: int) -> Checked:
        """In the worktree, which is as the branch has it. Raises WavepoolError."""
        return replace(self._check(number, self._directory), changed=self._branch.changed())

    def work(self, number: int, checked: Checked) -> Worked:
        """A run of all batches, and the merge of what they left. Raises WavepoolError."""
        self._branch.restore()  # the check may have left something, and no batch begins with that
        return super().work(number, checked)

    def _settle(self, result: Mapping[str, Any], worked: Worked) -> Worked:
        before, plan = self._branch.content(), merge_plan(result, self._branch.tree)
        for each in plan.unsuccessful:
            self._told(f"{each.task_id} did not succeed, and is not merged: what it left is on {each.name}")
        report = self._branch.take_in(plan)
        if report is None:
            return replace(worked, merged=0, commit=self._branch.commit, unchanged=True)
        for conflict in report.conflicts:
            why = conflict.problem or f"conflicts in {', '.join(conflict.files[:5])}"
            self._told(f"{conflict.branch.task_id} is left out: {why}; it is on {conflict.branch.name}")
        return replace(
            worked,
            merged=len(report.merged),
            left_out=left_out_of(report),
            commit=self._branch.commit,
            unchanged=self._branch.content() == before,
        )
