"""What the interface answers where it cannot do what is asked: one shape, whatever went wrong.

::

    {"error": {"code": "unknown_run", "message": "there is no run 'x' in ...", "advice": "Is it ...?"}}

The status says who is at fault: 4xx the request (404 what it names is not there, 409 not at this moment, 429 too much
at once), 502 what we asked did not answer as it should, 503 what we need is away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from typing_extensions import TypedDict

from wavepool.errors import InputError, WavepoolError, first_of_ours

SHOWN = 5
"""Of the faults that a request has, so many are told."""

_log = structlog.get_logger(__name__)


class ErrorBody(TypedDict):
    """`message` is a whole sentence, `advice` what to do next; `code` is for programs, and stays as it is: all are in
    docs/errors.md. `about` has what it is about, as `run_id` or `path`; `notes` have what else happened."""

    code: str
    message: str
    advice: NotRequired[str]
    about: NotRequired[dict[str, str]]
    notes: NotRequired[list[str]]


class ErrorAnswer(TypedDict):
    """Every answer that is no success."""

    error: ErrorBody


_STATUS: Mapping[str, int] = {
    "unknown_run": 404,
    "ambiguous_run": 409,
    "unknown_task": 404,
    "unknown_attempt": 404,
    "unknown_job": 404,
    "unknown_agent_type": 404,
    "too_many_jobs": 429,
    "not_now": 409,
    "nobody_holds": 409,
    "older_process": 409,
    "run_locked": 409,
    "pool_drained": 409,
    "connection_cut": 502,
    "server_gone": 502,
    "journal_unreadable": 502,
    "verb_failed": 502,
    "bug": 500,
}
"""By code; of all others it is 400 where the request is at fault, else 503."""

_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    411: "no_length",
    413: "too_large",
    415: "not_json",
    416: "no_such_range",
    421: "unknown_host",
    422: "bad_request",
    429: "too_many",
    500: "bug",
}
_TELLS = {
    400: "what it asks for is wrong",
    401: "no token, or a wrong one",
    403: "the page that asks is of another origin",
    404: "what it names is not there",
    409: "not as things stand now",
    411: "the length of the body is not told",
    413: "the body is too large",
    415: "the body is no application/json",
    416: "no such range of bytes",
    421: "the host that it names is not this one",
    422: "it is not of the shape that is described here",
    429: "too much at once; try again later",
    502: "who was asked broke off",
    503: "what this needs is away",
}

GENERAL = (400, 401, 403, 411, 413, 415, 421, 422)
"""What any request may meet, before anything looks at what it asks for."""


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the documentation of an operation: these refusals, and those that any may meet."""
    return {
        status: {"model": ErrorAnswer, "description": _TELLS[status].capitalize()}
        for status in sorted({*GENERAL, *statuses})
    }


def error_body(code: str, message: str, advice: str = "") -> ErrorAnswer:
    """One refusal."""
    body = ErrorBody(code=code, message=message)
    if advice:
        body["advice"] = advice
    return ErrorAnswer(error=body)


def refused(status: int, message: str, advice: str = "", headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A refusal by its status alone."""
    return JSONResponse(error_body(_CODES.get(status, "refused"), message, advice), status, headers)


def told(error: WavepoolError) -> JSONResponse:
    """One of our errors, or one of another process of ours."""
    usual = 400 if error.exit_code == InputError.exit_code else 503
    return JSONResponse({"error": error.described()}, _STATUS.get(error.code, usual))


def tell_errors(app: FastAPI) -> None:
    """Have every error of this application answered in that shape."""
    app.add_exception_handler(WavepoolError, _of_ours)
    app.add_exception_handler(ExceptionGroup, _of_ours)
    app.add_exception_handler(RequestValidationError, _of_shape)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_a_bug)


async def _of_ours(_: Request, error: BaseException) -> JSONResponse:
    found = first_of_ours(error)
    if isinstance(found, WavepoolError):
        return told(found)
    raise found


async def _of_shape(_: Request, error: Exception) -> JSONResponse:
    """Where and why; never what was given, which may be a secret."""
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    said = [f"{_place(fault['loc'])}: {fault['msg']}" for fault in faults[:SHOWN]]
    if len(faults) > SHOWN:
        said.append(f"and {len(faults) - SHOWN} more")
    return refused(422, "; ".join(said) or "it is not of the right shape", "/api/openapi.json describes all requests.")


def _place(loc: tuple[int | str, ...]) -> str:
    shown = ".".join(str(part)[:80] for part in loc if part != "__root__")
    return shown.encode("ascii", "backslashreplace").decode() or "request"


async def _of_http(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    advice = "/api/openapi.json describes all that there is." if error.status_code in (404, 405) else ""
    return refused(error.status_code, str(error.detail), advice, error.headers)


async def _of_a_bug(request: Request, error: Exception) -> JSONResponse:
    _log.error("a request met a bug", path=request.url.path, error=f"{type(error).__name__}: {error}")
    return refused(500, "something happened that our own design rules out", "It is a bug; please report it.")
