"""One run, task by task and attempt by attempt: what its facts tell, kept for whoever wants to look closely."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from wavepool.core import facts
from wavepool.core.facts import Stamped
from wavepool.core.softlimits import measured
from wavepool.engine.agentresult import agent_json, changes_json
from wavepool.engine.naming import task_named
from wavepool.engine.report import evidence_json, stamp
from wavepool.errors import InputError, shorten
from wavepool.model import AgentReport, AttemptId, AttemptPhase, Changes, Handle, LogRecord, Task, Verdict


class UnknownAttempt(InputError):
    """The task has no such attempt."""

    code = "unknown_attempt"


class AttemptStory:
    """One attempt so far.

    Attributes:
        phase: where it stands.
        held_bytes: memory that is promised to it until its end.
        known_at: when its start became known; `started_at` is None for one that runs where its driver does not say.
        warm: its container had been parked for it.
        warnings: what the watchdog found, one sentence each.
        kept, not_kept: the image of its file system, or why there is none.
        problem: what of it could not be removed.
        because: why another attempt followed it; None where none did.
        agent, changes: what its agent said, and what came back out of its workspace.
    """

    __slots__ = (
        "agent",
        "because",
        "changes",
        "finished_at",
        "handle",
        "held_bytes",
        "id",
        "intended_at",
        "kept",
        "known_at",
        "log",
        "not_kept",
        "phase",
        "problem",
        "started_at",
        "verdict",
        "warm",
        "warnings",
    )

    def __init__(self, attempt: AttemptId, intended_at: datetime, held_bytes: int) -> None:
        self.id = attempt
        self.intended_at = intended_at
        self.held_bytes = held_bytes
        self.phase = AttemptPhase.INTENDED
        self.handle: Handle | None = None
        self.warm = False
        self.known_at: datetime | None = None
        self.started_at: datetime | None = None
        self.finished_at: datetime | None = None
        self.verdict: Verdict | None = None
        self.log: LogRecord | None = None
        self.warnings: list[str] = []
        self.kept: str | None = None
        self.not_kept: str | None = None
        self.problem: str | None = None
        self.because: str | None = None
        self.agent: AgentReport | None = None
        self.changes: Changes | None = None

    @property
    def is_running(self) -> bool:
        """True from the start that is known to the end that is known."""
        return self.phase in (AttemptPhase.RUNNING, AttemptPhase.STOPPING) and self.handle is not None

    @property
    def state(self) -> str:
        """Its verdict, or where it stands."""
        return self.phase.value if self.verdict is None else self.verdict.kind.value

    @property
    def took_s(self) -> float | None:
        """From its start to its end; None where one of them is not known."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()

    def result(self) -> dict[str, Any]:
        """As JSON."""
        verdict, log = self.verdict, self.log
        return {
            "attempt": self.id.number,
            "state": self.state,
            "phase": self.phase.value,
            "verdict": None if verdict is None else verdict.kind.value,
            "exit_code": None if verdict is None else verdict.exit_code,
            "evidence": {} if verdict is None else evidence_json(verdict.evidence),
            "intended_at": stamp(self.intended_at),
            "started_at": stamp(self.started_at),
            "completed_at": stamp(self.finished_at),
            "duration_s": self.took_s,
            "container_id": "" if self.handle is None else self.handle.id,
            "container_name": "" if self.handle is None else self.handle.name,
            "warm": self.warm,
            "log": None if log is None else log.path,
            "log_bytes": 0 if log is None else log.size_bytes,
            "log_problem": None if log is None else log.problem,
            "warnings": self.warnings,
            "kept": self.kept,
            "not_kept": self.not_kept,
            "agent": agent_json(self.agent),
            "changes": changes_json(self.changes),
            "left_behind": self.problem,
            "retried_because": self.because,
        }


class TaskStory:
    """One task so far.

    Attributes:
        attempts: in their order.
        skipped: why it has, or had, no (further) attempt.
        final: no attempt will follow.
    """

    __slots__ = ("attempts", "final", "skipped", "task")

    def __init__(self, task: Task) -> None:
        self.task = task
        self.attempts: list[AttemptStory] = []
        self.skipped: str | None = None
        self.final = False

    @property
    def last(self) -> AttemptStory | None:
        """Its newest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def state(self) -> str:
        """A verdict, ``skipped``, ``pending``, ``retrying``, or the phase of its attempt."""
        if self.skipped is not None:
            return "skipped" if self.last is None else self.last.state
        if self.last is None:
            return "pending"
        return self.last.state if self.last.because is None else "retrying"

    def attempt(self, number: int | None) -> AttemptStory:
        """The attempt of this number, or the newest one.

        Raises:
            UnknownAttempt: there is none.
        """
        if number is None and self.attempts:
            return self.attempts[-1]
        for each in self.attempts:
            if each.id.number == number:
                return each
        numbers = ", ".join(str(each.id.number) for each in self.attempts)
        raise UnknownAttempt(
            f"task {shorten(self.task.id)} has no attempt{'' if number is None else f' {number}'}",
            advice=f"There are {numbers}." if numbers else f"It is {self.state}.",
        )


class Chronicle:
    """Folds facts, as a listener may do too.

    Attributes:
        tasks: id -> its story, in the order of the plan.
    """

    def __init__(self) -> None:
        self.opened: facts.RunOpened | None = None
        self.tasks: dict[str, TaskStory] = {}

    @classmethod
    def of(cls, stamped: Iterable[Stamped]) -> Chronicle:
        """The chronicle of these facts."""
        chronicle = cls()
        for entry in stamped:
            chronicle.take(entry)
        return chronicle

    def take(self, stamped: Stamped) -> None:
        """Take in one more fact."""
        if hasattr(stamped.fact, "attempt"):
            self._of_attempt(stamped.fact, stamped.utc)
        else:
            self._of_tasks(stamped.fact)

    def task(self, text: str) -> TaskStory:
        """The task of this id or key, or of an id that starts so, if it is the only one.

        Raises:
            UnknownTask: there is none, or there are several; the advice names those that may be meant.
        """
        return task_named(text, self.tasks, lambda story: story.task)

    def _of_tasks(self, fact: facts.Fact) -> None:
        match fact:
            case facts.TaskSettled():
                self.tasks[fact.task_id].final = True
            case facts.RunOpened():
                self.opened = fact
            case facts.TasksAdded():
                self.tasks.update((task.id, TaskStory(task)) for task in fact.tasks)
            case facts.TaskRequeued():
                self._last(fact.task_id).because = fact.because
            case facts.TaskSkipped():
                story = self.tasks[fact.task_id]
                story.skipped, story.final = fact.cause, True
            case facts.RunReopened():
                self._reopen(fact)
            case _:
                pass

    def _of_attempt(self, fact: facts.Fact, at: datetime) -> None:
        match fact:
            case facts.StartIntended():
                attempts = self.tasks[fact.attempt.task_id].attempts
                attempts.append(AttemptStory(fact.attempt, fact.at, fact.held.memory_bytes))
            case facts.AttemptStarted():
                story = self._attempt(fact.attempt)
                story.handle, story.warm = fact.handle, fact.warm
                story.started_at, story.known_at = fact.started_at, at
                if story.phase is AttemptPhase.INTENDED:
                    story.phase = AttemptPhase.RUNNING
            case facts.AttemptExited():
                story = self._attempt(fact.attempt)
                story.phase = AttemptPhase.EXITED
                story.started_at = fact.ending.started_at or story.started_at
                story.finished_at = fact.ending.finished_at
            case facts.AttemptSettled():
                story = self._attempt(fact.attempt)
                story.phase, story.verdict, story.log = AttemptPhase.SETTLED, fact.verdict, fact.log
                story.agent, story.changes = fact.agent, fact.changes
                story.started_at = fact.started_at or story.started_at
                story.finished_at = fact.finished_at or story.finished_at
            case facts.AttemptRemoved():
                story = self._attempt(fact.attempt)
                story.phase, story.problem = AttemptPhase.REMOVED, fact.problem
                story.kept, story.not_kept = fact.kept, fact.not_kept
            case facts.WatchdogWarned():
                self._attempt(fact.attempt).warnings.append(measured(fact.finding))
            case facts.StopIntended():
                self._attempt(fact.attempt).phase = AttemptPhase.STOPPING
            case _:
                pass

    def _reopen(self, fact: facts.RunReopened) -> None:
        for task_id in (*fact.tasks, *fact.waiting):
            story = self.tasks[task_id]
            story.skipped, story.final = None, False
            if story.last is not None:
                story.last.because = "it was asked for by hand"

    def _last(self, task_id: str) -> AttemptStory:
        return self.tasks[task_id].attempts[-1]

    def _attempt(self, attempt: AttemptId) -> AttemptStory:
        found = self.tasks[attempt.task_id].attempts[attempt.number - 1]
        assert found.id == attempt, "attempts of a task are numbered from 1 without a gap"
        return found
