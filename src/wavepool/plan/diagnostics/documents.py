"""JSON documents of any size, read as they come; only the values that a reader wants are ever held."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import ijson

from wavepool.model.diagnostics import Found
from wavepool.plan.diagnostics.base import BadDocument, DocumentReader

VALUE_EVENTS_MAX: Final = 100_000
"""How many scalars, keys and brackets one value that is wanted may have."""

PLACE_MAX: Final = 64 * 1024
"""How many characters the keys that lead to a value may have together: ijson holds them joined for each level."""


class JsonDocument(DocumentReader):
    """Takes the values at some places of a document, whole, in the order in which they are complete.

    Attributes:
        wanted: the places, as ijson names them: ``item.filePath`` is the member of each object in the outermost
            array, ``item.messages.item`` each entry of the array in another. None may be within another.
    """

    wanted: ClassVar[frozenset[str]]

    def __init__(self) -> None:
        self._found: list[Found] = []
        self._parser = ijson.parse_coro(_Values(self), use_float=True)

    @abstractmethod
    def take(self, place: str, value: Any) -> Sequence[Found]:
        """What is complete with this value.

        Args:
            place: one of `wanted`.
            value: as JSON has it; of any type, whatever the tool should write there.
        """

    def finish(self) -> Sequence[Found]:
        """What is complete with the whole document, such as its total."""
        return ()

    def feed(self, text: str) -> Sequence[Found]:
        if text:
            self._parse(text)
        return self._hand_out()

    def end(self) -> Sequence[Found]:
        try:
            self._parser.close()
        except (ijson.JSONError, ValueError) as error:
            raise BadDocument(_why(error), self._hand_out()) from None
        return (*self._hand_out(), *self.finish())

    def value(self, place: str, value: Any) -> None:
        """Takes a value that is complete."""
        self._found.extend(self.take(place, value))

    def _parse(self, text: str) -> None:
        try:
            self._parser.send(text.encode("utf-8", errors="replace"))
        except BadDocument as problem:
            raise BadDocument(str(problem), self._hand_out()) from None
        except (ijson.JSONError, ValueError) as error:  # ValueError: half a character, which yajl hands on
            raise BadDocument(_why(error), self._hand_out()) from None

    def _hand_out(self) -> Sequence[Found]:
        found, self._found = self._found, []
        return found


class _Values:
    """What ijson sends each event to: builds the values that are wanted, and drops the others."""

    __slots__ = ("_container", "_document", "_events", "_key", "_outer", "_place", "_wanted")

    def __init__(self, document: JsonDocument) -> None:
        self._document = document
        self._wanted = document.wanted
        self._place = ""
        self._events = 0
        self._container: Any = None
        """The innermost object or array under way of a value that is wanted."""
        self._key = ""
        self._outer: list[tuple[Any, str]] = []
        """What that is in, the innermost last, each with its key under way."""

    def send(self, parsed: tuple[str, str, Any]) -> None:
        """Takes one event: the place, what begins or ends or stands there, and the scalar or key."""
        place, event, value = parsed
        if len(place) > PLACE_MAX:
            raise BadDocument(f"the keys that lead to a value in it are longer than {PLACE_MAX // 1024} KiB")
        if self._container is not None:
            self._build(event, value)
        elif place in self._wanted and event in _BEGINNINGS:
            if event in _NEW:
                self._place, self._events, self._container = place, 0, _NEW[event]()
            else:
                self._document.value(place, value)

    def _build(self, event: str, value: Any) -> None:
        self._events += 1
        if self._events > VALUE_EVENTS_MAX:
            raise BadDocument("one entry of it is too large")
        if event == "map_key":
            self._key = value
        elif event in _SCALARS:
            if type(container := self._container) is dict:
                container[self._key] = value
            else:
                container.append(value)
        elif event in _NEW:
            self._outer.append((self._container, self._key))
            self._container = _NEW[event]()
        else:
            self._close()

    def _close(self) -> None:
        closed = self._container
        if self._outer:
            self._container, self._key = self._outer.pop()
            self._put(closed)
        else:
            self._container = None
            self._document.value(self._place, closed)

    def _put(self, value: Any) -> None:
        container = self._container
        if type(container) is dict:
            container[self._key] = value
        else:
            container.append(value)


_NEW: Final[dict[str, type]] = {"start_map": dict, "start_array": list}
_SCALARS: Final = frozenset({"null", "boolean", "number", "string", "integer", "double"})
_BEGINNINGS: Final = frozenset({*_NEW, *_SCALARS})


def _why(error: Exception) -> str:
    """The parser's own sentence, without the excerpt that it draws below it."""
    told = str(error).removeprefix("b'").replace(r"\n", "\n").splitlines()
    return f"it is cut off, or no JSON: {told[0].strip()}" if told else "it is cut off, or no JSON"
