"""Text that every reader takes: names of files and processes may be any bytes, which surrogates stand for here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

Json = TypeVar("Json")


def well_formed(value: Json) -> Json:
    """The same document with U+FFFD for each byte that is no UTF-8. Lists become lists, mappings dicts."""
    return _well_formed(value)  # type: ignore[no-any-return]  # of the same kind as what it was made of


def _well_formed(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else _text(value)
    if isinstance(value, Mapping):
        return {_well_formed(name): _well_formed(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_well_formed(each) for each in value]
    return value


def _text(text: str) -> str:
    return "".join("\ufffd" if "\ud800" <= each <= "\udfff" else each for each in text)
