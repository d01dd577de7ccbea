"""The command line: one file per verb."""

from __future__ import annotations

import contextlib
import resource
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Annotated

import typer

from wavepool.cli.failing import say_why, wants_json
from wavepool.cli.pipes import Verbs, close_streams, open_missing_streams

MODULES = (
    "run",
    "plan",
    "fix",
    "task",
    "tasks",
    "resume",
    "cancel",
    "pause",
    "attach",
    "recover",
    "runs",
    "show",
    "report",
    "logs",
    "exec",
    "prune",
    "merge",
    "spawn",
    "monitor",
    "cleanup",
    "doctor",
    "image",
    "chaos",
    "stack",
    "serve",
    "pool",
)
"""One for each verb, of the same name, in the order of the help."""

_MORE = {"retry": "resume", "unpause": "pause"}
"""Verbs in the module of another one."""


def _tell_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"wavepool {version('wavepool')}\n")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version and exit.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    """Run many coding agents, or any commands, in memory-budgeted waves of parallel containers."""


def app_of(modules: Iterable[str]) -> typer.Typer:
    """The command line with the verbs of these modules."""
    app = typer.Typer(
        name="wavepool",
        cls=Verbs,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        callback=_options,
    )
    for name in modules:
        import_module(f"wavepool.cli.{name}").register(app)
    return app


def modules_for(arguments: Sequence[str]) -> Sequence[str]:
    """What these arguments need: the one verb that they begin with, as each brings its own part of Wavepool in; else
    all, for help and for what is misspelt."""
    verb = arguments[0] if arguments else ""
    name = _MORE.get(verb, verb)
    return (name,) if name in MODULES else MODULES


@cache
def _whole() -> typer.Typer:
    return app_of(MODULES)


def __getattr__(name: str) -> typer.Typer:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _whole()


def main() -> None:
    """Entry point of the `wavepool` command: errors become one message on stderr and an exit code."""
    open_missing_streams()
    _raise_descriptor_limit()
    words = sys.argv[1:]
    as_json = wants_json(words)
    try:
        _call(app_of(modules_for(words)), as_json=as_json)
    except BaseException as error:
        try:
            sys.exit(say_why(error, as_json=as_json))
        finally:
            close_streams()


def _call(app: typer.Typer, *, as_json: bool) -> None:
    """Raises SystemExit, or what the verb raises; for a program also what is wrong with its words, which Typer says."""
    ended = app(prog_name="wavepool", standalone_mode=not as_json)
    sys.exit(ended if isinstance(ended, int) else 0)


def _raise_descriptor_limit() -> None:
    """A watched container holds several descriptors: hundreds of them are above the usual soft limit of 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
