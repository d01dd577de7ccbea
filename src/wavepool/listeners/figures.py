"""Counts of tasks, as every screen shows them."""

from __future__ import annotations

from datetime import datetime

from wavepool.engine.room import AtOnce, Room
from wavepool.model import VerdictKind


class Figures:
    """Counts of tasks, of one wave or of the whole run. Every task is in one of pending, starting, running, ended.

    `failed` is what ended without success and not by a timeout, as in the seed's line; `cancelled` and `skipped` are
    parts of it. `retries` counts attempts that were followed by another one. Of the attempts that `started` so many
    were `warm`: their containers had been parked for them.
    """

    __slots__ = (
        "cancelled",
        "failed",
        "pending",
        "retries",
        "running",
        "skipped",
        "started",
        "starting",
        "success",
        "timeout",
        "warm",
    )

    def __init__(self) -> None:
        self.pending = 0
        self.starting = 0
        self.running = 0
        self.success = 0
        self.failed = 0
        self.timeout = 0
        self.cancelled = 0
        self.skipped = 0
        self.retries = 0
        self.started = 0
        self.warm = 0

    @property
    def ended(self) -> int:
        return self.success + self.failed + self.timeout

    @property
    def total(self) -> int:
        return self.pending + self.starting + self.running + self.ended

    def line(self) -> str:
        """The seed's line."""
        return f"Running: {self.running}, Completed: {self.success}, Failed: {self.failed}, Timeout: {self.timeout}"

    def end(self, verdict: VerdictKind, count: int = 1) -> None:
        """`count` tasks, taken out of another count by the caller, ended so."""
        if verdict is VerdictKind.SUCCESS:
            self.success += count
        elif verdict is VerdictKind.TIMEOUT:
            self.timeout += count
        else:
            self.failed += count
            self.cancelled += count if verdict is VerdictKind.CANCELLED else 0
            self.skipped += count if verdict is VerdictKind.SKIPPED else 0


def warm_words(figures: Figures) -> str:
    """How many of the attempts started warm."""
    return f"{figures.warm} of {figures.started} started warm"


class WaveProgress(Figures):
    """One wave: its figures, and where it stands.

    `rounds` counts the times that it reached its timeout; `duration_s` is how long it was worked on until it was last
    settled, None before; `since` is when it was opened last, None while it waits for that; `room` is how many of its
    tasks have room at once.
    """

    __slots__ = ("duration_s", "number", "opened_at", "room", "rounds", "settled_at", "since")

    def __init__(self, number: int, room: Room) -> None:
        super().__init__()
        self.number = number
        self.room = room
        self.opened_at: datetime | None = None
        self.settled_at: datetime | None = None
        self.since: datetime | None = None
        self.rounds = 0
        self.duration_s: float | None = None

    @property
    def waits_for(self) -> AtOnce | None:
        """What its pending tasks wait for, where that is room or its parallelism."""
        bound = self.room.at_once() if self.pending else None
        return bound if bound is not None and self.starting + self.running >= bound.tasks else None

    @property
    def state(self) -> str:
        """``waiting``, ``open`` or ``settled``."""
        if self.settled_at is not None:
            return "settled"
        return "open" if self.since is not None else "waiting"
