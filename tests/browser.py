"""A real browser for the page's tests: Debian's chromium, brought by `scripts/browser`, driven by Playwright.

Playwright's loop runs in the thread of the test for as long as `browser` is open, which is one module: no test there
may run an event loop of its own in that thread.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "browser"
AXE = ROOT / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
INSTALL_DEADLINE_S = 900

DEADLINE_MS = 120_000
"""For anything that a test waits for on the page; far beyond what any of them takes."""

REBOUND = "wavepool.test"
"""A name that leads to this machine, as somebody else's name can be made to."""

ARGUMENTS = (
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1",
)

SERIOUS = ("serious", "critical")

EXPECTED = ("net::ERR_CONNECTION_REFUSED", "the server responded with a status of 400 ")
"""What a browser has on its console where a server is gone, or refuses what a person has typed: tests mean both."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests of a module, each of which has profiles of its own in it (`profile`)."""
    with open_browser(have_browser()) as opened:
        yield opened


@contextmanager
def open_browser(path: str) -> Iterator[Browser]:
    """The browser at `path`, without a window; ended with the block."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield opened
        finally:
            opened.close()


def have_browser() -> str:
    """Its path. Where there is none the test is skipped, but in CI it fails."""
    path, problem = _bring()
    if problem is None:
        return path
    if "CI" in os.environ or os.environ.get("WAVEPOOL_REQUIRE_DOCKER") == "1":
        pytest.fail(f"in CI the browser may not be missing: {problem}", pytrace=False)
    pytest.skip(f"there is no browser: {problem}")


@cache
def _bring() -> tuple[str, str | None]:
    """Where it is, and why it is not there."""
    done = subprocess.run(
        [SCRIPT], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=INSTALL_DEADLINE_S, check=False
    )
    return done.stdout.strip(), done.stderr.strip() if done.returncode else None


@contextmanager
def profile(browser: Browser, **how: Any) -> Iterator[BrowserContext]:
    """A fresh profile: no cookies, nothing stored. `how` as for Playwright's `new_context`."""
    context = browser.new_context(**how)
    context.set_default_timeout(DEADLINE_MS)
    try:
        yield context
    finally:
        context.close()


class Watched:
    """A page of which everything that must not happen is written down.

    Attributes:
        page: Playwright's.
        faults: uncaught exceptions, errors on the console (what the page's own security policy refuses is one), and
            dialogs that a script opened.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        page.on("console", self._hear)
        page.on("dialog", lambda dialog: (self.faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(part in message.text for part in EXPECTED):
            self.faults.append(f"console: {message.text}")


def barriers(page: Page, rules: Sequence[str] | None = None) -> list[str]:
    """What axe finds serious or critical on the page as it is now, a sentence each: rule, what is wrong, and where.

    `rules` are those that are tried, by axe's names; None is all.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    only = {} if rules is None else {"runOnly": {"type": "rule", "values": list(rules)}}
    found = page.evaluate("how => axe.run(document, how)", {"resultTypes": ["violations"], **only})
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: {node['target']} {node['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]
