"""Workspaces: the directories that attempts work in, those that were left, and worktrees that were made by name.

Agents write to them. So git is only ever run on the host's own git directory, named, with the workspace as its work
tree (`workspace.git`): nothing that an agent writes can start a program, or say where git looks.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from wavepool.errors import InputError, WavepoolError
from wavepool.model import WorkspaceKind
from wavepool.monitoring.documents.overview import GitStatus, WorkspaceEntry
from wavepool.monitoring.runs.stories import KEPT, RunStory, Stories
from wavepool.statedir import StateDir
from wavepool.workspace.git import Git
from wavepool.workspace.named import WorktreeManager
from wavepool.workspace.record import RECORD, WORK, Record, read_record
from wavepool.workspace.repository import Repository

SHOWN = 200
"""Workspaces at most; those of the newest runs."""

CHANGES_SHOWN = 50
LINE_SHOWN = 300
"""Characters of one line of changes."""

ANSWER_BYTES = 4 << 20
"""Of one call of git; a workspace with more changes than that says so instead."""

SHARE = 0.05
"""Of the time so much is spent with git at most, for each workspace: one that took long is looked at seldom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A workspace before git was asked. `tree` opens git on it, and `base` is what it is compared with."""

    entry: WorkspaceEntry
    tree: Callable[[], Git] | None = None
    base: str = ""


class WorkspacesSource:
    """The member `workspaces` of the overview.

    Args:
        state_dir: whose runs.
        stories: of its runs.
        places: directories in whose repositories worktrees by name are looked for too.
    """

    name = "workspaces"
    period_s = 5.0

    def __init__(self, state_dir: StateDir, stories: Stories, *, places: Sequence[Path] = ()) -> None:
        self._state_dir = state_dir
        self._stories = stories
        self._places = tuple(places)
        self._records: dict[Path, tuple[int, Record]] = {}
        self._released: dict[Path, set[str]] = {}
        self._quiet: dict[str, int] = {}
        """Runs that nobody works on and that have no workspace left -> when the directory of those was changed last."""
        self._repositories: dict[Path, Repository | None] = {}
        self._looks = GitLooks()
        self._turn = anyio.Lock()

    async def read(self) -> Mapping[str, Any]:
        """All of them by path. Raises InfrastructureError where the state directory cannot be read."""
        async with self._turn:
            runs = await anyio.to_thread.run_sync(self._runs_with_workspaces)
            stories: list[RunStory] = []
            for run_id in runs:
                try:
                    stories.append(await self._stories.run(run_id))
                except WavepoolError:
                    continue  # gone, or damaged: the list of runs says so
            return await anyio.to_thread.run_sync(self._look, stories)

    def _runs_with_workspaces(self) -> list[str]:
        """The newest runs that are live or have a workspace that was not released."""
        found: list[str] = []
        for run_id in reversed(self._state_dir.runs()):
            files = self._state_dir.run(run_id)
            live = files.control.exists()
            changed_ns = _changed_ns(files.path / WORK)
            if not live and self._quiet.get(run_id) == changed_ns:
                continue
            if live or any(True for _ in self._unreleased(files.path)):
                found.append(run_id)
            else:
                self._quiet[run_id] = changed_ns
                self._released.pop(files.path, None)
            if len(found) >= KEPT:
                break
        return found

    def _look(self, stories: Sequence[RunStory]) -> dict[str, WorkspaceEntry]:
        found: dict[str, Found] = {}
        for each in (*self._of_runs(stories), *self._by_name(stories)):
            if len(found) < SHOWN:
                found.setdefault(each.entry["path"], each)
        self._looks.keep_only(found)
        return {path: self._looks.filled(each) for path, each in found.items()}

    def _of_runs(self, stories: Sequence[RunStory]) -> Iterator[Found]:
        for story in stories:
            surroundings = story.surroundings
            if surroundings is None:
                continue
            if surroundings.workspace_kind is WorkspaceKind.SHARED:
                if story.live:
                    yield self._shared(story, Path(surroundings.workspace))
                continue
            for place, record in self._unreleased(story.history.files.path):
                yield self._of_attempt(story, place, record, Path(surroundings.workspace))

    def _shared(self, story: RunStory, directory: Path) -> Found:
        entry = WorkspaceEntry(
            path=os.fspath(directory), name=directory.name, kind="shared", run_id=story.history.id, phase="in use"
        )
        repository = self._repository(directory)
        return Found(entry=entry, tree=None if repository is None else lambda: repository.git)

    def _of_attempt(self, story: RunStory, place: Path, record: Record, workspace: Path) -> Found:
        kind = "worktree" if record.admin else "clone"
        entry = WorkspaceEntry(
            path=record.directory,
            name=place.name if kind == "clone" else Path(record.directory).name,
            kind=kind,
            branch=record.branch,
            run_id=story.history.id,
            phase=_phase(story, place.name, record),
        )
        if (task_id := _task_of(story, place.name)) is not None:
            entry["task_id"] = entry["task_name"] = task_id
        if record.left:
            entry["problem"] = f"not brought back: {', '.join(record.left[:5])}"
        repository = self._repository(workspace)
        if repository is None or not record.ready:
            return Found(entry=entry)
        if record.admin:
            return Found(entry=entry, tree=partial(repository.of_worktree, Path(record.admin), Path(record.directory)))
        index = self._looks.index_of(record.directory)
        return Found(entry=entry, tree=lambda: repository.git.on(Path(record.directory), index=index), base=record.base)

    def _by_name(self, stories: Sequence[RunStory]) -> Iterator[Found]:
        places = {Path(each.surroundings.workspace) for each in stories if each.surroundings is not None}
        seen: set[Path] = set()
        for place in (*self._places, *sorted(places)):
            repository = self._repository(place)
            if repository is None or repository.common in seen:
                continue
            seen.add(repository.common)
            yield from self._named(repository)

    def _named(self, repository: Repository) -> Iterator[Found]:
        try:
            manager = WorktreeManager(repository.top)
            known = manager.list_worktrees()
        except WavepoolError:
            return
        for info in known:
            entry = WorkspaceEntry(
                path=os.fspath(info.worktree_path),
                name=info.worktree_path.name,
                kind="worktree",
                branch=info.branch_name,
                task_id=info.task_id,
                task_name=info.task_name or info.task_id,
                phase=info.status,
            )
            admin = manager.git_dir_of(info)
            yield Found(
                entry=entry, tree=None if admin is None else partial(repository.of_worktree, admin, info.worktree_path)
            )

    def _unreleased(self, run: Path) -> Iterator[tuple[Path, Record]]:
        """Each workspace's own directory with what is written down; read again only where that was changed."""
        released = self._released.setdefault(run, set())
        try:
            with os.scandir(run / WORK) as entries:
                names = sorted(each.name for each in entries if each.name not in released)
        except OSError:
            return
        for name in names:
            record = self._record(run / WORK / name)
            if record is None:
                continue
            if record.released:
                released.add(name)
                self._records.pop(run / WORK / name, None)
            else:
                yield run / WORK / name, record

    def _record(self, place: Path) -> Record | None:
        changed_ns = _changed_ns(place / RECORD)
        known = self._records.get(place)
        if known is None or known[0] != changed_ns:
            try:
                record = read_record(place / RECORD)
            except WavepoolError:
                return None
            if record is None:
                return None
            known = self._records[place] = (changed_ns, record)
        return known[1]

    def _repository(self, directory: Path) -> Repository | None:
        if directory not in self._repositories:
            try:
                self._repositories[directory] = Repository.at(directory)
            except (InputError, WavepoolError, OSError):
                self._repositories[directory] = None
        return self._repositories[directory]


def _changed_ns(path: Path) -> int:
    """When it was changed last; 0 where it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


class GitLooks:
    """Git's answers, each kept for as long as asking again would take more than its `SHARE` of the time. Blocks."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._scratch: Path | None = None
        self._numbers: dict[str, int] = {}
        self._answers: dict[str, tuple[float, WorkspaceEntry]] = {}

    def index_of(self, directory: str) -> Path:
        """Where git's index of a clone is kept: of its own, as the clone's is the agent's."""
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="wavepool-looks-"))
            weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        number = self._numbers.setdefault(directory, len(self._numbers))
        return self._scratch / f"{number}.index"

    def filled(self, found: Found) -> WorkspaceEntry:
        """The entry with what git says of it, now or a short time ago."""
        path = found.entry["path"]
        again_s, answer = self._answers.get(path, (0.0, None))
        if answer is None or self._clock() >= again_s:
            begun_s = self._clock()
            answer = _asked(found)
            took_s = self._clock() - begun_s
            self._answers[path] = (begun_s + took_s / SHARE, answer)
        entry = found.entry.copy()
        if "git_status" in answer:
            entry["git_status"] = answer["git_status"]
        if "problem" in answer:
            entry.setdefault("problem", answer["problem"])
        return entry

    def keep_only(self, paths: Mapping[str, object]) -> None:
        """Forget all others."""
        self._answers = {path: answer for path, answer in self._answers.items() if path in paths}


def _asked(found: Found) -> WorkspaceEntry:
    """An entry that has `git_status`, or `problem`, or neither where there is no repository."""
    answer = found.entry.copy()
    answer.pop("problem", None)
    if found.tree is None:
        return answer
    try:
        git = found.tree()
        changes = _against(git, found.base) if found.base else _status(git)
    except (WavepoolError, OSError) as error:
        answer["problem"] = f"git cannot tell: {str(error)[:LINE_SHOWN]}"
        return answer
    shown = [_line(each) for each in changes[:CHANGES_SHOWN]]
    answer["git_status"] = GitStatus(clean=not changes, changes_count=len(changes), changes=shown)
    return answer


def _status(git: Git) -> list[str]:
    arguments = ("status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=all")
    return _pieces(git, *arguments)


def _against(git: Git, base: str) -> list[str]:
    """The files against a commit, in the same words: the branch that an agent is on is of its own making."""
    index = Path(git.env["GIT_INDEX_FILE"])
    if not index.exists():
        git.call("read-tree", base)
    git.call("update-index", "-q", "--refresh", codes=None)
    pieces = _pieces(git, "diff", "--name-status", "--no-renames", "--no-textconv", "-z", base)
    changed = [f" {kind[:1]} {path}" for kind, path in zip(pieces[::2], pieces[1::2], strict=False)]
    others = _pieces(git, "ls-files", "--others", "--exclude-standard", "--directory", "--no-empty-directory", "-z")
    return [*changed, *(f"?? {path}" for path in others)]


def _pieces(git: Git, *arguments: str) -> list[str]:
    answer = git.call(*arguments, most_bytes=ANSWER_BYTES)
    return [each.decode("utf-8", "replace") for each in answer.out.split(b"\0") if each]


def _line(text: str) -> str:
    return text if len(text) <= LINE_SHOWN else text[: LINE_SHOWN - 1] + "…"


def _task_of(story: RunStory, place: str) -> str | None:
    try:
        return story.task(place.rpartition(".")[0]).task.id
    except InputError:
        return None


def _phase(story: RunStory, place: str, record: Record) -> str:
    if not record.ready:
        return "being made"
    if record.changes is not None:
        return "not brought back" if record.left or record.changes.problem else "brought back"
    key, _, number = place.rpartition(".")
    try:
        state = story.task(key).attempt(int(number)).state
    except (InputError, ValueError):
        return "left" if not story.live else "in use"
    return state
