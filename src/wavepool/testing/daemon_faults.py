"""What a proxy in front of a Docker daemon does to calls and events: seeded rules, each with what it hits, how often.

Pure: `daemon_proxy` carries it out.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """What happens to a call, or to the events of a stream."""

    REFUSE = "refuse"
    """Answered with an error status; the daemon never hears of it."""
    HANG = "hang"
    """Held, then closed; the daemon never hears of it."""
    LOSE = "lose"
    """The daemon does it; its answer is held, then thrown away, and the connection closed."""
    CUT = "cut"
    """The daemon does it; half of its answer comes, then the connection is closed."""
    EVENTS_CUT = "events-cut"
    """The stream ends in the middle of an event."""
    EVENTS_DROP = "events-drop"
    EVENTS_DOUBLE = "events-double"
    EVENTS_REORDER = "events-reorder"
    """An event comes after the next one."""
    EVENTS_DELAY = "events-delay"
    """An event, and with it all after it, comes later."""

    @property
    def on_events(self) -> bool:
        return self.value.startswith("events-")


IN_PROGRESS = "removal of container {name} is already in progress"
"""The daemon's words of a 409 to a second removal."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """One rule.

    Attributes:
        path: searched in ``METHOD /path?query`` (percent-decoded); for events in the event's action.
        first: the number of the first matching call that it hits, from 1.
        times: how many it hits in all.
        chance: of each call that it could hit.
        status, words: of a refusal.
        hold_s: how long a call, an answer or an event is held.
        hits: how many it has hit.
    """

    kind: FaultKind
    path: str = ""
    first: int = 1
    times: int = 1
    chance: float = 1.0
    status: int = 500
    words: str = "injected by the proxy"
    hold_s: float = 0.0
    seen: int = 0
    hits: int = 0

    def takes(self, text: str, dice: random.Random) -> bool:
        """Whether it hits this one; counts."""
        if self.hits >= self.times or re.search(self.path, text) is None:
            return False
        self.seen += 1
        if self.seen < self.first or (self.chance < 1.0 and dice.random() >= self.chance):
            return False
        self.hits += 1
        return True


class Faults:
    """The rules of one proxy; the same seed and the same calls give the same faults."""

    def __init__(self, *rules: Fault, seed: int = 0) -> None:
        self.rules = list(rules)
        self._dice = random.Random(seed)

    def on_call(self, call: str) -> Fault | None:
        """The first rule that hits this call."""
        return next((rule for rule in self.rules if not rule.kind.on_events and rule.takes(call, self._dice)), None)

    def on_event(self, line: bytes) -> Fault | None:
        """The first rule that hits this event (one line of JSON)."""
        rules = [rule for rule in self.rules if rule.kind.on_events]
        if not rules:
            return None
        action = str(json.loads(line).get("Action", ""))
        return next((rule for rule in rules if rule.takes(action, self._dice)), None)

    def hits(self) -> dict[FaultKind, int]:
        """How many calls and events each kind has hit."""
        found: dict[FaultKind, int] = {}
        for rule in self.rules:
            found[rule.kind] = found.get(rule.kind, 0) + rule.hits
        return found


class StreamCut(Exception):
    """The stream of events ends here."""


class EventMangler:
    """Applies the rules to one stream of events; what comes out is (seconds to wait first, bytes)."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._held: list[bytes] = []

    def mangle(self, lines: Iterable[bytes]) -> Iterator[tuple[float, bytes]]:
        """Raises StreamCut after the half of an event."""
        for bare in lines:
            fault = self._faults.on_event(bare)
            kind = fault.kind if fault is not None else None
            line = bare + b"\n"
            if fault is not None and kind is FaultKind.EVENTS_CUT:
                yield 0.0, line[: len(line) // 2]
                raise StreamCut
            if kind is FaultKind.EVENTS_REORDER:
                self._held.append(line)
                continue
            if kind is not FaultKind.EVENTS_DROP:
                yield (fault.hold_s if fault is not None else 0.0), line
            if kind is FaultKind.EVENTS_DOUBLE:
                yield 0.0, line
            yield from ((0.0, each) for each in self._held)
            self._held.clear()
