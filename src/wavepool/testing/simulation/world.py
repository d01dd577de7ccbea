"""What really runs in a simulation, kept apart from what the core believes, and the checks that compare the two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum, auto

from wavepool.core import facts
from wavepool.core.facts import Fact
from wavepool.core.state import RunState, TaskStatus
from wavepool.core.timers import account_timer, backoff_timer
from wavepool.model import AttemptId, Ending, Handle, Rules, Schedule, Task, VerdictKind, Wave

TOLERANCE_S = 1e-6
"""Deadlines are shifted by sums of floats."""


class Violation(AssertionError):
    """Something happened that must never happen. The message says what, and when."""


class BodyPhase(Enum):
    """`ABSENT`: nothing ever ran, so that a start may still be tried. `ENDED`: its traces are there. `GONE`: none.

    Of a parked one: it is being made (`PARKING`), waits (`PARKED`), is being removed (`LEAVING`), is claimed and was
    not told yet (`CLAIMED`), was told and has not left its start mark (`SENT`). With the mark it is `RUNNING`.
    """

    ABSENT = auto()
    PARKING = auto()
    PARKED = auto()
    LEAVING = auto()
    CLAIMED = auto()
    SENT = auto()
    STARTING = auto()
    RUNNING = auto()
    ENDED = auto()
    GONE = auto()


CONTAINERS_OF_PARKING = frozenset(
    {BodyPhase.PARKING, BodyPhase.PARKED, BodyPhase.LEAVING, BodyPhase.CLAIMED, BodyPhase.SENT}
)
"""There is a container, and its task has not begun."""


class Body:
    """One attempt as it really is. `dead`: it waited for its claim, and has ended. `warm`: it ran by a claim.

    `cost_usd` is what its agent has used, `limited` that its account has no more, until `resets_at` (None: untold).
    """

    __slots__ = (
        "attempt",
        "cost_usd",
        "dead",
        "ending",
        "executions",
        "handle",
        "limited",
        "node",
        "phase",
        "resets_at",
        "task",
        "then",
        "warm",
    )

    def __init__(self, attempt: AttemptId, task: Task, node: int) -> None:
        self.attempt = attempt
        self.task = task
        self.node = node
        self.phase = BodyPhase.ABSENT
        self.executions = 0
        self.ending: Ending | None = None
        self.dead = False
        self.warm = False
        self.cost_usd = 0.0
        self.limited = False
        self.resets_at: datetime | None = None
        self.then: Callable[[], None] | None = None
        """A start that waits until what is done about its parked container is done."""
        self.handle = Handle(driver="simulated", id=f"sim-{attempt}", name=str(attempt), attempt=attempt)


class World:
    """All bodies of one run. Every method that changes something checks what must hold at that instant.

    Args:
        waves, tasks: the plan, in its order.
        rules: of the run.
        places: of the tasks in the order of starting; empty for that of the plan.
    """

    def __init__(self, waves: Sequence[Wave], tasks: Sequence[Task], rules: Rules, places: Sequence[int] = ()) -> None:
        self.rules = rules
        self.tasks = {task.id: task for task in tasks}
        self.position = dict(zip(self.tasks, places or range(len(tasks)), strict=True))
        self.start_order = sorted(self.position, key=self.position.__getitem__)
        self.parallelism = {wave.number: wave.parallelism for wave in waves}
        self.bodies: dict[AttemptId, Body] = {}
        self.memory_bytes = [0 for _ in rules.nodes]
        self.wave_running: Counter[int] = Counter()
        self.peak_bytes = 0
        self.calls: set[AttemptId] = set()
        """Starts of which the present process has heard nothing yet."""
        self.ledger = Ledger()
        self.parked: dict[AttemptId, Body] = {}
        """Those in a phase of parking."""

    # -- what the driver is asked --

    def called(self, attempt: AttemptId) -> Body:
        """A start is under way."""
        self.calls.add(attempt)
        if len(self.calls) > self.rules.parallel:
            raise Violation(f"{len(self.calls)} starts under way, {self.rules.parallel} allowed")
        body = self.bodies.get(attempt)
        if body is None:
            node = self.ledger.nodes[attempt]
            body = self.bodies[attempt] = Body(attempt, self.tasks[attempt.task_id], node)
        if attempt in self.ledger.settled:
            raise Violation(f"{attempt} is started after its verdict")
        return body

    def park(self, attempt: AttemptId) -> Body:
        """A container is about to be made for an attempt that was not intended yet."""
        body = self.bodies.setdefault(attempt, Body(attempt, self.tasks[attempt.task_id], 0))
        if body.phase is not BodyPhase.ABSENT or body.executions:
            raise Violation(f"{attempt} is parked while it is {body.phase.name}")
        if attempt in self.ledger.nodes:
            raise Violation(f"{attempt} is parked after its start was intended")
        self.move(body, BodyPhase.PARKING)
        if len(self.parked) > self.rules.warm:
            raise Violation(f"{len(self.parked)} containers are parked, {self.rules.warm} allowed")
        self._check_room(0, body.task.wave)
        return body

    def move(self, body: Body, phase: BodyPhase) -> None:
        """From one phase of parking to another, or out of them."""
        body.phase = phase
        if phase in CONTAINERS_OF_PARKING:
            self.parked[body.attempt] = body
        else:
            self.parked.pop(body.attempt, None)

    def execute(self, body: Body) -> None:
        """Its program begins."""
        body.executions += 1
        if body.executions > 1:
            raise Violation(f"{body.attempt} is executed a second time")
        self.move(body, BodyPhase.RUNNING)
        node, wave = body.node, body.task.wave
        self.memory_bytes[node] += body.task.limits.memory_bytes
        self.peak_bytes = max(self.peak_bytes, sum(self.memory_bytes))
        self.wave_running[wave] += 1
        self._check_room(node, wave)
        self._check_turn(body.task)

    def end(self, body: Body, ending: Ending) -> None:
        """Its program is over; a lost one leaves no trace."""
        body.phase = BodyPhase.GONE if ending.kind is VerdictKind.LOST else BodyPhase.ENDED
        body.ending = ending
        self.memory_bytes[body.node] -= body.task.limits.memory_bytes
        self.wave_running[body.task.wave] -= 1

    def remove(self, attempt: AttemptId) -> None:
        """What is left of it is removed."""
        if attempt not in self.ledger.settled:
            raise Violation(f"{attempt} is removed before its verdict is committed")
        body = self.bodies.get(attempt)
        if body is None:
            return
        if body.phase in (BodyPhase.STARTING, BodyPhase.RUNNING, BodyPhase.CLAIMED, BodyPhase.SENT):
            raise Violation(f"{attempt} is removed while it runs")
        self.move(body, BodyPhase.GONE)

    # -- what must hold --

    def _check_room(self, node: int, wave: int) -> None:
        budget = self.rules.nodes[node].capacity.memory_bytes
        held = self.memory_bytes[node] + (0 if node else len(self.parked) * self.rules.parked_bytes)
        if held > budget:
            raise Violation(f"node {node} holds {held} bytes, its budget is {budget}")
        cap = self.parallelism[wave]
        if cap is not None and self.wave_running[wave] > cap:
            raise Violation(f"{self.wave_running[wave]} tasks of wave {wave} run, its parallelism is {cap}")

    def _check_turn(self, task: Task) -> None:
        for dependency in task.depends_on:
            if self.ledger.final.get(dependency) is not VerdictKind.SUCCESS:
                raise Violation(f"{task.id} runs before its dependency {dependency} succeeded")
        if self.rules.schedule is Schedule.BARRIER and task.id not in self.ledger.under_way:
            early = [t.id for t in self.tasks.values() if t.wave < task.wave and t.id not in self.ledger.final]
            if early:
                raise Violation(f"{task.id} of wave {task.wave} runs before {early} of earlier waves are final")

    def check_order(self, starting: str, now_s: float, state: RunState) -> None:
        """Its backoff is over, and nothing that could start stands before it: none starves."""
        if self.ledger.not_before.get(starting, now_s) > now_s + TOLERANCE_S:
            raise Violation(f"{starting} starts before its backoff is over")
        for name in self.start_order[: self.position[starting]]:
            entry = state.tasks[name]
            if entry.status is not TaskStatus.PENDING:
                continue
            wave = state.waves[entry.task.wave]
            waits = state.timers.is_set(backoff_timer(entry.task.id)) or any(
                state.tasks[n].status is not TaskStatus.FINAL for n in entry.task.depends_on
            )
            agent = entry.task.agent
            waits = waits or (agent is not None and state.timers.is_set(account_timer(agent.pays)))
            waits = waits or (wave.parallelism is not None and wave.running >= wave.parallelism)
            if not waits:
                raise Violation(f"{starting} starts although {entry.task.id} stands before it and waits for nothing")

    def check_end(self, outcome: facts.Outcome) -> None:
        """Every task has its one verdict, nothing runs, nothing is left."""
        left = [str(b.attempt) for b in self.bodies.values() if b.phase not in (BodyPhase.GONE, BodyPhase.ABSENT)]
        if left or any(self.memory_bytes):
            raise Violation(f"after the end there is still {left}")
        if outcome is facts.Outcome.SUCCESS:
            open_tasks = [name for name in self.tasks if self.ledger.final.get(name) is not VerdictKind.SUCCESS]
            if open_tasks:
                raise Violation(f"the run succeeded without {open_tasks}")


class Ledger:
    """What the committed facts say, counted in another way than the core counts it."""

    def __init__(self) -> None:
        self.nodes: dict[AttemptId, int] = {}
        self.settled: dict[AttemptId, VerdictKind] = {}
        self.final: dict[str, VerdictKind] = {}
        self.active: set[str] = set()
        self.under_way: set[str] = set()
        """Had an attempt when earlier waves were opened anew, which does not disturb it."""
        self.not_before: dict[str, float] = {}
        """Where a backoff ends, on the boot clock; noted as soon as it is decided."""
        self.last: dict[str, VerdictKind] = {}
        self.stops: dict[AttemptId, VerdictKind] = {}
        self.paused: dict[str, datetime] = {}
        """Accounts, and when they have more again."""
        self.held = False
        """Somebody has paused the run."""
        self.cancelled: set[str] = set()
        """By somebody, one by one."""
        self.spent_usd = 0.0
        """By attempts with a verdict, since tasks were last tried again by hand."""

    def take(self, fact: Fact) -> None:
        """Take in one more fact."""
        match fact:
            case facts.StartIntended():
                if fact.attempt.task_id in self.final or fact.attempt.task_id in self.active:
                    raise Violation(f"{fact.attempt} starts although its task is final or has another attempt")
                if self.held:
                    raise Violation(f"{fact.attempt} starts although the run is paused")
                if fact.attempt.task_id in self.cancelled:
                    raise Violation(f"{fact.attempt} starts although its task was cancelled")
                self.nodes[fact.attempt] = fact.node
                self.active.add(fact.attempt.task_id)
            case facts.StopIntended():
                self.stops.setdefault(fact.attempt, VerdictKind(fact.reason.value))
            case facts.AttemptSettled():
                if fact.attempt in self.settled:
                    raise Violation(f"{fact.attempt} has a second verdict")
                self.spent_usd += 0.0 if fact.agent is None else fact.agent.cost_usd or 0.0
                self.settled[fact.attempt] = self.last[fact.attempt.task_id] = fact.verdict.kind
            case facts.TaskRequeued():
                self.active.discard(fact.task_id)
                self.under_way.discard(fact.task_id)
            case facts.TaskSettled():
                self._finish(fact.task_id, self.last[fact.task_id])
            case facts.TaskSkipped():
                self._finish(fact.task_id, VerdictKind.SKIPPED)
            case facts.RunReopened():
                self.under_way = set(self.active)
                self.spent_usd = 0.0
                for task_id in (*fact.tasks, *fact.waiting):
                    self.final.pop(task_id, None)  # one that was never reached had no fact of its own
                    self.not_before.pop(task_id, None)
                    self.cancelled.discard(task_id)
            case facts.RunPaused() | facts.RunUnpaused():
                self.held = isinstance(fact, facts.RunPaused)
            case facts.WaveOpened() | facts.WaveTimedOut() if self.held:
                raise Violation(f"wave {fact.wave} of a paused run: {type(fact).__name__}")
            case facts.TasksCancelled():
                self.cancelled.update(fact.tasks)
            case facts.AccountPaused():
                if fact.until < self.paused.get(fact.account, fact.until):
                    raise Violation(f"the pause of {fact.account} is cut short")
                self.paused[fact.account] = fact.until
            case facts.RunResumed():
                self.not_before = {task: at + fact.shift_s for task, at in self.not_before.items()}
            case _:
                pass

    def _finish(self, task_id: str, verdict: VerdictKind) -> None:
        if task_id in self.final:
            raise Violation(f"task {task_id} is final twice")
        self.final[task_id] = verdict
        self.active.discard(task_id)
        self.under_way.discard(task_id)
