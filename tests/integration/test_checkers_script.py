"""`scripts/checkers` brings the tools whose output is read, and stays out of the way where they are there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from checkers import SCRIPT, Checkers

TOOLS = ("tsc", "tsc-7", "eslint", "pyright", "mypy", "ruff", "cargo", "rustc", "gcc", "g++", "clang", "shellcheck")


def test_every_tool_answers(checkers: Checkers, tmp_path: Path) -> None:
    for tool in TOOLS:
        answered = checkers.run([tool, "--version"], tmp_path)
        assert answered.exit_code == 0, (tool, answered)
    assert checkers.run(["go", "version"], tmp_path).exit_code == 0


def test_a_second_run_only_tells_where_they_are(checkers: Checkers) -> None:
    again = subprocess.run([SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    assert again.stderr == ""
    assert (Path(again.stdout.split("\n")[0]) / "tsc").exists()


@pytest.mark.usefixtures("checkers")  # so that Debian's packages are there, and only npm's are missing
def test_what_is_missing_is_told_where_nothing_may_be_installed(tmp_path: Path) -> None:
    env = {**os.environ, "WAVEPOOL_NO_INSTALL": "1", "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([SCRIPT], capture_output=True, text=True, env=env, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "checkers: not installed: tsc, eslint, pyright (WAVEPOOL_NO_INSTALL=1)\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wavepool-checkers.lock"]
