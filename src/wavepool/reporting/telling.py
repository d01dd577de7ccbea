"""What a report is made of: one reading of a run's journal, of what it used, and of the logs of what failed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from wavepool.core.events import Now
from wavepool.core.facts import Stamped
from wavepool.engine.history.runs import RunHistory, Standing, standing_of
from wavepool.engine.pools.session import SESSION_PREFIX
from wavepool.engine.report import RunReport, stamp
from wavepool.engine.usage.figures import Used, used_of
from wavepool.engine.usage.record import read_record
from wavepool.errors import InputError
from wavepool.model import AttemptId, VerdictKind
from wavepool.monitoring.documents.runs import Efficiency, RunLine, RunSpan, TaskEntry, WaveEntry
from wavepool.monitoring.runs.blanking import blanked
from wavepool.monitoring.runs.entries import wave_entry
from wavepool.monitoring.runs.folds import TaskFold
from wavepool.monitoring.runs.lines import run_line
from wavepool.reporting.load import Load, LoadFold
from wavepool.reporting.tails import Tail, read_tail

NOT_FAILED = frozenset({VerdictKind.SUCCESS, VerdictKind.SKIPPED})
FAILURES = frozenset(kind.value for kind in VerdictKind if kind not in NOT_FAILED)
"""States of a task that ended without success."""


class Told:
    """A run as its journal told it at one moment. Entries are made as they are asked for, never all at once.

    Attributes:
        line, waves, efficiency, spans, load: as documents have them.
        used: of memory and CPU, by all together; None where nothing was read.
        usage_problem: why there is nothing of that, or not all; empty for nothing.
        as_of: when it was read.
    """

    def __init__(self, history: RunHistory, now: Now, *, results: RunReport | None = None) -> None:
        """Read it; `results`, where they are wanted too, take in the same facts. Blocks.

        Raises:
            InputError: there is nothing to be told yet.
            JournalError: the journal is damaged.
        """
        self._history = history
        self._fold = TaskFold()
        load = LoadFold()
        live = history.is_live()  # first: a run that ends in between shows its end in the facts
        for entry in _facts(history, live=live):
            self._fold.take(entry)
            if results is not None:
                results.take(entry)
            load.take(entry, self._fold.progress.work.seconds)
        progress = self._fold.progress
        if progress.run is None:
            raise InputError(f"run {history.id} has not begun: there is nothing to report", advice=_when(live=live))
        standing = standing_of(history.files, live=live, begun=True, outcome=progress.outcome)
        # Time goes on for a live run only: that of one whose process died ends with its last fact.
        goes_on = standing is Standing.LIVE
        self.as_of: datetime = now.utc
        self.line: RunLine = run_line(history.id, standing, progress, now)
        self.waves: dict[str, WaveEntry] = {str(each): wave_entry(wave) for each, wave in progress.waves.items()}
        self.efficiency: Efficiency = self._fold.efficiency(now if goes_on else None)
        self.spans: dict[str, RunSpan] = self._fold.spans.all()
        self._usage = read_record(history.files.usage)
        self.used: Used | None = used_of(self._usage.together)
        self.usage_problem: str = self._usage.problem
        worked_s = progress.elapsed_s(now) if goes_on else progress.work.seconds
        self.load: Load = load.graph(worked_s, used=self._usage.together)

    def __len__(self) -> int:
        return len(self._fold)

    @property
    def is_over(self) -> bool:
        """False where tasks may still change: a live run, or one that a resume goes on with."""
        return self.line["state"] in (Standing.SUCCESS, Standing.FAILED)

    @property
    def left_behind(self) -> list[str]:
        """One sentence for each thing that could not be removed."""
        return self._fold.left_behind

    @property
    def ids(self) -> list[str]:
        """Of all tasks, in the order of the plan."""
        return self._fold.in_order()

    @property
    def failed(self) -> list[str]:
        """Ids of the tasks that ended without success, in the order of the plan."""
        return [each for each in self.ids if self.state(each) in FAILURES]

    def state(self, task_id: str) -> str:
        """As a task's entry has it."""
        return self._fold.state(task_id)

    def entry(self, task_id: str) -> TaskEntry:
        """One task with all its attempts."""
        entry = self._fold.entry(task_id)
        for attempt in entry.get("attempts", {}).values():
            recorded = self._usage.attempts.get(AttemptId(task_id, attempt["number"]))
            used = None if recorded is None else used_of(recorded.series)
            if used is not None:
                attempt["used"] = used
        return entry

    def took_s(self, task_id: str) -> float:
        """What its attempts took together, as far as that is known."""
        return sum(each.took_s or 0.0 for each in self._fold.chronicle.tasks[task_id].attempts)

    def begun_s(self, task_id: str) -> float:
        """When its first attempt was to start, in seconds since the epoch; infinity where there was none."""
        attempts = self._fold.chronicle.tasks[task_id].attempts
        return attempts[0].intended_at.timestamp() if attempts else float("inf")

    def tail(self, task_id: str) -> Tail | None:
        """The end of what its last attempt wrote; None where there is no log."""
        last = self._fold.chronicle.tasks[task_id].last
        if last is None or last.log is None:
            return None
        if last.log.path is None:
            return None if last.log.problem is None else Tail(attempt=last.id.number, problem=last.log.problem)
        return read_tail(self._history.files.path / last.log.path, last.id.number, last.log.problem)

    def by_wave(self) -> Iterator[tuple[WaveEntry, list[str]]]:
        """Each wave with the ids of its tasks, in the order of the plan."""
        members: dict[int, list[str]] = {wave["number"]: [] for wave in self.waves.values()}
        for task_id in self.ids:
            members[self._fold.chronicle.tasks[task_id].task.wave].append(task_id)
        for wave in self.waves.values():
            yield wave, members[wave["number"]]


def when(at: datetime) -> str:
    """A time as documents have it."""
    return stamp(at) or ""


def _facts(history: RunHistory, *, live: bool) -> Iterator[Stamped]:
    if not history.has_journal():
        if history.id.startswith(SESSION_PREFIX):
            raise InputError(
                f"{history.id} is a session of warm pools: there is no run to report",
                advice="`wavepool pool status` shows the pools.",
            )
        if live:
            return
        raise InputError(
            f"run {history.id} has no journal: there is nothing to report",
            advice=f"`wavepool spawn` keeps none. Its files are in {history.files.path}.",
        )
    for entry in history.facts():
        yield Stamped(entry.boot_s, entry.utc, blanked(entry.fact))


def _when(*, live: bool) -> str:
    if live:
        return "It has only just begun: try again in a moment."
    return "Its process died before the first fact; `wavepool prune` removes it."
