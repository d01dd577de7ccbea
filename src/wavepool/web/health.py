"""``/health``: whether the server answers, for who asks time and again. It says nothing of runs, and needs no token."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter


def router() -> APIRouter:
    """The route."""
    routes = APIRouter()

    @routes.api_route("/health", methods=["GET", "HEAD"], include_in_schema=False)
    async def health() -> dict[str, str]:
        return {"status": "ok", "version": version("wavepool")}

    return routes
