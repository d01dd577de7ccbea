"""How many attempts were under way, and how much memory they held, over the time in which the run was worked on."""

from __future__ import annotations

from typing_extensions import TypedDict

from wavepool.core import facts
from wavepool.core.facts import Stamped
from wavepool.model import AttemptId

POINTS = 600
"""Of a graph, at most: more cannot be told apart on a screen."""


class Load(TypedDict):
    """Readings in the order of time, each holding until the next. `at` are seconds of work since the run's start."""

    at: list[float]
    attempts: list[int]
    held_bytes: list[int]


class LoadFold:
    """Folds facts; O(1) each."""

    def __init__(self) -> None:
        self._held: dict[AttemptId, int] = {}
        self._held_bytes = 0
        self._points: list[tuple[float, int, int]] = [(0.0, 0, 0)]

    def take(self, stamped: Stamped, worked_s: float) -> None:
        """Take in one more fact, which came when the run had been worked on for `worked_s`."""
        match stamped.fact:
            case facts.StartIntended() as fact:
                self._held[fact.attempt] = fact.held.memory_bytes
                self._held_bytes += fact.held.memory_bytes
            case facts.AttemptExited() as fact:
                self._held_bytes -= self._held.pop(fact.attempt, 0)
            case _:
                return
        if self._points[-1][0] == worked_s:
            self._points.pop()
        self._points.append((worked_s, len(self._held), self._held_bytes))

    def graph(self, worked_s: float, most: int = POINTS) -> Load:
        """Until `worked_s`; where there were more changes than `most`, the highest of each equal stretch of time."""
        points = self._points
        if len(points) > most:
            points = _highest(points, worked_s, most)
        points = [*points, (max(worked_s, points[-1][0]), *self._points[-1][1:])]
        return {
            "at": [round(at_s, 3) for at_s, _, _ in points],
            "attempts": [attempts for _, attempts, _ in points],
            "held_bytes": [held for _, _, held in points],
        }


def _highest(points: list[tuple[float, int, int]], worked_s: float, most: int) -> list[tuple[float, int, int]]:
    width_s = max(worked_s, points[-1][0]) / most
    found: list[tuple[float, int, int]] = []
    index, attempts, held = 0, 0, 0
    for number in range(most):
        high, high_held = attempts, held  # what it was when the stretch began counts too
        while index < len(points) and (points[index][0] < (number + 1) * width_s or number == most - 1):
            _, attempts, held = points[index]
            high, high_held = max(high, attempts), max(high_held, held)
            index += 1
        found.append((number * width_s, high, high_held))
    return found
