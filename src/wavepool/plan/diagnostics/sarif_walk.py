"""Goes once through a SARIF document, in pieces of any size, and keeps of it only what is read (decision 31). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final

import ijson

from wavepool.plan.diagnostics.base import BadDocument

DEPTH_MAX: Final = 64
"""So deep may what is kept be nested."""

UNENDED_MAX: Final = 16 * 1024 * 1024
"""How many characters may come with nothing complete in them before the document is given up."""

PIECE: Final = 16 * 1024
"""So many characters are parsed at once: what they tell is held until all of it was gone through."""


class Part(Enum):
    """What of a document is told as soon as it is complete."""

    VERSION = auto()
    RUN = auto()
    RUN_END = auto()
    RESULT = auto()
    TOOL_NAME = auto()
    RULE = auto()
    TOOL_END = auto()
    BASES = auto()
    ARTIFACT = auto()


_RUN = ".runs[]"
_TOOL = ".runs[].tool"
_DRIVER = ".runs[].tool.driver"
_GONE_THROUGH = frozenset(
    ["", ".runs", _RUN, f"{_RUN}.results", f"{_RUN}.artifacts", _TOOL, _DRIVER, f"{_DRIVER}.rules"]
)
_SCALARS = {".version": Part.VERSION, f"{_DRIVER}.name": Part.TOOL_NAME}
_STARTS = {_RUN: Part.RUN}
_ENDS = {_RUN: Part.RUN_END, _TOOL: Part.TOOL_END}
_KEPT: Mapping[str, tuple[Part, frozenset[str] | None]] = {
    f"{_RUN}.results[]": (
        Part.RESULT,
        frozenset(
            ["ruleId", "ruleIndex", "rule", "kind", "level", "message", "locations", "suppressions", "baselineState"]
        ),
    ),
    f"{_DRIVER}.rules[]": (Part.RULE, frozenset(["id", "defaultConfiguration", "messageStrings"])),
    f"{_RUN}.originalUriBaseIds": (Part.BASES, None),
    f"{_RUN}.artifacts[]": (Part.ARTIFACT, frozenset(["location"])),
}
"""The values that are built, and of an object the fields that are; None: all of them."""


_DEEPER = {"start_map": 1, "start_array": 1, "end_map": -1, "end_array": -1}


class SarifWalk:
    """Feeds the text to ijson, and builds the values that are kept."""

    def __init__(self) -> None:
        self._read: list[tuple[Part, object]] = []
        self._events: list[tuple[str, Any]] = ijson.sendable_list()
        self._parser = ijson.basic_parse_coro(self._events)
        self._path: list[str] = []
        self._in_array: list[bool] = []
        self._key = ""
        self._skipped = 0
        self._building: _Building | None = None
        self._unended = 0

    def feed(self, text: str) -> list[tuple[Part, object]]:
        """What is complete with this piece. Raises BadDocument."""
        before = len(self._read)
        try:
            for start in range(0, len(text), PIECE):
                self._parser.send(text[start : start + PIECE].encode("utf-8", "replace"))
                self._go_through()
        except (ijson.JSONError, ValueError) as error:
            self._go_through()
            raise BadDocument(_said(error)) from None
        self._unended = self._unended + len(text) if len(self._read) == before else 0
        if self._unended > UNENDED_MAX:
            raise BadDocument(f"a part of it has more than {UNENDED_MAX} characters.")
        return self.take()

    def end(self) -> list[tuple[Part, object]]:
        """What is complete with the end. Raises BadDocument: it is cut off."""
        try:
            self._parser.close()
        except (ijson.JSONError, ValueError) as error:
            self._go_through()
            raise BadDocument(_said(error)) from None
        self._go_through()
        if self._path:
            raise BadDocument("it is cut off.")
        return self.take()

    def _go_through(self) -> None:
        """Takes in what the parser has told."""
        for event, value in self._events:
            building = self._building
            if self._skipped:
                self._skipped += _DEEPER.get(event, 0)
            elif building is None:
                self._outside(event, value)
            elif event == "map_key":
                building.key = value
            else:
                self._skipped = building.event(event, value)
                if building.whole:
                    self._read.append((building.part, building.value))
                    self._building = None
        self._events.clear()

    def _outside(self, event: str, value: object) -> None:
        if event == "map_key":
            self._key = str(value)
        elif event.startswith("end"):
            path = self._path.pop()
            self._in_array.pop()
            if path in _ENDS:
                self._read.append((_ENDS[path], None))
        elif event.startswith("start"):
            self._begin(event, self._here())
        elif (part := _SCALARS.get(self._here())) is not None:
            self._read.append((part, value))

    def _begin(self, event: str, path: str) -> None:
        kept = _KEPT.get(path)
        if kept is not None:
            self._building = _Building(*kept)
            self._building.event(event, None)
        elif path in _GONE_THROUGH:
            if path in _STARTS:
                self._read.append((_STARTS[path], None))
            self._path.append(path)
            self._in_array.append(event == "start_array")
        else:
            self._skipped = 1

    def _here(self) -> str:
        if not self._path:
            return ""
        return f"{self._path[-1]}[]" if self._in_array[-1] else f"{self._path[-1]}.{self._key}"

    def take(self) -> list[tuple[Part, object]]:
        """What is complete and was not handed out."""
        read, self._read = self._read, []
        return read


class _Building:
    """A value under way."""

    __slots__ = ("_at_top", "_fields", "_into", "_outer", "key", "part", "value", "whole")

    def __init__(self, part: Part, fields: frozenset[str] | None) -> None:
        self.part = part
        self.value: object = None
        self.whole = False
        self.key = ""
        """Of what comes next, in an object."""
        self._fields = fields
        self._into: Any = None
        """The innermost object or array under way."""
        self._outer: list[Any] = []
        """What that is in, the innermost last."""
        self._at_top = False
        """Whether what comes next is a field of the value itself, which is not to be built whole."""

    def event(self, event: str, value: object) -> int:
        """Takes one in, but a key; returns 1 where what comes next is to be skipped."""
        step = _DEEPER.get(event, 0)
        if step < 0:
            self._into = self._outer.pop()
            self.whole = not self._outer
            self._at_top = len(self._outer) == 1 and self._fields is not None
        elif self._at_top and self._fields is not None and self.key not in self._fields:
            return step
        elif step:
            self._begin({} if event == "start_map" else [])
        else:
            self._put(value)
        return 0

    def _begin(self, opened: dict[str, object] | list[object]) -> None:
        if len(self._outer) >= DEPTH_MAX:
            raise BadDocument("it is nested too deep.")
        self._put(opened)
        self._outer.append(self._into)
        self._into = opened
        self._at_top = len(self._outer) == 1 and self._fields is not None

    def _put(self, value: object) -> None:
        into = self._into
        if type(into) is dict:
            into[self.key] = value
        elif into is None:
            self.value = value
        else:
            into.append(value)


def _said(error: Exception) -> str:
    return f"it is broken, or cut off ({str(error).splitlines()[0] if str(error) else type(error).__name__})."
