"""Whether a run goes on, folded from its facts: paused, draining, stopped, or over. The one place that knows."""

from __future__ import annotations

from datetime import datetime

from wavepool.core import facts
from wavepool.core.facts import Fact, Outcome


class RunCourse:
    """What holds a run's starts back. The core asks it, and so does each that tells of a run.

    Attributes:
        paused: since when nothing starts, as somebody paused the run; None where that is not so.
        draining: somebody interrupted it: nothing new starts, what runs goes on. `forced`: what runs is stopped, too.
        stopped: why nothing new starts any more, None where that is not so.
        stop_may_pass: the machine was the cause of `stopped`, so that a resume tries again; a failed task stays failed.
        infrastructure_failed: the machine has failed since the run was taken up last.
        outcome, finished_at: its end, None before that.
    """

    __slots__ = (
        "draining",
        "finished_at",
        "forced",
        "infrastructure_failed",
        "outcome",
        "paused",
        "stop_may_pass",
        "stopped",
    )

    def __init__(self) -> None:
        self.paused: datetime | None = None
        self.draining = self.forced = False
        self.stopped: str | None = None
        self.stop_may_pass = self.infrastructure_failed = False
        self.outcome: Outcome | None = None
        self.finished_at: datetime | None = None

    @property
    def is_paused(self) -> bool:
        """Whether somebody holds the starts of this run back, which is not over."""
        return self.paused is not None and self.outcome is None

    @property
    def is_ending(self) -> bool:
        """Whether nothing new starts any more, paused or not."""
        return self.stopped is not None or self.draining or self.outcome is not None

    def take(self, fact: Fact) -> None:
        """Take in one more fact; of most nothing follows."""
        match fact:
            case facts.RunPaused():
                self.paused = fact.at
            case facts.RunUnpaused():
                self.paused = None
            case facts.RunStopped():
                if self.stopped is None:
                    self.stopped, self.stop_may_pass = fact.cause, fact.infrastructure
                self.infrastructure_failed = self.infrastructure_failed or fact.infrastructure
            case facts.RunInterrupted():
                self.draining, self.forced = True, self.forced or fact.force
            case facts.RunFinished():
                self.outcome, self.finished_at = fact.outcome, fact.at
            case facts.RunResumed():
                self._resume()
            case facts.RunReopened():
                self._reopen()
            case _:
                pass

    def take_up(self) -> None:
        """Somebody works on it again, so it is not over: for who tells of any journal, also one of another release."""
        self.outcome = self.finished_at = None

    def _resume(self) -> None:
        """A drain that a user asked of an earlier process is over, and so is what the machine was at fault for."""
        if self.draining or self.infrastructure_failed:
            self.draining = self.forced = self.infrastructure_failed = False
            self.outcome = self.finished_at = None
            if self.stop_may_pass:
                self.stopped = None

    def _reopen(self) -> None:
        """As if it had neither been stopped nor ended; a pause is not touched."""
        self.draining = self.forced = self.stop_may_pass = self.infrastructure_failed = False
        self.stopped = self.outcome = self.finished_at = None
