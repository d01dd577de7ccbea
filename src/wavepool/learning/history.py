"""All samples, and what they let us expect of a task: from its twins, else its kind, else its tier."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

from wavepool.learning.kinds import kind_of, twin_of
from wavepool.learning.quantiles import quantile
from wavepool.learning.samples import Sample
from wavepool.model import Task

ASSUMED_S = 60.0
"""What a task is taken to last where nothing at all is known."""
DRAWN_FROM = 200
"""The newest samples of a kind that durations are drawn from; those before them count no more."""


class Basis(StrEnum):
    """What an expectation rests on. `TWIN`: the same work was done before. `NONE`: a guess."""

    TWIN = "twin"
    KIND = "kind"
    TIER = "tier"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is expected of one attempt.

    Attributes:
        basis: what its duration rests on.
        durations_s: what was seen, rising, at least one; what is guessed where nothing was.
        duration_s: their mean.
        start_s, end_s: from the decision to start it until it runs, and from its end to its verdict.
        peak_bytes: the memory that 19 of 20 like it do not exceed; None where none was ever seen.
    """

    basis: Basis
    durations_s: tuple[float, ...]
    duration_s: float
    start_s: float
    end_s: float
    peak_bytes: int | None


class History:
    """Samples by twin, kind and tier, the newest last."""

    def __init__(self, samples: Iterable[Sample] = ()) -> None:
        self.samples: tuple[Sample, ...] = tuple(samples)
        self._twins: dict[str, list[Sample]] = {}
        self._kinds: dict[str, list[Sample]] = {}
        self._tiers: dict[int, list[Sample]] = {}
        for sample in self.samples:
            self._twins.setdefault(sample.twin, []).append(sample)
            self._kinds.setdefault(sample.kind, []).append(sample)
            self._tiers.setdefault(sample.tier, []).append(sample)
        self._made: dict[tuple[str, str, int], Expected] = {}
        self._start_s = _mean([sample.start_s for sample in self.samples if sample.start_s is not None])
        self._end_s = _mean([sample.end_s for sample in self.samples if sample.end_s is not None])

    def expected(self, task: Task, image: str) -> Expected:
        """What is expected of the next attempt of `task`; `image` is that of tasks that name none."""
        twin = twin_of(task, image) if self._twins else ""
        # Tasks that are nobody's twin are all alike: one answer serves a million of them.
        key = (twin if twin in self._twins else "", kind_of(task, image), task.tier)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = self._make(*key)
        return found

    def of_kind(self, kind: str) -> Sequence[Sample]:
        """The samples of one kind, the newest last."""
        return self._kinds.get(kind, ())

    def _make(self, twin: str, kind: str, tier: int) -> Expected:
        ways = (
            (Basis.TWIN, self._twins.get(twin, [])),
            (Basis.KIND, self._kinds.get(kind, [])),
            (Basis.TIER, self._tiers.get(tier, [])),
        )
        durations = ((way, _durations(samples)) for way, samples in ways)
        basis, durations_s = next((each for each in durations if each[1]), (Basis.NONE, (ASSUMED_S,)))
        peaks = next(filter(None, (_needs(samples) for _, samples in ways)), None)
        return Expected(
            basis=basis,
            durations_s=durations_s,
            duration_s=fmean(durations_s),
            start_s=self._start_s,
            end_s=self._end_s,
            peak_bytes=None if peaks is None else round(quantile(peaks, 0.95)),
        )


def _durations(samples: Sequence[Sample]) -> tuple[float, ...]:
    lasted = [sample.duration_s for sample in samples if sample.duration_s is not None]
    return tuple(sorted(lasted[-DRAWN_FROM:]))


def _needs(samples: Sequence[Sample]) -> list[int]:
    """The memory that each was seen to use; of one that met its limit, all of that."""
    seen = [sample.limit_bytes if sample.own_oom else sample.peak_bytes for sample in samples]
    return sorted(each for each in seen[-DRAWN_FROM:] if each is not None)


def _mean(values: Sequence[float]) -> float:
    return fmean(values[-DRAWN_FROM:]) if values else 0.0
