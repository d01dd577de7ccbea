"""Check, run, check again, until nothing is wrong any more or nothing helps: what `wavepool fix` decides.

Nothing here starts anything: whoever calls hands in a `Ground`, which checks and runs. All of it blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

from wavepool.errors import WavepoolError


class Ending(StrEnum):
    """How it came to its end."""

    FIXED = "fixed"
    ERRORS_LEFT = "errors_left"
    """After as many iterations as were asked for."""
    NO_PROGRESS = "no_progress"
    """An iteration has left as many errors as it found, or more."""
    UNSTABLE = "unstable"
    """The check passes, and nothing was changed since it did not: that proves nothing."""
    CHECK_CHANGES = "check_changes"
    """The check itself changes tracked files: what it says is not about what is committed."""
    PLANNED = "planned"
    """A rehearsal: nothing was to be run."""
    NO_BATCHES = "no_batches"
    """There are errors, and none that could be given to anybody."""
    SPENT = "spent"
    """What all agents together may cost is used up."""
    INTERRUPTED = "interrupted"
    INFRASTRUCTURE = "infrastructure"
    """A check or a run could not go on."""


EXIT_CODES: Mapping[Ending, int] = {
    Ending.FIXED: 0,
    Ending.ERRORS_LEFT: 1,
    Ending.NO_PROGRESS: 1,
    Ending.UNSTABLE: 1,
    Ending.CHECK_CHANGES: 1,
    Ending.PLANNED: 0,
    Ending.NO_BATCHES: 1,
    Ending.SPENT: 1,
    Ending.INTERRUPTED: 130,
    Ending.INFRASTRUCTURE: 3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What one check has told.

    Attributes:
        passed: the check is content; its count of errors does not matter then.
        errors, warnings, files: how many, and in how many files the errors are.
        codes: of the errors, how many of which kind, the most frequent first.
        batches, waves: that a plan was made of; 0 where none could be.
        set_apart: errors that nobody is given.
        examples: the first few errors, a line each.
        changed: tracked files that the check itself has changed; its counts are then not of what is committed.
        plan: for `Ground.work`; nobody else looks at it.
    """

    passed: bool
    errors: int
    warnings: int = 0
    files: int = 0
    codes: Mapping[str, int] = field(default_factory=dict)
    batches: int = 0
    waves: int = 0
    set_apart: int = 0
    examples: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    took_s: float = 0.0
    plan: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A batch that did not end well. `verdict` and `why` are those of its last attempt."""

    batch_id: str
    verdict: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A branch that did not fit what was merged before it: the files that conflict, or what git said."""

    batch_id: str
    branch: str
    files: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What one run of batches has brought.

    Attributes:
        run_id: of the run; None where it was interrupted before it had one.
        succeeded, troubles: batches that ended well, and those that did not.
        merged: how many branches were merged; None where there are none to be merged.
        commit: where the branch stands now; None without one.
        turns, tokens, cost_usd: of all agents; `cost_known` False where one did not tell.
        stopped_because: why the run stopped before its end; None where it did not.
        spent: it stopped as its agents may not use more.
        unchanged: the next check sees exactly what the one before saw; False also where nobody can know.
        interrupted, broken: it was ended by the user, or by the machine.
    """

    run_id: str | None
    succeeded: int = 0
    troubles: tuple[Trouble, ...] = ()
    merged: int | None = None
    left_out: tuple[LeftOut, ...] = ()
    commit: str | None = None
    turns: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    cost_known: bool = True
    agents: bool = False
    took_s: float = 0.0
    stopped_because: str | None = None
    spent: bool = False
    unchanged: bool = False
    interrupted: bool = False
    broken: bool = False


class Ground(Protocol):
    """Where it all happens. A WavepoolError that its methods raise ends the loop."""

    def check(self, number: int) -> Checked:
        """Run the check; 1 is the first one, before anything was changed."""

    def work(self, number: int, checked: Checked) -> Worked:
        """Run the batches of a check, and have their work where the next check sees it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Iteration:
    """One round: what it began with, what was done, what was left. `after` is None where no check followed."""

    number: int
    before: Checked
    worked: Worked
    after: Checked | None = None


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


def iterate(
    ground: Ground, *, most: int, keep_going: bool = False, tell: Callable[[Told], None] = lambda told: None
) -> Fixed:
    """Go on until the check is content, `most` iterations have been, or one has not left fewer errors.

    Args:
        most: 0 for a rehearsal: the first check alone.
        keep_going: an iteration that left no fewer errors is followed by the next one.
        tell: called after each check and each run.
    """
    loop, error = _Loop(ground, most, keep_going, tell), None
    try:
        ending = loop.run()
    except KeyboardInterrupt:
        ending = Ending.INTERRUPTED
    except WavepoolError as raised:
        ending, error = Ending.INFRASTRUCTURE, raised
    return Fixed(
        ending=ending,
        first=loop.first,
        iterations=tuple(loop.iterations),
        unchecked=loop.unchecked,
        error=error,
    )


class _Loop:
    """How far it is, also where it was interrupted."""

    def __init__(self, ground: Ground, most: int, keep_going: bool, tell: Callable[[Told], None]) -> None:
        self._ground = ground
        self._most = most
        self._keep_going = keep_going
        self._tell = tell
        self.first: Checked | None = None
        self.iterations: list[Iteration] = []
        self.unchecked = False

    def run(self) -> Ending:
        before = self.first = self._check(1)
        if before.passed or before.changed:
            return Ending.CHECK_CHANGES if before.changed else Ending.FIXED
        if before.batches and not self._most:
            return Ending.PLANNED
        for number in range(1, self._most + 1):
            if not before.batches:
                return Ending.NO_BATCHES
            self.unchecked = True
            worked = self._ground.work(number, before)
            self._tell(Told(number=number, worked=worked))
            self.iterations.append(Iteration(number=number, before=before, worked=worked))
            if worked.interrupted:
                return Ending.INTERRUPTED
            if worked.broken:
                return Ending.INFRASTRUCTURE
            after = self._check(number + 1)
            self.unchecked = False
            self.iterations[-1] = replace(self.iterations[-1], after=after)
            if (ending := self._ending(before, worked, after)) is not None:
                return ending
            before = after
        return Ending.ERRORS_LEFT if before.batches else Ending.NO_BATCHES

    def _check(self, number: int) -> Checked:
        checked = self._ground.check(number)
        self._tell(Told(number=number, checked=checked))
        return checked

    def _ending(self, before: Checked, worked: Worked, after: Checked) -> Ending | None:
        """Why there is no next iteration; None where there may be one."""
        if after.changed:
            return Ending.CHECK_CHANGES
        if after.passed:
            return Ending.UNSTABLE if worked.unchanged else Ending.FIXED
        if worked.spent:
            return Ending.SPENT
        if after.errors >= before.errors and not self._keep_going:
            return Ending.NO_PROGRESS
        return None
