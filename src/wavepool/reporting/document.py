"""JSON: the run's document with every task, as the page gets it, and the results as `--output` writes them."""

from __future__ import annotations

import json
from typing import Any

from wavepool.reporting.telling import Told, when


def document_of(told: Told) -> dict[str, Any]:
    """The document (`RunDocument`), with `results` and `load` beside it."""
    document: dict[str, Any] = {
        "run": told.line,
        "waves": told.waves,
        "tasks": {(entry := told.entry(task_id))["key"]: entry for task_id in told.ids},
        "efficiency": told.efficiency,
        "as_of": when(told.as_of),
        "load": told.load,
        "results": told.results,
    }
    if told.left_behind:
        document["left_behind"] = told.left_behind
    return document


def json_of(told: Told) -> str:
    """As one line that ends with a newline: ASCII, whatever the ids."""
    return json.dumps(document_of(told)) + "\n"
