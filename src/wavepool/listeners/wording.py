"""Words for people. Ids, reasons and daemon messages come from outside: what could act on a terminal is escaped."""

from __future__ import annotations

from datetime import datetime

from wavepool.engine.room import Room
from wavepool.units import format_duration, human_size

GAP_MIN_S = 1.0
"""A shorter time in which nothing of the run ran is not told."""

DAY_S = 86400.0


def printable(text: str, limit: int | None = None) -> str:
    """`text` on one line, with control, bidi and other unprintable characters as escapes.

    `limit` cuts it to that many characters, the last one an ellipsis.
    """
    if limit is not None:
        text = text[: limit + 1]  # an escape is longer than its character, never shorter
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    if limit is not None and len(shown) > limit:
        return shown[: limit - 1] + "…"
    return shown


def stamp(at: datetime) -> str:
    """ISO 8601 in UTC, to the second: ``2025-11-14T10:30:45Z``."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def time_of(at: datetime, now: datetime) -> str:
    """``14:30:00Z`` of a moment that is less than a day from `now`, else with its day."""
    return stamp(at) if abs((at - now).total_seconds()) >= DAY_S else f"{at:%H:%M:%S}Z"


def took(worked_s: float, since_start_s: float | None = None) -> str:
    """How long a run took: ``6.0s``; where nothing of it ran in between, ``5.8s of work, 51s since its start``."""
    worked = format_duration(round(worked_s, 3))  # as results have it: rounded twice, 2.3496 would differ from 2.35
    if since_start_s is None or since_start_s - worked_s < GAP_MIN_S:
        return worked
    return f"{worked} of work, {format_duration(since_start_s)} since its start"


def at_once_words(room: Room) -> str:
    """Why tasks of a wave will wait: ``1 at a time: each is promised 2 CPUs of 2 here; ...``; empty where none will."""
    bound = room.at_once()
    if bound is None:
        return ""
    if bound.bound == "parallelism":
        return f"{bound.tasks} at a time: its `parallelism` in the plan"
    much = "" if room.equal else "up to "
    many = f"{bound.tasks} at {'a time' if room.equal else 'first'}"
    if bound.bound == "cpus":
        cpus, here = (f"{milli / 1000:g}" for milli in (room.most.milli_cpus, room.capacity.milli_cpus))
        return f"{many}: each is promised {much}{cpus} CPUs of {here} here (--cpus, or `cpus` of a batch, changes it)"
    held, budget = human_size(room.most.memory_bytes), human_size(room.capacity.memory_bytes)
    change = "(--budget, or `memory` of a batch, changes it)"
    return f"{many}: each is promised {much}{held} of a budget of {budget} {change}"


WAITED_FOR = {"cpus": "CPUs", "memory": "memory", "parallelism": "its parallelism"}
"""By what bounds them."""


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 task``, ``28 tasks``; `plural` where that is not the noun with an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or f'{noun}s'}"
