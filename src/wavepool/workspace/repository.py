"""The user's repository: where it is, what it stands at, and the few things that are ever changed in it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from wavepool.errors import InfrastructureError, InputError, WorkspaceError
from wavepool.statedir.files import opened, take_lock
from wavepool.workspace.git import LONG_S, Git, GitError, look_up, setting_of_user
from wavepool.workspace.names import WORKTREES

LOCK_FILE = "wavepool.lock"
"""In the repository's git directory; held (flock) while worktrees are added to it or taken from it."""
LOCK_PATIENCE_S = 300.0
"""A hundred additions in turn to a repository of 100,000 files take less."""

NAME, EMAIL = "Wavepool", "wavepool@localhost"
"""Who commits where the user has not told git a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """One repository with a checkout.

    Attributes:
        top: of the checkout.
        git_dir: of this checkout; `common` is what all its worktrees share, and the same where it is the main one.
        objects: directory of its objects.
        git: on the checkout, with the filters off that the repository's settings define.
        identity: variables that say who commits.
    """

    top: Path
    git_dir: Path
    common: Path
    objects: Path
    git: Git
    identity: dict[str, str]

    @classmethod
    def at(cls, workspace: Path) -> Repository:
        """The repository that a directory lies in.

        Raises:
            InputError: it lies in none, or in one without a checkout.
            GitError: git cannot be asked.
        """
        found = look_up(workspace, "--git-dir", "--git-common-dir", "--git-path", "objects")
        if found is None or len(found) != 3:
            raise InputError(
                f"{workspace} is in no git repository",
                advice="Run `git init` and commit in it, or take `--workspace-kind shared`, which needs no git "
                "and has them work in the directory itself.",
            )
        top = look_up(workspace, "--show-toplevel")
        if not top:
            raise InputError(
                f"{workspace} belongs to a repository without a checkout",
                advice="Give the directory of a checkout of it: `git worktree add DIRECTORY` makes one.",
            )
        git_dir, common, objects = (Path(each) for each in found)
        excludes = setting_of_user("core.excludesFile", kind="path") or _default_excludes()
        git = Git(git_dir=git_dir, work_tree=Path(top[0]), settings=(f"core.excludesFile={excludes}",))
        return cls(
            top=Path(top[0]),
            git_dir=git_dir,
            common=common,
            objects=objects,
            git=git.without_filters(),
            identity=_identity(git),
        )

    def head(self) -> str:
        """The commit that the checkout stands at, in hex.

        Raises:
            InputError: there is none yet.
        """
        try:
            return self.git.line("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        except GitError as error:
            raise InputError(
                f"the repository {self.top} has no commit yet",
                advice="Commit something first: tasks begin at the commit that is checked out.",
            ) from error

    def of_worktree(self, admin: Path, work_tree: Path) -> Git:
        """Git on one of its worktrees, of which `admin` is the git directory."""
        return Git(git_dir=admin, work_tree=work_tree, settings=self.git.settings)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the repository's lock: nobody else adds or removes a worktree of ours, in no other process either.

        Raises:
            WorkspaceError: others held it all the time.
        """
        try:
            with opened(self.common / LOCK_FILE, os.O_RDONLY | os.O_CREAT) as descriptor:
                with suppress(OSError):
                    os.fchmod(descriptor, 0o644)  # another user's process must be able to open it
                self.give_back(LOCK_FILE)
                if not take_lock(descriptor, fcntl.LOCK_EX, patience_s=LOCK_PATIENCE_S):
                    raise WorkspaceError(
                        f"other processes held {self.common / LOCK_FILE} for {LOCK_PATIENCE_S:.0f} s",
                        advice=f"See who: `fuser {self.common / LOCK_FILE}`.",
                    )
                yield
        except InfrastructureError as error:
            if isinstance(error, WorkspaceError):
                raise
            raise WorkspaceError(f"the repository cannot be written to: {error.message}") from error

    def tip(self, branch: str) -> str | None:
        """The commit of a branch; None where there is no such branch."""
        answer = self.git.call("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}", codes=(0, 1, 128))
        return answer.out.decode().strip() or None

    def make_branch(self, branch: str, commit: str) -> bool:
        """Make a new branch; False where its name is taken, be it in part: as ``feature`` beside ``feature/x``."""
        made = self.git.succeeds("update-ref", f"refs/heads/{branch}", commit, "0" * len(commit))
        self.give_back("refs", "logs")
        return made

    def move_branch(self, branch: str, new: str, old: str) -> None:
        """Raises GitError where it is not at `old` any more."""
        self.git.call("update-ref", f"refs/heads/{branch}", new, old)
        self.give_back("refs", "logs")

    def drop_branch(self, branch: str, commit: str) -> bool:
        """Delete a branch that is still at `commit`; False where it is not, or is not there."""
        dropped = self.git.succeeds("update-ref", "-d", f"refs/heads/{branch}", commit)
        self.give_back("refs", "logs")
        return dropped

    def exclude_worktrees(self) -> None:
        """See that `.worktrees/` is ignored, by ``info/exclude``: the user's own files stay as they are."""
        line = f"/{WORKTREES}/"
        path = self.common / "info" / "exclude"
        before = path.read_text("utf-8", errors="surrogateescape") if path.exists() else ""
        if line in before.splitlines():
            return
        path.parent.mkdir(exist_ok=True)
        gap = "" if not before or before.endswith("\n") else "\n"
        path.write_text(f"{before}{gap}{line}\n", "utf-8", errors="surrogateescape")
        self.give_back("info")

    def commit(self, tree: str, *, parent: str, message: str) -> str:
        """Make a commit that no branch has yet. Raises GitError."""
        git = self.git.with_env(**self.identity)
        made = git.line("commit-tree", tree, "-p", parent, "-F", "-", stdin=os.fsencode(message))
        self.give_back("objects")
        return made

    def uncommitted(self) -> int:
        """How many paths of the checkout are not as in its commit, new ones included."""
        return len(self.git.paths("status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=all"))

    def submodules(self) -> list[str]:
        """Paths of those that the checked out commit has."""
        entries = self.git.paths("ls-tree", "-r", "-z", "HEAD")
        return [entry.partition("\t")[2] for entry in entries if entry.startswith("160000 ")]

    def uses_filters(self, commit: str) -> bool:
        """True where a .gitattributes file of a commit names a filter."""
        where = (commit, "--", ":(glob)**/.gitattributes")
        return self.git.succeeds("grep", "--quiet", "-I", "-e", "filter=", *where)

    def give_back(self, *names: str) -> None:
        """Where root works on a repository of somebody else: what it made in there becomes his."""
        owner = self.common.stat()
        if os.geteuid() != 0 or owner.st_uid == 0:
            return
        for name in names:
            root = os.path.join(self.common, name)
            entries = (os.path.join(place, each) for place, below, files in os.walk(root) for each in (*below, *files))
            for path in (root, *entries):
                with suppress(FileNotFoundError):
                    if os.lstat(path).st_uid == 0:
                        os.lchown(path, owner.st_uid, owner.st_gid)

    def check_out(self, git: Git, commit: str) -> None:
        """Write all files of a commit into a work tree that is empty, or whose index is right. Raises GitError."""
        git.call("read-tree", "--reset", "-u", commit, timeout_s=LONG_S)


def _identity(git: Git) -> dict[str, str]:
    name = git.call("config", "--get", "user.name", codes=None).out.decode("utf-8", "replace").strip()
    email = git.call("config", "--get", "user.email", codes=None).out.decode("utf-8", "replace").strip()
    name = name or setting_of_user("user.name") or NAME
    email = email or setting_of_user("user.email") or EMAIL
    return {
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": email,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
    }


def _default_excludes() -> str:
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.environ.get("HOME") or "/nonexistent", ".config")
    return os.path.join(home, "git", "ignore")
