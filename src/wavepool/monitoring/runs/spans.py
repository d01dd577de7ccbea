"""When a run was paused, and when nobody worked on it: why nothing of it began for a time."""

from __future__ import annotations

from datetime import datetime

from wavepool.core.facts import Stamped
from wavepool.engine.worktime import takes_up
from wavepool.monitoring.documents.runs import RunSpan
from wavepool.monitoring.runs.entries import iso

KEPT_SPANS = 100
"""Of a run; the oldest are forgotten first."""

LEAST_AWAY_S = 1.0
"""A run that another process takes up sooner was worked on all the time."""


class SpanFold:
    """Folds facts into spans by number as text, numbers growing with their begin; O(1) for each fact."""

    def __init__(self) -> None:
        self._spans: dict[str, RunSpan] = {}
        self._begun = 0
        self._pause: str | None = None
        """The number of the pause that goes on."""
        self._last_at: datetime | None = None

    def take(self, stamped: Stamped, *, paused: bool) -> None:
        """Take in one more fact; `paused`: whether starts of the run, which is not over, are held back after it."""
        if self._last_at is not None and takes_up(stamped.fact):
            self._note_away(self._last_at, stamped.utc)
        self._last_at = stamped.utc
        if paused == (self._pause is not None):
            return
        if paused and self._pause is None:
            self._pause = self._begin({"kind": "paused", "from": iso(stamped.utc)})
        elif not paused and self._pause is not None:
            self._end(self._pause, stamped.utc)
            self._pause = None

    def all(self) -> dict[str, RunSpan]:
        """As the documents have them: entries are never changed, but replaced."""
        return dict(self._spans)

    # -- inside --

    def _note_away(self, last_at: datetime, at: datetime) -> None:
        """One time together with the one before where whoever took the run up then has told nothing else: it wrote that
        the run is to be retried, and a process takes that up now, or it died at once."""
        newest = self._spans.get(str(self._begun))
        if newest is not None and newest["kind"] == "away" and newest.get("to") == iso(last_at):
            self._end(str(self._begun), at)
        elif (at - last_at).total_seconds() >= LEAST_AWAY_S:
            self._begin({"kind": "away", "from": iso(last_at), "to": iso(at)})

    def _begin(self, span: RunSpan) -> str:
        self._begun += 1
        number = str(self._begun)
        self._spans[number] = span
        if len(self._spans) > KEPT_SPANS:
            del self._spans[next(iter(self._spans))]
        return number

    def _end(self, number: str, at: datetime) -> None:
        span = self._spans.get(number)
        if span is not None:
            self._spans[number] = {**span, "to": iso(at)}
