"""Check, run, check again, until nothing is wrong any more or nothing helps: what `core.fixes` decides, performed.

Nothing here starts anything: whoever calls hands in a `Ground`, which checks and runs, and a `FixLog`, which keeps the
facts. All of it blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from wavepool.core.fixes.course import Check, Course, End, Work, next_step
from wavepool.core.fixes.facts import CheckEnded, FixEnded, FixFact, RoundEnded
from wavepool.core.fixes.values import EXIT_CODES, Checked, Ending, Iteration, Worked
from wavepool.errors import InfrastructureError, WavepoolError


class Ground(Protocol):
    """Where it all happens. A WavepoolError that its methods raise ends the loop."""

    def check(self, step: Check) -> Checked:
        """Run the check; number 1 is the first one, before anything was changed."""

    def work(self, step: Work) -> Worked:
        """Run the batches of a check, and have their work where the next check sees it."""


class FixLog:
    """The facts of a fix as they come: kept, and folded.

    Args:
        course: of the facts that there are.
        keep: puts one more where it outlives this process; raises InfrastructureError.
        around: a block in which nobody interrupts.
    """

    def __init__(
        self,
        course: Course,
        keep: Callable[[FixFact], None] = lambda fact: None,
        *,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.course = course
        self._keep = keep
        self._around = around

    def note(self, fact: FixFact) -> None:
        """It has happened, or is about to. Raises InfrastructureError: it could not be kept."""
        with self._around():
            self._keep(fact)
            self.course.apply(fact)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """All rounds.

    Attributes:
        first: None where the first check did not come to its end.
        unchecked: work was begun that no check has followed.
        error: what ended them, if an error did.
    """

    ending: Ending
    first: Checked | None = None
    iterations: tuple[Iteration, ...] = ()
    unchecked: bool = False
    error: WavepoolError | None = None

    @property
    def last(self) -> Checked | None:
        """The last check of all."""
        checks = [self.first, *(each.after for each in self.iterations)]
        return next((each for each in reversed(checks) if each is not None), None)

    @property
    def now(self) -> Checked | None:
        """The check that tells how it stands; None where none has followed the work, or its word is of no use."""
        return None if self.unchecked or self.last is None or self.last.changed else self.last

    @property
    def exit_code(self) -> int:
        """Of `wavepool fix`."""
        return EXIT_CODES[self.ending] if self.error is None else self.error.exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something has happened: a check (of the iteration that it begins), or the end of the work of an iteration."""

    number: int
    checked: Checked | None = None
    worked: Worked | None = None


def iterate(ground: Ground, log: FixLog, *, tell: Callable[[Told], None] = lambda told: None) -> Fixed:
    """Do what comes next, until that is to do nothing more; from wherever the log is.

    Args:
        tell: called after each check and each run.
    """
    ending, error, working = None, None, False
    try:
        while not isinstance(step := next_step(log.course), End):
            working = isinstance(step, Work)
            fact, told = _perform(ground, step)
            log.note(fact)
            working = False
            tell(told)
        ending = step.ending
    except KeyboardInterrupt:
        ending = Ending.INTERRUPTED
    except WavepoolError as raised:
        ending, error = Ending.INFRASTRUCTURE, raised
    with suppress(InfrastructureError, KeyboardInterrupt):  # what it came to is told all the same
        log.note(FixEnded(ending=ending, problem="" if error is None else str(error), at=datetime.now(UTC)))
    return fixed_of(log.course, ending, error=error, working=working)


def fixed_of(course: Course, ending: Ending, *, error: WavepoolError | None = None, working: bool = False) -> Fixed:
    """What it came to. `working`: it was at the work of a round."""
    return Fixed(
        ending=ending,
        first=course.first,
        iterations=tuple(course.iterations),
        unchecked=course.unchecked or working,
        error=error,
    )


def _perform(ground: Ground, step: Check | Work) -> tuple[FixFact, Told]:
    if isinstance(step, Check):
        checked = ground.check(step)
        return CheckEnded(number=step.number, checked=checked), Told(number=step.number, checked=checked)
    worked = ground.work(step)
    return RoundEnded(number=step.number, worked=worked), Told(number=step.number, worked=worked)


def told_before(course: Course) -> list[Told]:
    """All that a process before has told, in its order."""
    told = [] if course.first is None else [Told(number=1, checked=course.first)]
    for each in course.iterations:
        told.append(Told(number=each.number, worked=each.worked))
        if each.after is not None:
            told.append(Told(number=each.number + 1, checked=each.after))
    return told
