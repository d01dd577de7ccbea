"""The settings of one call, and how much our own log says of it."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import structlog

from wavepool.config import Settings, load_settings

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


def settings_of(**options: object) -> Settings:
    """The settings, from these options (None: not given) and everything below them; our log follows `log_level`.

    Raises:
        SettingError: an option, variable or line of wavepool.toml is wrong.
    """
    settings = load_settings(options, environ=os.environ, cwd=Path.cwd())
    log_to_stderr(settings.log_level)
    return settings


def log_to_stderr(level: str) -> None:
    """Our own log goes to stderr from this level on: debug, info, warn or error."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # whatever stderr is when something is said
    )
