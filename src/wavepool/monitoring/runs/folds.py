"""What is kept of a run while it is looked at: figures always, each task where somebody looks closely."""

from __future__ import annotations

from collections.abc import Iterator

from wavepool.core import facts
from wavepool.core.events import Now
from wavepool.core.facts import Fact, Outcome, Stamped
from wavepool.engine.history.chronicle import Chronicle, TaskStory
from wavepool.listeners.progress import Progress
from wavepool.model import AgentEvent, AttemptId, Handle, VerdictKind
from wavepool.monitoring.documents.runs import Efficiency, TaskEntry
from wavepool.monitoring.runs.causes import CauseBook
from wavepool.monitoring.runs.efficiency import EfficiencyFold
from wavepool.monitoring.runs.entries import state_of, task_entry
from wavepool.monitoring.runs.spans import SpanFold

UNREACHED = "the run ended before it"


class RunFold:
    """The figures of a run, and what of it may be running now.

    Attributes:
        progress: the figures.
        running: attempts whose start is known and whose end is not, with what finds them.
        facts: how many were taken.
    """

    def __init__(self) -> None:
        self.progress = Progress()
        self.running: dict[AttemptId, Handle] = {}
        self.facts = 0

    def take(self, stamped: Stamped) -> None:
        """Take in one more fact. O(1), but for those that bring tasks."""
        self.facts += 1
        self.progress.take(stamped)
        fact = stamped.fact
        if isinstance(fact, facts.AttemptStarted):
            self.running[fact.attempt] = fact.handle
        elif isinstance(fact, facts.AttemptExited):
            self.running.pop(fact.attempt, None)


class TaskFold(RunFold):
    """Every task of a run beside its figures, and which of them have changed.

    Attributes:
        chronicle: the tasks and their attempts, without what nobody is to see.
        touched: tasks that changed since somebody emptied it; `touched_waves` the same of waves.
        under_way: tasks with an attempt that has not ended, in the order of their starts.
        ended: tasks that have ended or were skipped, in the order of that, without those that a run never reached.
        left_behind: sentences.
        spans: when it was paused, or nobody worked on it.
        causes: what failed, and why.
        heard: how often agents said something.
    """

    def __init__(self) -> None:
        super().__init__()
        self.chronicle = Chronicle()
        self.touched: dict[str, None] = {}
        self.touched_waves: dict[int, None] = {}
        self.under_way: dict[str, None] = {}
        self.ended: dict[str, None] = {}
        self.left_behind: list[str] = []
        self.spans = SpanFold()
        self.causes = CauseBook()
        self.heard = 0
        self._efficiency = EfficiencyFold(self.progress.work)
        self._places: dict[str, int] = {}
        self._ids: list[str] = []
        self._searched: list[str] = []
        self._by_key: dict[str, str] = {}
        self._unreached: str | None = None

    def take(self, stamped: Stamped) -> None:
        super().take(stamped)
        self.chronicle.take(stamped)
        self._efficiency.take(stamped)
        self.spans.take(stamped, paused=self.progress.course.is_paused)
        attempt: AttemptId | None = getattr(stamped.fact, "attempt", None)
        for task_id in self._changed_by(stamped.fact) if attempt is None else (attempt.task_id,):
            self.touched[task_id] = None
            self.touched_waves[self.chronicle.tasks[task_id].task.wave] = None
        self._note(stamped.fact)

    def __len__(self) -> int:
        return len(self._ids)

    def entry(self, task_id: str) -> TaskEntry:
        """As the documents have it."""
        story = self.chronicle.tasks[task_id]
        saying = None if story.last is None else self.progress.saying.get(story.last.id)
        entry = task_entry(story, self._places[task_id], self._unreached, saying)
        cause = self.causes.of(task_id)
        if cause is not None:
            entry["cause"] = cause
        return entry

    def hear(self, attempt: AttemptId, event: AgentEvent) -> None:
        """A running agent said something; what it says after its end is not heard."""
        self.progress.hear(attempt, event)
        if attempt in self.progress.saying:
            self.touched[attempt.task_id] = None
            self.heard += 1

    def state(self, task_id: str) -> str:
        """Of one task, a word of `TaskEntry`."""
        return state_of(self.chronicle.tasks[task_id], self._unreached)

    def wave(self, task_id: str) -> int:
        """The number of the wave that it is in."""
        return self.chronicle.tasks[task_id].task.wave

    def efficiency(self, now: Now | None) -> Efficiency:
        """Until now; None for a run that nobody works on: until its last fact."""
        return self._efficiency.reading(self.progress.work.seconds if now is None else self.progress.elapsed_s(now))

    def key(self, task_id: str) -> str:
        """What the task is called in addresses."""
        return self.chronicle.tasks[task_id].task.key

    def by_key(self, key: str) -> str | None:
        """The id of the task that is called so in addresses."""
        return self._by_key.get(key)

    def in_order(self) -> list[str]:
        """The ids of all tasks as the plan has them; not to be changed."""
        return self._ids

    def matches(self, place: int, text: str) -> bool:
        """Whether the task at this place has `text`, which is in case-folded form, in its id or agent or image."""
        return text in self._searched[place]

    def shown(self, most: int) -> Iterator[str]:
        """The tasks that a document has: all, or, where there are more than `most`, those under way and the last ended.

        It follows from the facts alone, not from when somebody looked.
        """
        if len(self._ids) <= most:
            yield from self._ids
            return
        left = most
        for some in (self.under_way, reversed(self.ended), self._unended()):
            for task_id in some:
                if left == 0:
                    return
                yield task_id
                left -= 1

    # -- inside --

    def _unended(self) -> Iterator[str]:
        return (each for each in self._ids if each not in self.under_way and each not in self.ended)

    def _changed_by(self, fact: Fact) -> Iterator[str]:
        match fact:
            case facts.TasksAdded():
                for task in fact.tasks:
                    self._places[task.id] = len(self._ids)
                    self._ids.append(task.id)
                    self._by_key[task.key] = task.id
                    self._searched.append(_words(self.chronicle.tasks[task.id]))
                    yield task.id
            case facts.RunReopened():
                yield from self._unreach(None)
                yield from (*fact.tasks, *fact.waiting)
            case facts.RunFinished() if fact.outcome in (Outcome.SUCCESS, Outcome.FAILED):
                stopped = self.progress.course.stopped
                yield from self._unreach(UNREACHED if stopped is None else f"the run stopped before it: {stopped}")
            case facts.TaskRequeued() | facts.TaskSettled() | facts.TaskSkipped():
                yield fact.task_id
            case _:
                pass

    def _unreach(self, because: str | None) -> Iterator[str]:
        if because != self._unreached:
            self._unreached = because
            for task_id, story in self.chronicle.tasks.items():
                if not story.final:
                    self._recount(task_id, waits=because is None)
                    yield task_id

    def _recount(self, task_id: str, *, waits: bool) -> None:
        """One that was to be tried again has failed, where it is skipped, or the run has ended before that."""
        last = self.chronicle.tasks[task_id].last
        verdict = None if last is None else last.verdict
        if waits or verdict is None or verdict.kind is VerdictKind.SUCCESS:
            self.causes.drop(task_id)
        else:
            self.causes.put(task_id, verdict)

    def _note(self, fact: Fact) -> None:
        match fact:
            case facts.StartIntended():
                self.ended.pop(fact.attempt.task_id, None)
                self.causes.drop(fact.attempt.task_id)
                self.under_way[fact.attempt.task_id] = None
            case facts.AttemptSettled():
                self.under_way.pop(fact.attempt.task_id, None)
                self._end(fact.attempt.task_id)
                if fact.verdict.kind is not VerdictKind.SUCCESS:
                    self.causes.put(fact.attempt.task_id, fact.verdict)
            case facts.TaskRequeued():
                self.causes.drop(fact.task_id)
            case facts.TaskSkipped():
                self._end(fact.task_id)
                self._recount(fact.task_id, waits=False)
            case facts.AttemptRemoved(problem=str() as problem):
                self.left_behind.append(problem)
            case facts.TasksAdded():
                self.touched_waves.update((wave.number, None) for wave in fact.waves)
            case facts.WaveOpened() | facts.WaveSettled() | facts.WaveTimedOut():
                self.touched_waves[fact.wave] = None
            case facts.RunReopened():
                for task_id in (*fact.tasks, *fact.waiting):
                    self.ended.pop(task_id, None)
                    self.causes.drop(task_id)
            case _:
                pass

    def _end(self, task_id: str) -> None:
        self.ended.pop(task_id, None)
        self.ended[task_id] = None


def _words(story: TaskStory) -> str:
    task = story.task
    agent = "" if task.agent is None else task.agent.name
    return "\n".join((task.id, task.key, agent, task.image or "")).casefold()
