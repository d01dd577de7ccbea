"""Failures that can be repeated: which fault hits which call is decided by a seed alone."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping

from wavepool.drivers.memory import Fault, Hazards

SURVIVABLE = frozenset(Fault) - {Fault.UNAVAILABLE, Fault.PREPARE_FAILS, Fault.WATCH_GIVES_UP}
"""Faults that a run must get over by itself. The others may end it (it can be resumed)."""


class FaultPlan(Hazards):
    """Strikes with given rates, and the same way for the same seed.

    Whether the n-th question about a fault and a subject gets a yes depends on the seed, the fault, the subject and n;
    not on what else was asked in between, so one change of a schedule does not reshuffle all the others.

    Args:
        seed: any number.
        rates: fault -> probability from 0 to 1; what is not named never strikes.
        most: after so many strikes the same fault spares the same subject, so that repeating helps in the end.

    Attributes:
        struck: how often each fault has struck.
    """

    def __init__(self, seed: int, rates: Mapping[Fault, float], *, most: int = 3) -> None:
        self._seed = seed
        self._rates = dict(rates)
        self._most = most
        self._asked: Counter[tuple[Fault, str]] = Counter()
        self._hit: Counter[tuple[Fault, str]] = Counter()
        self.struck: Counter[Fault] = Counter()

    @classmethod
    def rough(cls, seed: int, rate: float = 0.05) -> FaultPlan:
        """Everything that a run must get over by itself, each with the same rate."""
        return cls(seed, dict.fromkeys(SURVIVABLE, rate))

    @classmethod
    def always(cls, *faults: Fault, most: int = 1) -> FaultPlan:
        """Each of these faults strikes every subject, `most` times."""
        return cls(0, dict.fromkeys(faults, 1.0), most=most)

    def strikes(self, fault: Fault, subject: str) -> bool:
        rate = self._rates.get(fault, 0.0)
        key = (fault, subject)
        if rate <= 0 or self._hit[key] >= self._most:
            return False
        self._asked[key] += 1
        hit = self._draw("strike", fault, subject, self._asked[key]) < rate
        if hit:
            self._hit[key] += 1
            self.struck[fault] += 1
        return hit

    def fraction(self, fault: Fault, subject: str) -> float:
        return self._draw("fraction", fault, subject, self._asked[fault, subject])

    def _draw(self, *of: object) -> float:
        digest = hashlib.blake2b(repr((self._seed, *map(str, of))).encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64
