"""Whole runs on the pure core alone: virtual time, random troubles, crashes, and what must hold at every instant.

`python -m wavepool.testing.simulation --schedules 10000 --seed 1` runs that many random ones and says what it saw.
A violation names the seed that shows it again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from random import Random

from wavepool.core import actions, events, facts
from wavepool.core.decide import apply, decide, open_run
from wavepool.core.events import Event, Now
from wavepool.core.facts import Fact, Outcome, Stamped
from wavepool.core.reopening import failed_tasks
from wavepool.core.state import RunState, TaskStatus
from wavepool.core.warming import GiveUp, next_step
from wavepool.engine.asking import Ask, to_cancel, to_pause, to_retry, to_unpause
from wavepool.engine.replay import Replayed, first_actions, replay, still_wanted
from wavepool.engine.warm import ABREAST
from wavepool.errors import InputError, InvariantBroken
from wavepool.model import AttemptId, PressureLevel, Surroundings, VerdictKind
from wavepool.testing.fingerprint import fingerprint
from wavepool.testing.scenarios import NO_TROUBLES, Scenario, Troubles, random_pressure, random_scenario
from wavepool.testing.simulated_driver import START, Agenda, SimulatedDriver
from wavepool.testing.simulated_world import TOLERANCE_S, BodyPhase, Violation, World

__all__ = ["NO_TROUBLES", "Crashed", "Scenario", "Simulated", "Simulation", "Troubles", "Violation"]

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
        self._plan_interruptions()
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
        self._world.check_end(outcome)
        self._check_tasks(outcome)
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
                self._check_start(fact)
                apply(self._state, fact)
                decided.append(fact)
        if not decided:
            return
        if crashes:
            self._maybe_crash()
        self._journal.extend(self._stamp(fact) for fact in decided)
        self._commits_end_with[type(decided[-1]).__name__] += 1
        for fact in decided:
            self._world.ledger.take(fact)
            self._check_verdict(fact)
            self._check_finding(fact)
        self._check_budget()
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

    def _plan_interruptions(self) -> None:
        def arrives(in_s: float, event: Event) -> None:
            self._agenda.at(in_s, lambda: self._inbox.append(event))

        if self._rng.random() < self._troubles.interrupt:
            first_s = self._rng.random() * 60
            arrives(first_s, events.Interrupted(force=False))
            if self._rng.random() < 0.5:
                arrives(first_s + self._rng.random() * 5, events.Interrupted(force=True))
        if self._rng.random() < self._troubles.driver_fails:
            arrives(self._rng.random() * 60, events.DriverFailed(cause="no daemon"))
        self._plan_hands(Random(f"hands in {self._scenario.seed}"))
        weather = Random(f"pressure of {self._scenario.seed}")
        for _ in range(self._troubles.readings):
            arrives(weather.random() * 60, events.Pressed(reading=random_pressure(weather)))

    def _plan_hands(self, rng: Random) -> None:
        """What somebody asks for while the run goes on; whoever pauses goes on, a while later."""

        def asks(in_s: float, ask: Ask) -> None:
            self._agenda.at(in_s, lambda: self._asked.append(ask))

        for _ in range(self._troubles.pauses):
            at_s = rng.random() * 60
            asks(at_s, to_pause())
            asks(at_s + rng.choice((0.0, rng.random() * 60)), to_unpause())
        names = [task.id for task in self._scenario.tasks]
        for _ in range(self._troubles.cancels if names else 0):
            asks(rng.random() * 60, to_cancel(rng.sample(names, rng.randint(1, min(3, len(names))))))
        for _ in range(self._troubles.live_retries if names else 0):
            asks(rng.random() * 90, to_retry(rng.choice(((), [rng.choice(names)]))))

    def _clock(self) -> Now:
        return Now(self._agenda.now_s + self._boot_offset_s, self._agenda.utc())

    def _stamp(self, fact: Fact) -> Stamped:
        now = self._clock()
        return Stamped(now.boot_s, now.utc, fact)

    # -- what must hold --

    def _check_start(self, fact: Fact) -> None:
        if isinstance(fact, facts.StartIntended):
            self._check_ramp(fact)
            self._check_account(fact.attempt)
            self._world.check_order(fact.attempt.task_id, self._clock().boot_s, self._state)
        elif isinstance(fact, facts.TaskRequeued):
            self._world.ledger.not_before[fact.task_id] = fact.not_before_s
        elif isinstance(fact, facts.RunReopened):  # by hand: it may start in this very commit
            for task_id in (*fact.tasks, *fact.waiting):
                self._world.ledger.not_before.pop(task_id, None)

    def _check_ramp(self, fact: facts.StartIntended) -> None:
        """Never more than the pressure allows; one at a time where memory is short."""
        ramp = self._state.ramp
        if not self._state.rules.ramp:
            return
        if ramp.level is PressureLevel.FULL and self._state.live:
            raise Violation(f"{fact.attempt} starts beside {len(self._state.live)} while memory is short")
        if self._state.starting >= ramp.allowed:
            raise Violation(f"{self._state.starting} starts are under way, the pressure allows {ramp.allowed}")

    def _check_account(self, attempt: AttemptId) -> None:
        """By the time of day, as accounts count it; the core goes by the boot clock."""
        agent = self._world.tasks[attempt.task_id].agent
        until = None if agent is None else self._world.ledger.paused.get(agent.pays)
        if until is not None and (until - self._agenda.utc()).total_seconds() > TOLERANCE_S:
            raise Violation(f"{attempt} starts although its account has nothing before {until}")

    def _check_budget(self) -> None:
        """It stops, as far as there is anything left to stop."""
        most, spent = self._scenario.rules.max_cost_usd, self._world.ledger.spent_usd
        if most is not None and spent > most and self._state.stopped is None and self._state.pending:
            raise Violation(f"the run goes on after ${spent:.2f}, ${most:.2f} allowed")

    def _check_finding(self, fact: Fact) -> None:
        """Nobody is stopped for what was not used."""
        if not isinstance(fact, facts.StopIntended) or fact.finding is None:
            return
        bodies = self._world.bodies
        told = bodies.values() if fact.finding.whole_run else [bodies[fact.attempt]]
        used = sum(body.cost_usd for body in told)
        if not fact.finding.threshold < fact.finding.reading <= used + TOLERANCE_S:
            raise Violation(f"{fact.attempt} is stopped for {fact.finding}, and ${used:.2f} were used")

    def _check_verdict(self, fact: Fact) -> None:
        """A stop of ours, else what really happened."""
        if isinstance(fact, facts.AttemptStarted) and fact.warm != self._world.bodies[fact.attempt].warm:
            raise Violation(f"{fact.attempt} is told to have started {'warm' if fact.warm else 'cold'}, and did not")
        if not isinstance(fact, facts.AttemptSettled):
            return
        body = self._world.bodies.get(fact.attempt)
        expected = self._world.ledger.stops.get(fact.attempt)
        if expected is None and body is not None:
            expected = body.ending.kind if body.ending is not None else VerdictKind.START_ERROR
            if body.limited and expected in (VerdictKind.SUCCESS, VerdictKind.FAILED):
                expected = VerdictKind.RATE_LIMITED
        if fact.verdict.kind is not expected:
            raise Violation(f"the verdict of {fact.attempt} is {fact.verdict.kind}, what happened is {expected}")

    def _check_tasks(self, outcome: Outcome) -> None:
        rules, ended = self._scenario.rules, outcome in (Outcome.SUCCESS, Outcome.FAILED)
        for entry in self._state.order:
            most = rules.max_attempts + rules.start_retries + rules.rate_limit_retries
            if entry.attempts > most * (1 + self._retries + self._live_retries):
                raise Violation(f"{entry.task.id} had {entry.attempts} attempts")
            if ended and (entry.status is not TaskStatus.FINAL or entry.verdict is None):
                raise Violation(f"{entry.task.id} has no verdict at the end")
            if entry.verdict is not None and entry.task.id in self._world.ledger.final:
                said = self._world.ledger.final[entry.task.id]
                if said is not entry.verdict and said is not VerdictKind.SKIPPED:
                    raise Violation(f"{entry.task.id} ended as {said}, the state says {entry.verdict}")
        if ended and self._state.verdicts.total() != len(self._state.order):
            raise Violation(f"{self._state.verdicts.total()} verdicts for {len(self._state.order)} tasks")
        if self._state.free != [node.capacity for node in rules.for_attempts()]:
            raise Violation("the budget did not come back whole")

    def _replay(self) -> Replayed:
        replayed = replay(self._journal)
        if replayed is None:
            raise Violation("the journal is empty")
        return replayed

    def _check_replay(self) -> None:
        live, again = fingerprint(self._state), fingerprint(self._replay().state)
        if live != again:
            differing = [name for name in live if live[name] != again[name]]
            raise Violation(f"the replayed state differs in {differing}")

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


def census(result: Simulated) -> Counter[str]:
    """What was in one run, to be summed over many: its outcome, verdicts, crashes, executions, facts."""
    counted = Counter({f"outcome {result.outcome}": 1, "crashes": result.crashes, "facts": len(result.journal)})
    counted["executions"] = result.executions
    counted["executions, warm"] = result.warm_starts
    counted["starts paced"] = sum(isinstance(stamped.fact, facts.StartsPaced) for stamped in result.journal)
    counted["retries"] = sum(isinstance(stamped.fact, facts.TaskRequeued) for stamped in result.journal)
    counted["pauses"] = sum(isinstance(stamped.fact, facts.RunPaused) for stamped in result.journal)
    counted["tasks cancelled"] = sum(
        len(stamped.fact.tasks) for stamped in result.journal if isinstance(stamped.fact, facts.TasksCancelled)
    )
    counted["reopened"] = sum(isinstance(stamped.fact, facts.RunReopened) for stamped in result.journal)
    counted["account pauses"] = sum(isinstance(stamped.fact, facts.AccountPaused) for stamped in result.journal)
    findings = (s.fact.finding for s in result.journal if isinstance(s.fact, facts.StopIntended) and s.fact.finding)
    counted["stopped for a budget"] = sum(1 for _ in findings)
    counted["resumes after an end"] = result.resumes
    counted.update({f"verdict {kind}": count for kind, count in result.state.verdicts.items()})
    return counted


def main(arguments: Sequence[str] | None = None) -> int:
    """Run random schedules; 0 if nothing was violated, 1 with the first violations' seeds on stderr."""
    parser = argparse.ArgumentParser(prog="python -m wavepool.testing.simulation", description=main.__doc__)
    parser.add_argument("--schedules", type=int, default=1000, help="how many random ones")
    parser.add_argument("--seed", type=int, default=1, help="the first one's; each further one adds 1")
    options = parser.parse_args(arguments)
    counted: Counter[str] = Counter()
    violations: list[str] = []
    began_s = time.monotonic()
    for seed in range(options.seed, options.seed + options.schedules):
        try:
            counted.update(census(Simulation(random_scenario(seed)).run()))
        except Violation as violation:
            violations.append(str(violation))
    for name in sorted(counted):
        sys.stdout.write(f"{name:24} {counted[name]:>9}\n")
    for sentence in violations[:20]:
        sys.stderr.write(f"VIOLATION: {sentence}\n")
    took_s = time.monotonic() - began_s
    sys.stdout.write(f"{options.schedules} random schedules, {len(violations)} violations, {took_s:.1f} s\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
