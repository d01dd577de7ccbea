"""`wavepool report RUN`: one run as a page in one file, Markdown, JSON, or JUnit's XML."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from wavepool.cli import options
from wavepool.cli.output import check_output, write_text
from wavepool.cli.settings import settings_of
from wavepool.engine.clock import SystemClock
from wavepool.engine.history.runs import find_run
from wavepool.errors import SettingError
from wavepool.reporting import Format, rendered
from wavepool.statedir import StateDir

FORMATS = ", ".join(Format)
ENDINGS = ".html, .htm, .md, .json or .xml"
STDOUT = Path("-")


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="report", short_help="Write what became of a run as a page, md, json or junit.")(report)


def report(
    run: options.Run,
    form: Annotated[
        str | None,
        typer.Option("--format", help=f"{FORMATS}; by the ending of --output unless told, html without one."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="The file, - for stdout; unless told html goes to wavepool-RUN.html."),
    ] = None,
    state_dir: options.StateDirectory = None,
) -> None:
    """Write what became of RUN, which may be live: then as of now. Needs no server, and changes nothing.

    A page is one file that opens in any browser and fetches nothing. Its exit code says nothing of the run's outcome.
    """
    wanted = _format(form, output)
    settings = settings_of(state_dir=state_dir)
    history = find_run(StateDir(settings.state_dir), run)
    target = _target(output, wanted, history.id)
    check_output(target)
    pieces = rendered(history, wanted, SystemClock().now())
    if target is None:
        _say(pieces)
        return
    write_text(target, pieces)
    if target.is_file():  # else it is a pipe, or stdout by another name
        _say([f"{target}\n"])


def _target(output: Path | None, wanted: Format, run_id: str) -> Path | None:
    """None for stdout."""
    if output is None:
        return Path(f"wavepool-{run_id}.html") if wanted is Format.HTML else None
    return None if output == STDOUT else output


def _say(pieces: Iterable[str]) -> None:
    """In UTF-8 whatever the locale, as the XML declares and GitHub expects."""
    for piece in pieces:
        sys.stdout.buffer.write(piece.encode("utf-8", errors="backslashreplace"))
    sys.stdout.flush()


def _format(text: str | None, output: Path | None) -> Format:
    if text is None:
        return Format.HTML if output is None or output == STDOUT else _format_of_file(output)
    try:
        return Format(text.lower())
    except ValueError:
        raise SettingError("--format", text, f"one of {FORMATS}") from None


def _format_of_file(output: Path) -> Format:
    """By its ending; a page where it has none, as a device or a pipe has."""
    found = Format.of_file(output.name)
    if found is not None or not output.suffix:
        return found or Format.HTML
    told = f"a file that ends in {ENDINGS}, or --format ({FORMATS}) with any"
    raise SettingError("--output", str(output), told)
