"""How a command that failed says so on stderr: sentences for a person, or one JSON object for a program.

::

    {"error": {"code": "unknown_run", "message": "there is no run 'x' in ...", "advice": "Is it ...?"}}

That is the last line, and has the shape of the errors of `/api`. Stdout stays for results.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import MutableMapping, Sequence

from wavepool.cli.pipes import complain, is_refused_output
from wavepool.errors import (
    ERRORS_AS_JSON,
    InfrastructureError,
    InputError,
    InvariantBroken,
    UserInterrupt,
    WavepoolError,
    first_of_ours,
)


def wants_json(words: Sequence[str], environ: MutableMapping[str, str] = os.environ) -> bool:
    """Whether errors are for a program: `--json` is among the command's words, or the variable says so.

    The variable goes, as it is for nobody else: not for tasks, and not for a command that one of them calls.
    """
    name, value = ERRORS_AS_JSON
    of_variable = environ.pop(name, "") == value
    options = words[: words.index("--")] if "--" in words else words
    return of_variable or "--json" in options


def say_why(error: BaseException, *, as_json: bool) -> int:
    """Say what went wrong; returns the exit code."""
    cause = first_of_ours(error)
    if isinstance(cause, SystemExit):
        return cause.code if isinstance(cause.code, int) else 1
    found = _as_ours(cause)
    if found is None:  # a bug of ours: no exit code may take it for a task's
        traceback.print_exception(error)
        found = InvariantBroken(f"{type(cause).__name__}: {cause}", advice="It is a bug; please report it.")
        if not as_json:
            return found.exit_code
    complain(json.dumps({"error": found.described()}) if as_json else _prose(found))
    return found.exit_code


def _as_ours(cause: BaseException) -> WavepoolError | None:
    if isinstance(cause, WavepoolError):
        return cause
    if isinstance(cause, KeyboardInterrupt):
        return UserInterrupt("interrupted")
    if is_refused_output(cause):
        why = getattr(cause, "strerror", None) or cause
        return InfrastructureError(f"its output cannot be written: {why}", code="output_refused")
    return _of_usage(cause)


def _of_usage(cause: BaseException) -> InputError | None:
    """What Typer refuses. Its class is not everywhere the same one: newer releases have Click within them."""
    words = getattr(cause, "format_message", None)
    if words is None:
        return None
    context = getattr(cause, "ctx", None)
    advice = "" if context is None else f"`{context.command_path} --help` tells what it takes."
    spelled = getattr(getattr(cause, "param", None), "opts", None) or [getattr(cause, "option_name", None) or ""]
    return _Usage(words(), advice=advice, option=spelled[-1])


class _Usage(InputError):
    """Words of the command line that no verb takes; `name` is the option that is at fault, where it is one."""

    code = "usage"
    about_fields = ("name",)

    def __init__(self, message: str, *, advice: str, option: str) -> None:
        super().__init__(message, advice=advice)
        self.name = option if option.startswith("-") else ""


def _prose(found: WavepoolError) -> str:
    first = str(found) if isinstance(found, UserInterrupt) else f"error: {found}"
    return "\n".join((first, *getattr(found, "__notes__", ())))
