"""How far a fix is, from its facts alone; and what is to be done next, from that alone.

::

    course = Course()
    for fact in journal: course.apply(fact)
    step = next_step(course)      # Check, Work or End: the same wherever the process before was killed
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from wavepool.core.fixes.facts import (
    BranchBegun,
    CheckEnded,
    CheckIntended,
    FixEnded,
    FixFact,
    FixOpened,
    FixResumed,
    MergeIntended,
    RoundEnded,
    RoundIntended,
)
from wavepool.core.fixes.values import Checked, Ending, Iteration


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Run the check.

    Attributes:
        run_id: of the run that a process before has begun for it, which may have told already.
        left: of one that such a process had to end, and perhaps could not: it has told nothing.
    """

    number: int
    run_id: str | None = None
    left: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Run the batches of a check, and have their work where the next check sees it.

    Attributes:
        run_id: of the run that a process before meant to begin; None for none.
        merge: that a process before meant to make of it; whether it has, the branch tells.
    """

    number: int
    checked: Checked
    run_id: str | None = None
    merge: MergeIntended | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Do nothing more."""

    ending: Ending


Step = Check | Work | End


class Course:
    """How far a fix is.

    Attributes:
        opened: None before its first fact.
        branch: None where it has none, or none yet.
        first: the first check; None where that has not come to its end.
        iterations: the rounds whose work is done, the last of which may have been cut off.
        ending: None while it goes on.
        runs: ids of all runs of batches, in their order.
        check_runs: of all checks that were runs.
    """

    def __init__(self) -> None:
        self.opened: FixOpened | None = None
        self.branch: BranchBegun | None = None
        self.first: Checked | None = None
        self.iterations: list[Iteration] = []
        self.ending: Ending | None = None
        self.problem = ""
        self.runs: list[str] = []
        self.check_runs: list[str] = []
        self._check: CheckIntended | None = None
        self._left_check: str | None = None
        self._round: RoundIntended | None = None
        self._merge: MergeIntended | None = None
        self._taken_up = False
        """The last round was cut off, and somebody goes on with it."""

    def apply(self, fact: FixFact) -> None:
        """Take in one more fact."""
        match fact:
            case FixOpened():
                self.opened = fact
            case BranchBegun():
                self.branch = fact
            case FixResumed():
                self._take_up()
            case CheckIntended(run_id=run_id):
                self._check, self._left_check = fact, None
                if run_id is not None:
                    self.check_runs.append(run_id)
            case CheckEnded(number=number, checked=checked):
                self._note_check(number, checked)
            case RoundIntended(run_id=run_id):
                self._round, self._merge = fact, None
                self.runs.append(run_id)
            case MergeIntended():
                self._merge = fact
            case RoundEnded():
                self._note_round(fact)
            case FixEnded(ending=ending, problem=problem):
                self.ending, self.problem = ending, problem

    def _take_up(self) -> None:
        if self.ending is not None:  # its process has ended what it was at itself: nothing of it is worth waiting for
            self._left_check = self._left_check if self._check is None else self._check.run_id
            self._check = None
        self.ending, self.problem = None, ""
        last = self.iterations[-1] if self.iterations else None
        self._taken_up = last is not None and last.after is None and last.worked.cut_off

    def _note_check(self, number: int, checked: Checked) -> None:
        self._check = None
        if number == 1:
            self.first = checked
        else:
            self.iterations[-1] = replace(self.iterations[-1], after=checked)

    def _note_round(self, fact: RoundEnded) -> None:
        before = self.before(fact.number)
        assert before is not None  # no batches without a check
        del self.iterations[fact.number - 1 :]  # where it was cut off before, all of it is told again
        self.iterations.append(Iteration(number=fact.number, before=before, worked=fact.worked))
        self._round = self._merge = None
        self._taken_up = False

    def before(self, number: int) -> Checked | None:
        """The check that the round of this number works on; None where there is none yet."""
        return self.first if number == 1 else self.iterations[number - 2].after

    @property
    def unchecked(self) -> bool:
        """Work was begun that no check has followed."""
        return self._round is not None or bool(self.iterations and self.iterations[-1].after is None)

    @property
    def settled(self) -> list[Iteration]:
        """The rounds whose work nobody does again, be they checked or not."""
        return [each for each in self.iterations if each.after is not None or not each.worked.cut_off]

    @property
    def under_way(self) -> str:
        """What its process was at when it was last heard of, for people."""
        if self._check is not None:
            return f"check {self._check.number}"
        if self._round is not None:
            return f"{'merge' if self._merge else 'run'} of iteration {self._round.number}"
        return ""

    @property
    def commit(self) -> str | None:
        """Where its branch stands after all that is known to be done; None without one."""
        worked = [each.worked.commit for each in self.iterations if each.worked.commit is not None]
        return worked[-1] if worked else None if self.branch is None else self.branch.base

    def begins_at(self, number: int) -> str | None:
        """The commit that the round of this number works on; None without a branch."""
        commits = [each.worked.commit for each in self.iterations[: number - 1] if each.worked.commit is not None]
        return commits[-1] if commits else None if self.branch is None else self.branch.base

    @property
    def check(self) -> CheckIntended | None:
        """The check that was begun and has told nothing yet."""
        return self._check

    @property
    def left_check(self) -> str | None:
        """The run of a check that told nothing before its process had to end the fix; nobody waits for it."""
        return self._left_check

    @property
    def round(self) -> RoundIntended | None:
        """The round whose run was intended, and whose work is not where the next check sees it."""
        return self._round

    @property
    def merge(self) -> MergeIntended | None:
        """What that round was about to move the branch to."""
        return self._merge

    @property
    def taken_up(self) -> bool:
        """The last round was cut off by the user or the machine, and is gone on with."""
        return self._taken_up


def next_step(course: Course) -> Step:
    """What comes next. It asks for the same again until a fact tells that it is done."""
    opened = course.opened
    assert opened is not None  # whoever has no first fact has nothing to go on with
    if course.first is None:
        return _check(course, 1)
    if not course.iterations:
        return _begin(course, opened)
    last = course.iterations[-1]
    if course.round is not None and course.round.number > last.number:
        return _work(course, last.number + 1)
    if last.after is None:
        return _after_work(course, last)
    ending = _ending(last, last.after, keep_going=opened.keep_going)
    if ending is not None:
        return End(ending=ending)
    if last.number >= opened.most:
        return End(ending=Ending.ERRORS_LEFT if last.after.batches else Ending.NO_BATCHES)
    return _work(course, last.number + 1)


def _begin(course: Course, opened: FixOpened) -> Step:
    first = course.first
    assert first is not None
    if first.passed or first.changed:
        return End(ending=Ending.CHECK_CHANGES if first.changed else Ending.FIXED)
    if first.batches and not opened.most:
        return End(ending=Ending.PLANNED)
    return _work(course, 1)


def _after_work(course: Course, last: Iteration) -> Step:
    if course.taken_up or course.round is not None:
        return _work(course, last.number)
    if last.worked.cut_off:
        return End(ending=Ending.INTERRUPTED if last.worked.interrupted else Ending.INFRASTRUCTURE)
    return _check(course, last.number + 1)


def _check(course: Course, number: int) -> Check:
    begun = course.check
    run_id = begun.run_id if begun is not None and begun.number == number else None
    return Check(number=number, run_id=run_id, left=course.left_check)


def _work(course: Course, number: int) -> Step:
    checked = course.before(number)
    assert checked is not None
    if not checked.batches:
        return End(ending=Ending.NO_BATCHES)
    merge = course.merge if course.merge is not None and course.merge.number == number else None
    begun = course.round
    if begun is not None and begun.number == number:
        return Work(number=number, checked=checked, run_id=begun.run_id, merge=merge)
    cut_off = course.iterations[number - 1].worked.run_id if len(course.iterations) >= number else None
    return Work(number=number, checked=checked, run_id=cut_off, merge=merge)


def _ending(last: Iteration, after: Checked, *, keep_going: bool) -> Ending | None:
    """Why there is no next iteration; None where there may be one."""
    if after.changed:
        return Ending.CHECK_CHANGES
    if after.passed:
        return Ending.UNSTABLE if last.worked.unchanged else Ending.FIXED
    if last.worked.spent:
        return Ending.SPENT
    if after.errors >= last.before.errors and not keep_going:
        return Ending.NO_PROGRESS
    return None
