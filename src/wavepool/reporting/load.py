"""How much ran, was held and was used over the time in which the run was worked on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from math import inf
from operator import itemgetter
from typing import NotRequired

from typing_extensions import TypedDict

from wavepool.core import facts
from wavepool.core.facts import Stamped
from wavepool.engine.usage.series import Series, Stretch
from wavepool.engine.worktime import takes_up
from wavepool.model import AttemptId

POINTS = 600
"""Of a graph, at most: more cannot be told apart on a screen."""


class Load(TypedDict):
    """Readings in the order of time, each holding until the next. `at` are seconds of work since the run's start.

    `used_bytes` and `cpu_percent` are there where the run wrote down what it used: the peak of memory and the mean of
    CPU of the stretch of time; None where nobody read any.
    """

    at: list[float]
    attempts: list[int]
    held_bytes: list[int]
    used_bytes: NotRequired[list[int | None]]
    cpu_percent: NotRequired[list[float | None]]


class LoadFold:
    """Folds facts; O(1) each."""

    def __init__(self) -> None:
        self._held: dict[AttemptId, int] = {}
        self._held_bytes = 0
        self._points: list[tuple[float, int, int]] = [(0.0, 0, 0)]
        self._sessions: list[tuple[float, float]] = []
        """When each process took the run up, in seconds since the epoch, and how long it had been worked on then."""

    def take(self, stamped: Stamped, worked_s: float) -> None:
        """Take in one more fact, which came when the run had been worked on for `worked_s`."""
        if not self._sessions or takes_up(stamped.fact):
            self._sessions.append((stamped.utc.timestamp(), worked_s))
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

    def graph(self, worked_s: float, most: int = POINTS, used: Series | None = None) -> Load:
        """Until `worked_s`; where there were more changes than `most`, the highest of each equal stretch of time.

        With what was `used` there is a point more wherever that changes.
        """
        load = self._graph(worked_s, most)
        return load if used is None or not len(used) else _beside(load, list(self._at_work(used)))

    def _at_work(self, used: Series) -> Iterator[Stretch]:
        """The stretches on the clock of work."""
        for each in used:
            begin_s = self._worked_s(each.begin_s)
            yield each._replace(begin_s=begin_s, end_s=max(begin_s, self._worked_s(each.end_s)))

    def _worked_s(self, utc_s: float) -> float:
        """How long the run had been worked on at a time of the day: time stands still between two of its processes."""
        place = max(0, bisect_right(self._sessions, utc_s, key=itemgetter(0)) - 1)
        if not self._sessions:
            return 0.0
        began_s, worked_s = self._sessions[place]
        until_s = self._sessions[place + 1][1] if place + 1 < len(self._sessions) else inf
        return min(max(worked_s, worked_s + utc_s - began_s), until_s)

    def _graph(self, worked_s: float, most: int) -> Load:
        points = self._points
        if len(points) > most:
            points = _highest(points, worked_s, most)
        points = [*points, (max(worked_s, points[-1][0]), *self._points[-1][1:])]
        return {
            "at": [round(at_s, 3) for at_s, _, _ in points],
            "attempts": [attempts for _, attempts, _ in points],
            "held_bytes": [held for _, _, held in points],
        }


def _beside(load: Load, used: list[Stretch]) -> Load:
    """With a point wherever one of the two changes."""
    moments = sorted({*load["at"], *(round(at_s, 3) for each in used for at_s in (each.begin_s, each.end_s))})
    found: Load = {"at": moments, "attempts": [], "held_bytes": [], "used_bytes": [], "cpu_percent": []}
    held = stretch = 0
    for at_s in moments:
        while held + 1 < len(load["at"]) and load["at"][held + 1] <= at_s:
            held += 1
        while stretch < len(used) and round(used[stretch].end_s, 3) <= at_s:
            stretch += 1
        within = used[stretch] if stretch < len(used) and round(used[stretch].begin_s, 3) <= at_s else None
        cpu = None if within is None else within.cpu_percent
        found["attempts"].append(load["attempts"][held])
        found["held_bytes"].append(load["held_bytes"][held])
        found["used_bytes"].append(None if within is None else within.memory_peak_bytes)
        found["cpu_percent"].append(None if cpu is None else round(cpu, 1))
    return found


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
