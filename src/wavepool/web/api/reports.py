"""A run as one file: ``/api/runs/{run}/report``."""

from __future__ import annotations

import tempfile
from typing import Any, Literal

import anyio.to_thread
from fastapi import Response

from wavepool.engine.history.runs import open_history
from wavepool.monitoring.verbs import run_verb
from wavepool.web.api.errors import answers
from wavepool.web.api.routes import RunId, Serving, routes
from wavepool.web.ranges import HeldDownload

router = routes("runs")

_KINDS = {
    "html": "text/html; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
    "json": "application/json",
    "junit": "application/xml",
}
_EXTENSIONS = {"html": "html", "md": "md", "json": "json", "junit": "xml"}
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report, as a file to keep.",
        "content": {
            "text/html": {"schema": {"type": "string"}},
            "text/markdown": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}},
            "application/xml": {"schema": {"type": "string"}},
        },
    }
}


@router.get("/runs/{run}/report", response_class=Response, responses={**answers(400, 404, 409, 502, 503), **_CONTENT})
async def report(serving: Serving, run: RunId, format: Literal["html", "md", "json", "junit"] = "html") -> Response:
    """As `wavepool report RUN --format` writes it: an HTML file with timeline and graphs, Markdown, JSON, JUnit XML."""
    await anyio.to_thread.run_sync(open_history, serving.state_dir, run)  # there must be one
    arguments = ["report", run, "--format", format, "--output", "-", "--state-dir", str(serving.state_dir.path)]
    file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by who sends it
    try:
        async with serving.reports:  # a process, as that of a large run takes seconds
            ended = await run_verb(arguments, stdout=file.fileno())
        if ended.exit_code:
            raise ended.error()
    except BaseException:
        file.close()
        raise
    return HeldDownload(file, f"wavepool-{run}.{_EXTENSIONS[format]}", media_type=_KINDS[format])
