"""JSON: the run's document with every task, as the page gets it, and the results as `--output` writes them."""

from __future__ import annotations

import json
from typing import Any

from wavepool.core.events import Now
from wavepool.engine.history.runs import RunHistory
from wavepool.engine.report import RunReport
from wavepool.reporting.telling import Told, when


def json_of(history: RunHistory, now: Now) -> str:
    """The document (`RunDocument`), with `results` and `load` beside it, as one line that ends with a newline.

    It is ASCII, whatever the ids. Raises as `Told` does.
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
    # Entry by entry: 100,000 of them as objects would take half a gigabyte.
    tasks = ", ".join(f"{json.dumps(entry['key'])}: {json.dumps(entry)}" for entry in map(told.entry, told.ids))
    return f'{json.dumps(head)[:-1]}, "tasks": {{{tasks}}}, "results": {json.dumps(results.result())}}}\n'
