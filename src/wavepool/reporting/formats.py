"""The forms of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum

from wavepool.core.events import Now
from wavepool.engine.history.runs import RunHistory
from wavepool.reporting.document import json_of
from wavepool.reporting.junit import junit_of
from wavepool.reporting.markdown import markdown_of
from wavepool.reporting.page import page_of
from wavepool.reporting.telling import Told


class Format(StrEnum):
    """By the name that it is asked for."""

    HTML = "html"
    MD = "md"
    JSON = "json"
    JUNIT = "junit"

    @classmethod
    def of_file(cls, name: str) -> Format | None:
        """What a file's name asks for; None where it does not tell."""
        return _SUFFIXES.get(name.rpartition(".")[2].lower()) if "." in name else None


_SUFFIXES: Mapping[str, Format] = {
    "html": Format.HTML,
    "htm": Format.HTML,
    "md": Format.MD,
    "json": Format.JSON,
    "xml": Format.JUNIT,
}

_RENDERERS: Mapping[Format, Callable[[Told], str]] = {
    Format.HTML: page_of,
    Format.MD: markdown_of,
    Format.JUNIT: junit_of,
}


def render(history: RunHistory, form: Format, now: Now) -> str:
    """The report of a run, live or over, as of now. Blocks for as long as its journal takes to read.

    Raises as `rendered`.
    """
    return "".join(rendered(history, form, now))


def rendered(history: RunHistory, form: Format, now: Now) -> Iterator[str]:
    """As `render`, in pieces: what has every task is never in memory as a whole.

    Raises, before it returns:
        InputError: there is nothing to be told of it yet.
        JournalError: its journal is damaged.
        InfrastructureError: the page has not been built.
    """
    return json_of(history, now) if form is Format.JSON else iter((_RENDERERS[form](Told(history, now)),))
