"""The settings of one call."""

from __future__ import annotations

import os
from pathlib import Path

from wavepool.cli.own_log import log_to_stderr
from wavepool.config import Settings, load_settings


def settings_of(**options: object) -> Settings:
    """The settings, from these options (None: not given) and everything below them; our log follows `log_level`.

    Raises:
        SettingError: an option, variable or line of wavepool.toml is wrong.
    """
    settings = load_settings(options, environ=os.environ, cwd=Path.cwd())
    log_to_stderr(settings.log_level)
    return settings
