"""How large the page is and how soon it shows something: a fresh profile of a real browser, each time."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from bench.web_load import ROOT, STEADY, MeteredRun, running_tasks, until

DEADLINE_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSpeed:
    """What was measured.

    Attributes:
        transferred_bytes, requests: all that the browser loaded over HTTP, as it came over the wire.
        first_row_s: from the address to the first row of a task that is visible; one for each profile.
        tasks: how many the run has.
    """

    transferred_bytes: int
    requests: int
    first_row_s: list[float]
    tasks: int


def measure_page(root: Path, rounds: int) -> PageSpeed:
    """Open the page of a run that goes on, `rounds` times."""
    browser_path = subprocess.run(
        [ROOT / "scripts" / "browser"], capture_output=True, text=True, check=True
    ).stdout.strip()
    with MeteredRun(root, 0) as run:
        until(lambda: running_tasks(run) >= STEADY, f"{STEADY} running tasks")
        tasks = run.get(f"/api/runs/{run.run_id}")["run"]["tasks"]["total"]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
            readings = [_open(browser, run) for _ in range(rounds)]
            browser.close()
    return PageSpeed(
        transferred_bytes=readings[0][1],
        requests=readings[0][2],
        first_row_s=[reading[0] for reading in readings],
        tasks=tasks,
    )


def _open(browser: Browser, run: MeteredRun) -> tuple[float, int, int]:
    """Seconds to the first row, bytes, requests."""
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(f"{run.origin}/?token={run.token}", wait_until="commit")
        loaded: list[int] = []
        page.on("requestfinished", lambda request: loaded.append(_size(request.sizes())))
        began_s = time.monotonic()
        page.goto(f"{run.origin}/#/runs/{run.run_id}", wait_until="commit")
        page.get_by_text("prints steadily 0", exact=False).first.wait_for(timeout=DEADLINE_MS)
        return time.monotonic() - began_s, sum(loaded), len(loaded)
    finally:
        context.close()


def _size(sizes: dict[str, int]) -> int:
    return sizes["responseHeadersSize"] + sizes["responseBodySize"]
