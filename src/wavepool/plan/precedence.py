"""In what order tasks start, where it is known how long they may take: the longest chain first.

For tasks that do not wait for each other that is LPT, the longest processing time first: on m equal machines its
makespan is at most 4/3 - 1/(3m) of the best one (Graham, "Bounds on multiprocessing timing anomalies", SIAM Journal on
Applied Mathematics 17, 1969), and with expected durations in their place it is best on average where they are
exponential (Bruno, Downey and Frederickson, Journal of the ACM 28, 1981). Where others wait for a task, what counts is
the longest chain that begins with it (Hu, Operations Research 9, 1961). A budget of memory is not a number of equal
machines, so no bound is promised here.
"""

from __future__ import annotations

from collections.abc import Sequence

from wavepool.model import Task


def longest_first(tasks: Sequence[Task], expected_s: Sequence[float], *, within_waves: bool = False) -> tuple[int, ...]:
    """Where each of `tasks` stands in the order of starting: 0 for the first. Ties keep the order of the plan.

    Args:
        tasks: of one plan, in its order.
        expected_s: how long each may take, at least 0.
        within_waves: waves keep their order, and only tasks of one wave change places.
    """
    chains_s = chain_lengths_s(tasks, expected_s)
    waves = {number: place for place, number in enumerate(dict.fromkeys(task.wave for task in tasks))}
    wave_of = [waves[task.wave] if within_waves else 0 for task in tasks]
    ordered = sorted(range(len(tasks)), key=lambda index: (wave_of[index], -chains_s[index], index))
    places = [0] * len(tasks)
    for place, index in enumerate(ordered):
        places[index] = place
    return tuple(places)


def chain_lengths_s(tasks: Sequence[Task], expected_s: Sequence[float]) -> list[float]:
    """The longest sum of durations over a chain that begins with each task and goes on with one that waits for it.

    O(tasks and dependencies). There are no circles: a plan with one is refused.
    """
    chains_s = list(expected_s)
    if not any(task.depends_on for task in tasks):
        return chains_s
    index_of = {task.id: index for index, task in enumerate(tasks)}
    dependents = [0] * len(tasks)
    for task in tasks:
        for needed in dict.fromkeys(task.depends_on):
            dependents[index_of[needed]] += 1
    ends = [index for index, count in enumerate(dependents) if not count]
    while ends:
        last = ends.pop()
        for needed in dict.fromkeys(tasks[last].depends_on):
            before = index_of[needed]
            chains_s[before] = max(chains_s[before], expected_s[before] + chains_s[last])
            dependents[before] -= 1
            if not dependents[before]:
                ends.append(before)
    return chains_s
