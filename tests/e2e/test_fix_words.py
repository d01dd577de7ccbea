"""What `wavepool fix` says of its work, where that is easily mistaken for more than it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fix_ground import Workshop
from user_git import git
from wavepool_cli import World, eventually

MENDING_CHECK = "ruff check --no-cache --fix"


@pytest.fixture
def shop(process_world: World) -> Iterator[Workshop]:
    """On this host; at the end nothing of it but branches is left."""
    made = Workshop(process_world)
    made.errors(directories=1, files=2)
    made.commit()
    yield made
    assert made.left() == []


def test_a_check_that_mends_files_itself_is_never_a_success(shop: Workshop) -> None:
    done = shop.fix(command=f"{MENDING_CHECK} .", then=("true",))
    assert done.exit_code == 1, done.stderr
    assert done.result["status"] == "check_changes"
    assert (done.result["errors_after"], done.result["branch"]) == (None, None)
    assert "the check changed 2 tracked files (part_0/mod_0.py, part_0/mod_1.py)" in done.stderr
    assert "leave out --fix" in done.stderr
    assert "nothing to do" not in done.stderr
    assert shop.faults_of("HEAD") == 4
    assert git(shop.repo, "status", "--porcelain") == ""


def test_neither_in_the_directory_itself_even_where_a_file_was_changed_before(shop: Workshop) -> None:
    shop.write("part_0/mod_0.py", "import os\nimport sys\n")
    done = shop.fix("--workspace-kind", "shared", command=f"{MENDING_CHECK} .", then=("true",))
    assert done.exit_code == 1, done.stderr
    assert done.result["status"] == "check_changes"
    assert "the check changed 2 tracked files" in done.stderr
    assert "the changes are in the workspace" in done.stderr
    # one that changes nothing is believed, whatever is uncommitted
    again = shop.fix("--workspace-kind", "shared", then=("true",))
    assert (again.exit_code, again.result["status"]) == (0, "fixed"), again.stderr


def test_files_that_are_deleted_are_told_before_one_is_sent_to_merge(shop: Workshop) -> None:
    with (shop.repo / "part_0/mod_1.py").open("a") as file:
        file.write("# mine\n")
    done = shop.fix(then=("rm", "{files}"))
    assert done.exit_code == 0, done.stderr
    branch = done.result["branch"]
    assert done.result["changes"] == {
        "files": 2,
        "insertions": 0,
        "deletions": int(git(shop.repo, "diff", "--shortstat", f"HEAD...{branch}").split()[3]),
        "deleted_files": 2,
        "deleted": ["part_0/mod_0.py", "part_0/mod_1.py"],
        "uncommitted": 1,
        "clashing": ["part_0/mod_1.py"],
    }
    assert "1 uncommitted change: the fix begins at the commit" in done.stderr
    assert f"2 files (part_0/mod_0.py, part_0/mod_1.py) deleted: git diff HEAD...{branch}" in done.stderr
    assert "changed by the branch too: 1 file (part_0/mod_1.py)" in done.stderr
    assert done.stderr.index("deleted: git diff") < done.stderr.index("next: git merge")


@pytest.mark.slow
def test_of_a_killed_one_every_word_leads_to_the_same_end(shop: Workshop) -> None:
    mends = f'ruff check --no-cache --quiet --fix "$@" && : >"{shop.meet}/$BATCH_ID.here" || exit 9'
    waits = f"{mends}; until [ -e {shop.meet}/go ]; do sleep 0.1; done"
    running = shop.start("--strategy", "file", "--json", then=("sh", "-c", waits, "waits", "{files}"))
    eventually(lambda: len(list(shop.meet.glob("*.here"))) == 2, "both batches have mended their file")
    running.kill()
    (shop.meet / "go").touch()
    state = ("--state-dir", str(shop.world.state))
    (run,) = shop.world.run_dirs()
    (branch,) = [each for each in shop.branches() if each != "main"]
    merging = f"`wavepool merge {run.name} --into {branch}`"
    story = f"`wavepool resume {run.name}`, then {merging}, ends its last run"
    # both that look at it say one thing
    assert story in shop.fix("--dry-run", then=("true",)).stderr
    recovered = shop.world.command("recover", "--driver", "process", *state).finish(300)
    assert story.encode() in recovered.stdout
    # and it is true
    resumed = shop.world.command("resume", run.name, *state).finish(300)
    assert resumed.exit_code == 0, resumed.stderr
    assert f"next: {merging}" in resumed.stderr
    assert shop.world.command("merge", run.name, "--into", branch, *state).finish(300).exit_code == 0
    recovered = shop.world.command("recover", "--driver", "process", *state).finish(300)
    assert f"removed: its worktree; what it had merged is on {branch}".encode() in recovered.stdout
    assert b"not merged" not in recovered.stdout
    assert shop.faults_of(branch) == 0
