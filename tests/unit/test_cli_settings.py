"""How much our own log says."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from wavepool.cli.settings import settings_of


@pytest.mark.parametrize(("level", "said"), [("warn", True), ("error", False)])
def test_our_log_follows_the_level(
    level: str, said: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("CFN_LOG_LEVEL", level)
    settings_of(state_dir=str(tmp_path))
    structlog.get_logger("test").warning("start not known")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert ("start not known" in captured.err) is said
