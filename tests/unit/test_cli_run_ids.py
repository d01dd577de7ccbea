"""The verbs that take the id of a run say which runs there are, and touch nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from wavepool.cli import app
from wavepool.errors import InputError, WavepoolError
from wavepool.statedir import StateDir


def refused(state: Path, *words: str) -> WavepoolError:
    """What `wavepool WORDS` says."""
    done = CliRunner().invoke(app, [*words, "--state-dir", str(state)])
    assert isinstance(done.exception, InputError), done.exception
    assert done.exception.exit_code == 2
    return done.exception


@pytest.mark.parametrize("words", [("resume",), ("retry", "--failed"), ("attach",), ("cancel",)])
def test_an_unknown_run(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert "There is none yet" in str(refused(tmp_path, *words, "nix"))
    assert list(tmp_path.iterdir()) == []
    for name in ("a", "b"):
        files = StateDir(tmp_path).run(name)
        files.create()
        files.journal.touch()
    assert "There are b, a;" in str(refused(tmp_path, *words, "nix"))
    assert "there is no run '../a'" in str(refused(tmp_path, *words, "../a"))


@pytest.mark.parametrize("words", [("resume",), ("retry", "--failed"), ("attach",), ("cancel",)])
def test_the_start_of_several_ids_is_not_enough(tmp_path: Path, words: tuple[str, ...]) -> None:
    for name in ("night-1", "night-2"):
        StateDir(tmp_path).run(name).create()
    assert "is the start of 2 runs" in str(refused(tmp_path, *words, "night"))


def test_a_retry_needs_to_be_told_what(tmp_path: Path) -> None:
    for words, given in ((("a",), "neither"), (("a", "one", "--failed"), "both")):
        said = str(refused(tmp_path, "retry", *words))
        assert f"retry takes either --failed or tasks by their ids, and was given {given}\n" in said
        assert "`wavepool retry a --failed`" in said
