"""What a figure is, and how two or more ways of doing one thing are measured fairly.

The machine's load drifts, so the ways take turns, in an order that is reversed every other round, and a ratio is the
median of the ratios within the rounds.
"""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

Measure = Callable[[], Awaitable[float]]
"""One run of one way: returns its reading in the figure's unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What a number must be: at most `bound`, or (`at_least`) at least it. `of` names what is compared."""

    bound: float
    of: str = "ours"
    at_least: bool = False

    def is_met(self, value: float | None) -> bool:
        """False where there is no value: what was not measured is not met."""
        if value is None or math.isnan(value):
            return False
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{self.of} {'>=' if self.at_least else '<='} {self.bound:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the table.

    Attributes:
        name: of the figure, as ``spawn 28``.
        unit: of ours, rivals and floor.
        ours: the median of our readings.
        rivals: what others reach, by their names.
        floor: what cannot be beaten on this machine, None where there is no such thing.
        ratio: ours to the floor (or to what `ratio_to` names), the median over the rounds.
        goals: what DESIGN.md asks; all must be met.
        missed: those that were not.
        runs: how many readings stand behind each median.
        note: what one must know to read the row.
    """

    name: str
    unit: str
    ours: float
    rivals: Mapping[str, float] = field(default_factory=dict)
    floor: float | None = None
    ratio: float | None = None
    goals: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    runs: Mapping[str, int] = field(default_factory=dict)
    note: str = ""

    @property
    def met(self) -> bool | None:
        """None where nothing was asked."""
        return not self.missed if self.goals else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user asked for. `runs` None: as many as each figure usually takes."""

    runs: int | None = None

    def rounds(self, usual: int) -> int:
        return usual if self.runs is None else self.runs


Readings = dict[str, list[float]]
"""Name of the way -> one reading for each round in which it took part."""


async def interleave(
    ways: Mapping[str, Measure], *, rounds: int, only_first: Mapping[str, int] | None = None
) -> Readings:
    """Measure each way once a round, the order reversed every other round.

    Args:
        ways: by name.
        rounds: how many.
        only_first: ways that are slow, with the number of rounds after which they are left out.
    """
    limits = only_first or {}
    readings: Readings = {name: [] for name in ways}
    for number in range(rounds):
        taking_part = [name for name in ways if number < limits.get(name, rounds)]
        for name in taking_part if number % 2 == 0 else reversed(taking_part):
            readings[name].append(await ways[name]())
    return readings


def compare(
    readings: Readings,
    *,
    name: str,
    unit: str,
    ours: str = "ours",
    floor: str | None = None,
    ratio_goal: Goal | None = None,
    ours_goal: Goal | None = None,
    beats_rivals: bool = False,
    note: str = "",
) -> Figure:
    """The figure of interleaved readings: medians, the ratio to the floor, and which goals were missed.

    With `beats_rivals` ours must be below every rival, in the median of the rounds that both took part in.
    """
    medians = {way: statistics.median(values) for way, values in readings.items() if values}
    mine = medians.pop(ours)
    lowest = medians.pop(floor, None) if floor is not None else None
    ratio = median_ratio(readings[ours], readings[floor]) if floor is not None and lowest is not None else None
    asked = [(ours_goal, mine), (ratio_goal, ratio)]
    goals = [str(goal) for goal, _ in asked if goal is not None]
    missed = [str(goal) for goal, value in asked if goal is not None and not goal.is_met(value)]
    if beats_rivals:
        goals.append("below its rivals")
        against = {way: median_ratio(readings[ours], readings[way]) for way in medians}
        missed += [
            f"below {way} ({of_it:.2f} of it)" for way, of_it in against.items() if of_it is not None and of_it >= 1
        ]
    return Figure(
        name=name,
        unit=unit,
        ours=mine,
        rivals=medians,
        floor=lowest,
        ratio=ratio,
        goals=tuple(goals),
        missed=tuple(missed),
        runs={way: len(values) for way, values in readings.items()},
        note=note,
    )


def single(
    *,
    name: str,
    unit: str,
    ours: float,
    goal: Goal,
    floor: float | None = None,
    rivals: Mapping[str, float] | None = None,
    runs: Mapping[str, int] | None = None,
    note: str = "",
) -> Figure:
    """The figure of one number that is no median, such as the tail of many readings."""
    return Figure(
        name=name,
        unit=unit,
        ours=ours,
        rivals=rivals or {},
        floor=floor,
        goals=(str(goal),),
        missed=() if goal.is_met(ours) else (str(goal),),
        runs=runs or {},
        note=note,
    )


def load() -> str:
    """What the machine was busy with in the last minutes, for a note."""
    return "load " + ", ".join(f"{each:.1f}" for each in os.getloadavg())


def median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float | None:
    """The median of the ratios of those that were measured in the same round; None where there are none."""
    ratios = [above / below for above, below in zip(numerators, denominators, strict=False) if below > 0]
    return statistics.median(ratios) if ratios else None


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of at least one value; `percent` from 0 to 100."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]
