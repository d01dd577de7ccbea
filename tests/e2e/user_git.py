"""Git as a user calls it, beside what Wavepool does to the same repository."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from wavepool_cli import DEADLINE_S

WHO = ("-c", "user.name=Tester", "-c", "user.email=tester@localhost", "-c", "safe.directory=*")
QUIET = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}


def git(at: Path, *words: str, env: Mapping[str, str] | None = None, check: bool = True) -> str:
    """Plain git with all that the repository itself tells it; AssertionError where it fails, but with `check` False."""
    done = subprocess.run(
        ["git", *WHO, *words],
        cwd=at,
        env={"PATH": os.environ["PATH"], "HOME": str(at.parent), **QUIET, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout.strip()
