"""What fixes left whose process died over them: told when another one starts, cleared up by `recover` and `prune`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from wavepool.engine.history.fixes import DAMAGED, LIVE, FixStory, fix_of_run, stories
from wavepool.errors import InfrastructureError, WavepoolError
from wavepool.fixing.dead import clear_up, dead_fix, dead_fixes
from wavepool.statedir import StateDir

NAMED = 5
"""Branches that are named at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FateOfFix:
    """One dead fix, and what became of its worktree.

    Attributes:
        fate: ``removed``, ``goes`` (a rehearsal), ``left`` (a run needs it), ``stays`` (it resisted), or ``unreadable``
            (nobody knows what it has).
        why: for a person; empty where nothing is to be said.
        gone: its branch, where that goes too: nothing was on it.
        unmerged: branches of its batches that are in no branch of it.
    """

    fix_id: str
    branch: str | None
    fate: str
    why: str = ""
    gone: str | None = None
    unmerged: tuple[str, ...] = ()

    @property
    def resisted(self) -> bool:
        """It is there, and will not go by itself."""
        return self.fate in ("stays", "unreadable")

    def __str__(self) -> str:
        gone = f", and its branch {self.gone}, which has nothing new" if self.gone else ""
        words = {"removed": f"removed: its worktree{gone}", "goes": f"would be removed: its worktree{gone}"}
        told = words.get(self.fate, f"its worktree is {'left' if self.fate == 'left' else 'still there'}: {self.why}")
        branch = f"; what it had merged is on {self.branch}" if self.branch else ""
        names = [*self.unmerged[:NAMED], *(["..."] if len(self.unmerged) > NAMED else [])]
        rest = f"; not merged: {', '.join(names)} (git merge takes each)" if names and self.fate != "left" else ""
        return f"fix {self.fix_id} died: {told}{branch}{rest}"

    def result(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "fix_id": self.fix_id,
            "branch": self.branch,
            "fate": self.fate,
            "why": self.why or None,
            "removed_branch": self.gone,
            "unmerged": list(self.unmerged),
        }


def clear_dead_fixes(state_dir: StateDir, *, dry_run: bool = False) -> list[FateOfFix]:
    """Take away the worktrees of all that no run can go on in any more.

    Raises:
        InfrastructureError: the state directory cannot be read.
    """
    fates = []
    for dead in dead_fixes(state_dir):
        fate, why = "goes" if dry_run else "removed", ""
        if dead.unreadable:
            fate, why = "unreadable", dead.unreadable
        elif dead.waits_for is not None:
            fate, why = "left", f"run {dead.waits_for} of it can still be resumed: {dead.next}"
        elif not dry_run:
            try:
                clear_up(dead)
            except WavepoolError as error:
                fate, why = "stays", " ".join(error.message.split())
        gone = dead.name if dead.empty and fate in ("removed", "goes") else None
        fates.append(
            FateOfFix(fix_id=dead.place.id, branch=dead.branch, fate=fate, why=why, gone=gone, unmerged=dead.unmerged)
        )
    return fates


def forget_fixes(state_dir: StateDir, *, unfinished: bool, dry_run: bool) -> list[str]:
    """Delete what is known of fixes whose runs are all pruned; a sentence for each.

    Args:
        unfinished: also of those that could be gone on with, or cannot be read.

    Raises:
        InfrastructureError: the state directory cannot be read.
    """
    lines = []
    for story in stories(state_dir):
        kept = story.goes_on or story.state == DAMAGED
        if story.state == LIVE or (kept and not unfinished) or dead_fix(story.place) is not None:
            continue
        if any(state_dir.run(run_id).path.is_dir() for run_id in story.runs):
            continue
        try:
            if not dry_run and not _forget(story):
                continue
        except InfrastructureError as error:
            lines.append(f"fix {story.id} is still there: {' '.join(error.message.split())}")
            continue
        would = "would be forgotten" if dry_run else "is forgotten"
        lines.append(f"fix {story.id}, none of whose runs is there any more, {would}")
    return lines


def _forget(story: FixStory) -> bool:
    """False where somebody goes on with it."""
    with story.place.held() as held:
        if held:
            story.place.remove(journal=True)
        return held


def dead_fix_lines(state_dir: StateDir) -> list[str]:
    """A sentence for each; none where the state directory cannot be read, as this is only said beside a new one."""
    try:
        found = dead_fixes(state_dir)
    except WavepoolError:
        return []
    return [str(dead) if dead.unreadable else f"{dead}: {dead.next}" for dead in found]


def lines_of_its_fix(state_dir: StateDir, run_id: str) -> list[str]:
    """What to do next about the dead fix that a run is of; nothing for all other runs."""
    with suppress(WavepoolError):
        if (story := fix_of_run(state_dir, run_id)) is not None and story.goes_on:
            return [f"next: `{story.resume}` goes on with the fix that it is of"]
        its = [each for each in dead_fixes(state_dir) if each.last_run == run_id and each.waits_for is None]
        return [f"next: {each.next}" for each in its]
    return []
