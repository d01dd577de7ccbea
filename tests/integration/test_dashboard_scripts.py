"""The pure parts of the page (patching, sorting, filtering, windows, formats, contrast), by node's own test runner."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

DASHBOARD = Path(__file__).resolve().parents[2] / "dashboard"


def test_the_pure_parts_of_the_page_do_as_their_tests_say() -> None:
    node = shutil.which("node")
    assert node is not None, "node builds the page, and tests it: scripts/environment brings it"
    files = sorted(str(each) for each in (DASHBOARD / "tests").glob("*.test.js"))
    assert files
    done = subprocess.run([node, "--test", *files], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout
