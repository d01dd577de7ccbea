"""Who shows a run: Rich on a terminal, plain lines where there is none, JSON lines on stdout."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from rich.console import Console

from wavepool.cli.output import progress_line
from wavepool.config import Settings
from wavepool.engine.clock import SystemClock
from wavepool.engine.listener import Listener
from wavepool.listeners.jsonl import JsonLinesListener
from wavepool.listeners.live import LiveListener
from wavepool.listeners.plain import PlainListener


class Screen:
    """What a person and a machine see of one run. Progress goes to stderr, facts and results to stdout.

    Attributes:
        console: on stderr.
        stdout_is_terminal: then the result is not printed there: the summary says it.
    """

    def __init__(self, console: Console, live: LiveListener | None, plain: PlainListener | None) -> None:
        self.console = console
        self.stdout_is_terminal = sys.stdout.isatty()
        self._live = live
        self._plain = plain
        self._json: JsonLinesListener | None = None
        self._clock = SystemClock()

    def write_json_lines(self, listener: JsonLinesListener) -> None:
        """Facts as JSON lines too."""
        self._json = listener

    @property
    def listeners(self) -> Sequence[Listener]:
        """All that want the facts."""
        return [listener for listener in (self._live, self._plain, self._json) if listener is not None]

    def tick(self) -> None:
        """The interval has passed: show how far the run is."""
        if self._plain is not None:
            self._plain.tick(self._clock.now().utc)

    def notice(self, text: str) -> None:
        """One sentence for a person."""
        if self._live is not None:
            self.console.print(text, style="yellow", markup=False, highlight=False)
        else:
            progress_line(text)

    def pulling(self, image: str, text: str) -> None:
        """How far the pull of an image is."""
        self.notice(f"pulling {image}: {text}")

    def finish(self, result: Mapping[str, Any]) -> bool:
        """End the display; True if the result was written as the last JSON line."""
        if self._live is not None:
            self._live.stop()
        if self._json is None:
            return False
        self._json.finish(result)
        return True


@contextmanager
def open_screen(settings: Settings, *, json_lines: bool, verbose: bool) -> Iterator[Screen]:
    """The screen that fits where we run; leaving restores the terminal."""
    console = Console(stderr=True, highlight=False)
    with ExitStack() as stack:
        live: LiveListener | None = None
        plain: PlainListener | None = None
        if console.is_terminal and not verbose:
            live = stack.enter_context(LiveListener(console))
        else:
            plain = PlainListener(progress_line, verbose=verbose)
        screen = Screen(console, live, plain)
        if json_lines:
            screen.write_json_lines(stack.enter_context(JsonLinesListener(sys.stdout)))
        yield screen
