"""Random plans, rules and troubles for simulations; the same seed gives the same scenario."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from wavepool.model import (
    AgentOrder,
    Isolation,
    Limits,
    Node,
    Pressure,
    Resources,
    Rules,
    Schedule,
    Task,
    VerdictKind,
    Wave,
)
from wavepool.units import MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubles:
    """How likely each trouble is, from 0 to 1; times in seconds.

    Attributes:
        refused: a start is refused for good. refused_for_now: it is refused, and may succeed later.
        fails, oom, lost: how an attempt ends.
        duplicate: an event is told once more, up to `late_s` later.
        crash: our process dies at a commit, or between two actions; for each step.
        reboot: a crash takes the boot clock with it.
        interrupt: the user presses Ctrl-C at some time of the run, and perhaps twice.
        not_prepared: a wave's network cannot be made.
        driver_fails: the driver is gone for good at some time of the run.
        left_behind: something cannot be removed.
        not_parked: a container cannot be parked. dies_parked: it ends before it is claimed, with nobody told.
        readings: how often the pressure on the host is read; at random, from calm to more than it can bear.
        resumes: how often a run that was interrupted, or that the machine ended, is taken up again.
        retries: how often somebody has failed tasks tried again, mostly of a run that ended.
        pauses: how often somebody pauses the run, and lets it go on later; at most two at once.
        cancels: how often somebody cancels some of its tasks. live_retries: has some tried again while it goes on.
        limited: an agent's account has no more to give; speaks: how often one says what it has used, at most.
        duration_s, latency_s: longest run of an attempt, longest answer to a call.
    """

    refused: float = 0.0
    refused_for_now: float = 0.0
    fails: float = 0.0
    oom: float = 0.0
    lost: float = 0.0
    duplicate: float = 0.0
    late_s: float = 20.0
    crash: float = 0.0
    reboot: float = 0.0
    interrupt: float = 0.0
    not_prepared: float = 0.0
    driver_fails: float = 0.0
    left_behind: float = 0.0
    not_parked: float = 0.0
    dies_parked: float = 0.0
    limited: float = 0.0
    speaks: int = 0
    readings: int = 0
    resumes: int = 0
    retries: int = 0
    pauses: int = 0
    cancels: int = 0
    live_retries: int = 0
    duration_s: float = 30.0
    latency_s: float = 2.0


NO_TROUBLES = Troubles()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One run to simulate. `places`: as in `TasksAdded`; empty for the order of the plan."""

    waves: tuple[Wave, ...]
    tasks: tuple[Task, ...]
    rules: Rules
    troubles: Troubles
    seed: int
    places: tuple[int, ...] = ()


def random_scenario(seed: int) -> Scenario:
    """Up to 5 waves and 24 tasks on up to 3 nodes, with any rules and troubles; every task fits on some node."""
    rng = Random(seed)
    schedule = rng.choice(tuple(Schedule))
    nodes = tuple(
        Node(name=f"node-{n}", capacity=Resources(rng.randint(2, 16) * 64 * MIB, rng.choice((0, 0, 4000))))
        for n in range(rng.choice((1, 1, 2, 3)))
    )
    largest = max(node.capacity.memory_bytes for node in nodes) // (64 * MIB)
    waves = tuple(
        Wave(number=number, parallelism=rng.choice((None, None, 1, 2, 5)))
        for number in sorted(rng.sample(range(1, 12), rng.randint(0, 5)))
    )
    tasks = _random_tasks(rng, waves, schedule, largest) if waves else ()
    rules, troubles = _random_rules(rng, schedule, nodes), _random_troubles(rng)
    made = Scenario(waves=waves, tasks=tasks, rules=rules, troubles=troubles, seed=seed)
    return _random_hands(_random_agents(_random_ramp(_random_places(_random_warmth(made)))))


def _random_hands(scenario: Scenario) -> Scenario:
    """In half of them somebody pauses, cancels and retries while the run goes on. It draws by itself too."""
    rng = Random(f"hands of {scenario.seed}")
    if rng.random() < 0.5:
        return scenario
    often = [rng.choice((0, 1, 4)) for _ in range(3)]
    return replace(
        scenario, troubles=replace(scenario.troubles, pauses=often[0], cancels=often[1], live_retries=often[2])
    )


def _random_agents(scenario: Scenario) -> Scenario:
    """In half of them most tasks have agents, of up to three accounts, some with budgets. It draws by itself too."""
    rng = Random(f"agents of {scenario.seed}")
    if rng.random() < 0.5:
        return scenario
    own_max = rng.choice((None, None, 2.0))
    orders = [AgentOrder(name="simulated", account=f"account-{n}", max_cost_usd=own_max) for n in range(3)]
    tasks = tuple(replace(task, agent=rng.choice(orders)) if rng.random() < 0.8 else task for task in scenario.tasks)
    budget, repeats = rng.choice((None, None, 5.0, 20.0)), rng.choice((0, 1, 3))
    return replace(
        scenario,
        tasks=tasks,
        rules=replace(scenario.rules, max_cost_usd=budget, rate_limit_retries=repeats),
        troubles=replace(scenario.troubles, limited=rng.choice((0.0, 0.1, 0.4)), speaks=rng.choice((0, 2, 6))),
    )


def _random_places(scenario: Scenario) -> Scenario:
    """Half of those that roll start their tasks in another order than the plan's; drawn by itself, as warmth is."""
    rng = Random(f"places of {scenario.seed}")
    if scenario.rules.schedule is not Schedule.ROLLING or rng.random() < 0.5:
        return scenario
    places = list(range(len(scenario.tasks)))
    rng.shuffle(places)
    return replace(scenario, places=tuple(places))


def _random_ramp(scenario: Scenario) -> Scenario:
    """In half of them the starts follow the pressure on the host. It draws by itself, as warmth does."""
    rng = Random(f"ramp of {scenario.seed}")
    if rng.random() < 0.5:
        return scenario
    return replace(
        scenario,
        rules=replace(scenario.rules, ramp=True),
        troubles=replace(scenario.troubles, readings=rng.choice((0, 3, 60))),
    )


def random_pressure(rng: Random) -> Pressure | None:
    """One reading: now and then none; on one host in two without what only Linux tells."""
    if rng.random() < 0.05:
        return None
    cpu, memory, io = (rng.choice((0.0, rng.uniform(0, 100))) for _ in range(3))
    if rng.random() < 0.5:
        return Pressure(cpu_used=cpu, memory_used=memory)
    return Pressure(
        cpu_stalled=cpu, memory_stalled=memory / 4, io_stalled=io, cpu_used=cpu, memory_used=rng.uniform(0, 100)
    )


def _random_warmth(scenario: Scenario) -> Scenario:
    """Of those on one node two in three park containers; the budget grows by what these keep, so that all still fits.

    It draws by itself, so that what else is drawn does not depend on it.
    """
    rng = Random(f"warmth of {scenario.seed}")
    rules = scenario.rules
    if len(rules.nodes) != 1:
        return scenario
    much = rng.choice((0.0, 0.3))
    return replace(
        scenario,
        rules=warmed(rules, rng.choice((0, 1, 5))),
        troubles=replace(scenario.troubles, not_parked=0.3 * much, dies_parked=0.5 * much),
    )


def warmed(rules: Rules, places: int) -> Rules:
    """The same rules, of one node, with so many containers that may be parked beside all that fitted before."""
    [node] = rules.nodes
    room = node.capacity._replace(memory_bytes=node.capacity.memory_bytes + places * rules.parked_bytes)
    return replace(rules, nodes=(replace(node, capacity=room),), warm=places)


def _random_tasks(rng: Random, waves: tuple[Wave, ...], schedule: Schedule, largest: int) -> tuple[Task, ...]:
    drawn = [rng.choice(waves).number for _ in range(rng.choice((0, 1, 3, 6, 10, 24)))]
    numbers = sorted(drawn)
    order = list(range(len(numbers)))
    if schedule is Schedule.ROLLING:
        rng.shuffle(order)  # a rolling task may wait for one of a later wave
    tasks: list[Task] = []
    linked = rng.choice((0.0, 0.2, 0.5))
    for index, wave in enumerate(numbers):
        before = [other for other in range(len(numbers)) if order[other] < order[index]]
        needs = rng.sample(before, min(len(before), rng.randint(1, 2))) if rng.random() < linked else []
        tasks.append(
            Task(
                id=f"t{index}",
                key=f"t{index}",
                wave=wave,
                tier=1,
                limits=Limits(memory_bytes=rng.randint(1, largest) * 64 * MIB, cpus=rng.choice((None, None, 0.5, 2.0))),
                timeout_s=rng.choice((None, None, 10.0, 60.0)),
                depends_on=tuple(f"t{needed}" for needed in needs),
            )
        )
    return tuple(tasks)


def _random_rules(rng: Random, schedule: Schedule, nodes: tuple[Node, ...]) -> Rules:
    return Rules(
        schedule=schedule,
        nodes=nodes,
        isolation=rng.choice(tuple(Isolation)),
        keep_going=rng.random() < 0.6,
        max_attempts=rng.choice((1, 1, 2, 3)),
        retry_on=rng.choice((Rules(nodes=()).retry_on, (VerdictKind.FAILED,), ())),
        start_retries=rng.choice((0, 2)),
        parallel=rng.choice((1, 2, 5)),
        wave_timeout_s=rng.choice((None, None, 15.0, 60.0)),
        task_timeout_s=rng.choice((None, 20.0)),
        grace_s=rng.choice((1.0, 10.0)),
    )


def _random_troubles(rng: Random) -> Troubles:
    """Half of the scenarios have few troubles, so that long runs come to their end too."""
    much = rng.choice((0.0, 0.3, 1.0))
    return Troubles(
        refused=0.05 * much,
        refused_for_now=0.15 * much,
        fails=rng.choice((0.0, 0.1, 0.5)),
        oom=0.05 * much,
        lost=0.05 * much,
        duplicate=0.4 * much,
        crash=rng.choice((0.0, 0.02, 0.1)),
        reboot=0.3,
        interrupt=rng.choice((0.0, 0.0, 0.5)),
        not_prepared=0.02 * much,
        driver_fails=0.05 * much,
        left_behind=0.05 * much,
        resumes=rng.choice((0, 1, 3)),
        duration_s=rng.choice((2.0, 30.0, 90.0)),
        latency_s=rng.choice((0.0, 1.0, 4.0)),
        retries=rng.choice((0, 0, 1, 2)),
    )
