"""The page's files, as Vite built them: read once, and served by their names alone, so that no path leads elsewhere."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Response

STATIC = Path(__file__).with_name("static")
INDEX = "index.html"
_HASHED = "assets/"
_FOR_A_YEAR = "private, max-age=31536000, immutable"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}
_NOT_BUILT = (
    b"<!doctype html><title>Wavepool</title><p>This checkout has no page yet: "
    b"<code>python hatch_build.py</code> builds it, with npm.</p>\n"
)


def router(directory: Path = STATIC) -> APIRouter:
    """A route for each file below `directory`, and ``/`` for the page itself."""
    routes = APIRouter()
    files = _files(directory)
    for name, (body, kind) in files.items():
        keep = _FOR_A_YEAR if name.startswith(_HASHED) else "no-cache"  # names in there change with what they hold
        _serve(routes, f"/{name}", body, kind, keep)
    body, kind = files.get(INDEX, (_NOT_BUILT, _TYPES[".html"]))
    _serve(routes, "/", body, kind, "no-cache")
    return routes


def _serve(routes: APIRouter, path: str, body: bytes, kind: str, keep: str) -> None:
    async def answer() -> Response:
        return Response(body, media_type=kind, headers={"Cache-Control": keep})

    routes.add_api_route(path, answer, methods=["GET", "HEAD"], include_in_schema=False)


def _files(directory: Path) -> dict[str, tuple[bytes, str]]:
    """name -> (what is in it, its type); none where it was not built."""
    found = (path for path in sorted(directory.rglob("*")) if path.is_file() and path.suffix in _TYPES)
    return {path.relative_to(directory).as_posix(): (path.read_bytes(), _TYPES[path.suffix]) for path in found}
