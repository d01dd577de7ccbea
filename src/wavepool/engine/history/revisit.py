"""Which attempt of a task somebody can look into: one that runs, or one whose file system was kept."""

from __future__ import annotations

from dataclasses import dataclass

from wavepool.core.facts import RunOpened
from wavepool.drivers.base import AttemptSpec, Handle
from wavepool.engine.attempts.spec import SpecBuilder
from wavepool.engine.history.chronicle import AttemptStory, Chronicle, TaskStory
from wavepool.engine.history.runs import RunHistory
from wavepool.errors import InputError, shorten
from wavepool.model import VerdictKind


class NothingKept(InputError):
    """There is nothing of the attempt to look into."""

    code = "nothing_kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revisit:
    """Where to look. Exactly one of `running` and `kept` is set.

    Attributes:
        attempt: which one it is.
        running: it runs now.
        kept: the image of what it left.
        spec: what it was started with, without its secrets.
    """

    attempt: AttemptStory
    spec: AttemptSpec
    running: Handle | None = None
    kept: str | None = None


def revisit(history: RunHistory, text: str, number: int | None) -> Revisit:
    """What can be looked into of attempt `number` of a task; None for the newest of which something is there.

    Raises:
        UnknownTask, UnknownAttempt: there is none.
        NothingKept: it ended, and was not kept; the advice says how it would have been.
        JournalError: the journal cannot be read.
    """
    chronicle = Chronicle.of(history.facts())
    story = chronicle.task(text)
    run = chronicle.opened
    assert run is not None, "a task comes after the first fact"
    wanted = [story.attempt(number)] if number is not None or not story.attempts else story.attempts[::-1]
    for attempt in wanted:
        if (attempt.is_running and run.driver == "docker") or attempt.kept is not None:
            return Revisit(
                attempt=attempt,
                running=attempt.handle if attempt.is_running else None,
                kept=None if attempt.is_running else attempt.kept,
                spec=_spec(history, run, story, attempt),
            )
    raise _nothing_kept(run, story, wanted[0])


def _spec(history: RunHistory, run: RunOpened, story: TaskStory, attempt: AttemptStory) -> AttemptSpec:
    builder = SpecBuilder(
        owner=run.owner,
        run_id=run.run_id,
        surroundings=run.surroundings,
        isolation=run.rules.isolation,
        secrets={},
    )
    return builder.build(story.task, attempt.id, history.files.slots)


def _nothing_kept(run: RunOpened, story: TaskStory, attempt: AttemptStory) -> NothingKept:
    what = f"attempt {attempt.id.number} of task {shorten(story.task.id)}"
    if run.driver != "docker":
        return NothingKept(
            f"{what} was a plain process, which has no file system of its own",
            advice=f"What it left is in its workspace, {run.surroundings.workspace}.",
        )
    if attempt.not_kept is not None:
        return NothingKept(f"{what} could not be kept: {attempt.not_kept}")
    if attempt.verdict is None:
        return NothingKept(f"{what} is neither running nor over yet", advice="Try again in a moment.")
    if attempt.verdict.kind is VerdictKind.SUCCESS:
        return NothingKept(f"{what} succeeded; only attempts that did not are kept")
    if run.rules.keep_failed:
        return NothingKept(f"nothing was left of {what} that could be kept: {attempt.verdict.evidence.reason}")
    return NothingKept(
        f"nothing was kept of {what}",
        advice="Run with --keep-failed: then the file system of each attempt that does not succeed is kept.",
    )
