"""What is written down about the workspace of one attempt, so that every step can be repeated by another process.

::

    <run>/work/<task key>.<attempt number>/
    ├── record.json    what was decided, each before it is done
    ├── git            what is seen inside instead of a worktree's .git
    ├── tree/          a private clone
    ├── index          the host's index of it
    └── output/        what git in the attempt's own container had to say

Agents see `tree` alone.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from wavepool.errors import InvariantBroken, WorkspaceError
from wavepool.model import AttemptId, Changes, Task
from wavepool.statedir import RunDir

WORK = "work"
"""Directory in the run's."""

RECORD = "record.json"
"""In the directory of one workspace."""

_KEY = re.compile(r"[a-z0-9][a-z0-9_.-]{0,47}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One workspace.

    Attributes:
        base: commit that it begins on.
        directory: where the task works.
        branch: that its changes go to.
        admin: git directory of a worktree.
        ready: it is whole; False while it is being made.
        commit, by: tip of the branch once it has changes, written down before the branch moves; by whom they are.
        changes: what came back; None until then.
        left: what could not be brought back, and is in `directory` alone.
        released: it has been removed.
    """

    base: str
    directory: str
    branch: str
    admin: str = ""
    ready: bool = False
    commit: str = ""
    by: str | None = None
    changes: Changes | None = None
    left: tuple[str, ...] = ()
    released: bool = False


class AttemptFiles:
    """The host's own files about one attempt's workspace; no container sees them.

    Attributes:
        task_id: whose they are.
        path: their directory.
        patch: the file that a patch of the changes goes to, and `unbrought`, where they did not come back.
        bundle: the file that other branches than the attempt's last one go to.
    """

    def __init__(self, files: RunDir, task: Task, attempt: AttemptId) -> None:
        if not _KEY.fullmatch(task.key) or attempt.number < 1:
            raise InvariantBroken(f"no workspace can be named after {task.key!r} and {attempt.number}")
        name = f"{task.key}.{attempt.number}"
        self.task_id = task.id
        self.path = files.path / WORK / name
        self.patch = files.artifacts / f"{name}.patch"
        self.unbrought = files.artifacts / f"{name}.unbrought.patch"
        self.bundle = files.artifacts / f"{name}.bundle"
        self._run = files.path
        self._record = self.path / RECORD

    def relative(self, path: Path) -> str:
        """A path below the run's directory, from there."""
        return os.fspath(path.relative_to(self._run))

    def make(self) -> None:
        """Make the directories. Raises WorkspaceError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.patch.parent.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise WorkspaceError(f"cannot make {self.path}: {error.strerror or error}") from error

    def read(self) -> Record | None:
        """What is written down; None for nothing. Raises WorkspaceError where it cannot be read."""
        return read_record(self._record)

    def write(self, record: Record, **changes: Any) -> Record:
        """Put it on the disk, with these fields changed; what is returned is what stands there.

        Raises:
            WorkspaceError: it cannot be written.
        """
        record = replace(record, **changes)
        new = self._record.with_suffix(".new")
        try:
            self.make()
            with open(new, "w", encoding="utf-8") as file:
                json.dump(asdict(record), file)
                file.flush()
                os.fsync(file.fileno())
            new.rename(self._record)
        except OSError as error:
            raise WorkspaceError(f"cannot write {self._record}: {error.strerror or error}") from error
        return record


def read_record(path: Path) -> Record | None:
    """What the file of one says; None where there is none. Raises WorkspaceError where it cannot be read."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorkspaceError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        return _record_of(json.loads(text))
    except (ValueError, TypeError) as error:
        raise WorkspaceError(f"{path} is damaged: {error}") from error


@contextmanager
def on_disk(what: str) -> Iterator[None]:
    """What the disk refuses in this block is a WorkspaceError that says of which workspace."""
    try:
        yield
    except OSError as error:
        raise WorkspaceError(f"{what}: {error.filename or ''}: {error.strerror or error}") from error


def _record_of(value: dict[str, Any]) -> Record:
    changes = value.pop("changes")
    left = tuple(value.pop("left"))
    return Record(**value, left=left, changes=None if changes is None else Changes(**changes))
