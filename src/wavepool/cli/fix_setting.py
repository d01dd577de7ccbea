"""Where a fix works, and with what: decided from its options before anything starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wavepool.agents import adapter
from wavepool.config import Settings
from wavepool.engine.merging import check_git
from wavepool.errors import InputError, PrepareError, SettingError
from wavepool.inputs import check_workspace
from wavepool.model import AgentOrder, WorkspaceKind
from wavepool.plan.making.filewords import check_words
from wavepool.workspace.repository import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Labour:
    """Who works on a batch: an agent, or a plain command. One of the two is None.

    Attributes:
        words: of the command, where ``{files}`` stands for the batch's files.
        order: of the agent.
        image: that they work in, and the check runs in.
    """

    words: tuple[str, ...] | None
    order: AgentOrder | None
    image: str


@contextmanager
def told_which_image(labour: Labour) -> Iterator[None]:
    """Where the image of a plain command cannot be had, the error says how to name another, or to do without."""
    try:
        yield
    except PrepareError as error:
        if labour.order is None and error.what == labour.image:
            error.advice = (
                "--image IMAGE names one with your tools in it: the check and the batches run in it.\n"
                "--allow-host --driver process has both work on this host itself, with all that you may do here."
            )
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Where it works.

    Attributes:
        workspace: the user's directory.
        repository: that it is the top of; None where batches work in the directory itself.
    """

    workspace: Path
    repository: Repository | None

    @property
    def kind(self) -> WorkspaceKind:
        """Of the batches."""
        return WorkspaceKind.SHARED if self.repository is None else WorkspaceKind.CLONE


def labour_of(settings: Settings, order: AgentOrder, words: tuple[str, ...], *, agent_named: bool) -> Labour:
    """A plain command where there are words after ``--`` and no agent was named for them; else the agent.

    Raises:
        InputError: there is no such agent.
        SettingError: ``{files}`` is only a part of a word.
    """
    if words and not agent_named:
        check_words(words)
        return Labour(words=words, order=None, image=settings.agent_image or settings.base_image)
    return Labour(words=None, order=order, image=settings.agent_image or adapter(order.name).image)


def whereabouts_of(settings: Settings) -> Whereabouts:
    """The directory, and whether batches get clones of it: unless told otherwise where it is a repository's.

    Raises:
        InputError: it is no directory, or no such kind can be had there; or processes of this host were asked for,
            and the host was not allowed.
    """
    given = settings.workspace if "workspace" in settings.model_fields_set else Path.cwd()
    workspace = check_workspace(given)
    if settings.driver == "process" and not settings.allow_host:
        raise InputError(
            "--driver process: what agents write would be executed by the check on this host",
            advice="--allow-host allows that. Or leave --driver out: batches and checks then run in containers.",
        )
    repository = _repository(workspace, settings.workspace_kind)
    return Whereabouts(workspace=workspace, repository=repository)


def _repository(workspace: Path, kind: WorkspaceKind | None) -> Repository | None:
    if kind is WorkspaceKind.SHARED:
        return None
    if kind is WorkspaceKind.WORKTREE:
        raise SettingError("--workspace-kind", kind.value, "clone (the default in a git repository) or shared")
    try:
        repository = Repository.at(workspace)
    except InputError:
        if kind is None:
            return None
        raise
    _see_a_commit(repository)
    check_git(repository.git)
    if repository.top != workspace:
        raise InputError(
            f"{workspace} is not the top of its git repository, which is {repository.top}",
            advice=f"Clones are of the whole repository: give --workspace {repository.top}, and a --command that works "
            "from there. Or --workspace-kind shared: batches then work in the directory itself.",
        )
    return repository


def _see_a_commit(repository: Repository) -> None:
    """Clones begin at a commit. Without one the directory itself is worked on only by whoever asked for that."""
    try:
        repository.head()
    except InputError as error:
        advice = "Commit something first. Or --workspace-kind shared: batches then change the files where they are."
        raise InputError(error.message, advice=advice) from error
