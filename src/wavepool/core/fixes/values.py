"""What checks have counted and runs have brought, as a fix goes by it and its journal keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


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

    @property
    def is_final(self) -> bool:
        """False where the user or the machine has ended it, and it can be gone on with."""
        return self not in (Ending.INTERRUPTED, Ending.INFRASTRUCTURE)


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
        plan: the plan as JSON, for whoever runs it; nobody else looks at it.
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
    plan: str = field(default="", repr=False)


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

    @property
    def cut_off(self) -> bool:
        """The run has not come to its own end: it can be gone on with."""
        return self.interrupted or self.broken


@dataclass(frozen=True, slots=True, kw_only=True)
class Iteration:
    """One round: what it began with, what was done, what was left. `after` is None where no check followed."""

    number: int
    before: Checked
    worked: Worked
    after: Checked | None = None
