"""How long a run will take and how much memory it will use, if its tasks are like those before.

The run is rehearsed by the core's own decisions in virtual time, several times, each with durations drawn from those
that were seen (the bootstrap: Efron, The Annals of Statistics 7, 1979): the longest of many tasks is longer than their
means, so a run of means would end too early. Every task succeeds at its first attempt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from wavepool.core import actions, events
from wavepool.core.events import Now
from wavepool.engine.dryrun import Lasting, rehearse
from wavepool.learning import Basis, Expected, History
from wavepool.learning.quantiles import quantile
from wavepool.model import AttemptId, Rules, Task

DRAWS_MAX, TASKS_DRAWN = 20, 10_000
"""A run is rehearsed at most so often, and so often that so many tasks are; at least once."""
SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is expected of one run.

    Attributes:
        makespan_s, low_s, high_s: the median of all draws, and what one in ten stays below and above.
        draws: how often it was rehearsed; 1 where durations are known by their means alone.
        held_bytes: the most of the budget that is held at once.
        used_bytes: the most memory that attempts use at once: the p95 of what was seen of each, else its limit.
    """

    makespan_s: float
    low_s: float
    high_s: float
    draws: int
    held_bytes: int
    used_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What a forecast rests on.

    Attributes:
        expected: task id -> what is expected of it.
        by_basis: how many tasks rest on what.
        no_memory: tasks of which no peak was ever seen, and whose limit stands in for it.
        too_long: ids of tasks that are expected to run longer than they may.
    """

    expected: Mapping[str, Expected]
    by_basis: Counter[Basis]
    no_memory: int
    too_long: tuple[str, ...]


def grounds_of(tasks: Sequence[Task], image: str, rules: Rules, history: History) -> Grounds:
    """What is known of each task; `image` is that of tasks that name none."""
    expected = {task.id: history.expected(task, image) for task in tasks}
    return Grounds(
        expected=expected,
        by_basis=Counter(each.basis for each in expected.values()),
        no_memory=sum(each.peak_bytes is None for each in expected.values()),
        too_long=tuple(task.id for task in tasks if _is_too_long(task, rules, expected[task.id])),
    )


def forecast(opened: events.Opened, grounds: Grounds, now: Now) -> Forecast:
    """Rehearse the run that `opened` begins."""
    tasks = [task for piece in opened.tasks for task in piece.tasks]
    known = grounds.expected
    varies = any(len(each.durations_s) > 1 for each in known.values())
    draws = max(1, min(DRAWS_MAX, TASKS_DRAWN // max(1, len(tasks)))) if varies else 1
    rng = Random(SEED)
    used = {task.id: _used_bytes(task, known[task.id]) for task in tasks}
    runs = [_rehearsed(opened, now, by_means(known) if draws == 1 else _drawn(known, rng), used) for _ in range(draws)]
    makespans = sorted(run[0] for run in runs)
    return Forecast(
        makespan_s=quantile(makespans, 0.5),
        low_s=quantile(makespans, 0.1),
        high_s=quantile(makespans, 0.9),
        draws=draws,
        held_bytes=max(run[1] for run in runs),
        used_bytes=max(run[2] for run in runs),
    )


def by_means(known: Mapping[str, Expected]) -> Callable[[AttemptId], Lasting]:
    """Each attempt takes what those like it took in the mean."""

    def lasting(attempt: AttemptId) -> Lasting:
        expected = known[attempt.task_id]
        return Lasting(start_s=expected.start_s, run_s=expected.duration_s, end_s=expected.end_s)

    return lasting


def _drawn(known: Mapping[str, Expected], rng: Random) -> Callable[[AttemptId], Lasting]:
    def lasting(attempt: AttemptId) -> Lasting:
        expected = known[attempt.task_id]
        return Lasting(start_s=expected.start_s, run_s=rng.choice(expected.durations_s), end_s=expected.end_s)

    return lasting


def _rehearsed(
    opened: events.Opened, now: Now, lasting: Callable[[AttemptId], Lasting], used: Mapping[str, int]
) -> tuple[float, int, int]:
    """(makespan, most held, most used) of one run."""
    at_s, most_held, most_used, using = 0.0, 0, 0, 0
    for step in rehearse(opened, now, lasting):
        at_s = step.at_s
        most_held = max(most_held, step.memory_held_bytes)
        if isinstance(step.action, actions.StartAttempt):
            using += used[step.action.attempt.task_id]
            most_used = max(most_used, using)
        elif isinstance(step.action, actions.ArchiveLogs):  # follows the exit at once
            using -= used[step.action.attempt.task_id]
    return at_s, most_held, most_used


def _used_bytes(task: Task, expected: Expected) -> int:
    own = task.limits.memory_bytes
    beside = task.held().memory_bytes - own
    return beside + (own if expected.peak_bytes is None else min(own, expected.peak_bytes))


def _is_too_long(task: Task, rules: Rules, expected: Expected) -> bool:
    """Only where something of it is known: a guess warns of nothing."""
    if expected.basis in (Basis.TIER, Basis.NONE):
        return False
    bound_s = task.timeout_s if task.timeout_s is not None else rules.task_timeout_s
    return bound_s is not None and expected.duration_s > bound_s
