"""What attempts use: the newest reading of each, and those before it for as long as there is room."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from math import isnan, nan

from wavepool.drivers.base import Usage
from wavepool.engine.usage.figures import Used, used_of
from wavepool.engine.usage.record import AttemptUsage, UsageRecord
from wavepool.model import AttemptId
from wavepool.monitoring.documents.runs import UsageHistory, UsageNow
from wavepool.monitoring.runs.entries import iso
from wavepool.monitoring.usage.recorded import history_of, joined

KEPT = 300
"""Readings of each task, and of each run as a whole: ten minutes at one all two seconds."""

SHOWN, SHOWN_ENDED = 60, 24
"""Of them in a document of the whole run, for each task under way, and for each that has ended."""

TASKS_KEPT = 1000
"""Of one run; the one that was read longest ago is forgotten for a new one."""


class Readings:
    """A ring of readings: about 7 kB when it is full."""

    __slots__ = ("_at", "_cpu", "_memory")

    def __init__(self) -> None:
        self._at = array("d")
        self._memory = array("d")
        self._cpu = array("d")

    def add(self, at_s: float, memory_bytes: int | None, cpu_percent: float | None) -> None:
        """One more; the oldest goes where there are `KEPT`."""
        rings = (self._at, at_s), (self._memory, memory_bytes), (self._cpu, cpu_percent)
        for ring, value in rings:
            ring.append(nan if value is None else value)
            if len(ring) > KEPT:
                del ring[0]

    def history(self, last: int = KEPT) -> UsageHistory:
        """The newest ones."""
        return {
            "at": [round(at, 3) for at in self._at[-last:]],
            "memory_bytes": [None if isnan(each) else int(each) for each in self._memory[-last:]],
            "cpu_percent": [None if isnan(each) else round(each, 1) for each in self._cpu[-last:]],
        }


class _TaskUsage:
    """Of the newest attempt of one task that was read."""

    __slots__ = ("attempt", "before", "cpu_s", "now", "read_s", "readings")

    def __init__(self, attempt: AttemptId) -> None:
        self.attempt = attempt
        self.before: UsageHistory | None = None
        self.readings = Readings()
        self.read_s: float | None = None
        self.cpu_s = 0.0
        self.now: UsageNow = {"at": ""}

    def put_recorded(self, recorded: AttemptUsage) -> None:
        """What its run wrote down of it. Where nobody has read it here, its last reading is the newest."""
        self.before = history_of(recorded.series)
        if self.read_s is None:
            last = list(recorded.series)[-1]
            self.now = {"at": iso(datetime.fromtimestamp(last.end_s, UTC)), "memory_bytes": last.memory_peak_bytes}
            if recorded.limit_bytes:
                self.now["memory_limit_bytes"] = recorded.limit_bytes
            if last.cpu_percent is not None:
                self.now["cpu_percent"] = round(last.cpu_percent, 1)

    def history(self, last: int) -> UsageHistory:
        """The newest readings: those of here, and before them those that were written down."""
        found = self.readings.history(last)
        return found if self.before is None else _newest(joined(self.before, found), last)

    def take(self, at_s: float, usage: Usage) -> float | None:
        """One more reading; returns the CPU that was used since the one before, in percent of one core."""
        cpu: float | None = None
        if self.read_s is not None and at_s > self.read_s:
            cpu = max(0.0, 100 * (usage.cpu_s - self.cpu_s) / (at_s - self.read_s))
        self.read_s, self.cpu_s = at_s, usage.cpu_s
        self.now = {"at": iso(datetime.fromtimestamp(at_s, UTC)), "memory_bytes": usage.memory_bytes}
        if usage.memory_limit_bytes:
            self.now["memory_limit_bytes"] = usage.memory_limit_bytes
        if cpu is not None:
            self.now["cpu_percent"] = round(cpu, 1)
        self.now["pids"] = usage.pids
        self.readings.add(at_s, usage.memory_bytes, cpu)
        return cpu


class RunUsage:
    """Of one run.

    Attributes:
        changed: tasks that were read since somebody emptied it.
        memory_bytes, cpu_percent: of all that was read last, together; None where nothing was.
        record: what the run wrote down, None where nobody has looked.
    """

    def __init__(self) -> None:
        self.changed: dict[str, None] = {}
        self.memory_bytes: int | None = None
        self.cpu_percent: float | None = None
        self.record: UsageRecord | None = None
        self._before: UsageHistory | None = None
        self._read_s: float | None = None
        self._tasks: dict[str, _TaskUsage] = {}
        self._together = Readings()

    def take(self, at_s: float, readings: Mapping[AttemptId, Usage]) -> None:
        """One sweep over what runs."""
        cpus = []
        for attempt, usage in readings.items():
            task = self._tasks.pop(attempt.task_id, None)
            if task is None or task.attempt != attempt:
                task = _TaskUsage(attempt)
            self._tasks[attempt.task_id] = task  # the newest is last
            cpus.append(task.take(at_s, usage))
            self.changed[attempt.task_id] = None
        while len(self._tasks) > TASKS_KEPT:
            del self._tasks[next(iter(self._tasks))]
        told = [cpu for cpu in cpus if cpu is not None]
        self.memory_bytes = sum(each.memory_bytes for each in readings.values()) if readings else None
        self.cpu_percent = sum(told) if told else None
        if readings:
            self._read_s = at_s
            self._together.add(at_s, self.memory_bytes, self.cpu_percent)

    def put_recorded(self, record: UsageRecord) -> None:
        """What the run wrote down, of each task its newest attempt: so what was before somebody looked is known."""
        self.record, self._before = record, history_of(record.together)
        newest: dict[str, AttemptId] = {}
        for attempt in record.attempts:
            if attempt.number >= newest.get(attempt.task_id, attempt).number:
                newest[attempt.task_id] = attempt
        for task_id, attempt in newest.items():
            task = self._tasks.get(task_id)
            if task is None or task.attempt.number < attempt.number:
                task = self._tasks[task_id] = _TaskUsage(attempt)
            if task.attempt == attempt:
                task.put_recorded(record.attempts[attempt])
                self.changed[task_id] = None

    def now(self, task_id: str) -> UsageNow | None:
        """The newest reading of a task, None where there is none."""
        found = self._tasks.get(task_id)
        return None if found is None else found.now

    def tasks(self) -> Collection[str]:
        """Those that something was read of."""
        return self._tasks.keys()

    def used(self, attempt: AttemptId) -> Used | None:
        """What its run wrote down of one attempt, in figures; None where that is nothing."""
        recorded = None if self.record is None else self.record.attempts.get(attempt)
        return None if recorded is None else used_of(recorded.series)

    def history(self, task_id: str, last: int = 2 * KEPT) -> UsageHistory | None:
        """Of a task."""
        found = self._tasks.get(task_id)
        return None if found is None else found.history(last)

    def together(self) -> UsageHistory | None:
        """Of all tasks together; None where nothing was read."""
        found = self._together.history()
        if self._before is not None:
            found = joined(self._before, found)
        return found if found["at"] else None

    def together_now(self) -> UsageNow | None:
        """The newest reading of all tasks together, None where there is none."""
        if self._read_s is None or self.memory_bytes is None:
            return None
        found: UsageNow = {
            "at": iso(datetime.fromtimestamp(self._read_s, UTC)),
            "memory_bytes": self.memory_bytes,
        }
        if self.cpu_percent is not None:
            found["cpu_percent"] = round(self.cpu_percent, 1)
        return found


def _newest(history: UsageHistory, last: int) -> UsageHistory:
    return {
        "at": history["at"][-last:],
        "memory_bytes": history["memory_bytes"][-last:],
        "cpu_percent": history["cpu_percent"][-last:],
    }


class UsageBook:
    """Of all runs that are live, or are looked at."""

    def __init__(self) -> None:
        self._runs: dict[str, RunUsage] = {}

    def of(self, run_id: str) -> RunUsage:
        """Of one run; an empty one where nothing was read."""
        return self._runs.setdefault(run_id, RunUsage())

    def keep(self, run_ids: Collection[str]) -> None:
        """Forget all others."""
        for run_id in [each for each in self._runs if each not in run_ids]:
            del self._runs[run_id]

    def together(self) -> tuple[int | None, float | None]:
        """Memory and CPU of all that was read last; None where nothing was."""
        memory = [each.memory_bytes for each in self._runs.values() if each.memory_bytes is not None]
        cpu = [each.cpu_percent for each in self._runs.values() if each.cpu_percent is not None]
        return (sum(memory) if memory else None), (sum(cpu) if cpu else None)
