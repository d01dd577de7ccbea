"""A run as one file: ``/api/runs/{run}/report``."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import Response

from wavepool.monitoring.verbs import run_verb
from wavepool.web.api.errors import answers
from wavepool.web.api.routes import RunId, Serving, routes

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
    await serving.monitor.run_document(run)  # there must be one; a process, as the page of a large run takes seconds
    state_dir = str(serving.state_dir.path)
    async with serving.reports:
        ended = await run_verb(["report", run, "--format", format, "--output", "-", "--state-dir", state_dir])
    if ended.exit_code:
        raise ended.error()
    name = f"wavepool-{run}.{_EXTENSIONS[format]}"
    return Response(
        ended.stdout, media_type=_KINDS[format], headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
