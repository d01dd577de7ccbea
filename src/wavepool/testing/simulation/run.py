"""One simulated run: our process, which decides, commits, acts, dies and takes up again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from random import Random

from wavepool.core import actions, events, facts
from wavepool.core.decide import apply, decide, open_run
from wavepool.core.events import Event, Now
from wavepool.core.facts import Fact, Outcome, Stamped
from wavepool.core.slices.reopening import failed_tasks
from wavepool.core.state import RunState
from wavepool.core.warming import GiveUp, next_step
from wavepool.engine.asking import Ask
from wavepool.engine.replay import Replayed, first_actions, replay, still_wanted
from wavepool.engine.warm import ABREAST
from wavepool.errors import InputError, InvariantBroken
from wavepool.model import AttemptId, Surroundings
from wavepool.testing.simulation.checks import Checks, check_replay
from wavepool.testing.simulation.driver import START, Agenda, SimulatedDriver
from wavepool.testing.simulation.hands import plan_hands
from wavepool.testing.simulation.scenarios import Scenario
from wavepool.testing.simulation.world import TOLERANCE_S, BodyPhase, Violation, World

STEPS_MAX = 100_000
"""A run that takes more is going in circles."""


class Crashed(Exception):
    """Our process dies here; what it had under way is cut off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What came of a run.

    `journal` holds all committed facts in their order; `crashes` and
    `executions` are counts, `resumes` says how often it was taken up after an end, `peak_bytes` the memory
    that really ran at most, `virtual_s` how long the run took on its own clock. `warm_starts` counts the executions
    that began by a claim, `killed_in` the parked containers whose process died, by their phase. `killed_after` counts
    the crashes by the kind of the last committed fact, `commits_end_with` counts the kinds that a crash could have come
    after.
    """

    outcome: Outcome
    journal: tuple[Stamped, ...]
    state: RunState
    crashes: int
    resumes: int
    executions: int
    peak_bytes: int
    virtual_s: float
    warm_starts: int
    killed_in: Counter[str]
    killed_after: Counter[str]
    commits_end_with: Counter[str]


class Simulation:
    """One run, from its first fact to its last.

    Args:
        scenario: what is run, and what goes wrong.

    Raises (from `run`):
        Violation: something happened that must never happen.
    """

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._troubles = scenario.troubles
        self._rng = Random(scenario.seed)
        self._world = World(scenario.waves, scenario.tasks, scenario.rules, scenario.places)
        self._journal: list[Stamped] = []
        self._state = open_run(self._opened())
        self._boot_offset_s = 0.0
        self._boot = 0
        self._killed_after: Counter[str] = Counter()
        self._commits_end_with: Counter[str] = Counter()
        self._resumes = 0
        self._retries = 0
        self._agenda = Agenda()
        self._inbox: list[Event] = []
        self._asked: list[Ask] = []
        self._live_retries = 0
        self._cold: set[AttemptId] = set()
        self._checks = Checks(scenario, self._world, self._agenda)
        self._driver = SimulatedDriver(
            world=self._world,
            agenda=self._agenda,
            inbox=self._inbox,
            rng=self._rng,
            agents=Random(f"what agents do in {scenario.seed}"),
            troubles=scenario.troubles,
        )

    def run(self) -> Simulated:
        """Run it to its end."""
        try:
            return self._run()
        except (Violation, InvariantBroken) as error:
            raise Violation(f"seed {self._scenario.seed}, {self._agenda.now_s:.2f} s: {error}") from error

    def _run(self) -> Simulated:
        plan_hands(
            self._scenario,
            self._rng,
            happens=lambda in_s, event: self._agenda.at(in_s, lambda: self._inbox.append(event)),
            asks=lambda in_s, ask: self._agenda.at(in_s, lambda: self._asked.append(ask)),
        )
        run = self._state.run
        self._journal.append(self._stamp(run))
        scenario = self._scenario
        tasks = facts.TasksAdded(waves=scenario.waves, tasks=scenario.tasks, places=scenario.places)
        self._guarded(lambda: self._step([events.Opened(run=run, tasks=(tasks,))], crashes=False))
        for _ in range(STEPS_MAX):
            if self._state.outcome is None:
                self._guarded(self._turn)
            elif not self._take_up_again():
                return self._result(self._state.outcome)
        raise Violation(f"no end after {STEPS_MAX} steps")

    def _result(self, outcome: Outcome) -> Simulated:
        self._check_replay()
        self._driver.release()
        self._checks.end(self._state, outcome, self._retries + self._live_retries)
        return Simulated(
            outcome=outcome,
            journal=tuple(self._journal),
            state=self._state,
            crashes=self._killed_after.total(),
            resumes=self._resumes,
            executions=sum(body.executions for body in self._world.bodies.values()),
            peak_bytes=self._world.peak_bytes,
            virtual_s=self._agenda.now_s,
            warm_starts=sum(body.warm for body in self._world.bodies.values()),
            killed_in=self._driver.killed_in,
            killed_after=self._killed_after,
            commits_end_with=self._commits_end_with,
        )

    # -- our process --

    def _turn(self) -> None:
        """Time jumps to the next thing that happens; everything of that instant is one batch."""
        timer_s = self._state.timers.next_s()
        due_s = [] if timer_s is None else [timer_s - self._boot_offset_s + TOLERANCE_S]
        due_s += [] if self._agenda.next_s is None else [self._agenda.next_s]
        if not due_s:
            raise Violation(f"nothing will ever happen again, and {self._state.pending} tasks are pending")
        self._agenda.advance(max(0.0, min(due_s) - self._agenda.now_s))
        batch = list(self._inbox)
        self._inbox.clear()
        timer_s = self._state.timers.next_s()
        if timer_s is not None and timer_s <= self._clock().boot_s:
            batch.append(events.DeadlinePassed())
        self._step(self._with_asked(batch))
        self._warm()

    def _with_asked(self, batch: Iterable[Event]) -> Iterator[Event]:
        """What was asked for first, each made of the state that it finds, as the engine does; unless it is refused."""
        asked, self._asked = self._asked, []
        for ask in asked:
            try:
                event = ask(self._state)
            except InputError:
                continue
            self._live_retries += isinstance(event, events.Reopened)
            yield event
        yield from batch

    def _step(self, batch: Iterable[Event], *, advance: bool = True, crashes: bool = True) -> None:
        now = self._clock()
        decided: list[Fact] = []
        for event in chain(batch, (events.Advance(),)) if advance else batch:  # each made when its turn comes
            for fact in decide(self._state, event, now):
                self._checks.decided(self._state, fact, now.boot_s)
                apply(self._state, fact)
                decided.append(fact)
        if not decided:
            return
        if crashes:
            self._maybe_crash()
        self._journal.extend(self._stamp(fact) for fact in decided)
        self._commits_end_with[type(decided[-1]).__name__] += 1
        for fact in decided:
            self._checks.committed(fact)
        self._checks.budget(self._state)
        wanted = [action for fact in decided for action in actions.actions(fact)]
        for action in wanted:
            if crashes:
                self._maybe_crash(compare=True)
            self._driver.perform(action)

    def _warm(self) -> None:
        """Park and give up, two at once, as the engine's `Warmer` does."""
        while self._state.rules.warm:
            parked = self._world.parked
            busy = [name for name, each in parked.items() if each.phase in (BodyPhase.PARKING, BodyPhase.LEAVING)]
            if len(busy) >= ABREAST:
                return
            step = next_step(self._state, parked, busy, lambda attempt, _: attempt not in self._cold)
            if step is None:
                return
            self._maybe_crash(compare=True)
            if isinstance(step, GiveUp):
                self._driver.give_up(step.attempt)
            else:
                self._driver.park(step.attempt, partial(self._cold.add, step.attempt))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Crashed:
            self._recover()

    def _maybe_crash(self, *, compare: bool = False) -> None:
        if self._rng.random() < self._troubles.crash / 2:
            if compare:
                self._check_replay()
            self._killed_after[type(self._journal[-1].fact).__name__] += 1
            raise Crashed

    def _recover(self) -> None:
        """Another process takes the run up, as `Engine.resume` does."""
        while True:
            self._cut_off()
            try:
                self._resume()
            except Crashed:
                continue
            return

    def _resume(self) -> None:
        replayed = self._replay()
        self._state = replayed.state
        boot_id = f"boot-{self._boot}"
        shift_s = replayed.shift_s(boot_id, self._clock())
        resumed = events.Resumed(boot_id=boot_id, shift_s=shift_s)
        self._step([*self._reopened(), resumed], advance=False)
        for_waves, for_attempts = first_actions(self._state)
        for action in for_waves:
            assert isinstance(action, actions.PrepareWave)
            self._step([events.WaveReady(wave=action.wave)], advance=False)
        for event in self._driver.told():
            self._step([event], advance=False)
        for action in for_attempts:
            if still_wanted(self._state, action):
                self._driver.perform(action)
        self._step([])

    def _reopened(self) -> list[Event]:
        """Somebody has what failed tried again, at times even of a run that was still at work."""
        after_end = self._state.outcome is not None
        if self._retries >= self._troubles.retries or not (after_end or self._rng.random() < 0.1):
            return []
        self._retries += 1
        return [events.Reopened(tasks=tuple(failed_tasks(self._state)))]

    def _cut_off(self) -> None:
        """What was under way has its effect now or never: a process is not started again within the same instant."""
        self._driver.cut_off()
        self._agenda.advance(self._rng.choice((0.0, 1.0, 40.0)))
        self._inbox.clear()
        if self._rng.random() < self._troubles.reboot:
            self._boot += 1
            self._boot_offset_s = self._rng.uniform(-900.0, 900.0)

    def _take_up_again(self) -> bool:
        """What was interrupted, or the machine ended, is resumed; what failed may be tried again. False at the end."""
        if self._state.outcome is Outcome.FAILED:
            if self._retries >= self._troubles.retries:
                return False
        elif self._state.outcome is Outcome.SUCCESS or self._resumes >= self._troubles.resumes:
            return False
        self._resumes += 1
        self._guarded(self._crash_now)
        return True

    def _crash_now(self) -> None:
        self._check_replay()
        raise Crashed

    def _clock(self) -> Now:
        return Now(self._agenda.now_s + self._boot_offset_s, self._agenda.utc())

    def _stamp(self, fact: Fact) -> Stamped:
        now = self._clock()
        return Stamped(now.boot_s, now.utc, fact)

    def _replay(self) -> Replayed:
        replayed = replay(self._journal)
        if replayed is None:
            raise Violation("the journal is empty")
        return replayed

    def _check_replay(self) -> None:
        check_replay(self._state, self._replay().state)

    def _opened(self) -> facts.RunOpened:
        return facts.RunOpened(
            run_id=f"simulated-{self._scenario.seed}",
            owner="simulation",
            rules=self._scenario.rules,
            surroundings=Surroundings(image="none", workspace="/", network="none"),
            driver="simulated",
            execution_mode="simulation",
            plan_digest="",
            boot_id="boot-0",
            at=START,
        )
