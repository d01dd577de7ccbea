"""What a scenario is, how much of a fault it gets, what it says at its end, and the registry of all."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random

from wavepool.testing.chaos.ground import Ground
from wavepool.units import MIB


class Skipped(Exception):
    """The scenario cannot be had here. The message is a sentence that says what it would need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dose:
    """How much of each fault.

    Attributes:
        kills: deaths of one round of `kill`, at most.
        steps: points of one round of `steps`, chosen by the seed; None for every one.
        flood_bytes: what the log flood writes.
        lines: what the long output has. blob_bytes: one line, without an end.
        pause_s: how long the orchestrator is stopped.
        restarts: of a daemon of its own.
    """

    kills: int = 12
    steps: int | None = 12
    flood_bytes: int = 1024 * MIB
    lines: int = 100_000
    blob_bytes: int = 100 * MIB
    pause_s: float = 60.0
    restarts: int = 2


FULL = Dose()
QUICK = Dose(kills=2, steps=2, flood_bytes=64 * MIB, lines=20_000, blob_bytes=8 * MIB, pause_s=2.0, restarts=1)
"""For tests, and for `--quick`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that must hold. `problem` says how it does not."""

    name: str
    problem: str | None = None

    @property
    def ok(self) -> bool:
        return self.problem is None


@dataclass(slots=True, kw_only=True)
class Round:
    """One round of one scenario, under way.

    Attributes:
        number: of the round, from 1.
        ground: a new one.
        rng: drawn from by everything that is random; the same seed, scenario and round give the same draws.
        injected: what was done, in a few words, as it happened.
        checks: what was looked at.
        figures: counts that a proof adds up.
    """

    number: int
    ground: Ground
    rng: Random
    dose: Dose
    injected: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)
    began_s: float = field(default_factory=time.monotonic)

    def on(self, ground: Ground) -> Round:
        """The same round on another ground: what is noted there counts here."""
        return replace(self, ground=ground)

    def inject(self, what: str) -> None:
        """Note a fault."""
        self.injected.append(what)

    def check(self, name: str, holds: bool, problem: str = "it does not hold") -> None:
        """Note something that must hold."""
        self.checks.append(Check(name=name, problem=None if holds else problem))

    def count(self, name: str, by: int = 1) -> None:
        """Add to a figure."""
        self.figures[name] = self.figures.get(name, 0) + by

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


Play = Callable[[Round], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One kind of fault.

    Attributes:
        name: as the command line has it.
        title: what happens, in a few words.
        play: does it, and checks. Raises Skipped where it cannot be had.
        docker: needs the Docker driver.
        own_ground: makes its own daemon or file system, and needs root for it.
    """

    name: str
    title: str
    play: Play
    docker: bool = False
    own_ground: bool = False


class Registry:
    """All scenarios, in the order in which they run."""

    def __init__(self) -> None:
        self._all: dict[str, Scenario] = {}

    def add(self, name: str, title: str, *, docker: bool = False, own_ground: bool = False) -> Callable[[Play], Play]:
        """Decorates the function that plays it."""

        def register(play: Play) -> Play:
            self._all[name] = Scenario(name=name, title=title, play=play, docker=docker, own_ground=own_ground)
            return play

        return register

    def include(self, *others: Registry) -> Registry:
        """With all scenarios of `others`."""
        for other in others:
            self._all.update(other._all)
        return self

    def __iter__(self) -> Iterator[Scenario]:
        return iter(self._all.values())

    def get(self, name: str) -> Scenario | None:
        """The scenario of this name."""
        return self._all.get(name)
