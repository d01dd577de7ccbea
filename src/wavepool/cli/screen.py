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
from wavepool.listeners import JsonLinesListener, LiveListener, PlainListener

TICK_S = 0.5
"""How often a screen is asked whether it is time for a line of progress; so the first one comes early."""


class Screen:
    """What a person and a machine see of one run. Progress goes to stderr, facts and results to stdout.

    Attributes:
        console: on stderr.
    """

    def __init__(
        self, console: Console, shown: LiveListener | PlainListener, json_lines: JsonLinesListener | None
    ) -> None:
        self.console = console
        self._shown = shown
        self._json_lines = json_lines

    @property
    def listeners(self) -> Sequence[Listener]:
        """All that want the facts."""
        return [self._shown] if self._json_lines is None else [self._shown, self._json_lines]

    def tick(self) -> None:
        """Some time has passed: show how far the run is, if it is time for it."""
        self._shown.tick()

    def notice(self, text: str) -> None:
        """One sentence for a person."""
        self._shown.notice(text)

    def pulling(self, image: str, text: str) -> None:
        """How far the pull of an image is."""
        self.notice(f"pulling {image}: {text}")

    def finish(self, result: Mapping[str, Any]) -> None:
        """End the display, and write the result to stdout; not where that is a terminal: the summary says it."""
        self._shown.close()
        if self._json_lines is not None:
            self._json_lines.finish(result)
        elif not sys.stdout.isatty():
            print_result(result)


@contextmanager
def open_screen(settings: Settings, *, json_lines: bool, verbose: bool) -> Iterator[Screen]:
    """The screen that fits where we run; leaving restores the terminal and writes what waits."""
    console = Console(stderr=True, highlight=False)
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
        yield Screen(console, shown, facts)
