"""The options of `wavepool recover`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from wavepool.cli import app
from wavepool.cli.recover import parse_grace
from wavepool.engine.history.runs import UnknownRun
from wavepool.errors import SettingError
from wavepool.statedir import StateDir


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("0s", 0), (" 0m ", 0), ("10m", 600), ("90", 90)])
def test_a_grace_may_be_nothing_at_all(text: str, seconds: float) -> None:
    assert parse_grace(text) == seconds


@pytest.mark.parametrize("text", ["soon", "-1", "", "1y"])
def test_a_grace_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="--grace"):
        parse_grace(text)


def test_a_grace_beside_a_resume_is_refused_as_it_would_be_of_no_effect(tmp_path: Path) -> None:
    words = ["recover", "--resume", "--grace", "1h", "--state-dir", str(tmp_path)]
    with pytest.raises(SettingError, match=r"--grace: got '1h'.*whatever its age"):
        CliRunner().invoke(app, words, catch_exceptions=False)


@pytest.mark.parametrize(("others", "advice"), [((), "There is none yet"), (("night", "day"), "Is it night?")])
def test_a_run_that_there_is_not_is_answered_with_those_that_there_are(
    tmp_path: Path, others: tuple[str, ...], advice: str
) -> None:
    for other in others:
        StateDir(tmp_path).run(other).create()
    words = ["recover", "--run-id", "nigth", "--driver", "process", "--state-dir", str(tmp_path)]
    with pytest.raises(UnknownRun, match="there is no run 'nigth'") as caught:
        CliRunner().invoke(app, words, catch_exceptions=False)
    assert advice in caught.value.advice
    assert caught.value.exit_code == 2
