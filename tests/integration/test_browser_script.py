"""`scripts/browser` brings a browser that starts, and what tests say of a page is true."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from browser import SCRIPT, Watched, barriers, have_browser, profile


def test_what_is_wrong_with_a_page_is_found(browser: Browser) -> None:
    with profile(browser) as context:
        watched = Watched(context.new_page())
        watched.page.set_content("<html lang=en><title>t</title><main><h1>Fine</h1><p>Words</p></main></html>")
        assert barriers(watched.page) == []
        assert watched.faults == []
        watched.page.set_content(
            "<html lang=en><title>t</title><main><h1>Not</h1><button></button>"
            "<p style='color:#bbb;background:#fff'>pale</p>"
            "<script>alert('run'); console.error('bad'); throw new Error('thrown')</script></main></html>"
        )
        assert sorted(each.split()[0] for each in barriers(watched.page)) == ["button-name", "color-contrast"]
        assert sorted(watched.faults) == ["console: bad", "dialog: run", "uncaught: thrown"]


def test_a_second_run_only_tells_where_it_is() -> None:
    path = have_browser()
    again = subprocess.run([SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    assert (again.stdout, again.stderr) == (f"{path}\n", "")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"WAVEPOOL_NO_INSTALL": "1"}, "browser: not installed: chromium fonts-dejavu-core (WAVEPOOL_NO_INSTALL=1)"),
        ({"WAVEPOOL_BROWSER": "/none"}, "browser: WAVEPOOL_BROWSER=/none cannot be executed"),
    ],
)
def test_what_is_missing_is_told(variables: dict[str, str], words: str, tmp_path: Path) -> None:
    for tool in ("bash", "id", "mktemp", "flock", "rm", "apt-get"):
        (tmp_path / tool).symlink_to(Path("/usr/bin") / tool)
    env = {**os.environ, "PATH": str(tmp_path), **variables}
    done = subprocess.run([SCRIPT], capture_output=True, text=True, env=env, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{words}\n")
