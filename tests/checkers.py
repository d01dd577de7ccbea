"""The tools whose output is read, the real ones: brought by `scripts/checkers` once per session, and run from there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "checkers"
INSTALL_DEADLINE_S = 900
DEADLINE_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """What a tool has printed, on both streams, and its exit code."""

    stdout: bytes
    stderr: bytes
    exit_code: int


@dataclass(frozen=True, slots=True)
class Checkers:
    """The tools, found on `path`: tsc, tsc-7, eslint, pyright, mypy, ruff, cargo, go, gcc, clang, shellcheck ..."""

    path: str

    def run(self, argv: Sequence[str], cwd: Path, env: dict[str, str] | None = None) -> Printed:
        """One run of a tool, without colours unless `env` or `argv` ask for them. The tool must not hang for ever."""
        done = subprocess.run(
            argv,
            cwd=cwd,
            env={**self.environment(), **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DEADLINE_S,
            check=False,
        )
        return Printed(stdout=done.stdout, stderr=done.stderr, exit_code=done.returncode)

    def environment(self) -> dict[str, str]:
        """This process's, with the tools on PATH and without what decides on colours, width or language."""
        dropped = ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "PYTEST_ADDOPTS", "GOFLAGS", "GITHUB_ACTIONS", "CI")
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        return {**kept, "PATH": self.path, "LC_ALL": "C.UTF-8"}


@pytest.fixture(scope="session")
def checkers() -> Checkers:
    """The tools. Where they cannot be had the test is skipped, but in CI it fails."""
    return have_checkers()


def have_checkers() -> Checkers:
    """As the fixture, for those who need them outside of one."""
    directories, problem = _bring()
    if problem is None:
        mine = Path(sys.executable).parent
        return Checkers(os.pathsep.join([*directories, str(mine), os.environ["PATH"]]))
    if "CI" in os.environ or os.environ.get("WAVEPOOL_REQUIRE_DOCKER") == "1":
        pytest.fail(f"in CI no tool may be missing: {problem}", pytrace=False)
    pytest.skip(f"the real tools are not there: {problem}")


@cache
def _bring() -> tuple[tuple[str, ...], str | None]:
    """Where they are, and why they are not all there."""
    done = subprocess.run(
        [SCRIPT], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=INSTALL_DEADLINE_S, check=False
    )
    return tuple(done.stdout.split("\n")[:-1]), done.stderr.strip() if done.returncode else None
