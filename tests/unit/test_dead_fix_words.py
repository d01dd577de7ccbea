"""What is said of a fix that died: one story, whoever tells it."""

from __future__ import annotations

from pathlib import Path

from wavepool.cli.dead_fixes import FateOfFix
from wavepool.fixing.dead import DeadFix
from wavepool.statedir import StateDir

NAME = "wavepool/fix-1"


def dead(root: Path, **fields: object) -> DeadFix:
    return DeadFix(place=StateDir(root).fix("20261127-090000-beef"), name=NAME, **fields)


def test_a_run_that_can_go_on_is_resumed_and_merged_or_given_up(tmp_path: Path) -> None:
    assert dead(tmp_path, waits_for="r1", last_run="r1").next == (
        f"`wavepool resume r1`, then `wavepool merge r1 --into {NAME}`, ends its last run; "
        "`wavepool recover --grace 0s` gives that up"
    )


def test_what_a_run_mended_is_merged_before_the_worktree_goes(tmp_path: Path) -> None:
    left = dead(tmp_path, last_run="r1", unmerged=("feature/a",))
    assert left.next == (
        f"`wavepool merge r1 --into {NAME}` merges what its last run mended, "
        "then `wavepool recover` removes its worktree"
    )
    assert dead(tmp_path, last_run="r1").next == "`wavepool recover` removes its worktree"


def test_all_that_goes_is_said_and_what_is_merged_nowhere() -> None:
    fate = FateOfFix(fix_id="1", branch=None, fate="removed", gone=NAME, unmerged=tuple("abcdef"))
    assert str(fate) == (
        f"fix 1 died: removed: its worktree, and its branch {NAME}, which has nothing new"
        "; not merged: a, b, c, d, e, ... (git merge takes each)"
    )
    assert fate.result()["removed_branch"] == NAME
    would = FateOfFix(fix_id="1", branch=NAME, fate="goes")
    assert str(would) == f"fix 1 died: would be removed: its worktree; what it had merged is on {NAME}"
