"""JSON: the run's document with every task, as the page gets it, and the results as `--output` writes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from wavepool.core.events import Now
from wavepool.engine.history.runs import RunHistory
from wavepool.engine.report import CONTAINERS, WAVES, RunReport
from wavepool.reporting.telling import Told, when


def json_of(history: RunHistory, now: Now) -> Iterator[str]:
    """The document (`RunDocument`), with `results` and `load` beside it, as one line that ends with a newline.

    It is ASCII, whatever the ids, and comes in pieces, a task in each: the text of 100,000 is 90 MB, and as objects
    they would take half a gigabyte. Raises as `Told` does, before it returns.
    """
    results = RunReport()
    told = Told(history, now, results=results)
    head: dict[str, Any] = {
        "run": told.line,
        "waves": told.waves,
        "efficiency": told.efficiency,
        "as_of": when(told.as_of),
        "load": told.load,
    }
    if told.used is not None:
        head["used"] = told.used
    if told.usage_problem:
        head["usage_problem"] = told.usage_problem
    if told.spans:
        head["spans"] = told.spans
    if told.left_behind:
        head["left_behind"] = told.left_behind
    return _document(head, told, results)


def _document(head: Mapping[str, Any], told: Told, results: RunReport) -> Iterator[str]:
    tasks = ((f"{json.dumps(entry['key'])}: {json.dumps(entry)}",) for entry in map(told.entry, told.ids))
    pieces = {"tasks": _joined("{", tasks, "}"), "results": _results(results)}
    yield from _object({**head, **dict.fromkeys(pieces)}, pieces)
    yield "\n"


def _results(report: RunReport) -> Iterator[str]:
    """As `json.dumps` would write `report.result()`."""
    return _object(report.head(), {WAVES: _joined("[", map(_wave, report.each_wave()), "]")})


def _wave(told: tuple[Mapping[str, Any], Iterator[Mapping[str, Any]]]) -> Iterator[str]:
    wave, containers = told
    return _object(wave, {CONTAINERS: _joined("[", ((json.dumps(each),) for each in containers), "]")})


def _object(members: Mapping[str, Any], pieces: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """A JSON object; what `pieces` has stands in the place of the member of that name."""
    for number, (name, value) in enumerate(members.items()):
        yield f"{', ' if number else '{'}{json.dumps(name)}: "
        if name in pieces:
            yield from pieces[name]
        else:
            yield json.dumps(value)
    yield "}"


def _joined(begin: str, items: Iterable[Iterable[str]], end: str) -> Iterator[str]:
    """JSON texts, each of which may come in pieces, as the items of an array or an object."""
    yield begin
    for number, item in enumerate(items):
        if number:
            yield ", "
        yield from item
    yield end
