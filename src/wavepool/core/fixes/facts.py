"""The facts of a fix: what was decided in it, and what was seen. A journal of its own holds them, in this order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from wavepool.core.fixes.values import Checked, Ending, LeftOut, Worked


@dataclass(frozen=True, slots=True, kw_only=True)
class FixOpened:
    """A fix began. Always the first fact.

    Attributes:
        command: the check, as it was typed.
        where: ``host``, or the image that the check runs in.
        kind: of workspaces, as `WorkspaceKind` has it.
        workspace: the user's directory, absolute.
        most: iterations at most.
        keep_going: one that left no fewer errors is followed by the next.
        order: all that was asked for, as JSON: what the command line needs to go on without being told again.
    """

    fix_id: str
    command: str
    where: str
    kind: str
    workspace: str
    most: int
    keep_going: bool = False
    order: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FixResumed:
    """Another process goes on with it, whatever had ended the one before."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchBegun:
    """Its branch was made at the commit `base`. Nothing of this where there is none."""

    repository: str
    name: str
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckIntended:
    """A check is about to begin. `run_id`: of the run that it is; None for a process of this host."""

    number: int
    run_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckEnded:
    """A check has told what it found, and a plan was made of it."""

    number: int
    checked: Checked


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundIntended:
    """The batches of the check of this number are about to be run, under this id."""

    number: int
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeIntended:
    """What a run left is put together, and the branch is about to be moved: from one commit to the other, in one step.

    Attributes:
        before, after: commits in hex. They are the same where nothing could be merged.
        merged: how many branches `after` has.
        left_out: those that it has not.
    """

    number: int
    before: str
    after: str
    merged: int
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundEnded:
    """The run is over, and what it brought is where the next check sees it."""

    number: int
    worked: Worked


@dataclass(frozen=True, slots=True, kw_only=True)
class FixEnded:
    """It is over. The last fact, unless it was the user or the machine that ended it and somebody goes on.

    `problem`: what ended it, in words, where an error did.
    """

    ending: Ending
    problem: str = ""
    at: datetime


FixFact = (
    FixOpened
    | FixResumed
    | BranchBegun
    | CheckIntended
    | CheckEnded
    | RoundIntended
    | MergeIntended
    | RoundEnded
    | FixEnded
)
