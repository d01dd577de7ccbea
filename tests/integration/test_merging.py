"""Branches of a run's tasks put together: in the order of the plan, around conflicts, without touching a checkout."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from git_ground import RUN, Ground, first, nowhere, plain_git, task
from typer.testing import CliRunner, Result

from wavepool.cli import app
from wavepool.core.facts import AttemptSettled, Fact, Outcome, RunFinished, RunOpened, Stamped, TasksAdded
from wavepool.engine.merging import Branch, MergePlan, merge
from wavepool.errors import InputError
from wavepool.journal.reading import JournalReader
from wavepool.journal.sqlite import SqliteJournal
from wavepool.model import (
    AttemptId,
    Changes,
    Evidence,
    LogRecord,
    Node,
    Resources,
    Rules,
    Surroundings,
    Verdict,
    VerdictKind,
    Wave,
)
from wavepool.workspace.repository import Repository

pytestmark = pytest.mark.anyio

AT = datetime(2026, 11, 27, tzinfo=UTC)
TASKS = {
    "adds": {"added": "by adds\n"},
    "edits": {"README": "by edits\n"},
    "clashes": {"README": "by clashes\n", "more": "x\n"},
    "idle": {},
    "fails": {"failed": "x\n"},
    "last": {"src/app.py": "print(9)\n"},
}


def settled(task_id: str, kind: VerdictKind, changes: Changes | None) -> AttemptSettled:
    verdict = Verdict(kind=kind, exit_code=0, evidence=Evidence())
    attempt = AttemptId(task_id, 1)
    return AttemptSettled(
        attempt=attempt, verdict=verdict, log=LogRecord(), started_at=None, finished_at=None, changes=changes
    )


async def run_on(ground: Ground) -> list[Fact]:
    """The facts of a run whose tasks really changed their worktrees; settled in another order than planned."""
    workspaces = ground.open("worktree")
    tasks = [task(name) for name in TASKS]
    facts: list[Fact] = [
        RunOpened(
            run_id=RUN,
            owner="o",
            rules=Rules(nodes=(Node(name="local", capacity=Resources(1 << 30)),)),
            surroundings=Surroundings(image="i", workspace=str(ground.repo), network="n"),
            driver="memory",
            execution_mode="docker",
            plan_digest="d",
            boot_id="b",
            at=AT,
        ),
        TasksAdded(waves=(Wave(number=1),), tasks=tuple(tasks)),
    ]
    for one in reversed(tasks):
        place = await workspaces.obtain(one, first(one))
        for path, text in TASKS[one.id].items():
            (place.directory / path).write_text(text)
        changes = await workspaces.bring_back(one, first(one), nowhere)
        await workspaces.release(one, first(one))
        kind = VerdictKind.FAILED if one.id == "fails" else VerdictKind.SUCCESS
        facts.append(settled(one.id, kind, changes))
    async with SqliteJournal(ground.files.journal, owner="o", run_id=RUN) as journal:
        await journal.append([Stamped(0.0, AT, fact) for fact in facts])
    return facts


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    ground = Ground(tmp_path_factory.mktemp("merging"))
    anyio.run(run_on, ground)
    shutil.copytree(ground.repo, ground.root / "kept", symlinks=True)
    return ground


@pytest.fixture
def ground(made: Ground) -> Ground:
    """The run's repository as it was after the run; the journal knows its path, so it is put there anew."""
    shutil.rmtree(made.repo)
    shutil.copytree(made.root / "kept", made.repo, symlinks=True)
    return made


def call(ground: Ground, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["merge", RUN, *arguments, "--state-dir", str(ground.root)])


def test_all_that_succeeded_is_merged_in_the_plan_s_order_around_a_conflict(ground: Ground) -> None:
    ground.write("README", "my own, not committed\n")
    before = ground.head()
    done = call(ground, "--json")
    assert done.exit_code == 1, done.output
    told = json.loads(done.stdout)
    assert [each["task_id"] for each in told["merged"]] == ["adds", "edits", "last"]
    assert [(each["task_id"], each["files"]) for each in told["conflicts"]] == [("clashes", ["README"])]
    assert told["branch"] == f"wavepool/{RUN}"
    assert ground.content(told["commit"]) == {"README", "src/app.py", "added"}
    assert ground.git("show", f"wavepool/{RUN}:README") == "by edits"
    subjects = ground.git("log", "--first-parent", "--format=%s", f"wavepool/{RUN}").splitlines()
    assert subjects == [*(f"Merge feature/parallel-{name}" for name in ("last", "edits", "adds")), "first"]
    assert (ground.head(), ground.git("status", "--porcelain")) == (before, " M README")

    again = call(ground)
    assert again.exit_code == 1
    assert "fails did not succeed; to take what it left as it is: git merge feature/parallel-fails\n" in again.stdout
    assert f"the run is not finished: `wavepool resume {RUN}` goes on with it" in again.stdout
    assert "was there already  adds  feature/parallel-adds" in again.stdout
    assert "left out  clashes  feature/parallel-clashes\n  conflict in README\n" in again.stdout
    assert ground.git("rev-parse", f"wavepool/{RUN}") == told["commit"]


def test_a_rehearsal_changes_nothing(ground: Ground) -> None:
    def state() -> tuple[str, str]:
        return ground.git("for-each-ref"), ground.git("count-objects", "-v")

    before = state()
    done = call(ground, "--dry-run")
    assert done.exit_code == 1
    assert "would be merged  last  feature/parallel-last" in done.stdout
    assert f"nothing was changed: 3 of 4 would be on wavepool/{RUN}" in done.stdout
    assert state() == before
    assert json.loads(call(ground, "--dry-run", "--json").stdout)["commit"] is None


def test_into_a_branch_that_is_checked_out_only_where_it_is_clean(ground: Ground) -> None:
    ground.write("README", "my own\n")
    refused = call(ground, "--into", "main")
    assert isinstance(refused.exception, InputError)
    assert "has 1 uncommitted change" in str(refused.exception)
    ground.git("checkout", "README")
    ground.write("untracked", "mine\n")
    assert isinstance(call(ground, "--into", "main").exception, InputError)
    (ground.repo / "untracked").unlink()
    done = call(ground, "--into", "main")
    assert done.exit_code == 1
    assert f"the checkout {ground.repo} is at it" in done.stdout
    assert (ground.repo / "added").read_text() == "by adds\n"
    assert ground.git("status", "--porcelain") == ""
    assert ground.git("branch", "--show-current") == "main"


def test_into_another_branch_leaves_the_checkout(ground: Ground) -> None:
    ground.git("branch", "next")
    done = call(ground, "--into", "next", "--json")
    assert json.loads(done.stdout)["commit"] == ground.git("rev-parse", "next")
    assert not (ground.repo / "added").exists()
    missing = call(ground, "--into", "nowhere")
    assert isinstance(missing.exception, InputError)
    assert "there is no branch nowhere" in str(missing.exception)
    for name in ("bad..name", "-x", ""):
        unfit = call(ground, f"--into={name}")
        assert isinstance(unfit.exception, InputError)
        assert f"no branch can be called '{name}'" in str(unfit.exception)


def test_a_run_without_branches_is_refused(ground: Ground) -> None:
    def refused(**more: Any) -> InputError:
        plan = MergePlan(run_id="r", workspace=ground.repo, branches=(), **more)
        with pytest.raises(InputError) as refusal:
            merge(Repository.at(ground.repo), plan)
        return refusal.value

    for_shared = refused(shared=True)
    assert for_shared.message == "no task of run r has left a branch"
    assert "--workspace-kind" in str(for_shared.advice)
    assert refused().advice == "Tasks that change nothing leave none: `wavepool show r` tells what each said."
    left = (Branch(task_id="a", name="feature/a", commit="c", base="b"),)
    failed = refused(unsuccessful=left)
    assert failed.message == "no task of run r that left a branch has succeeded: a did not"
    assert failed.advice == (
        "`wavepool retry r --failed` tries again what failed; to take one as it is: `git merge feature/a`."
    )
    assert "`wavepool resume r` goes on with it" in str(refused(unsuccessful=left, unfinished=True).advice)


def test_a_plan_knows_what_did_not_succeed_and_whether_the_run_is_over(ground: Ground) -> None:
    facts = list(JournalReader(ground.files.journal, run_id=RUN).read())
    plan = MergePlan.of(facts)
    assert [each.name for each in plan.unsuccessful] == ["feature/parallel-fails"]
    assert (plan.unfinished, plan.shared) == (True, True)
    ends = [(Outcome.FAILED, False), (Outcome.INTERRUPTED, True)]
    for outcome, unfinished in ends:
        over = [*facts, Stamped(1.0, AT, RunFinished(outcome=outcome, at=AT))]
        assert MergePlan.of(over).unfinished is unfinished


def test_a_merge_driver_that_an_agent_names_is_not_run(ground: Ground, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    ground.git("config", "merge.evil.driver", f"touch {sprung}")
    for name in ("one", "two"):
        ground.git("switch", "-qc", name, "main")
        ground.write(".gitattributes", "* merge=evil\n")
        ground.write("README", f"by {name}\n")
        ground.git("add", "-A")
        ground.git("commit", "-qm", name)
    plain_git("merge", "--no-commit", "one", at=ground.repo)
    assert sprung.exists(), "plain git does not run it: this test could not fail"
    sprung.unlink()
    ground.git("reset", "-q", "--hard")
    ground.git("switch", "-q", "main")
    facts = [
        Stamped(0.0, AT, fact)
        for fact in (
            opened_like(ground),
            TasksAdded(waves=(Wave(number=1),), tasks=(task("one"), task("two"))),
            *(settled(name, VerdictKind.SUCCESS, at_tip(ground, name)) for name in ("one", "two")),
        )
    ]
    report = merge(Repository.at(ground.repo), MergePlan.of(facts))
    assert not sprung.exists()
    assert [each.files for each in report.conflicts] == [("README",)]


def at_tip(ground: Ground, branch: str) -> Changes:
    commit = ground.git("rev-parse", branch)
    return Changes(base=ground.git("rev-parse", "main"), branch=branch, commit=commit)


def opened_like(ground: Ground) -> RunOpened:
    (opened,) = [each.fact for each in SqliteJournal(ground.files.journal).replay() if isinstance(each.fact, RunOpened)]
    return opened
