"""What can go wrong with an engine, by name; who decides when it does is injected."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import StrEnum


class Fault(StrEnum):
    """One way in which a real engine has failed us. Each names the call or the stream that it hits."""

    UNAVAILABLE = "unavailable"
    """A call does not reach the engine: DriverUnavailable, nothing happened."""
    PREPARE_FAILS = "prepare_fails"
    """PrepareError for the first image or network asked for."""
    CREATE_LATE = "create_late"
    """The create was cut off; the container appears only later, not started. Unknown is raised at once."""
    START_CUT_BEFORE = "start_cut_before"
    """Unknown; nothing happened."""
    START_CUT_BETWEEN = "start_cut_between"
    """Unknown; the container was created, and is not running."""
    START_CUT_AFTER = "start_cut_after"
    """Unknown; it runs."""
    START_REFUSED = "start_refused"
    """NotStarted, transient: the engine is too busy."""
    START_IMPOSSIBLE = "start_impossible"
    """NotStarted for good; the created container stays behind."""
    PARK_IMPOSSIBLE = "park_impossible"
    """CannotPark: it can only be started cold."""
    PARKED_DIES = "parked_dies"
    """A parked container ends in the instant of its claim: nothing runs in it."""
    CLAIM_CUT_BEFORE = "claim_cut_before"
    """Unknown; nothing ran, and nothing will."""
    CLAIM_CUT_AFTER = "claim_cut_after"
    """Unknown; it runs."""
    FOREIGN_REMOVAL = "foreign_removal"
    """Somebody else removes the container, while it runs or shortly after it ended."""
    STOP_HANGS = "stop_hangs"
    """The stop's deadline passes without effect: Unknown."""
    STOP_CUT_AFTER = "stop_cut_after"
    """Unknown, although the container was stopped."""
    REMOVE_FAILS = "remove_fails"
    """The container resists: it is named in `Removed.errors`."""
    KEEP_FAILS = "keep_fails"
    """The file system cannot be kept: KeepError."""
    KEEP_CUT_AFTER = "keep_cut_after"
    """Unknown, although it was kept."""
    EVENT_LOST = "event_lost"
    """A change is not told before the next re-sync."""
    EVENT_DOUBLED = "event_doubled"
    """A change is told twice."""
    EVENT_LATE = "event_late"
    """A change is told after later ones, as it was when it happened."""
    STREAM_CUT = "stream_cut"
    """The watch loses its connection, misses what changes meanwhile, reconnects and tells all states again."""
    EXIT_LOST_IN_GAP = "exit_lost_in_gap"
    """The engine itself was away: of an exit in the gap of a cut watch, how it ended is not known: LOST."""
    WATCH_GIVES_UP = "watch_gives_up"
    """The engine stays away for longer than the driver's patience: the watch raises DriverUnavailable."""
    LOG_GAP = "log_gap"
    """The beginning of the output is missing; its first chunk says so."""


class Hazards(ABC):
    """Decides which fault hits which call. Must be deterministic in its arguments and in how often it was asked."""

    @abstractmethod
    def strikes(self, fault: Fault, subject: str) -> bool:
        """True if `fault` hits this call or event about `subject`."""

    @abstractmethod
    def fraction(self, fault: Fault, subject: str) -> float:
        """A number from 0 to below 1: how late, how long."""


class NoHazards(Hazards):
    """An engine that never fails."""

    def strikes(self, fault: Fault, subject: str) -> bool:
        return False

    def fraction(self, fault: Fault, subject: str) -> float:
        return 0.0
