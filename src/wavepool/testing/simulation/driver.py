"""What a driver does in a simulation: it takes actions, and tells late, twice, in any order, or not at all."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random

from wavepool.core import actions, events
from wavepool.core.actions import Action
from wavepool.core.events import Event
from wavepool.model import (
    AgentEvent,
    AgentEventKind,
    AgentReport,
    AttemptId,
    Ending,
    Evidence,
    LogRecord,
    VerdictKind,
)
from wavepool.testing.simulation.scenarios import Troubles
from wavepool.testing.simulation.world import CONTAINERS_OF_PARKING, Body, BodyPhase, Violation, World

START = datetime(2030, 1, 1, tzinfo=UTC)


class Agenda:
    """What will happen, and when: seconds from 0 on a clock that only `advance` moves."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    @property
    def next_s(self) -> float | None:
        """When the next thing happens, None if nothing will."""
        return self._entries[0][0] if self._entries else None

    def at(self, in_s: float, what: Callable[[], None]) -> None:
        """Later, rounded to quarters of a second, so that things happen at the same instant."""
        self._count += 1
        heapq.heappush(self._entries, (self.now_s + round(in_s * 4) / 4, self._count, what))

    def advance(self, by_s: float) -> None:
        """Move the clock, and let happen what is due by then."""
        self.now_s += by_s
        while self._entries and self._entries[0][0] <= self.now_s:
            heapq.heappop(self._entries)[2]()

    def utc(self) -> datetime:
        """The same reading for people."""
        return START + timedelta(seconds=self.now_s)


class SimulatedDriver:
    """Performs actions on a `World`, and puts the events that come of them into `inbox`.

    Args:
        world: what really runs.
        agenda: the clock, shared with whoever turns it.
        inbox: of the present process.
        rng, troubles: what goes wrong, and how often. `agents` draws what agents do, by itself.
    """

    def __init__(
        self,
        *,
        world: World,
        agenda: Agenda,
        inbox: list[Event],
        rng: Random,
        agents: Random,
        troubles: Troubles,
    ) -> None:
        self._world = world
        self._agenda = agenda
        self._inbox = inbox
        self._rng = rng
        self._agents = agents
        self._troubles = troubles
        self._process = 0
        """Rises with each crash: what was under way to the dead process never arrives."""
        self.killed_in: Counter[str] = Counter()
        """How many containers were in each phase of parking when a process died."""

    def perform(self, action: Action) -> None:
        match action:
            case actions.PrepareWave():
                problem = "no address left" if self._rng.random() < self._troubles.not_prepared else None
                self._tell(events.WaveReady(wave=action.wave, problem=problem))
            case actions.ReleaseWave():
                if self._world.wave_running[action.wave]:
                    raise Violation(f"wave {action.wave} is released while its tasks run")
            case actions.StartAttempt():
                self._start(self._world.called(action.attempt))
            case actions.StopAttempt():
                self._agenda.at(self._rng.random() * action.grace_s, lambda: self._stop(action))
            case actions.ArchiveLogs():
                body = self._world.bodies[action.attempt]
                log = LogRecord(path=f"{action.attempt}.log")
                self._tell(events.Archived(attempt=action.attempt, log=log, agent=_report(body)))
            case actions.RemoveAttempt():
                self._after_latency(lambda: self._remove(action.attempt))

    def _start(self, body: Body) -> None:
        if body.phase in (BodyPhase.PARKING, BodyPhase.LEAVING):
            body.then = self._if_alive(lambda: self._start(body))
            return None
        if body.phase is BodyPhase.PARKED:
            return self._claim(body)
        if body.phase is BodyPhase.RUNNING:
            return self._tell(events.Running(attempt=body.attempt, handle=body.handle, started_at=None, warm=body.warm))
        if body.ending is not None:
            return self._tell(
                events.Ended(attempt=body.attempt, handle=body.handle, ending=body.ending, warm=body.warm)
            )
        drawn = self._rng.random()
        if drawn < self._troubles.refused + self._troubles.refused_for_now:
            ending = Ending(
                kind=VerdictKind.START_ERROR,
                evidence=Evidence(reason="refused"),
                transient=drawn >= self._troubles.refused,
            )
            return self._tell(events.Ended(attempt=body.attempt, handle=None, ending=ending))
        body.phase = BodyPhase.STARTING

        def begin() -> None:
            if body.phase is BodyPhase.STARTING:
                self._take_effect(body, True)
                self._tell(events.Running(attempt=body.attempt, handle=body.handle, started_at=self._agenda.utc()))

        return self._after_latency(begin)

    # -- parked containers --

    def park(self, attempt: AttemptId, failed: Callable[[], None]) -> None:
        """Make its container; `failed` is called where that cannot be."""
        body = self._world.park(attempt)

        def is_there() -> None:
            if self._rng.random() < self._troubles.not_parked:
                self._world.move(body, BodyPhase.ABSENT)
                failed()
            else:
                self._world.move(body, BodyPhase.PARKED)
                body.dead = False
                if self._rng.random() < self._troubles.dies_parked:
                    self._agenda.at(self._rng.random() * self._troubles.duration_s, self._if_alive(dies))
            self._go_on(body)

        def dies() -> None:
            body.dead = True

        self._after_latency(is_there)

    def give_up(self, attempt: AttemptId) -> None:
        """Remove its container, which nobody has claimed."""
        body = self._world.bodies[attempt]
        if body.phase is not BodyPhase.PARKED or attempt in self._world.ledger.nodes:
            raise Violation(f"{attempt} is given up while it is {body.phase.name}")
        self._world.move(body, BodyPhase.LEAVING)

        def is_gone() -> None:
            self._world.move(body, BodyPhase.ABSENT)
            self._go_on(body)

        self._after_latency(is_gone)

    def release(self) -> None:
        """The run is over: whatever is parked goes."""
        for body in list(self._world.parked.values()):
            self._world.move(body, BodyPhase.GONE)

    def _go_on(self, body: Body) -> None:
        then, body.then = body.then, None
        if then is not None:
            then()

    def _claim(self, body: Body) -> None:
        """It is told to go, and leaves its mark; or it was dead, and is started cold in its place."""
        self._world.move(body, BodyPhase.CLAIMED)

        def send() -> None:
            if body.dead:
                self._world.move(body, BodyPhase.ABSENT)
                self._start(body)
            else:
                self._world.move(body, BodyPhase.SENT)
                self._after_latency(mark)

        def mark() -> None:
            self._take_effect(body, True, warm=True)
            self._tell(events.Running(attempt=body.attempt, handle=body.handle, started_at=None, warm=True))

        self._after_latency(send)

    def _take_effect(self, body: Body, does: bool, *, warm: bool = False) -> None:
        if not does:
            self._world.move(body, BodyPhase.ABSENT)
            return
        body.warm = warm
        self._world.execute(body)
        self._let_speak(body)
        self._agenda.at(self._rng.random() * self._troubles.duration_s, lambda: self._end(body, self._draw_ending()))

    def _let_speak(self, body: Body) -> None:
        """Its agent uses something now and then, and says so; its account may have no more to give."""
        if body.task.agent is None:
            return
        rng = self._agents
        body.limited = rng.random() < self._troubles.limited
        if body.limited and rng.random() < 0.7:
            body.resets_at = self._agenda.utc() + timedelta(seconds=rng.choice((-10, 1, 60, 5000)))
        for _ in range(rng.randint(0, self._troubles.speaks)):
            self._agenda.at(rng.random() * self._troubles.duration_s, lambda: self._use(body))

    def _use(self, body: Body) -> None:
        if body.phase is BodyPhase.RUNNING:
            body.cost_usd += self._agents.choice((0.25, 1.0))
            self._speak(body)

    def _speak(self, body: Body) -> None:
        kind = AgentEventKind.RATE_LIMITED if body.limited and self._agents.random() < 0.3 else AgentEventKind.TEXT
        said = AgentEvent(kind=kind, cost_usd=body.cost_usd, resets_at=body.resets_at)
        self._tell(events.Spoke(attempt=body.attempt, said=said))

    def _draw_ending(self) -> Ending:
        drawn = self._rng.random()
        for kind, share in (
            (VerdictKind.FAILED, self._troubles.fails),
            (VerdictKind.OOM, self._troubles.oom),
            (VerdictKind.LOST, self._troubles.lost),
        ):
            if drawn < share:
                exit_code = {VerdictKind.FAILED: 1, VerdictKind.OOM: 137}.get(kind)
                return Ending(kind=kind, evidence=Evidence(reason=f"simulated {kind}", exit_code=exit_code))
            drawn -= share
        return Ending(kind=VerdictKind.SUCCESS, evidence=Evidence(exit_code=0))

    def _end(self, body: Body, ending: Ending) -> None:
        if body.phase is BodyPhase.RUNNING:
            ended = Ending(kind=ending.kind, evidence=ending.evidence, finished_at=self._agenda.utc())
            self._world.end(body, ended)
            self._tell(events.Ended(attempt=body.attempt, handle=body.handle, ending=ended, warm=body.warm))

    def _stop(self, action: actions.StopAttempt) -> None:
        stopped = Ending(kind=VerdictKind.FAILED, evidence=Evidence(exit_code=143, signal="SIGTERM"))
        self._end(self._world.bodies[action.attempt], stopped)

    def _remove(self, attempt: AttemptId) -> None:
        self._world.remove(attempt)
        problem = f"{attempt} is busy" if self._rng.random() < self._troubles.left_behind else None
        self._tell(events.Cleared(attempt=attempt, problem=problem))

    def told(self) -> Iterator[Event]:
        """What the watch tells first: each body of which there is a trace, then that this was all."""
        bodies = [b for b in self._world.bodies.values() if b.phase in (BodyPhase.RUNNING, BodyPhase.ENDED)]
        self._rng.shuffle(bodies)
        for body in bodies:
            if body.ending is not None:
                yield events.Ended(attempt=body.attempt, handle=body.handle, ending=body.ending, warm=body.warm)
            else:
                yield events.Running(attempt=body.attempt, handle=body.handle, started_at=None, warm=body.warm)
        yield events.AllTold(present=frozenset(body.attempt for body in bodies))
        for body in bodies:
            if body.ending is None and body.task.agent is not None:
                self._speak(body)  # whoever goes on with the run listens from the beginning

    def cut_off(self) -> None:
        """The process died: starts that were under way have their effect now, or never will.

        What is parked reads the end of its stdin; whether the last word came before that is not known to anybody.
        """
        self._process += 1
        self._inbox.clear()
        self._world.calls.clear()
        for body in self._world.bodies.values():
            body.then = None
            if body.phase is BodyPhase.STARTING:
                self._take_effect(body, self._rng.random() < 0.5)
            elif body.phase in CONTAINERS_OF_PARKING:
                self.killed_in[body.phase.name] += 1
                sent = body.phase is BodyPhase.SENT
                self._take_effect(body, sent and self._rng.random() < 0.5, warm=sent)

    # -- messages --

    def _after_latency(self, what: Callable[[], None]) -> None:
        self._agenda.at(self._rng.random() * self._troubles.latency_s, self._if_alive(what))

    def _if_alive(self, what: Callable[[], None]) -> Callable[[], None]:
        process = self._process
        return lambda: what() if process == self._process else None

    def _tell(self, event: Event) -> None:
        """The event arrives after a while, perhaps more than once, perhaps after later ones."""

        def arrive() -> None:
            self._inbox.append(event)
            if isinstance(event, events.Running | events.Ended):
                self._world.calls.discard(event.attempt)

        self._after_latency(arrive)
        while self._rng.random() < self._troubles.duplicate:
            self._agenda.at(self._rng.random() * self._troubles.late_s, self._if_alive(arrive))


def _report(body: Body) -> AgentReport | None:
    if body.task.agent is None:
        return None
    succeeded = not body.limited and body.ending is not None and body.ending.kind is VerdictKind.SUCCESS
    return AgentReport(
        agent="simulated",
        succeeded=succeeded,
        rate_limited=body.limited,
        resets_at=body.resets_at,
        cost_usd=body.cost_usd,
    )
