"""Our own log on stderr: whoever reads it slowly, or no more, never holds up or ends what says something."""

from __future__ import annotations

import atexit
import logging
import sys
from typing import TextIO, cast

import structlog

from wavepool.listeners.lines import LineWriter

CLOSE_S = 2.0
"""At the end, for what waits to be read."""

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


class _Lines:
    """A stream whose writes never block and never fail."""

    def __init__(self) -> None:
        self._writer: LineWriter[str] = LineWriter(_write, lambda: sys.stderr.flush())
        atexit.register(self._writer.close, CLOSE_S)

    def write(self, text: str) -> None:
        self._writer.put(text)

    def flush(self) -> None:
        """The thread that writes does that."""


def _write(text: str) -> None:
    sys.stderr.write(text)  # whatever stderr is by then


def log_to_stderr(level: str) -> None:
    """Our own log goes to stderr from this level on: debug, info, warn or error."""
    lines = cast(TextIO, _Lines())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.StackInfoRenderer(),
            structlog.dev.set_exc_info,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
            # plain: the usual one shows the variables of every frame, secrets among them
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: structlog.WriteLogger(lines),
        cache_logger_on_first_use=False,
    )
