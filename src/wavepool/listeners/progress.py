"""Facts -> figures: how far a run is. Pure, and O(1) for each fact (each task, for the fact that brings tasks)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from wavepool.core import facts
from wavepool.core.course import RunCourse
from wavepool.core.events import Now
from wavepool.core.facts import Outcome, Stamped
from wavepool.core.spending import Spent
from wavepool.engine.room import Room
from wavepool.engine.worktime import WorkTime
from wavepool.listeners.endings import Endings
from wavepool.listeners.figures import Figures, WaveProgress
from wavepool.listeners.pace import Pace
from wavepool.model import AgentEvent, AttemptId, Finding, PressureLevel, VerdictKind

LEFT_MIN_S = 1.0
"""A time left below this is not told: it says nothing that the next line does not."""


class Active(NamedTuple):
    """An attempt that holds memory. `since_s` is on the clock of `Progress`."""

    wave: WaveProgress
    held_bytes: int
    since_s: float


class Progress:
    """Folds facts into figures.

    Its clock is that of `WorkTime`: it stands still while no process is at the run and nothing of it runs.

    Attributes:
        work: how long the run and its waves were worked on.
        run: the first fact, None before it came.
        totals, waves: figures of the run, and of each wave by number in the plan's order.
        open: numbers of the waves that are open, in the order of their opening.
        held_bytes, budget_bytes: memory that is promised to attempts, and may be, over all nodes.
        warned: attempts that hold memory and that the watchdog has warned of, with the last finding of each.
        saying: attempts whose agents run, with what each said last.
        paused: accounts that have no more to give, with the end of their pause.
        waiting_on: accounts of the agents' tasks, and how many tasks of each are pending.
        endings: the latest ended attempts and skipped tasks.
        course: whether it goes on.
    """

    def __init__(self) -> None:
        self.run: facts.RunOpened | None = None
        self.totals = Figures()
        self.waves: dict[int, WaveProgress] = {}
        self.open: dict[int, WaveProgress] = {}
        self.held_bytes = 0
        self.budget_bytes = 0
        self.warned: dict[AttemptId, Finding] = {}
        self.saying: dict[AttemptId, AgentEvent] = {}
        self.paused: dict[str, datetime] = {}
        self._pays: dict[str, str] = {}
        self.waiting_on: Counter[str] = Counter()
        self._spent = Spent()
        self._agents = self._costs = 0
        """Ended attempts of agents, and those of them that told a cost."""
        self.endings = Endings()
        self.course = RunCourse()
        self.short_of: str | None = None
        """Why one attempt runs at a time, None where that is not so: this host is short of memory."""
        self.busy: facts.StartsPaced | None = None
        """What bounds the starts that are under way at once, None where this host is not pressed."""
        self.left_behind = 0
        self._wave_of: dict[str, WaveProgress] = {}
        self._last: dict[str, VerdictKind] = {}
        """Verdict of the last attempt of tasks that are not final."""
        self._troubled: dict[str, VerdictKind] = {}
        """Verdict of tasks that are final and did not succeed, but for those that were never reached."""
        self._active: dict[AttemptId, Active] = {}
        self._known: set[AttemptId] = set()
        """Active ones whose start is known."""
        self.work = WorkTime()
        self._pace = Pace()

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, None before that."""
        return self.course.outcome

    def take_all(self, stamped: Iterable[Stamped]) -> None:
        """Take in facts in their order."""
        for one in stamped:
            self.take(one)

    def take(self, stamped: Stamped) -> None:
        """Take in one more fact."""
        fact = stamped.fact
        self.work.take(stamped)
        match fact:
            case facts.StartIntended():
                self._start(fact)
            case facts.AttemptStarted():
                self._started(fact.attempt)
                for figures in (self._wave_of[fact.attempt.task_id], self.totals):
                    figures.started += 1
                    figures.warm += fact.warm
            case facts.WatchdogWarned() if fact.attempt in self._active:
                self.warned[fact.attempt] = fact.finding
            case facts.AttemptExited():
                self._exited(fact.attempt)
            case facts.AttemptSettled():
                self._settled(fact, stamped.utc)
            case facts.TaskSettled():
                self._end(fact.task_id, self._last.pop(fact.task_id), leaves="running")
            case facts.TaskRequeued():
                self._requeued(fact.task_id)
            case facts.TaskSkipped():
                self._skipped(fact, stamped.utc)
            case facts.AttemptRemoved():
                self.left_behind += fact.problem is not None
            case _:
                self._take_of_run(stamped)

    def elapsed_s(self, now: Now) -> float:
        """Seconds on this clock; of a finished run, until its end."""
        return self.work.seconds if self.outcome is not None else self.work.at(now.boot_s)

    def time_left_s(self, now: Now) -> float | None:
        """An estimate of the seconds until all tasks are ended; None until enough is known, and below `LEFT_MIN_S`.

        Mean duration of finished attempts x tasks that are pending, plus what active attempts lack of that mean, all
        divided by the mean number of attempts that were active at once since the first one. Retries to come are not
        foreseen. Tasks of a paused account are counted from the end of its pause on; of a paused run none is told.
        """
        if self.outcome is not None or (self.course.paused is not None and self.totals.pending):
            return None
        pace = self._pace.now(self.elapsed_s(now))
        if pace is None:
            return None
        paused = {name: until for name, until in self.paused_now(now).items() if self.waiting_on[name]}
        left_s = pace.left_s(self.totals.pending - sum(self.waiting_on[name] for name in paused))
        for name, until in paused.items():
            left_s = max(left_s, (until - now.utc).total_seconds() + pace.alone_s(self.waiting_on[name]))
        return left_s if left_s >= LEFT_MIN_S else None

    def hear(self, attempt: AttemptId, event: AgentEvent) -> None:
        """A running agent said something."""
        if attempt in self._active:
            self.saying[attempt] = event

    @property
    def spent(self) -> Spent | None:
        """By all agents up to now; None where there are none."""
        if not self._agents and not self.saying:
            return None
        total = self._spent
        for event in self.saying.values():
            total = total.plus(Spent(event.cost_usd or 0.0, event.tokens.total))
        return total

    @property
    def is_cost_told(self) -> bool:
        """Whether any agent has told what it costs; else `spent` has tokens alone."""
        return self._costs > 0 or any(event.cost_usd is not None for event in self.saying.values())

    def paused_now(self, now: Now) -> dict[str, datetime]:
        """Accounts that are paused at this moment, with the end of that."""
        return {account: until for account, until in self.paused.items() if until > now.utc}

    @property
    def waiting(self) -> WaveProgress | None:
        """The first open wave of which tasks wait for room, or for its parallelism."""
        return next((wave for wave in self.open.values() if wave.waits_for is not None), None)

    # -- of the run and its waves --

    def _take_of_run(self, stamped: Stamped) -> None:
        self.course.take(stamped.fact)
        match stamped.fact:
            case facts.RunOpened() as fact:
                self.run = fact
                self.budget_bytes = sum(node.capacity.memory_bytes for node in fact.rules.for_attempts())
            case facts.TasksAdded() as fact:
                self._add(fact)
            case facts.WaveOpened() as fact:
                wave = self.open[fact.wave] = self.waves[fact.wave]
                wave.since = fact.at
                wave.opened_at = wave.opened_at or fact.at
            case facts.WaveTimedOut() as fact:
                self.waves[fact.wave].rounds += 1
            case facts.WaveSettled() as fact:
                self.waves[fact.wave].settled_at = fact.at
                self.waves[fact.wave].duration_s = self.work.wave_s(fact.wave)
                self.open.pop(fact.wave, None)
            case facts.AccountPaused() as fact:
                self.paused[fact.account] = fact.until
            case facts.StartsPaced() as fact:
                self.short_of = fact.because if fact.level is PressureLevel.FULL else None
                self.busy = fact if fact.level is PressureLevel.BUSY else None
            case facts.RunResumed():
                self.short_of = self.busy = None
            case facts.RunReopened() as fact:
                self._reopen(fact)
            case facts.RunFinished() as fact:
                self._finish(fact)
            case _:
                pass

    def _reopen(self, fact: facts.RunReopened) -> None:
        """These tasks are pending again, and their waves not settled."""
        for task_id in (*fact.tasks, *fact.waiting):
            verdict = self._troubled.pop(task_id, VerdictKind.SKIPPED)
            wave = self._wave_of[task_id]
            if wave.settled_at is not None:  # it waits for its turn, as one that was never opened
                wave.settled_at = wave.since = None
            for figures in (wave, self.totals):
                figures.end(verdict, -1)
                figures.pending += 1
            self._waits(task_id, 1)
        for task_id in fact.tasks:
            for figures in (self._wave_of[task_id], self.totals):
                figures.retries += 1

    def _add(self, fact: facts.TasksAdded) -> None:
        for wave in fact.waves:
            nodes = () if self.run is None else self.run.rules.for_attempts()
            self.waves[wave.number] = WaveProgress(wave.number, Room(nodes, wave.parallelism))
        for task in fact.tasks:
            wave_progress = self._wave_of[task.id] = self.waves[task.wave]
            wave_progress.pending += 1
            wave_progress.room.add(task.held())
            if task.agent is not None:
                self._pays[task.id] = task.agent.pays
                self._waits(task.id, 1)
        self.totals.pending += len(fact.tasks)

    def _finish(self, fact: facts.RunFinished) -> None:
        """What was never reached is skipped, unless a resume may still reach it."""
        if fact.outcome in (Outcome.INTERRUPTED, Outcome.INFRASTRUCTURE):
            return
        for task_id in list(self._last):
            self._end(task_id, self._last.pop(task_id), leaves="pending")
        for figures in (*self.waves.values(), self.totals):
            figures.end(VerdictKind.SKIPPED, figures.pending)
            figures.pending = 0
        self.waiting_on.clear()

    # -- of tasks and attempts --

    def _start(self, fact: facts.StartIntended) -> None:
        wave = self._wave_of[fact.attempt.task_id]
        for figures in (wave, self.totals):
            figures.pending -= 1
            figures.starting += 1
        self._waits(fact.attempt.task_id, -1)
        self.held_bytes += fact.held.memory_bytes
        self._active[fact.attempt] = Active(wave, fact.held.memory_bytes, self.work.seconds)
        self._pace.begin(self.work.seconds)

    def _started(self, attempt: AttemptId) -> None:
        if attempt not in self._known:
            self._known.add(attempt)
            for figures in (self._wave_of[attempt.task_id], self.totals):
                figures.starting -= 1
                figures.running += 1

    def _exited(self, attempt: AttemptId) -> None:
        """It holds nothing any more; until its verdict its task still counts as running."""
        self._started(attempt)
        self._known.discard(attempt)
        self.warned.pop(attempt, None)
        self.saying.pop(attempt, None)
        active = self._active.pop(attempt)
        self.held_bytes -= active.held_bytes
        self._pace.end(active.since_s, self.work.seconds)

    def _settled(self, fact: facts.AttemptSettled, at: datetime) -> None:
        self._last[fact.attempt.task_id] = fact.verdict.kind
        if fact.agent is not None:
            self._agents += 1
            self._costs += fact.agent.cost_usd is not None
            self._spent = self._spent.plus(Spent.by(fact.agent))
        self.endings.settled(fact, at)

    def _requeued(self, task_id: str) -> None:
        for figures in (self._wave_of[task_id], self.totals):
            figures.running -= 1
            figures.pending += 1
            figures.retries += 1
        self._waits(task_id, 1)
        self.endings.requeued(task_id)

    def _waits(self, task_id: str, more: int) -> None:
        account = self._pays.get(task_id)
        if account is not None:
            self.waiting_on[account] += more

    def _skipped(self, fact: facts.TaskSkipped, at: datetime) -> None:
        verdict = self._last.pop(fact.task_id, VerdictKind.SKIPPED)
        self._end(fact.task_id, verdict, leaves="pending")
        self.endings.skipped(fact, at)

    def _end(self, task_id: str, verdict: VerdictKind, *, leaves: str) -> None:
        for figures in (self._wave_of[task_id], self.totals):
            setattr(figures, leaves, getattr(figures, leaves) - 1)
            figures.end(verdict)
        if leaves == "pending":
            self._waits(task_id, -1)
        if verdict is not VerdictKind.SUCCESS:
            self._troubled[task_id] = verdict
