"""What must hold at every instant of a simulated run, whatever goes wrong; each breach is a `Violation`."""

from __future__ import annotations

from wavepool.core import facts
from wavepool.core.facts import Fact, Outcome
from wavepool.core.state import RunState, TaskStatus
from wavepool.model import AttemptId, PressureLevel, VerdictKind
from wavepool.testing.simulation.driver import Agenda
from wavepool.testing.simulation.fingerprint import fingerprint
from wavepool.testing.simulation.scenarios import Scenario
from wavepool.testing.simulation.world import TOLERANCE_S, Violation, World


class Checks:
    """Holds the decisions of one run against its world.

    Args:
        scenario: what is run.
        world: what really happens.
        agenda: the time of day.
    """

    def __init__(self, scenario: Scenario, world: World, agenda: Agenda) -> None:
        self._scenario = scenario
        self._world = world
        self._agenda = agenda

    def decided(self, state: RunState, fact: Fact, boot_s: float) -> None:
        """Before it is applied: what starts may start."""
        if isinstance(fact, facts.StartIntended):
            _check_ramp(state, fact)
            self._check_account(fact.attempt)
            self._world.check_order(fact.attempt.task_id, boot_s, state)
        elif isinstance(fact, facts.TaskRequeued):
            self._world.ledger.not_before[fact.task_id] = fact.not_before_s
        elif isinstance(fact, facts.RunReopened):  # by hand: it may start in this very commit
            for task_id in (*fact.tasks, *fact.waiting):
                self._world.ledger.not_before.pop(task_id, None)

    def _check_account(self, attempt: AttemptId) -> None:
        """By the time of day, as accounts count it; the core goes by the boot clock."""
        agent = self._world.tasks[attempt.task_id].agent
        until = None if agent is None else self._world.ledger.paused.get(agent.pays)
        if until is not None and (until - self._agenda.utc()).total_seconds() > TOLERANCE_S:
            raise Violation(f"{attempt} starts although its account has nothing before {until}")

    def committed(self, fact: Fact) -> None:
        """It is what happened."""
        self._world.ledger.take(fact)
        self._check_verdict(fact)
        self._check_finding(fact)

    def budget(self, state: RunState) -> None:
        """Once it is spent the run stops, as far as there is anything left to stop."""
        most, spent = self._scenario.rules.max_cost_usd, self._world.ledger.spent_usd
        if most is not None and spent > most and state.course.stopped is None and state.pending:
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

    def end(self, state: RunState, outcome: Outcome, retries: int) -> None:
        """Each task has its verdict, and nothing is held; `retries`: how often somebody had tasks tried again."""
        self._world.check_end(outcome)
        rules, ended = self._scenario.rules, outcome in (Outcome.SUCCESS, Outcome.FAILED)
        for entry in state.order:
            most = rules.max_attempts + rules.start_retries + rules.rate_limit_retries
            if entry.attempts > most * (1 + retries):
                raise Violation(f"{entry.task.id} had {entry.attempts} attempts")
            if ended and (entry.status is not TaskStatus.FINAL or entry.verdict is None):
                raise Violation(f"{entry.task.id} has no verdict at the end")
            if entry.verdict is not None and entry.task.id in self._world.ledger.final:
                said = self._world.ledger.final[entry.task.id]
                if said is not entry.verdict and said is not VerdictKind.SKIPPED:
                    raise Violation(f"{entry.task.id} ended as {said}, the state says {entry.verdict}")
        if ended and state.verdicts.total() != len(state.order):
            raise Violation(f"{state.verdicts.total()} verdicts for {len(state.order)} tasks")
        if state.free != [node.capacity for node in rules.for_attempts()]:
            raise Violation("the budget did not come back whole")


def _check_ramp(state: RunState, fact: facts.StartIntended) -> None:
    """Never more than the pressure allows; one at a time where memory is short."""
    ramp = state.ramp
    if not state.rules.ramp:
        return
    if ramp.level is PressureLevel.FULL and state.live:
        raise Violation(f"{fact.attempt} starts beside {len(state.live)} while memory is short")
    if state.starting >= ramp.allowed:
        raise Violation(f"{state.starting} starts are under way, the pressure allows {ramp.allowed}")


def check_replay(live: RunState, again: RunState) -> None:
    """The facts say all that the live state knows."""
    one, other = fingerprint(live), fingerprint(again)
    if one != other:
        differing = [name for name in one if one[name] != other[name]]
        raise Violation(f"the replayed state differs in {differing}")
