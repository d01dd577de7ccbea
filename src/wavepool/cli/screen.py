"""Who shows a run: Rich on a terminal, plain lines where there is none, JSON lines on stdout."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from rich.console import Console

from wavepool.cli.output import print_result
from wavepool.config import Settings
from wavepool.engine.clock import SystemClock
from wavepool.engine.listener import Listener
from wavepool.errors import InfrastructureError
from wavepool.listeners import JsonLinesListener, LiveListener, PlainListener
from wavepool.listeners.lines import swallow_rest

TICK_S = 0.5
"""How often a screen is asked whether it is time for a line of progress; so the first one comes early."""


class _Console(Console):
    """Rich ends the process with exit code 1 when nobody reads any more; the run has its own exit code."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        swallow_rest(sys.stderr)


class Screen:
    """What a person and a machine see of one run. Progress goes to stderr, facts and results to stdout.

    Attributes:
        console: on stderr.
    """

    def __init__(
        self,
        console: Console,
        shown: LiveListener | PlainListener,
        json_lines: JsonLinesListener | None,
        also: Sequence[Listener] = (),
    ) -> None:
        self.console = console
        self._shown = shown
        self._json_lines = json_lines
        self._also = also

    @property
    def listeners(self) -> Sequence[Listener]:
        """All that want the facts."""
        facts = [] if self._json_lines is None else [self._json_lines]
        return [self._shown, *facts, *self._also]

    def tick(self) -> None:
        """Some time has passed: show how far the run is, if it is time for it."""
        self._shown.tick()

    def notice(self, text: str) -> None:
        """One sentence for a person."""
        self._shown.notice(text)

    def pulling(self, image: str, text: str) -> None:
        """How far the pull of an image is."""
        self.notice(f"pulling {image}: {text}")

    def finish(self, result: Mapping[str, Any], *, to_stdout: bool = True) -> None:
        """End the display, and write the result to stdout; not where that is a terminal: the summary says it.

        Raises:
            InfrastructureError: it cannot be written.
        """
        self._shown.close()
        if self._json_lines is not None:
            self._json_lines.finish(result)
        elif to_stdout and not sys.stdout.isatty():
            try:
                print_result(result)
            except BrokenPipeError:  # whoever read it had enough, which is no failure of the run
                swallow_rest(sys.stdout)
            except OSError as error:
                swallow_rest(sys.stdout)
                raise InfrastructureError(f"cannot write the result to stdout: {error.strerror or error}") from error


@contextmanager
def open_screen(
    settings: Settings, *, json_lines: bool, verbose: bool, also: Sequence[Listener] = ()
) -> Iterator[Screen]:
    """The screen that fits where we run; leaving restores the terminal and writes what waits.

    Args:
        also: listeners of the caller's own, which he closes.
    """
    console = _Console(stderr=True, highlight=False)
    clock = SystemClock()
    with ExitStack() as stack:
        shown: LiveListener | PlainListener
        if console.is_terminal and not verbose:
            shown = LiveListener(console, clock)
        else:
            shown = PlainListener(
                sys.stderr, settings.poll_interval, clock, verbose=verbose, runs_dir=settings.state_dir / "runs"
            )
        stack.enter_context(shown)
        facts = stack.enter_context(JsonLinesListener(sys.stdout.buffer)) if json_lines else None
        yield Screen(console, shown, facts, also)
