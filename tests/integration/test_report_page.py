"""The page of a report, opened from its file in a real browser: what it shows, what it asks for, what it lets run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from browser import Watched, barriers, profile
from wavepool.core.events import Now
from wavepool.drivers.memory import MemoryWorld
from wavepool.engine.history.runs import find_run
from wavepool.model import Node, Resources, Rules
from wavepool.plan import TierMap, parse_plan
from wavepool.reporting import Format, render
from wavepool.statedir import StateDir
from wavepool.testing.whole_runs import SimulatedRun
from wavepool.units import GIB

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
MARKUP = """
document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.got = 1'>");
document.body.append(Object.assign(document.createElement("script"), {text: "window.got = 2"}));
"""
NOW = Now(0.0, datetime(2026, 11, 27, 12, tzinfo=UTC))
LONG_ROW_PX = 26 + 24 + 20 * 1.5
"""From the top of the chart to its second task: the axis, the heading of the wave, and one task and a half."""

LOOKS = [("light", 1200), ("dark", 1200), ("light", 390)]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run with two waves: attempts that failed and were repeated, one of 5 ms, markup wherever it can be."""
    one = {
        "short": ["sim", "duration=0.005"],
        "long": ["sim", "duration=7200"],
        "bad": ["sim", "exit=3", f"stdout={HOSTILE}"],
    }
    two = {HOSTILE: ["sim", "exit=1", "duration=3"], "oom": ["sim", "oom"]}
    waves = [
        {
            "wave_number": number,
            "batches": [
                {"batch_id": name, "memory": "64m", "files": [], "command": command} for name, command in tasks.items()
            ],
        }
        for number, tasks in ((1, one), (2, two))
    ]
    plan = parse_plan(json.dumps({"waves": waves}).encode(), source="plan", tiers=TierMap())
    rules = Rules(nodes=(Node(name="local", capacity=Resources(GIB)),), max_attempts=2, keep_going=True)
    run = SimulatedRun(
        plan=plan, rules=rules, world=MemoryWorld(), directory=tmp_path_factory.mktemp("state"), records_usage=True
    )
    with ThreadPoolExecutor(1) as thread:  # in this one Playwright's loop runs
        thread.submit(run.process).result()
    text = render(find_run(StateDir(run.directory), "latest"), Format.HTML, NOW)
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: Browser, report: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, drawn; nothing of what must not happen may have happened when the test is over."""
    look, width = getattr(request, "param", LOOKS[0])
    with profile(browser, color_scheme=look, viewport={"width": width, "height": 900}) as context:
        asked: list[str] = []
        context.on("request", lambda request: asked.append(request.url))
        watched = Watched(context.new_page())
        watched.page.goto(report.as_uri())
        watched.page.locator("canvas[data-draw-ms]").wait_for()
        yield watched.page
        assert watched.faults == []
        assert asked == [report.as_uri()]


@pytest.mark.parametrize("opened", LOOKS, indirect=True, ids=lambda look: f"{look[0]}-{look[1]}")
def test_it_shows_the_run_and_is_open_to_all(opened: Page) -> None:
    page = opened
    assert page.title() == "Run simulated: failed"
    assert page.locator("h1").inner_text().split() == ["Run", "simulated", "failed"]
    assert page.locator("header .figures").inner_text().split("\n")[:6] == [
        "Tasks",
        "5",
        "Succeeded",
        "2",
        "Failed",
        "3",
    ]
    failures = page.locator("section", has=page.locator("#failed"))
    assert failures.locator("summary").count() == 3
    assert failures.locator("pre").first.inner_text() == HOSTILE
    graphs = page.locator("section", has=page.locator("#used")).locator("figure")
    assert [graph.locator(".title").inner_text() for graph in graphs.all()] == [
        "Attempts at once",
        "Memory used, and promised",
        "CPU, of one core",
    ]
    assert "used at most" in " ".join(graphs.nth(1).locator("li").first.inner_text().split())
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]  # type: ignore[index]
    assert barriers(page) == []


def test_the_timeline_is_walked_by_keys_and_read_as_a_table(opened: Page) -> None:
    page = opened
    chart = page.get_by_role("application")
    chart.focus()
    picked = page.locator(".timeline [role=status]")
    page.keyboard.press("Home")
    first = picked.inner_text()
    page.keyboard.press("ArrowDown")
    assert picked.inner_text() != first
    for key in ("+", "+", "Shift+ArrowRight", "-", "0"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    page.locator(".seen h3").wait_for()
    page.get_by_text("The timeline as a table").click()
    rows = page.get_by_role("region", name="Attempts").locator("tbody tr")
    states = [row.split("\t")[3].strip() for row in rows.all_inner_texts()]
    assert sorted(states) == ["failed"] * 4 + ["out of memory"] * 2 + ["succeeded"] * 2
    assert barriers(page) == []


def test_tasks_are_searched_sorted_and_opened(opened: Page) -> None:
    page = opened
    table = page.get_by_role("region", name="Tasks")
    table.get_by_role("button", name="Took").click()
    table.get_by_role("button", name="Took").click()
    assert table.locator("tbody th").first.inner_text() == "long"
    page.get_by_label("Search").fill("onerror")
    assert table.locator("tbody th").all_inner_texts() == [HOSTILE]
    table.get_by_role("button", name=HOSTILE).click()
    assert "Attempt 2" in table.locator(".open").inner_text()
    page.get_by_label("Search").fill("no such thing")
    assert table.locator("tbody").inner_text() == "No task has this."
    assert page.locator("img").count() == 0


def test_no_other_script_runs_in_it(browser: Browser, report: Path) -> None:
    """What its policy refuses: were markup to get into the page after all, it would not run, nor fetch anything."""
    with profile(browser) as context:
        watched = Watched(context.new_page())
        watched.page.goto(report.as_uri())
        watched.page.locator("canvas[data-draw-ms]").wait_for()
        watched.page.evaluate(MARKUP)
        assert watched.page.evaluate("window.got") is None
        assert [fault for fault in watched.faults if "Content Security Policy" in fault]
        assert not [fault for fault in watched.faults if fault.startswith("dialog")]


def test_the_timeline_follows_the_pointer(opened: Page) -> None:
    page = opened
    canvas = page.locator(".timeline canvas")
    page.get_by_role("button", name="All").wait_for()
    assert page.get_by_role("button", name="All").is_disabled()
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + LONG_ROW_PX)
    tip = page.locator(".tip")
    tip.wait_for()
    assert tip.inner_text().split("\n")[:3] == ["long", "succeeded", "2h 00m"]
    page.keyboard.down("Control")
    page.mouse.wheel(0, -600)
    page.keyboard.up("Control")
    page.locator("canvas.zoomed").wait_for()
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + LONG_ROW_PX)  # a drag opens nothing
    page.mouse.up()
    assert page.locator(".seen").count() == 0
    page.mouse.click(box["x"] + box["width"] * 0.6, box["y"] + LONG_ROW_PX)
    assert page.locator(".seen h3").inner_text().split("\n")[0].strip().startswith("long")
    page.get_by_role("button", name="All").click()
    page.locator(".timeline canvas:not(.zoomed)").wait_for()
    page.locator(".legend").get_by_role("button", name="succeeded").click()
    assert page.locator(".legend").get_by_role("button", name="succeeded").get_attribute("aria-pressed") == "false"
