"""A repository as a user has one, the workspaces of a run on it, and what stands in for an agent's own container."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio.to_thread

from wavepool.errors import InfrastructureError
from wavepool.model import AttemptId, Limits, Task, WorkspaceKind
from wavepool.statedir import RunDir
from wavepool.workspace import Place, Workspaces, open_workspaces

DEADLINE_S = 120
RUN = "20261127-080000-abcd"


ADA = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


class Ground:
    """A repository with two files and one commit below `root`, and one run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repo = root / "repo"
        self.repo.mkdir()
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "Ada")
        self.git("config", "user.email", "ada@example.org")
        self.write("README", "hello\n")
        self.write("src/app.py", "print(1)\n")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "first")
        self.files = RunDir(root / "runs" / RUN)
        (root / "runs").mkdir()
        self.files.create()
        self.told: list[str] = []

    def git(self, *arguments: str, at: Path | None = None) -> str:
        """Plain git as a user types it; AssertionError where it fails."""
        done = plain_git(*arguments, at=at or self.repo, env=ADA)
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    def write(self, path: str, text: str) -> None:
        target = self.repo / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def open(self, kind: str, *, contained: bool = False) -> Workspaces:
        return open_workspaces(
            WorkspaceKind(kind),
            workspace=self.repo,
            files=self.files,
            run_id=RUN,
            contained=contained,
            notice=self.told.append,
        )

    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def branches(self) -> set[str]:
        return set(self.git("for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines())

    def content(self, commit: str) -> set[str]:
        """The paths of a commit."""
        return set(self.git("ls-tree", "-r", "--name-only", commit).splitlines())


def plain_git(
    *arguments: str, at: Path, env: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Git with the settings of no user, and nothing else that protects anybody."""
    return subprocess.run(
        ["git", *arguments],
        cwd=at,
        env={
            **os.environ,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Agent",
            "GIT_AUTHOR_EMAIL": "agent@example.org",
            "GIT_COMMITTER_NAME": "Agent",
            "GIT_COMMITTER_EMAIL": "agent@example.org",
            **(env or {}),
        },
        input=stdin,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def task(task_id: str = "one", **changes: object) -> Task:
    key = "".join(each if each.isalnum() else "-" for each in task_id.lower())[:40]
    fields: dict[str, object] = {"id": task_id, "key": key, "wave": 1, "tier": 1, **changes}
    return Task(limits=Limits(memory_bytes=64 << 20), **fields)  # type: ignore[arg-type]  # fields of a task, whatever a test gives


def first(of: Task) -> AttemptId:
    return AttemptId(of.id, 1)


async def as_process(
    task: Task, attempt: AttemptId, argv: Sequence[str], *, place: Place, output: Path, timeout_s: float
) -> int:
    """`Sealed` where there are no containers: a process in the workspace."""

    def run() -> int:
        env = {**os.environ, **place.env, "WAVEPOOL_OUTPUT": str(output), "WAVEPOOL_WORKSPACE": str(place.directory)}
        return subprocess.run(argv, cwd=place.directory, env=env, check=False, timeout=timeout_s).returncode

    try:
        return await anyio.to_thread.run_sync(run)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InfrastructureError(str(error)) from error


async def nowhere(
    task: Task, attempt: AttemptId, argv: Sequence[str], *, place: Place, output: Path, timeout_s: float
) -> int:
    """`Sealed` in an image without git."""
    return 127
