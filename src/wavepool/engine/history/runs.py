"""What was run here, and what became of it: read from the journals alone, of live runs too. Nothing is written.

::

    history = open_history(state_dir, run_id)
    history.standing()            # live, unfinished, success, ...
    history.report().result()     # the JSON of the results file, as of now
    for stamped in history.facts(start=1): ...

All of it blocks; call it in a thread where an event loop must go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import StrEnum

from wavepool.core import facts
from wavepool.core.course import RunCourse
from wavepool.core.facts import Outcome, Stamped
from wavepool.engine.pools.session import SESSION_PREFIX
from wavepool.engine.report import RunReport
from wavepool.engine.worktime import WorkTime
from wavepool.errors import InfrastructureError, InputError, JournalError, shorten
from wavepool.inputs import LATEST
from wavepool.journal.reading import JournalReader
from wavepool.statedir import SPAWN_RECORD, RunDir, StateDir, size_of


class Standing(StrEnum):
    """Where a run stands, as far as its directory tells."""

    LIVE = "live"
    """A process holds it now."""
    UNFINISHED = "unfinished"
    """Its process died before the run's end; a resume goes on with it."""
    SUCCESS = "success"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    """Ended by Ctrl-C or a cancel; a resume goes on with it."""
    INFRASTRUCTURE = "infrastructure"
    """Ended because the machine or the daemon failed; a resume goes on with it."""
    SPAWNED = "spawned"
    """Containers of `wavepool spawn`, which keeps no journal."""
    EMPTY = "empty"
    """Nothing was ever started in it."""
    DAMAGED = "damaged"
    """Its journal cannot be read."""

    @property
    def resumable(self) -> bool:
        """True where a resume has something to do."""
        return self in _RESUMABLE

    @property
    def is_over(self) -> bool:
        """True where no process works on it, and none will have to."""
        return self in (Standing.SUCCESS, Standing.FAILED, Standing.EMPTY)


_RESUMABLE = frozenset({Standing.UNFINISHED, Standing.INTERRUPTED, Standing.INFRASTRUCTURE})


NAMED = 5
"""Runs that an error names at most."""


class UnknownRun(InputError):
    """No run of this id is in the state directory."""

    code = "unknown_run"


class AmbiguousRun(UnknownRun):
    """The start of an id that fits several runs."""

    code = "ambiguous_run"


class RunHistory:
    """One run, as its directory tells it. Reads anew with every call, and keeps nothing open.

    Attributes:
        id: the run's id.
        files: its directory.
    """

    def __init__(self, files: RunDir) -> None:
        self.id = files.id
        self.files = files
        self._reader = JournalReader(files.journal, run_id=files.id)

    def facts(self, start: int = 1) -> Iterator[Stamped]:
        """The committed facts from number `start` on; a follower asks again for the number after the last.

        Raises:
            JournalError: while iterating: there is no journal (see `has_journal`), or it is damaged.
        """
        return self._reader.read(start)

    def committed(self) -> int:
        """How many facts there are at least: a cheap look for whoever follows. Raises JournalError."""
        return self._reader.committed()

    def has_journal(self) -> bool:
        """False for what `wavepool spawn` made, and for a run that has only just begun."""
        return self.files.journal.exists()

    def is_live(self) -> bool:
        """True while a process holds the run. Raises InfrastructureError."""
        return self.files.is_live()

    def began_at(self) -> datetime:
        """When it began; for what has no readable journal when its directory was last changed. Raises nothing."""
        try:
            for stamped in self._reader.read(check=False):
                return stamped.utc
        except JournalError:
            pass
        try:
            return datetime.fromtimestamp(self.files.path.stat().st_mtime, UTC)
        except OSError:
            return datetime.fromtimestamp(0, UTC)

    def report(self) -> RunReport:
        """The run as of now. Raises JournalError."""
        return RunReport.of(self.facts())

    def standing(self) -> Standing:
        """Where it stands. Reads the whole journal, as only a sound one can be gone on with.

        Raises:
            JournalError: the journal is damaged.
            InfrastructureError: the lock cannot be looked at.
        """
        live = self.is_live()  # first: a run that ends in between shows its outcome in the facts
        if not self.has_journal():
            return standing_of(self.files, live=live, begun=False, outcome=None)
        report = self.report()
        return standing_of(self.files, live=live, begun=report.has_begun, outcome=report.outcome)


def open_history(state_dir: StateDir, run_id: str) -> RunHistory:
    """The run of exactly this id, which may be any text: it is looked for among those that are there.

    Raises:
        UnknownRun: there is no directory of that run.
        InfrastructureError: the state directory cannot be read.
    """
    known = state_dir.runs()
    if run_id not in known:
        raise _unknown(state_dir, run_id, known)
    return RunHistory(state_dir.run(run_id))


def find_run(state_dir: StateDir, text: str) -> RunHistory:
    """The run of this id, of an id that starts so (if it is the only one), or the ``latest``.

    Raises:
        UnknownRun: there is none; the advice names those that may be meant.
        AmbiguousRun: there are several; it names them.
        InfrastructureError: the state directory cannot be read.
    """
    known = state_dir.runs()
    if text in known:
        return RunHistory(state_dir.run(text))
    known = _without_sessions(state_dir, known)
    if text == LATEST and known:
        return max((RunHistory(state_dir.run(run_id)) for run_id in known), key=RunHistory.began_at)
    fitting = [run_id for run_id in known if text and run_id.startswith(text)]
    if len(fitting) == 1:
        return RunHistory(state_dir.run(fitting[0]))
    if fitting:
        raise AmbiguousRun(
            f"{shorten(text)} is the start of {len(fitting)} runs", advice=f"Which one: {_some(fitting)}?"
        )
    raise _unknown(state_dir, text, known)


def _unknown(state_dir: StateDir, text: str, known: Sequence[str]) -> UnknownRun:
    known = _without_sessions(state_dir, known)
    near = get_close_matches(text, known, n=NAMED, cutoff=0.5)
    if near:
        advice = f"Is it {_some(near)}?"
    elif known:
        advice = f"There are {_some(known[::-1])}; `wavepool runs` tells more."
    else:
        advice = "There is none yet: `wavepool run PLAN` makes one. Or choose another --state-dir."
    return UnknownRun(f"there is no run {shorten(text)} in {state_dir.path}", advice=advice)


def _without_sessions(state_dir: StateDir, known: Sequence[str]) -> list[str]:
    """Without those of pools: nothing that a run is asked for. A run may have such an id too; it has a journal."""
    return [each for each in known if not each.startswith(SESSION_PREFIX) or state_dir.run(each).journal.exists()]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")


def standing_of(files: RunDir, *, live: bool, begun: bool, outcome: Outcome | None) -> Standing:
    """Put together from the lock, from whether the journal has a first fact, and from its last outcome."""
    if live:
        return Standing.LIVE
    if not begun:
        return Standing.SPAWNED if (files.artifacts / SPAWN_RECORD).exists() else Standing.EMPTY
    return Standing.UNFINISHED if outcome is None else Standing(outcome.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One line of the list of runs. Where the journal cannot be read, what it would have said is None or 0.

    Attributes:
        run_id: the run.
        standing: where it stands.
        started_at, ended_at: UTC; `ended_at` is that of the last fact where the run did not come to its end.
        total: tasks of the plan; `done` are final, and `failed` of these are final without success.
        driver: its name; empty where unknown.
        size_bytes: of all files in its directory, as they are allocated on the disk.
        kept: references of the images that failed attempts of it were kept as; some may be gone.
        problem: why the journal cannot be read.
        took_s: how long it was worked on (`WorkTime`), until its end or the last fact so far.
        paused_at: since when it starts nothing new, where it is live, somebody has paused it, and it is not ending.
    """

    run_id: str
    standing: Standing
    started_at: datetime | None = None
    ended_at: datetime | None = None
    total: int = 0
    done: int = 0
    failed: int = 0
    driver: str = ""
    size_bytes: int = 0
    kept: tuple[str, ...] = ()
    problem: str | None = None
    took_s: float | None = None
    paused_at: datetime | None = None

    @property
    def since_start_s(self) -> float | None:
        """From the start to the end, or to the last fact so far, with the times in which nothing of it ran."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()

    @property
    def resume(self) -> str | None:
        """The command that goes on with it, None where there is nothing to go on with."""
        return f"wavepool resume {self.run_id}" if self.standing.resumable else None


def summaries(state_dir: StateDir) -> Iterator[RunSummary]:
    """One summary of each run, in the order of their ids, which is that of time. A damaged one is one of them.

    Raises:
        InfrastructureError: the state directory itself cannot be read.
    """
    for run_id in state_dir.runs():
        yield summary_of(RunHistory(state_dir.run(run_id)))


def summary_of(history: RunHistory) -> RunSummary:
    """The summary of one run; raises nothing."""
    size_bytes = size_of(history.files.path)
    try:
        live = history.is_live()
        count = _Count()
        if history.has_journal():
            for stamped in history.facts():
                count.take(stamped)
    except InfrastructureError as error:
        return RunSummary(run_id=history.id, standing=Standing.DAMAGED, size_bytes=size_bytes, problem=error.message)
    return RunSummary(
        run_id=history.id,
        standing=standing_of(history.files, live=live, begun=count.opened is not None, outcome=count.course.outcome),
        started_at=None if count.opened is None else count.opened.at,
        ended_at=count.last_at,
        total=count.total,
        done=count.done,
        failed=count.done - count.succeeded,
        driver="" if count.opened is None else count.opened.driver,
        size_bytes=size_bytes,
        took_s=None if count.opened is None else count.work.seconds,
        kept=tuple(count.kept),
        paused_at=count.course.paused if live and not count.course.is_ending else None,
    )


class _Count:
    """Folds facts into numbers, without keeping the tasks."""

    def __init__(self) -> None:
        self.opened: facts.RunOpened | None = None
        self.last_at: datetime | None = None
        self.course = RunCourse()
        self.work = WorkTime()
        self.total = 0
        self.kept: list[str] = []
        self._final: dict[str, bool] = {}
        """Task -> whether it succeeded, for each that is final."""
        self._good: set[str] = set()
        """Tasks whose last attempt succeeded."""

    def take(self, stamped: Stamped) -> None:
        self.last_at = stamped.utc
        self.work.take(stamped)
        match stamped.fact:
            case facts.RunOpened() as fact:
                self.opened = fact
            case facts.TasksAdded() as fact:
                self.total += len(fact.tasks)
            case facts.AttemptSettled() as fact:
                self._note(fact.attempt.task_id, succeeded=fact.verdict.succeeded)
            case facts.AttemptRemoved(kept=str() as reference):
                self.kept.append(reference)
            case facts.TaskSettled() as fact:
                self._final[fact.task_id] = fact.task_id in self._good
            case facts.TaskSkipped() as fact:
                self._final[fact.task_id] = False
            case facts.TaskRequeued() as fact:
                self._final.pop(fact.task_id, None)
            case facts.RunFinished() as fact:
                self.last_at = fact.at
                self.course.take(fact)
            case facts.RunReopened() as fact:
                self.course.take(fact)
                for task_id in (*fact.tasks, *fact.waiting):
                    self._final.pop(task_id, None)
            case facts.RunResumed() as fact:
                self.course.take(fact)
                self.course.take_up()
            case _:
                self.course.take(stamped.fact)

    def _note(self, task_id: str, *, succeeded: bool) -> None:
        if succeeded:
            self._good.add(task_id)
        else:
            self._good.discard(task_id)

    @property
    def done(self) -> int:
        return len(self._final)

    @property
    def succeeded(self) -> int:
        return sum(self._final.values())
