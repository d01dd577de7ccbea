"""Agents in containers work in their workspaces, and never write to the repository of the host."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wavepool.drivers.base import Driver
from wavepool.model import AttemptId, Changes, Limits, Mount, Task, WorkspaceKind
from wavepool.statedir import RunDir
from wavepool.testing.observing import output, run_to_end
from wavepool.workspace import Place, Workspaces, open_workspaces

if TYPE_CHECKING:
    from conftest import DockerWorld

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

TEST_IMAGE = os.environ.get("WAVEPOOL_TEST_IMAGE", "wavepool-test:latest")
BUILD_S = 300
OWNER = 1234
"""Whoever owns the user's repository; agents run as the same, so that modes protect nothing."""


@pytest.fixture(scope="module")
def git_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The test image with this host's git and the libraries that it needs."""
    context = tmp_path_factory.mktemp("image")
    git = shutil.which("git")
    assert git is not None
    listed = subprocess.run(["ldd", git], capture_output=True, text=True, check=True).stdout.split()
    for each in ("/usr/bin/git" if os.path.exists("/usr/bin/git") else git, *listed):
        if each.startswith("/"):
            target = context / "root" / each.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(os.path.realpath(each), target)
    (context / "Dockerfile").write_text(f"FROM {TEST_IMAGE}\nCOPY root/ /\n")
    tag = f"wavepool-test-git:{uuid.uuid4().hex[:12]}"
    subprocess.run(
        ["docker", "build", "-q", "-t", tag, os.fspath(context)], check=True, capture_output=True, timeout=BUILD_S
    )
    yield tag
    subprocess.run(["docker", "image", "rm", "-f", tag], check=True, capture_output=True, timeout=BUILD_S)


class Repo:
    """A user's repository with a commit, and the workspaces of one run on it."""

    def __init__(self, root: Path, kind: str, owner: int) -> None:
        self.path = root / "repo"
        self.path.mkdir()
        (self.path / "README").write_text("hello\n")
        for argv in (
            ["init", "-q", "-b", "main"],
            ["config", "user.name", "Ada"],
            ["config", "user.email", "ada@example.org"],
            ["add", "-A"],
            ["commit", "-q", "-m", "first"],
        ):
            self.git(*argv)
        if os.geteuid() == 0:
            for place, below, files in os.walk(self.path):
                for name in (place, *(os.path.join(place, each) for each in (*below, *files))):
                    os.lchown(name, owner, owner)
        self.files = RunDir(root / "run")
        self.files.create()
        self.task = Task(id="one", key="one", wave=1, tier=1, limits=Limits(memory_bytes=64 << 20))
        self.attempt = AttemptId("one", 1)
        self.spaces: Workspaces = open_workspaces(
            WorkspaceKind(kind), workspace=self.path, files=self.files, run_id="run-1"
        )

    def git(self, *arguments: str) -> str:
        argv = ["git", "-c", "safe.directory=*", *arguments]
        return subprocess.run(argv, cwd=self.path, check=True, capture_output=True, text=True).stdout.strip()

    def of_others(self, owner: int) -> list[str]:
        """What in the host's git directory does not belong to its owner."""
        entries = [
            os.path.join(at, each) for at, *rest in os.walk(self.path / ".git") for part in rest for each in part
        ]
        return [path for path in entries if os.lstat(path).st_uid != owner]

    def fingerprint(self) -> dict[str, str]:
        """Every file of the host's git directory, by its content."""
        found = {}
        for place, _, files in os.walk(self.path / ".git"):
            for each in files:
                path = Path(place) / each
                found[os.fspath(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found


async def run_in(world: DockerWorld, driver: Driver, place: Place, image: str, script: str) -> str:
    """What a script of the agent's says in its workspace."""
    spec = replace(
        world.sh(script),
        image=image,
        workspace=place.directory,
        mounts=place.mounts,
        env=place.env,
        user=place.user,
    )
    told = await run_to_end(driver, spec)
    return b"".join(await output(driver, told.handle)).decode()


async def brought_back(world: DockerWorld, driver: Driver, repo: Repo, image: str) -> Changes:
    async def sealed(
        task: Task, attempt: AttemptId, argv: Sequence[str], *, place: Place, output: Path, timeout_s: float
    ) -> int:
        spec = replace(
            world.spec(tuple(argv), memory_bytes=64 << 20),
            image=image,
            workspace=place.directory,
            mounts=(*place.mounts, Mount(source=str(output), target="/output", read_only=False)),
            env=place.env,
            user=place.user,
            network=None,
        )
        told = await run_to_end(driver, spec)
        assert told.ending is not None
        return told.ending.evidence.exit_code or 0

    changes = await repo.spaces.bring_back(repo.task, repo.attempt, sealed)
    assert changes is not None
    return changes


WRITE = """
for each in {places}; do
    touch "$each/evil" 2>/dev/null && echo "wrote $each/evil"
    rm -rf "$each" 2>/dev/null; [ -e "$each" ] || echo "deleted $each"
    mv "$each" "$each.away" 2>/dev/null && echo "moved $each"
    {{ echo evil >"$each"; }} 2>/dev/null && echo "overwrote $each"
done
echo tried
"""


@pytest.mark.parametrize("owner", [OWNER, 0])
async def test_a_clone_commits_inside_and_cannot_write_to_the_host_s_objects(
    world: DockerWorld, git_image: str, tmp_path: Path, owner: int
) -> None:
    world.allow(300)
    repo = Repo(tmp_path, "clone", owner)
    place = await repo.spaces.obtain(repo.task, repo.attempt)
    before = repo.fingerprint()
    places = " ".join(mount.target for mount in place.mounts)
    work = "id -u; git status --porcelain; git log --format=%s; echo mine >README; git commit -qam mine; echo x >new"
    async with world.driver() as driver:
        said = await run_in(world, driver, place, git_image, f"exec 2>&1\n{work}\n{WRITE.format(places=places)}")
        user = os.geteuid() if os.geteuid() else owner or 10001
        assert said.splitlines() == [str(user), "first", "tried"]
        assert repo.fingerprint() == before

        copy = tmp_path / "copy"
        shutil.copytree(repo.path / ".git" / "objects", copy)
        for name, below, _ in os.walk(copy):
            for each in (name, *(os.path.join(name, one) for one in below)):
                os.chmod(each, 0o777)
        open_place = replace(place, mounts=(Mount(source=str(copy), target=place.mounts[0].target, read_only=False),))
        control = await run_in(world, driver, open_place, git_image, WRITE.format(places=places))
        assert f"wrote {places}/evil" in control, "an open mount would not be written to: this test could not fail"

        changes = await brought_back(world, driver, repo, git_image)
    assert (changes.problem, changes.committed_by) == (None, "both")
    assert repo.git("log", "--format=%an %s", changes.branch or "").splitlines() == ["Ada one", "Ada mine", "Ada first"]
    await repo.spaces.release(repo.task, repo.attempt)
    assert not place.directory.exists()
    if os.geteuid() == 0:
        assert repo.of_others(owner) == []


async def test_a_worktree_has_no_git_inside_and_its_link_to_the_host_stays(
    world: DockerWorld, git_image: str, tmp_path: Path
) -> None:
    world.allow(300)
    repo = Repo(tmp_path, "worktree", OWNER)
    place = await repo.spaces.obtain(repo.task, repo.attempt)
    before, link = repo.fingerprint(), (place.directory / ".git").read_text()
    script = f"git status 2>&1; echo mine >README; {WRITE.format(places='/workspace/.git')}"
    async with world.driver() as driver:
        said = await run_in(world, driver, place, git_image, script)
        assert said.splitlines() == ["fatal: not a git repository: /git-is-kept-on-the-host", "tried"]
        assert (repo.fingerprint(), (place.directory / ".git").read_text()) == (before, link)
        control = await run_in(world, driver, replace(place, mounts=()), git_image, script)
        assert "deleted /workspace/.git" in control, "without the mount nothing is lost: this test could not fail"
        changes = await brought_back(world, driver, repo, git_image)
    assert (changes.problem, changes.committed_by) == (None, "host")
    assert repo.git("show", f"{changes.branch}:README") == "mine"
    await repo.spaces.release(repo.task, repo.attempt)
    assert repo.git("worktree", "list").count("\n") == 0
    if os.geteuid() == 0:
        assert repo.of_others(OWNER) == []


async def test_a_shared_directory_keeps_its_git_from_being_written_to(
    world: DockerWorld, git_image: str, tmp_path: Path
) -> None:
    world.allow(300)
    repo = Repo(tmp_path, "shared", OWNER)
    place = await repo.spaces.obtain(repo.task, repo.attempt)
    before = repo.fingerprint()
    script = "git log --format=%s; echo mine >README; git commit -qam x 2>/dev/null && echo committed; {}"
    async with world.driver() as driver:
        said = await run_in(
            world, driver, place, git_image, script.format(WRITE.format(places="/workspace/.git/hooks /workspace/.git"))
        )
        assert said.splitlines() == ["first", "tried"]
        assert repo.fingerprint() == before
        assert (repo.path / "README").read_text() == "mine\n"
        control = await run_in(
            world, driver, replace(place, mounts=()), git_image, "touch .git/hooks/evil && echo wrote"
        )
        assert control == "wrote\n", "without the mount nothing is written: this test could not fail"
        assert await repo.spaces.bring_back(repo.task, repo.attempt, None) is None  # type: ignore[arg-type]  # it needs none
