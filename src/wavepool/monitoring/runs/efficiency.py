"""How well a run used the machine: what its attempts took together, and the makespan that no schedule can beat.

All on one clock, that of `WorkTime`, which stands still while nobody works on the run and nothing of it runs. An
attempt counts from its intended start to its end, as it holds its memory so long; then for any schedule of them

- a task's attempts come one after the other, and after those of the tasks that it depends on (the critical path:
  Graham, "Bounds on multiprocessing timing anomalies", SIAM J. Appl. Math. 17, 1969);
- under barrier a wave begins where the one before it has ended, so its longest chain adds to theirs;
- what is held at once is at most the budget, and a wave runs at most `parallelism` of its tasks: area / height is the
  least width (the area bound of strip packing: Coffman, Garey, Johnson, Tarjan, SIAM J. Comput. 9, 1980).

Each is a bound, so the greatest is one. The time in which a run is paused and nothing of it runs is left out of what
the bound is compared with, as no schedule is at fault for it. No attempt counts in it, so each bound stays one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from wavepool.core import facts
from wavepool.core.course import RunCourse
from wavepool.core.facts import Stamped
from wavepool.engine.worktime import WorkTime
from wavepool.model import AttemptId, Resources, Schedule
from wavepool.monitoring.documents.runs import Efficiency


@dataclass(slots=True, kw_only=True)
class _Active:
    wave: int
    held: Resources
    since_s: float


@dataclass(slots=True)
class _Wave:
    """Of one wave: seconds of its attempts together, its longest chain, and how many tasks it may run at once."""

    parallelism: int | None
    spent_s: float = 0.0
    longest_s: float = 0.0


@dataclass(slots=True)
class _Chain:
    """Of one task that has had an attempt: what its attempts took, and the longest chain that ends with it.

    `in_wave_s` counts only what is in its own wave of that chain.
    """

    own_s: float = 0.0
    whole_s: float = 0.0
    in_wave_s: float = 0.0


@dataclass(slots=True)
class _Area:
    """Held x seconds, of attempts that ended, and of those that go on: sum of held x (now - since)."""

    ended: float = 0.0
    held: float = 0.0
    since: float = 0.0

    def begin(self, held: float, at_s: float) -> None:
        self.held += held
        self.since += held * at_s

    def end(self, held: float, since_s: float, at_s: float) -> None:
        self.held -= held
        self.since -= held * since_s
        self.ended += held * (at_s - since_s)

    def at(self, now_s: float) -> float:
        return self.ended + self.held * now_s - self.since


@dataclass(slots=True)
class _Whole:
    """What is summed up over the whole run."""

    memory: _Area = field(default_factory=_Area)
    cpus: _Area = field(default_factory=_Area)
    work: _Area = field(default_factory=_Area)


_OF_NO_ACCOUNT = frozenset({facts.AttemptStarted, facts.AttemptSettled, facts.AttemptRemoved, facts.TaskSettled})
"""Kinds of facts of which nothing follows here: two thirds of all."""


class EfficiencyFold:
    """Folds facts; O(1) for each, but for the tasks that one depends on. `reading` is O(attempts under way).

    Args:
        work: the clock; whoever owns it has it take each fact before this does.
    """

    def __init__(self, work: WorkTime) -> None:
        self._work = work
        self._schedule = Schedule.BARRIER
        self._capacity = Resources(0)
        self._waves: dict[int, _Wave] = {}
        self._wave_of: dict[str, int] = {}
        self._after: dict[str, tuple[str, ...]] = {}
        self._chains: dict[str, _Chain] = {}
        self._active: dict[AttemptId, _Active] = {}
        self._whole = _Whole()
        self._longest_s = 0.0
        self._peak = 0
        self._course = RunCourse()
        self._idle_s = 0.0
        self._idle_since_s: float | None = None

    def take(self, stamped: Stamped) -> None:
        """Take in one more fact."""
        if type(stamped.fact) in _OF_NO_ACCOUNT:
            return
        match stamped.fact:
            case facts.RunOpened() as fact:
                nodes = fact.rules.for_attempts()
                self._schedule = fact.rules.schedule
                self._capacity = Resources(
                    sum(node.capacity.memory_bytes for node in nodes), sum(node.capacity.milli_cpus for node in nodes)
                )
            case facts.TasksAdded() as fact:
                self._waves.update((wave.number, _Wave(wave.parallelism)) for wave in fact.waves)
                self._wave_of.update((task.id, task.wave) for task in fact.tasks)
                self._after.update((task.id, task.depends_on) for task in fact.tasks if task.depends_on)
            case facts.StartIntended() as fact:
                self._begin(fact)
            case facts.AttemptExited() as fact:
                self._end(fact.attempt)
            case _:
                self._course.take(stamped.fact)
        if self._course.paused is not None or self._idle_since_s is not None:
            self._note_idle()

    def idle_s(self, elapsed_s: float) -> float:
        """Seconds of them in which the run was paused and nothing of it ran."""
        return self._idle_s + (0.0 if self._idle_since_s is None else elapsed_s - self._idle_since_s)

    def reading(self, elapsed_s: float) -> Efficiency:
        """As of the moment at which the run has been worked on for `elapsed_s`, pauses and all."""
        bound_s = self.lower_bound_s(elapsed_s)
        work_s = self._whole.work.at(elapsed_s)
        elapsed_s -= self.idle_s(elapsed_s)
        found: Efficiency = {"work_s": round(work_s, 3), "elapsed_s": round(elapsed_s, 3), "peak": self._peak}
        if elapsed_s > 0 and self._peak:
            bound_s = min(elapsed_s, bound_s)  # beyond it only by the rounding of sums
            found["lower_bound_s"] = round(bound_s, 3)
            found["speed_up"] = round(work_s / elapsed_s, 2)
            found["efficiency_percent"] = round(100 * bound_s / elapsed_s, 1)
        return found

    def lower_bound_s(self, elapsed_s: float) -> float:
        """Seconds that any schedule of these attempts takes, as far as they are known at that moment."""
        chains, longest_s, spent_s = self._of_active(elapsed_s)
        bounds = [chains]
        for area, capacity in (
            (self._whole.memory, self._capacity.memory_bytes),
            (self._whole.cpus, self._capacity.milli_cpus),
        ):
            if capacity:
                bounds.append(area.at(elapsed_s) / capacity)
        each = [self._width(number, wave, longest_s, spent_s) for number, wave in self._waves.items()]
        if self._schedule is Schedule.BARRIER:
            bounds.append(sum(each))
        else:
            bounds += each
        return max(bounds)

    def _width(self, number: int, wave: _Wave, longest_s: dict[int, float], spent_s: dict[int, float]) -> float:
        """What one wave alone takes at least."""
        chain_s = max(wave.longest_s, longest_s.get(number, 0.0))
        if wave.parallelism is None:
            return chain_s
        return max(chain_s, (wave.spent_s + spent_s.get(number, 0.0)) / wave.parallelism)

    def _of_active(self, now_s: float) -> tuple[float, dict[int, float], dict[int, float]]:
        """With what is under way: the longest chain; and by wave the longest one in it, and the seconds so far."""
        whole_s, longest_s, spent_s = self._longest_s, dict[int, float](), dict[int, float]()
        for attempt, active in self._active.items():
            took_s = now_s - active.since_s
            chain = self._chain(attempt.task_id, self._chains.get(attempt.task_id, _Chain()).own_s + took_s)
            whole_s = max(whole_s, chain.whole_s)
            longest_s[active.wave] = max(longest_s.get(active.wave, 0.0), chain.in_wave_s)
            spent_s[active.wave] = spent_s.get(active.wave, 0.0) + took_s
        return whole_s, longest_s, spent_s

    def _chain(self, task_id: str, own_s: float) -> _Chain:
        wave, whole_s, in_wave_s = self._wave_of[task_id], 0.0, 0.0
        for before in self._after.get(task_id, ()):
            chain = self._chains.get(before)
            if chain is not None:
                whole_s = max(whole_s, chain.whole_s)
                in_wave_s = max(in_wave_s, chain.in_wave_s if self._wave_of[before] == wave else 0.0)
        return _Chain(own_s, whole_s + own_s, in_wave_s + own_s)

    def _begin(self, fact: facts.StartIntended) -> None:
        at_s = self._work.seconds
        self._active[fact.attempt] = _Active(wave=self._wave_of[fact.attempt.task_id], held=fact.held, since_s=at_s)
        self._peak = max(self._peak, len(self._active))
        self._whole.memory.begin(fact.held.memory_bytes, at_s)
        self._whole.cpus.begin(fact.held.milli_cpus, at_s)
        self._whole.work.begin(1, at_s)

    def _note_idle(self) -> None:
        idle, now_s = self._course.paused is not None and not self._active, self._work.seconds
        if idle and self._idle_since_s is None:
            self._idle_since_s = now_s
        elif not idle and self._idle_since_s is not None:
            self._idle_s += now_s - self._idle_since_s
            self._idle_since_s = None

    def _end(self, attempt: AttemptId) -> None:
        at_s, active = self._work.seconds, self._active.pop(attempt)
        wave, took_s = self._waves[active.wave], at_s - active.since_s
        self._whole.memory.end(active.held.memory_bytes, active.since_s, at_s)
        self._whole.cpus.end(active.held.milli_cpus, active.since_s, at_s)
        self._whole.work.end(1, active.since_s, at_s)
        before = self._chains.get(attempt.task_id, _Chain())
        chain = self._chains[attempt.task_id] = self._chain(attempt.task_id, before.own_s + took_s)
        wave.spent_s += took_s
        wave.longest_s = max(wave.longest_s, chain.in_wave_s)
        self._longest_s = max(self._longest_s, chain.whole_s)
