"""Which directory a tool runs in, where make or ninja says so: the tool's own paths begin there. Pure.

make[1]: Entering directory '/src/lib'
shapes.c:3:5: error: ...                          src/lib/shapes.c
make[1]: Leaving directory '/src/lib'
ninja: Entering directory `build'                 from there to the end
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from wavepool.model.diagnostics import Diagnostic, Found

DEPTH_MAX: Final = 1000
"""So many directories may be entered one within the other; further ones are passed over."""

ENTERED_MAX: Final = 200
"""Among so many directories a tool is looked for whose own isn't certain; where there are more, no file is guessed."""

MARK: Final = "ing directory "
"""In each line with which a directory is entered or left."""

_NINJA: Final = "ninja"
"""It says nothing when it ends: that another begins, or the make around it does, tells."""

_LINE = re.compile(
    r"(?P<who>(?:\S*/)?(?:[\w.+-]*make(?:\.exe)?(?:\[\d+\])?|ninja)): (?P<way>Entering|Leaving) directory "
    r"(?:[`'\"‘“«]\s?)(?P<path>.+?)(?:\s?['\"’”»])"
)

_WHOLE = re.compile(r"/|[A-Za-z]:[\\/]|\\\\|file:|<|-?\Z")


class Directories:
    """Follows the lines of one stream.

    Attributes:
        entered: all directories that were entered, ``.`` being where the check runs; none where nobody has said any.
    """

    def __init__(self) -> None:
        self.entered: tuple[str, ...] = ()
        self._stack: list[tuple[str, str]] = []

    @property
    def current(self) -> tuple[str, ...]:
        """Where a tool's paths may begin now. Several: makes run side by side, and it is one of these."""
        if not self._stack:
            return ()
        levels = [who for who, _ in self._stack]
        return self.entered if len(set(levels)) < len(levels) else (self._stack[-1][1],)

    def follow(self, line: str) -> bool:
        """Whether the line says that a directory is entered or left."""
        if MARK not in line or (match := _LINE.fullmatch(line)) is None:
            return False
        who, path = match["who"], match["path"]
        if who == _NINJA and self._stack and self._stack[-1][0] == _NINJA:
            self._stack.pop()
        if match["way"] == "Entering":
            self._enter(who, path)
        else:
            self._leave(who, path)
        return True

    def _enter(self, who: str, path: str) -> None:
        path = posixpath.join(self._stack[-1][1] if self._stack else "", path)
        if len(self._stack) < DEPTH_MAX:
            self._stack.append((who, path))
        if path not in self.entered and len(self.entered) < ENTERED_MAX:
            self.entered = (*(self.entered or (".",)), path)

    def _leave(self, who: str, path: str) -> None:
        if (who, path) in self._stack:
            place = len(self._stack) - 1 - self._stack[::-1].index((who, path))
            above = [each for each in self._stack[place + 1 :] if each[0] != _NINJA]
            self._stack[place:] = above


def paths_in(directories: tuple[str, ...], path: str) -> list[str]:
    """What a tool's path is in each of these; none where it begins in no directory."""
    return [] if _WHOLE.match(path) else [posixpath.join(directory, path) for directory in directories]


def in_directories(found: Sequence[Found], directories: tuple[str, ...]) -> Sequence[Found]:
    """The same, of tools that were started in one of these; none: as it is."""
    if not directories:
        return found
    return [replace(one, directories=directories) if isinstance(one, Diagnostic) else one for one in found]
