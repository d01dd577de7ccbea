"""In which file a Go test has failed. Pure.

    --- FAIL: TestTotals (0.00s)
        totals_test.go:12: got 3, want 4              the last part of its path
    FAIL    example.com/shop/cart   0.005s            after them, what is in front of that

The path that is told is ``example.com/shop/cart/totals_test.go``: who has the files finds it by the modules' names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from wavepool.model.diagnostics import Diagnostic
from wavepool.plan.diagnostics.places import number

HELD_MAX: Final = 1000
"""So many tests of one package are held; where more fail, those are told without their file."""

_LOG = re.compile(r"[ \t]+([^\s:/]+_test\.go):(\d+): ")
_RUNS = re.compile(r"=== (?:RUN|CONT|NAME) +(\S+)$")
_Place = tuple[str, int | None]


class FailedTests:
    """Holds the tests of a package until its name is told; in the events of ``-json`` each has it."""

    def __init__(self) -> None:
        self._name = ""
        self._running = ""
        self._held: list[tuple[str, Diagnostic]] = []
        self._places: dict[str, _Place] = {}
        """Where the tests that are under way have logged first: by their names, and by those of the tests they are in.
        """
        self._package = ""

    @property
    def held(self) -> bool:
        """Whether any test is."""
        return bool(self._held)

    def begin(self, name: str) -> None:
        """This test is the one that is under way."""
        self._name = name

    def runs(self, line: str) -> bool:
        """Whether a line of ``-v`` says which test runs, or is one that this test has logged."""
        if (begun := _RUNS.match(line)) is not None:
            self._running = begun[1]
            return True
        if self._running and (match := _LOG.match(line)) is not None:
            self._note(self._running, match)
            return True
        return False

    def log(self, line: str) -> None:
        """A line that a test has logged, the one under way."""
        if self._name and (match := _LOG.match(line)) is not None:
            self._note(self._name, match)

    def log_of(self, package: str, name: str, text: str) -> None:
        """The same in an event."""
        if package != self._package:
            self._package = package
            self._places.clear()
        if (match := _LOG.match(text)) is not None:
            self._note(name, match)

    def hold(self, diagnostic: Diagnostic) -> Sequence[Diagnostic]:
        """What can be told at once: all but a test."""
        name, self._name = self._name, ""
        if not name:
            return (diagnostic,)
        if len(self._held) < HELD_MAX:
            self._held.append((name, diagnostic))
            return ()
        return (diagnostic,)

    def of_package(self, package: str) -> Sequence[Diagnostic]:
        """The tests that were held: they are of this package."""
        held, self._held = self._held, []
        self._running = ""
        places, self._places = self._places, {}
        return [_placed(diagnostic, package, places.get(name)) for name, diagnostic in held]

    def end(self) -> Sequence[Diagnostic]:
        """The tests that were held, of whatever package."""
        held, self._held = self._held, []
        return [diagnostic for _, diagnostic in held]

    def _note(self, name: str, log: re.Match[str]) -> None:
        while name and len(self._places) < HELD_MAX:
            self._places.setdefault(name, (log[1], number(log[2])))
            name = name.rpartition("/")[0]


def _placed(diagnostic: Diagnostic, package: str, place: _Place | None) -> Diagnostic:
    return diagnostic if place is None else replace(diagnostic, path=f"{package}/{place[0]}", line=place[1])
