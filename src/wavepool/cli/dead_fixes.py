"""What fixes left whose process died over them: told when another one starts, cleared up by `recover` and `prune`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wavepool.errors import WavepoolError
from wavepool.fixing.dead import clear_up, dead_fixes
from wavepool.statedir import StateDir


@dataclass(frozen=True, slots=True, kw_only=True)
class FateOfFix:
    """One dead fix, and what became of its worktree.

    Attributes:
        fate: ``removed``, ``goes`` (a rehearsal), ``left`` (a run needs it), ``stays`` (it resisted), or ``unreadable``
            (nobody knows what it has).
        why: for a person; empty where nothing is to be said.
    """

    fix_id: str
    branch: str | None
    fate: str
    why: str = ""

    @property
    def resisted(self) -> bool:
        """It is there, and will not go by itself."""
        return self.fate in ("stays", "unreadable")

    def __str__(self) -> str:
        words = {"removed": "its worktree is removed", "goes": "its worktree would be removed"}
        told = words.get(self.fate, f"its worktree is {'left' if self.fate == 'left' else 'still there'}: {self.why}")
        branch = f"; what it had merged is on {self.branch}" if self.branch else ""
        return f"fix {self.fix_id} died: {told}{branch}"

    def result(self) -> dict[str, Any]:
        """As JSON."""
        return {"fix_id": self.fix_id, "branch": self.branch, "fate": self.fate, "why": self.why or None}


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
            fate, why = "left", f"run {dead.waits_for} of it can still be resumed"
        elif not dry_run:
            try:
                clear_up(dead)
            except WavepoolError as error:
                fate, why = "stays", " ".join(error.message.split())
        fates.append(FateOfFix(fix_id=dead.place.id, branch=dead.branch, fate=fate, why=why))
    return fates


def dead_fix_lines(state_dir: StateDir) -> list[str]:
    """A sentence for each; none where the state directory cannot be read, as this is only said beside a new one."""
    try:
        found = dead_fixes(state_dir)
    except WavepoolError:
        return []
    return [str(dead) if dead.unreadable else f"{dead}: `wavepool recover` removes its worktree" for dead in found]
