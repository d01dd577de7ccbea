"""What a run amounted to, read from its facts: for each wave the seed's monitor result, and totals.

Reports read the journal, not the engine's memory: a run of a million tasks keeps its details on disk only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from wavepool.core import facts
from wavepool.core.course import RunCourse
from wavepool.core.facts import Outcome, Stamped
from wavepool.core.softlimits import measured
from wavepool.engine.agentresult import AgentTotals, agent_json, changes_json
from wavepool.engine.room import Room
from wavepool.engine.worktime import WorkTime
from wavepool.model import Evidence, Task, VerdictKind
from wavepool.units import format_size, human_size

EXIT_CODES: Mapping[Outcome | None, int] = {
    Outcome.SUCCESS: 0,
    Outcome.FAILED: 1,
    Outcome.INFRASTRUCTURE: 3,
    Outcome.INTERRUPTED: 130,
    None: 3,
}
"""Of `wavepool run`, by outcome; None for a run that did not come to its end."""


WAVES, CONTAINERS = "waves", "containers"
"""Members of the results, and of each wave in them, that grow with the tasks."""


class RunReport:
    """Folds facts; `result()` gives the JSON object of `--output`.

    Attributes:
        interrupted: it was, before its first fact; nothing tells that else.
        left_behind: one sentence for each thing that could not be removed.
    """

    def __init__(self) -> None:
        self.interrupted = False
        self.left_behind: list[str] = []
        self._run: facts.RunOpened | None = None
        self._waves: dict[int, _WaveReport] = {}
        self._tasks: dict[str, _TaskReport] = {}
        self._course = RunCourse()
        self._last_at: datetime | None = None
        self._work = WorkTime()
        self._agents = AgentTotals()
        self._started = 0
        self._started_warm = 0

    @classmethod
    def of(cls, stamped: Iterable[Stamped]) -> RunReport:
        """The report of a journal's facts."""
        report = cls()
        for entry in stamped:
            report.take(entry)
        return report

    def take(self, stamped: Stamped) -> None:
        """Take in one more fact."""
        self._last_at = stamped.utc
        self._work.take(stamped)
        match stamped.fact:
            case facts.RunOpened() as fact:
                self._run = fact
            case facts.TasksAdded() as fact:
                self._add(fact)
            case facts.WaveTimedOut() as fact:
                self._waves[fact.wave].timed_out = True
            case facts.AttemptStarted() as fact:
                task = self._tasks[fact.attempt.task_id]
                task.container_id, task.container_name = fact.handle.id, fact.handle.name
                task.status, task.warm = "running", fact.warm
                self._started += 1
                self._started_warm += fact.warm
            case facts.WatchdogWarned() as fact:
                self._tasks[fact.attempt.task_id].warnings.append(measured(fact.finding))
            case facts.AttemptSettled() as fact:
                self._tasks[fact.attempt.task_id].settle(fact)
                if fact.agent is not None:
                    self._agents.take(fact.agent)
            case facts.AccountPaused() as fact:
                self._agents.pause(fact)
            case facts.AttemptRemoved() as fact:
                if fact.problem is not None:
                    self.left_behind.append(fact.problem)
                self._tasks[fact.attempt.task_id].removed(fact)
            case facts.TaskRequeued() as fact:
                self._tasks[fact.task_id].requeue(fact.because)
            case facts.TaskSkipped() as fact:
                self._tasks[fact.task_id].skip(fact.cause)
            case _:
                self._take_of_course(stamped.fact)

    @property
    def has_begun(self) -> bool:
        """False for a journal without a fact: its process died before the first commit."""
        return self._run is not None

    @property
    def outcome(self) -> Outcome | None:
        """None for a run that did not come to its end."""
        return Outcome.INTERRUPTED if self.interrupted else self._course.outcome

    @property
    def exit_code(self) -> int:
        """Of `wavepool run`."""
        return EXIT_CODES[self.outcome]

    def wave_results(self) -> list[dict[str, Any]]:
        """For each wave, in order, what the seed's monitor would say, with more beside it."""
        return [{**wave, CONTAINERS: list(containers)} for wave, containers in self.each_wave()]

    def each_wave(self) -> Iterator[tuple[dict[str, Any], Iterator[dict[str, Any]]]]:
        """As `wave_results`, but each wave is without its containers: these are made as they are asked for."""
        members: dict[int, list[_TaskReport]] = {number: [] for number in self._waves}
        for task in self._tasks.values():
            members[task.task.wave].append(task)
        for number, wave in self._waves.items():
            tasks = members[number]
            yield wave.result(tasks, self._work.wave_s(number)), (task.entry() for task in tasks)

    def result(self) -> dict[str, Any]:
        """The JSON object of the results file."""
        head = self.head()
        return {**head, WAVES: self.wave_results()} if self.has_begun else head

    def head(self) -> dict[str, Any]:
        """As `result`, without the waves: what stands in their place is empty."""
        run = self._run
        if run is None:
            status = self.outcome.value if self.outcome is not None else "empty"
            return {"status": status, "exit_code": self.exit_code, "waves": []}
        return {
            "run_id": run.run_id,
            "status": self.outcome.value if self.outcome is not None else "unfinished",
            "exit_code": self.exit_code,
            "stopped_because": self._course.stopped,
            "driver": run.driver,
            "execution_mode": run.execution_mode,
            "schedule": run.rules.schedule.value,
            "budget": {node.name: human_size(node.capacity.memory_bytes) for node in run.rules.nodes},
            "started_at": stamp(run.at),
            "completed_at": stamp(self._course.finished_at),
            "duration_s": round(self._work.seconds, 3),
            "since_start_s": _seconds(run.at, self._course.finished_at or self._last_at),
            "warm": {
                "parked_at_most": run.rules.warm,
                "attempts_started": self._started,
                "started_warm": self._started_warm,
            },
            "agents": self._agents.result(),
            "metrics": _sum_metrics(wave for wave, _ in self.each_wave()),
            WAVES: [],
            "left_behind": self.left_behind,
        }

    def _add(self, fact: facts.TasksAdded) -> None:
        for wave in fact.waves:
            nodes = () if self._run is None else self._run.rules.for_attempts()
            self._waves[wave.number] = _WaveReport(wave.number, Room(nodes, wave.parallelism))
        for task in fact.tasks:
            self._tasks[task.id] = _TaskReport(task)
            self._waves[task.wave].room.add(task.held())

    def _take_of_course(self, fact: facts.Fact) -> None:
        self._course.take(fact)
        if isinstance(fact, facts.RunFinished):
            self._skip_unreached(fact.outcome)
        elif isinstance(fact, facts.RunReopened):
            self._reopen(fact)
        elif isinstance(fact, facts.RunResumed):
            self._course.take_up()

    def _reopen(self, fact: facts.RunReopened) -> None:
        for task_id in (*fact.tasks, *fact.waiting):
            self._tasks[task_id].reopen()

    def _skip_unreached(self, outcome: Outcome) -> None:
        if outcome in (Outcome.INTERRUPTED, Outcome.INFRASTRUCTURE):
            return
        for task in self._tasks.values():
            if task.again:  # its last attempt was its end
                task.again, task.status = False, "exited"
            elif task.verdict is None:
                task.skip(f"the run stopped before it: {self._course.stopped}")


class _WaveReport:
    __slots__ = ("number", "room", "timed_out")

    def __init__(self, number: int, room: Room) -> None:
        self.number = number
        self.room = room
        self.timed_out = False

    def result(self, tasks: list[_TaskReport], worked_s: float | None) -> dict[str, Any]:
        metrics, bound = _metrics(tasks), self.room.at_once()
        return {
            "wave_number": self.number,
            "monitoring_duration": round(worked_s or 0),
            "duration_s": None if worked_s is None else round(worked_s, 3),
            "completion_status": "timeout" if self.timed_out or metrics["timeout"] else "complete",
            "at_once": None if bound is None else bound._asdict(),
            CONTAINERS: [],
            "metrics": metrics,
        }


class _TaskReport:
    __slots__ = (
        "again",
        "container_id",
        "container_name",
        "kept",
        "not_kept",
        "reason",
        "retried",
        "settled",
        "status",
        "task",
        "verdict",
        "warm",
        "warnings",
    )

    def __init__(self, task: Task) -> None:
        self.task = task
        self.container_id = ""
        self.container_name = ""
        self.warm = False
        """Of its last attempt."""
        self.status = "pending"
        self.verdict: VerdictKind | None = None
        self.reason = ""
        self.settled: facts.AttemptSettled | None = None
        self.retried: list[str] = []
        self.again = False
        """Another attempt will follow, or is under way: its last verdict is not its end."""
        self.warnings: list[str] = []
        self.kept: str | None = None
        self.not_kept: str | None = None

    def removed(self, fact: facts.AttemptRemoved) -> None:
        """Of the attempts that were kept, the last one counts here; `wavepool show` has them all."""
        self.kept = fact.kept or self.kept
        self.not_kept = fact.not_kept or self.not_kept

    def settle(self, fact: facts.AttemptSettled) -> None:
        self.settled, self.verdict, self.status = fact, fact.verdict.kind, "exited"
        self.again = False

    def requeue(self, because: str) -> None:
        """Another attempt will follow."""
        self.retried.append(because)
        self.again, self.status = True, "pending"

    @property
    def ended_as(self) -> VerdictKind | None:
        """Its verdict, None as long as another attempt will follow."""
        return None if self.again else self.verdict

    def reopen(self) -> None:
        """It is tried again by hand; earlier attempts stay told."""
        if self.settled is not None:
            self.requeue(f"{self.verdict} (attempt {self.settled.attempt.number}), by `wavepool retry`")
        else:
            self.status, self.reason, self.verdict = "pending", "", None

    def skip(self, cause: str) -> None:
        self.status, self.reason, self.again = "skipped", cause, False
        if self.verdict is None:
            self.verdict = VerdictKind.SKIPPED

    def entry(self) -> dict[str, Any]:
        settled = self.settled
        evidence = evidence_json(settled.verdict.evidence) if settled is not None else {"reason": self.reason}
        return {
            "container_id": self.container_id,
            "container_name": self.container_name,
            "batch_id": self.task.id,
            "tier": self.task.tier,
            "memory_limit": format_size(self.task.limits.memory_bytes),
            "status": self.status,
            "exit_code": settled.verdict.exit_code if settled is not None else None,
            "exit_status": exit_status(self.ended_as),
            "verdict": self.ended_as.value if self.ended_as is not None else None,
            "evidence": evidence,
            "attempts": settled.attempt.number if settled is not None else 0,
            "warm": self.warm,
            "retried_because": self.retried,
            "will_be_tried_again": self.again,
            "warnings": self.warnings,
            "log": settled.log.path if settled is not None else None,
            "log_problem": settled.log.problem if settled is not None else None,
            "kept": self.kept,
            "not_kept": self.not_kept,
            "agent": agent_json(settled.agent) if settled is not None else None,
            "changes": changes_json(settled.changes) if settled is not None else None,
            "started_at": stamp(settled.started_at) if settled is not None else None,
            "completed_at": stamp(settled.finished_at) if settled is not None else None,
        }


def exit_status(verdict: VerdictKind | None) -> str | None:
    """The seed's three words for a verdict; None for a task that has not ended."""
    if verdict is None:
        return None
    return verdict.value if verdict in (VerdictKind.SUCCESS, VerdictKind.TIMEOUT) else "failed"


def evidence_json(evidence: Evidence) -> dict[str, Any]:
    """The readings that there are."""
    found = _readings(asdict(evidence))
    if evidence.sidecars:
        found["sidecars"] = [_readings(asdict(each)) for each in evidence.sidecars]
    return found


def _readings(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "", ())}


def stamp(at: datetime | None) -> str | None:
    """ISO 8601 in UTC, as in the seed: ``2025-11-14T10:30:45Z``, with milliseconds."""
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _metrics(tasks: list[_TaskReport]) -> dict[str, int]:
    words = [exit_status(task.ended_as) for task in tasks]
    return {
        "total": len(tasks),
        "running": sum(task.status == "running" for task in tasks),
        "exited": sum(task.status == "exited" for task in tasks),
        "success": words.count("success"),
        "failed": words.count("failed"),
        "timeout": words.count("timeout"),
        "pending": words.count(None),
    }


def _sum_metrics(waves: Iterable[dict[str, Any]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for wave in waves:
        for name, count in wave["metrics"].items():
            total[name] = total.get(name, 0) + count
    return total


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else round((end - start).total_seconds(), 3)
