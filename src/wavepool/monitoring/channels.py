"""A channel: a document that changes, for any number of readers who are told its changes once, together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any


class Channel(ABC):
    """One document. Its one reader (the hub of the web server) asks for changes as often as it likes.

    Attributes:
        name: ``overview`` or ``run:<id>``.
    """

    name: str

    @abstractmethod
    def take_patch(self) -> Mapping[str, Any] | None:
        """What has changed since the last call, as a JSON Merge Patch; None where nothing has. Never waits."""

    @abstractmethod
    def document(self) -> Mapping[str, Any]:
        """All of it, as of the last `take_patch`: applying later patches to it keeps it true. Never waits."""


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Merge Patch (RFC 7396) that makes `new` of `old`; empty where they are equal."""
    patch: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if value == before:
            continue
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            patch[name] = merge_patch(before, value)
        else:
            patch[name] = value
    return patch
