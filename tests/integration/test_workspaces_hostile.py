"""What an agent plants in its directory is never executed on the host. Each trap is sprung by plain git first."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from git_ground import Ground, as_process, first, nowhere, plain_git, task

from wavepool.errors import InfrastructureError, WorkspaceError
from wavepool.workspace import Place, bundle, snapshot
from wavepool.workspace.base import Sealed

pytestmark = pytest.mark.anyio

HOOKS = ("pre-commit", "commit-msg", "post-commit", "post-checkout", "reference-transaction", "post-index-change")


class Trap:
    """A program that leaves a file when it runs."""

    def __init__(self, root: Path) -> None:
        root.mkdir()
        self.sprung = root / "sprung"
        self.program = root / "trap"
        self.program.write_text(f"#!/bin/sh\necho ran >>{self.sprung}\ncat\n")
        self.program.chmod(0o755)
        self.refusing = root / "refusing"
        """One that leaves the file and fails at once, where git would talk to it for ever."""
        self.refusing.write_text(f"#!/bin/sh\necho ran >>{self.sprung}\nexit 1\n")
        self.refusing.chmod(0o755)

    def fired(self) -> bool:
        """Whether it ran since the last time that it was asked."""
        ran = self.sprung.exists()
        self.sprung.unlink(missing_ok=True)
        return ran


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    return Trap(tmp_path / "trap")


def plant_hooks(directory: Path, trap: Trap) -> None:
    hooks = directory / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in HOOKS:
        shutil.copy(trap.program, hooks / name)


def plant_fsmonitor(directory: Path, trap: Trap) -> None:
    plain_git("config", "core.fsmonitor", str(trap.program), at=directory)


def plant_filter(directory: Path, trap: Trap) -> None:
    plain_git("config", "filter.evil.clean", str(trap.program), at=directory)
    (directory / ".gitattributes").write_text("* filter=evil\n")


def plant_process_filter(directory: Path, trap: Trap) -> None:
    plain_git("config", "filter.evil.process", str(trap.program), at=directory)
    (directory / ".gitattributes").write_text("* filter=evil\n")


def plant_textconv(directory: Path, trap: Trap) -> None:
    plain_git("config", "diff.evil.textconv", str(trap.program), at=directory)
    (directory / ".gitattributes").write_text("* diff=evil\n")


def plant_external_diff(directory: Path, trap: Trap) -> None:
    plain_git("config", "diff.evil.command", str(trap.program), at=directory)
    (directory / ".gitattributes").write_text("* diff=evil\n")


def plant_include(directory: Path, trap: Trap) -> None:
    (directory / "evil.config").write_text(f"[core]\n\tfsmonitor = {trap.program}\n")
    plain_git("config", "include.path", str(directory / "evil.config"), at=directory)


def plant_nested(directory: Path, trap: Trap) -> None:
    """A repository in the tree, which git asks for its status where it is told to add everything."""
    nested = directory / "nested"
    nested.mkdir()
    plain_git("init", "-q", at=nested)
    (nested / "inner").write_text("inner\n")
    plain_git("add", "-A", at=nested)
    plain_git("commit", "-qm", "inner", at=nested)
    plant_fsmonitor(nested, trap)
    plant_hooks(nested, trap)


def plant_promisor(directory: Path, trap: Trap) -> None:
    """Objects that are missing are fetched by whatever command needs one, through a program that the settings name."""
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.url": "ssh://host/repo",
        "remote.origin.promisor": "true",
        "core.sshCommand": str(trap.refusing),
    }.items():
        plain_git("config", name, value, at=directory)
    alternates = directory / ".git/objects/info/alternates"
    alternates.unlink(missing_ok=True)


TRAPS = (
    plant_promisor,
    plant_hooks,
    plant_fsmonitor,
    plant_filter,
    plant_process_filter,
    plant_textconv,
    plant_external_diff,
    plant_include,
    plant_nested,
)


@pytest.mark.parametrize("plant", TRAPS, ids=lambda plant: plant.__name__)
async def test_no_trap_in_a_clone_is_sprung_on_the_host(
    ground: Ground, trap: Trap, plant: Callable[[Path, Trap], None]
) -> None:
    workspaces, one = ground.open("clone"), task()
    place = await workspaces.obtain(one, first(one))
    plant(place.directory, trap)
    (place.directory / "README").write_text("changed\n")

    control = ground.root / "control"
    shutil.copytree(place.directory, control, symlinks=True)
    for argv in (["add", "-A"], ["status"], ["commit", "-m", "x"], ["add", "-A"], ["status"], ["diff", "HEAD~1"]):
        plain_git(*argv, at=control)
    assert trap.fired(), "plain git does not spring it: this test could not fail"

    changes = await workspaces.bring_back(one, first(one), nowhere)
    assert not trap.fired()
    assert changes is not None
    assert "README" in ground.git("show", "--name-only", "--format=", changes.branch or "").splitlines()
    if plant is plant_nested:
        assert "nested/inner" in ground.content(changes.branch or "")
        assert "nested/ was a repository of its own" in (changes.problem or "")
    await workspaces.release(one, first(one))
    assert not trap.fired()


@pytest.mark.parametrize("plant", [plant_filter, plant_process_filter, plant_textconv, plant_external_diff])
async def test_drivers_of_the_user_s_own_are_not_run_for_an_agent_s_attributes(
    ground: Ground, trap: Trap, plant: Callable[[Path, Trap], None]
) -> None:
    """The repository's settings name a driver; the agent decides which files it is for."""
    plant(ground.repo, trap)
    (ground.repo / ".gitattributes").unlink()
    workspaces, one = ground.open("worktree"), task()
    place = await workspaces.obtain(one, first(one))
    word = "filter" if "filter" in plant.__name__ else "diff"
    (place.directory / ".gitattributes").write_text(f"* {word}=evil\n")
    (place.directory / "README").write_text("changed\n")
    plain_git("add", "-A", at=place.directory)
    plain_git("diff", "HEAD", at=place.directory)
    assert trap.fired(), "plain git does not spring it: this test could not fail"
    plain_git("reset", "-q", at=place.directory)
    trap.fired()
    changes = await workspaces.bring_back(one, first(one), nowhere)
    assert changes is not None
    assert not trap.fired()
    assert ground.git("cat-file", "-p", f"{changes.branch}:README") == "changed"


async def test_hooks_of_the_user_s_own_are_not_run(ground: Ground, trap: Trap) -> None:
    """Tools of the host that rewrite commits would be asked about files of an agent."""
    plant_hooks(ground.repo, trap)
    ground.git("commit", "-q", "--allow-empty", "-m", "x")
    assert trap.fired(), "plain git does not spring it: this test could not fail"
    for kind in ("worktree", "clone"):
        workspaces, one = ground.open(kind), task(kind)
        place = await workspaces.obtain(one, first(one))
        (place.directory / "README").write_text(f"{kind}\n")
        changes = await workspaces.bring_back(one, first(one), nowhere)
        await workspaces.release(one, first(one))
        assert changes is not None
        assert changes.branch is not None
    assert not trap.fired()


async def test_what_is_missing_is_fetched_from_nowhere(ground: Ground, trap: Trap) -> None:
    """The user's own repository is a partial clone; an agent's commit names an object that nobody has."""
    plant_promisor(ground.repo, trap)
    missing = "1234567890" * 4
    plain_git("cat-file", "-p", missing, at=ground.repo)
    assert trap.fired(), "plain git does not spring it: this test could not fail"

    made: list[str] = []

    def name_it(at: Path) -> None:
        tree = plain_git("mktree", "--missing", at=at, stdin=f"100644 blob {missing}\tghost\n").stdout.strip()
        commit = plain_git("commit-tree", tree, "-p", "HEAD", "-m", "ghost", at=at).stdout.strip()
        pack = at / ".git" / "ghost"
        plain_git("pack-objects", "-q", str(pack), at=at, stdin=f"{commit}\n{tree}\n")
        made.append(commit)

    async def bundles(*_: object, place: Place, output: Path, **__: object) -> int:
        (pack,) = (place.directory / ".git").glob("ghost-*.pack")
        (output / "head").write_bytes(f"# v2 git bundle\n{made[0]} HEAD\n\n".encode() + pack.read_bytes())
        return 0

    problem, paths = await left_by(ground, name_it, bundles)
    assert "the agent's commits are refused" in problem
    assert paths == ALL
    assert not trap.fired()


async def test_a_bundle_is_taken_without_asking_anything_of_the_clone(ground: Ground, trap: Trap) -> None:
    """Plain `git fetch` asks a program which commits the repository borrows."""
    workspaces, one = ground.open("clone"), task()
    place = await workspaces.obtain(one, first(one))
    ground.git("config", "core.alternateRefsCommand", str(trap.program))
    (place.directory / "README").write_text("mine\n")
    plain_git("commit", "-qam", "mine", at=place.directory)
    plain_git("clone", "-q", "--shared", str(ground.repo), "borrower", at=ground.root)
    plain_git("config", "core.alternateRefsCommand", str(trap.program), at=ground.root / "borrower")
    plain_git("fetch", "-q", str(place.directory), "HEAD", at=ground.root / "borrower")
    assert trap.fired(), "plain git does not spring it: this test could not fail"
    changes = await workspaces.bring_back(one, first(one), as_process)
    assert changes is not None
    assert (changes.committed_by, trap.fired()) == ("agent", False)


# -- odd ends of a clone: each is told, and the files come back --


async def left_by(ground: Ground, do: Callable[[Path], object], sealed: Sealed = as_process) -> tuple[str, set[str]]:
    """(problem, the branch's paths) after `do` in a clone with one new file."""
    workspaces, one = ground.open("clone"), task()
    place = await workspaces.obtain(one, first(one))
    (place.directory / "new").write_text("new\n")
    do(place.directory)
    changes = await workspaces.bring_back(one, first(one), sealed)
    assert changes is not None
    paths = ground.content(changes.branch) if changes.branch else set()
    if changes.problem is None or "not brought back" not in changes.problem:
        await workspaces.release(one, first(one))
        assert not place.directory.exists()
    else:
        with pytest.raises(WorkspaceError, match="stays: it has what could not be brought back"):
            await workspaces.release(one, first(one))
        assert place.directory.exists()
    assert ground.git("fsck", "--strict", "--connectivity-only", "--no-dangling") == ""
    return changes.problem or "", paths


ALL = {"README", "src/app.py", "new"}


async def test_a_deleted_git_directory(ground: Ground) -> None:
    problem, paths = await left_by(ground, lambda at: shutil.rmtree(at / ".git"))
    assert "left no repository that git can read" in problem
    assert paths == ALL


async def test_a_git_directory_that_is_a_link_to_the_host(ground: Ground) -> None:
    def swap(at: Path) -> None:
        shutil.rmtree(at / ".git")
        (at / ".git").symlink_to(ground.repo / ".git")

    before = ground.head()
    _, paths = await left_by(ground, swap)
    assert paths == ALL
    assert ground.head() == before


async def test_borrowed_objects_that_are_cut_off(ground: Ground) -> None:
    problem, paths = await left_by(ground, lambda at: (at / ".git/objects/info/alternates").unlink())
    assert problem
    assert paths == ALL


async def test_a_detached_head(ground: Ground) -> None:
    def detach(at: Path) -> None:
        plain_git("checkout", "-q", "--detach", at=at)
        plain_git("add", "-A", at=at)
        plain_git("commit", "-qm", "detached", at=at)

    assert await left_by(ground, detach) == ("", ALL)


async def test_rewritten_history(ground: Ground) -> None:
    def rewrite(at: Path) -> None:
        plain_git("checkout", "-q", "--orphan", "other", at=at)
        plain_git("add", "-A", at=at)
        plain_git("commit", "-qm", "all anew", at=at)

    problem, paths = await left_by(ground, rewrite)
    assert "rewrote the history" in problem
    assert paths == ALL


async def test_a_head_without_a_commit(ground: Ground) -> None:
    problem, paths = await left_by(ground, lambda at: plain_git("checkout", "-q", "--orphan", "other", at=at))
    assert "without a commit" in problem
    assert paths == ALL


async def test_other_branches_and_a_stash_are_kept_in_a_bundle(ground: Ground) -> None:
    def branch_off(at: Path) -> None:
        plain_git("checkout", "-qb", "aside", at=at)
        plain_git("add", "-A", at=at)
        plain_git("commit", "-qm", "aside", at=at)
        plain_git("checkout", "-q", "-", at=at)

    problem, paths = await left_by(ground, branch_off)
    assert problem == "what HEAD does not lead to is in artifacts/one.1.bundle: aside"
    assert paths == set()
    ground.git("fetch", "-q", str(ground.files.artifacts / "one.1.bundle"), "aside:aside")
    assert ground.content("aside") == ALL


async def test_replaced_objects_come_as_they_really_are(ground: Ground) -> None:
    def replace(at: Path) -> None:
        plain_git("add", "-A", at=at)
        plain_git("commit", "-qm", "real", at=at)
        plain_git("commit", "-q", "--allow-empty", "-m", "false", at=at)
        plain_git("reset", "-q", "--hard", "HEAD~1", at=at)
        plain_git("replace", "HEAD", "HEAD@{1}", at=at)

    _, paths = await left_by(ground, replace)
    assert paths == ALL
    assert ground.git("log", "-1", "--format=%s", "feature/parallel-one") == "real"


async def test_a_file_that_is_too_large_is_left_and_told(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "FILE_MAX_BYTES", 1000)
    problem, paths = await left_by(ground, lambda at: (at / "big").write_bytes(b"x" * 1001))
    assert "big (1001 bytes, larger than 1000)" in problem
    assert paths == ALL


async def test_links_out_of_the_tree_are_links_and_nothing_behind_them_is_read(ground: Ground) -> None:
    secret = ground.root / "host"
    secret.mkdir()
    (secret / "app.py").write_text("of the host\n")

    def lead_out(at: Path) -> None:
        shutil.rmtree(at / "src")
        (at / "src").symlink_to(secret)
        os.mkfifo(at / "pipe")

    problem, paths = await left_by(ground, lead_out)
    assert problem == ""
    assert paths == {"README", "new", "src"}
    assert ground.git("cat-file", "-p", "feature/parallel-one:src") == str(secret)


async def test_names_that_git_takes_for_its_own_are_refused(ground: Ground) -> None:
    def plant(at: Path) -> None:
        (at / "sub/.GIT/hooks").mkdir(parents=True)
        (at / "sub/.GIT/hooks/pre-commit").write_text("#!/bin/sh\n")
        (at / "git~1").write_text("x")

    problem, paths = await left_by(ground, plant)
    assert "git~1" in problem
    assert paths == ALL


# -- what comes out of the container is data --


async def test_an_output_that_is_no_bundle_is_refused(ground: Ground) -> None:
    async def links_to_the_host(_: object, __: object, ___: object, *, output: Path, **____: object) -> int:
        (output / "head").symlink_to("/etc/passwd")
        (output / "more").write_text("# v2 git bundle\nwhat is this\n\n")
        return 0

    problem, paths = await left_by(ground, lambda at: None, links_to_the_host)
    assert "the agent's commits are refused" in problem
    assert "other branches of the agent's are lost" in problem
    assert paths == ALL


async def test_objects_that_git_would_not_have_made_are_refused(ground: Ground) -> None:
    """A commit whose tree has a ``.git``: whoever checks it out would have hooks of the agent's."""

    def forge(at: Path) -> None:
        (at / "tree").write_text("x\n")
        blob = plain_git("hash-object", "-w", "tree", at=at).stdout.strip()
        (at / "listing").write_bytes(b"100644 .git\0" + bytes.fromhex(blob))
        made = plain_git("hash-object", "-w", "-t", "tree", "--literally", "listing", at=at).stdout.strip()
        commit = plain_git("commit-tree", made, "-p", "HEAD", "-m", "forged", at=at).stdout.strip()
        assert plain_git("update-ref", "HEAD", commit, at=at).returncode == 0
        for name in ("tree", "listing"):
            (at / name).unlink()

    problem, paths = await left_by(ground, forge)
    assert "the agent's commits are refused" in problem
    assert "hasDotgit" in problem
    assert paths == ALL


async def test_git_that_hangs_in_the_container_is_told_and_the_files_come_back(ground: Ground) -> None:
    async def hangs(*_: object, **__: object) -> int:
        raise InfrastructureError("it did not end in 600 s")

    problem, paths = await left_by(ground, lambda at: None, hangs)
    assert "did not end in 600 s" in problem
    assert paths == ALL
    assert bundle.BUNDLE_S == 600
