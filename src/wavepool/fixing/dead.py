"""Fixes whose process died over them, or that could not remove their worktree: found by their locks, and cleared up."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wavepool.core.facts import RunFinished
from wavepool.engine.history.fixes import story_of
from wavepool.engine.history.runs import open_history
from wavepool.engine.merging import MergePlan
from wavepool.engine.recover.runs import last_fact
from wavepool.errors import InfrastructureError, InputError, WavepoolError, WorkspaceError, in_one_line
from wavepool.fixing.branch import end
from wavepool.statedir import FixPlace, StateDir
from wavepool.workspace.repository import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadFix:
    """One of them.

    Attributes:
        name: of its branch, be it there or not.
        branch: None where it has none, or nothing new on it.
        empty: its branch is there, and nothing new on it.
        waits_for: a run of it that can still be resumed, and needs the worktree.
        last_run: the last run of it that has begun.
        unmerged: branches of what succeeded in that one that are not in its branch.
        goes_on: `wavepool resume` goes on with the fix itself.
        unreadable: why nobody knows what it has; empty where that is known.
    """

    place: FixPlace
    repository: str = ""
    name: str = ""
    branch: str | None = None
    empty: bool = False
    waits_for: str | None = None
    last_run: str | None = None
    unmerged: tuple[str, ...] = ()
    goes_on: bool = False
    unreadable: str = ""

    def __str__(self) -> str:
        if self.unreadable:
            return f"fix {self.place.id} died, and what it has is not known: {self.unreadable}"
        has = f"; {self.branch} of {self.repository} has what it had merged" if self.branch else ""
        return f"fix {self.place.id} died{has}"

    @property
    def merging(self) -> str:
        """What brings the work of its last run to its branch, for as long as the worktree is there."""
        return f"`wavepool merge {self.last_run} --into {self.name}`"

    @property
    def next(self) -> str:
        """What to do about it."""
        if self.goes_on:
            given_up = "`wavepool recover --grace 0s`" if self.waits_for is not None else "`wavepool recover`"
            return f"`wavepool resume {self.place.id}` goes on with it; {given_up} removes its worktree"
        if self.waits_for is not None:
            return (
                f"`wavepool resume {self.waits_for}`, then {self.merging}, ends its last run; "
                "`wavepool recover --grace 0s` gives that up"
            )
        cleared = "`wavepool recover` removes its worktree"
        return f"{self.merging} merges what its last run mended, then {cleared}" if self.unmerged else cleared


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What a fix has written down of itself; all of it empty where it died before that."""

    repository: str = ""
    branch: str = ""
    base: str = ""
    runs: tuple[str, ...] = ()


def dead_fixes(state_dir: StateDir) -> list[DeadFix]:
    """All of them, the oldest first; nothing is made or changed.

    Raises:
        InfrastructureError: the state directory cannot be read.
    """
    found = []
    for place in state_dir.fixes():
        try:
            if place.is_dead():
                found.append(_look_at(place, state_dir))
        except InfrastructureError as error:
            found.append(DeadFix(place=place, unreadable=in_one_line(str(error))))
    return found


def dead_fix(place: FixPlace) -> DeadFix | None:
    """One of them, as far as it must be known to be cleared up; None where it lives, or nothing is left of it."""
    with suppress(InfrastructureError):
        return DeadFix(place=place) if place.is_dead() else None
    return None


def clear_up(dead: DeadFix) -> None:
    """Remove the worktree of a dead fix, and its branch where nothing new is on it. One that lives again is spared.

    Raises:
        WavepoolError: something resists, or nobody knows what is to be removed.
    """
    with dead.place.taken_over() as held:
        if not held:
            return
        record = _record_of(dead.place)
        try:
            repository = Repository.at(Path(record.repository or os.devnull))
        except (InputError, WorkspaceError):  # it is gone, or was never told: nothing of it can be there
            dead.place.remove()
            return
        end(repository, dead.place, record.branch, record.base)


def _look_at(place: FixPlace, state_dir: StateDir) -> DeadFix:
    record = _record_of(place)
    tip: str | None = None
    unmerged: tuple[str, ...] = ()
    last_run = next((each for each in reversed(record.runs) if state_dir.run(each).journal.exists()), None)
    if record.repository:
        with suppress(WavepoolError):
            repository = Repository.at(Path(record.repository))
            tip = repository.tip(record.branch)
            unmerged = _unmerged(repository, tip or record.base, state_dir, last_run)
    new = tip is not None and tip != record.base
    story = story_of(place)
    return DeadFix(
        place=place,
        repository=record.repository,
        name=record.branch,
        branch=record.branch if new else None,
        empty=tip is not None and not new,
        waits_for=next((each for each in record.runs if _goes_on(state_dir, each)), None),
        last_run=last_run,
        unmerged=unmerged,
        goes_on=story is not None and story.goes_on,
    )


def _unmerged(repository: Repository, tip: str, state_dir: StateDir, run_id: str | None) -> tuple[str, ...]:
    """Branches of a run that are there, and not in the commit `tip`. Raises WavepoolError."""
    if run_id is None:
        return ()
    names = [each.name for each in MergePlan.of(open_history(state_dir, run_id).facts()).branches]
    there = [(name, commit) for name in names if (commit := repository.tip(name)) is not None]
    within = ("merge-base", "--is-ancestor")
    return tuple(name for name, commit in there if not repository.git.succeeds(*within, commit, tip))


def _record_of(place: FixPlace) -> _Record:
    """Raises InfrastructureError: it is damaged."""
    told = place.read()
    if told is None:
        return _Record()
    names, runs = [told.get(each) for each in ("repository", "branch", "base")], told.get("runs")
    if not isinstance(runs, list) or not all(_is_name(each) for each in (*names, *runs)):
        raise place.damaged("it names no repository, branch, commit and runs")
    repository, branch, base = map(str, names)
    return _Record(repository=repository, branch=branch, base=base, runs=tuple(runs))


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value) and "\0" not in value


def _goes_on(state_dir: StateDir, run_id: str) -> bool:
    """Whether a run has begun and not come to its end."""
    files = state_dir.run(run_id)
    if not files.journal.exists():
        return False
    with suppress(InfrastructureError):
        last = last_fact(files)
        return last is not None and not isinstance(last.fact, RunFinished)
    return False
