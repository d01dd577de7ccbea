"""HTML: one file with its script, its style and its data, which needs no server and asks none.

Its own policy lets no other script or style run, and nothing be fetched: each is named by its digest (CSP 3). What is
told is data: JSON in which no tag can end, and the script puts texts into the page as texts.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from wavepool.errors import InfrastructureError
from wavepool.reporting.telling import Told, when

TASKS = 5000
"""In the page: all that failed first, then the others, the longest first."""

LOGS = 200
"""Tasks that failed whose last lines are in it."""

TEXT = 2000
"""Characters of one text, and `LIST` entries of one list."""

LIST = 50

BUILT = ("report.js", "report.css", "licences.txt")


def page_of(told: Told) -> str:
    """The whole document.

    Raises:
        InfrastructureError: script and style have not been built.
    """
    script, style, licences = map(_built, BUILT)
    script = script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    allowed = f"script-src {_digest(script)}; style-src {_digest(style)}"
    policy = f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>Run {html.escape(told.line["id"])}: {html.escape(told.line["state"])}</title>
<style>{style}</style>
</head>
<body>
<div id="app"></div>
<noscript>This page needs JavaScript. `wavepool report --format md` tells the same in plain text.</noscript>
<details id="licences"><summary>Licences of what this page is built with</summary>
<pre>{html.escape(licences)}</pre></details>
<script id="told" type="application/json">{data_of(told)}</script>
<script>{script}</script>
</body>
</html>
"""


def data_of(told: Told) -> str:
    """What the page shows, as JSON in ASCII without a ``<``."""
    return json.dumps(_data(told), separators=(",", ":")).replace("<", "\\u003c")


def chosen(told: Told, most: int = TASKS) -> list[str]:
    """Ids of the tasks that are shown, in the order of the plan."""
    if len(told) <= most:
        return told.ids
    failed = told.failed[:most]
    others = sorted(set(told.ids).difference(told.failed), key=told.took_s, reverse=True)
    kept = {*failed, *others[: most - len(failed)]}
    return [each for each in told.ids if each in kept]


def _data(told: Told) -> dict[str, Any]:
    shown = chosen(told)
    failed = told.failed
    tails = {told.entry(each)["key"]: told.tail(each) for each in failed[:LOGS]}
    return {
        "run": told.line,
        "waves": told.waves,
        "tasks": {(entry := told.entry(each))["key"]: shortened(entry) for each in shown},
        "efficiency": told.efficiency,
        "spans": told.spans,
        "as_of": when(told.as_of),
        "load": told.load,
        "used": told.used,
        "usage_problem": told.usage_problem,
        "left_behind": told.left_behind[:LIST],
        "logs": {
            key: {"attempt": tail.attempt, "text": tail.text, "cut": tail.cut, "problem": tail.problem}
            for key, tail in tails.items()
            if tail is not None
        },
        "left_out": {
            "tasks": len(told) - len(shown),
            "logs": max(0, len(failed) - LOGS),
            "left_behind": max(0, len(told.left_behind) - LIST),
        },
        "made_by": f"wavepool {version('wavepool')}",
    }


def shortened(value: Any) -> Any:
    """The same JSON with no text longer than `TEXT`, and no list than `LIST`."""
    if isinstance(value, str):
        return value if len(value) <= TEXT else f"{value[: TEXT - 1]}…"
    if isinstance(value, dict):
        return {name: shortened(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shortened(each) for each in value[:LIST]]
    return value


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _built(name: str) -> str:
    try:
        return files("wavepool.reporting").joinpath("static", name).read_text(encoding="utf-8")
    except OSError:
        raise InfrastructureError(
            f"the page of reports has not been built: there is no {name}",
            advice="From a checkout `make dashboard` builds it; a wheel has it. Other formats need none: --format md.",
        ) from None
