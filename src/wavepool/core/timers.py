"""Deadlines on the boot clock, earliest first."""

from __future__ import annotations

import heapq
from enum import StrEnum
from typing import NamedTuple

from wavepool.model import AttemptId


class TimerKind(StrEnum):
    """What becomes due."""

    ATTEMPT = "attempt"
    LIFETIME = "lifetime"
    WAVE = "wave"
    BACKOFF = "backoff"
    ACCOUNT = "account"


class TimerKey(NamedTuple):
    """Whose deadline: an attempt, a wave's number, a task's id, or the name of an account."""

    kind: TimerKind
    subject: AttemptId | int | str


def account_timer(account: str) -> TimerKey:
    """Set while the account is paused; what waits for it waits for this key."""
    return TimerKey(TimerKind.ACCOUNT, account)


def attempt_timer(attempt: AttemptId) -> TimerKey:
    """The bound of an attempt."""
    return TimerKey(TimerKind.ATTEMPT, attempt)


def lifetime_timer(attempt: AttemptId) -> TimerKey:
    """Its next lifetime, soft or hard."""
    return TimerKey(TimerKind.LIFETIME, attempt)


def backoff_timer(task_id: str) -> TimerKey:
    """Until then a task waits that is to be tried again."""
    return TimerKey(TimerKind.BACKOFF, task_id)


def wave_timer(wave: int) -> TimerKey:
    """The bound of a wave."""
    return TimerKey(TimerKind.WAVE, wave)


class Timers:
    """One deadline for each key. Setting and clearing cost O(log n); a cleared one leaves the heap when it surfaces."""

    def __init__(self) -> None:
        self._deadline_s: dict[TimerKey, float] = {}
        self._heap: list[tuple[float, int, TimerKey]] = []
        self._count = 0

    def set(self, key: TimerKey, deadline_s: float) -> None:
        """Set or move the deadline of `key`."""
        self._deadline_s[key] = deadline_s
        self._count += 1  # makes heap entries comparable where two deadlines are equal
        heapq.heappush(self._heap, (deadline_s, self._count, key))

    def clear(self, key: TimerKey) -> None:
        """Forget the deadline of `key`; no error if there is none."""
        self._deadline_s.pop(key, None)

    def deadline_s(self, key: TimerKey) -> float | None:
        """The deadline of `key`, None if it has none."""
        return self._deadline_s.get(key)

    def is_set(self, key: TimerKey) -> bool:
        """True while `key` has a deadline."""
        return key in self._deadline_s

    def shift(self, by_s: float) -> None:
        """Move every deadline, as a boot clock that began anew asks for."""
        moved = {key: deadline + by_s for key, deadline in self._deadline_s.items()}
        self._heap.clear()
        for key, deadline in moved.items():
            self.set(key, deadline)

    def deadlines(self) -> dict[TimerKey, float]:
        """All deadlines that are set, as a copy."""
        return dict(self._deadline_s)

    def subjects(self, kind: TimerKind) -> list[AttemptId | int | str]:
        """Whose deadlines of that kind are set. O(all deadlines)."""
        return [key.subject for key in self._deadline_s if key.kind is kind]

    def next_s(self) -> float | None:
        """The earliest deadline, None if there is none."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def due(self, now_s: float) -> list[TimerKey]:
        """The keys whose deadline has come, earliest first. They stay set until they are cleared."""
        found: list[TimerKey] = []
        popped: list[tuple[float, int, TimerKey]] = []
        self._drop_stale()
        while self._heap and self._heap[0][0] <= now_s:
            entry = heapq.heappop(self._heap)
            found.append(entry[2])
            popped.append(entry)
            self._drop_stale()
        for entry in popped:
            heapq.heappush(self._heap, entry)
        return list(dict.fromkeys(found))

    def _drop_stale(self) -> None:
        while self._heap and self._deadline_s.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
