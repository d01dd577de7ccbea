"""What the workspaces of a run stand on: the user's repository, looked at once, and who works in its copies."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import structlog

from wavepool.errors import InputError, WorkspaceError, shorten
from wavepool.workspace.repository import Repository

AGENT_UID = AGENT_GID = 10001
"""Who works in copies of what belongs to root: an agent never does as root."""

_log = structlog.get_logger(__name__)


def taken_words(task_id: str, wanted: str, branch: str) -> str:
    """What a user is told whose branch of an earlier run keeps its name."""
    return f"task {shorten(task_id)}: the branch {wanted} is there already, its work goes to {branch}"


class Standing:
    """The repository that a directory lies in.

    Args:
        notice: told what a user should know of it; our log otherwise.
    """

    def __init__(self, workspace: Path, *, notice: Callable[[str], None] | None = None) -> None:
        self._workspace = workspace
        self.notice = notice or (lambda text: _log.warning("workspaces", told=text))

    @cached_property
    def repository(self) -> Repository:
        """Raises WorkspaceError where there is none any more."""
        try:
            return Repository.at(self._workspace)
        except InputError as error:
            raise WorkspaceError(error.message, advice=error.advice) from error

    def check(self) -> None:
        """See that tasks can begin at its commit, and tell what they will not have.

        Raises:
            InputError: no repository, no checkout, or no commit.
        """
        repository = Repository.at(self._workspace)
        commit = repository.head()
        if count := repository.uncommitted():
            self.notice(
                f"{repository.top} has {count} uncommitted {'change' if count == 1 else 'changes'}: tasks begin "
                f"at the commit {commit[:12]}, without {'it' if count == 1 else 'them'}"
            )
        if submodules := repository.submodules():
            self.notice(f"submodules are empty directories in there: {', '.join(submodules[:10])}")
        if repository.top != self._workspace.resolve():
            self.notice(f"each task sees the whole repository {repository.top} at /workspace")
        if repository.uses_filters(commit):
            self.notice("filters of .gitattributes are not run: files of git-lfs stay pointers in there")


def agent_owner(repository: Repository) -> tuple[int, int] | None:
    """Who owns the copies that agents work in, as (uid, gid): None for whoever we are, which is no root."""
    if os.geteuid() != 0:
        return None
    status = repository.top.stat()
    return (AGENT_UID, AGENT_GID) if status.st_uid == 0 else (status.st_uid, status.st_gid)
