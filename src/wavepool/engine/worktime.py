"""How long a run and its waves were worked on: the one measure behind `took`, `after`, `in` and `duration_s`."""

from __future__ import annotations

from datetime import datetime

from wavepool.core import facts
from wavepool.core.facts import Stamped


class WorkTime:
    """Folds facts into seconds in which the run was worked on; O(1) for each fact.

    It is the boot clock's time from fact to fact. Before a resume or a retry no process was at the run: where attempts
    were left running that time counts, by the wall clock (containers run on; it counts whole, whenever they ended),
    and where nothing ran it does not. A wave is worked on from each opening until it is settled, or
    until now; one that `wavepool retry` opened again counts both times.

    Attributes:
        seconds: of the run, until the last fact.
        sessions: how many processes were at it, one after the other.
        last_at: when the last fact was decided, None before the first.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.sessions = 0
        self._offset_s: float | None = None
        self._reopened = False
        self._live = 0
        self.last_at: datetime | None = None
        self._opened_s: dict[int, float] = {}
        self._spent_s: dict[int, float] = {}

    def take(self, stamped: Stamped) -> None:
        """Take in one more fact."""
        fact = stamped.fact
        kind = type(fact)
        if self._offset_s is None or (kind in _BEGIN_SESSIONS and takes_up(fact)):
            if self._live and self.last_at is not None:
                self.seconds += max(0.0, (stamped.utc - self.last_at).total_seconds())
            self._offset_s = self.seconds - stamped.boot_s
            self.sessions += not (self._reopened and isinstance(fact, facts.RunResumed))
            self._reopened = isinstance(fact, facts.RunReopened)
        self.seconds, self.last_at = self.at(stamped.boot_s), stamped.utc
        if kind is facts.StartIntended:
            self._live += 1
        elif kind is facts.AttemptExited:
            self._live -= 1
        elif isinstance(fact, facts.WaveOpened):
            self._opened_s.setdefault(fact.wave, self.seconds)
        elif isinstance(fact, facts.WaveSettled):
            self._spent_s[fact.wave] = self._spent_s.get(fact.wave, 0.0) + self._open_s(fact.wave)
            self._opened_s.pop(fact.wave, None)

    def at(self, boot_s: float) -> float:
        """Seconds of the run at that moment of the boot clock of the process that is at it now."""
        return self.seconds if self._offset_s is None else max(self.seconds, boot_s + self._offset_s)

    def wave_s(self, number: int) -> float | None:
        """Of one wave; None for one that was never opened."""
        if number not in self._opened_s and number not in self._spent_s:
            return None
        return self._spent_s.get(number, 0.0) + self._open_s(number)

    def _open_s(self, number: int) -> float:
        opened_s = self._opened_s.get(number)
        return 0.0 if opened_s is None else self.seconds - opened_s


_BEGIN_SESSIONS = frozenset({facts.RunResumed, facts.RunReopened})
"""Kinds of facts that are asked closely; all others are known by this not to begin one."""


def takes_up(fact: facts.Fact) -> bool:
    """Another process is at it from here on."""
    return isinstance(fact, facts.RunResumed) or (isinstance(fact, facts.RunReopened) and not fact.live)
