"""Every view of the dashboard for everybody: no barriers that axe finds serious, by keyboard alone, and no text of a
task that is ever more than text.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dashboard_scene import Scene, figure, open_task, scene_in, task_row
from playwright.sync_api import Browser, Page, expect
from wavepool_cli import batch, plan_of, wave

from browser import barriers

pytestmark = pytest.mark.docker

LOOKS = {
    "light": ("light", {"width": 1280, "height": 900}, None),
    "dark": ("dark", {"width": 1280, "height": 900}, ["color-contrast"]),  # nothing else is another than in light
    "narrow": ("light", {"width": 390, "height": 844}, None),
}
"""Colours, size, and the rules that are tried: None is all."""
MARKUP = '<img src=x onerror="alert(1)"><script>alert(2)</script>'
WRITTEN = "<b>bold</b><script>alert(3)</script> &amp; \x1b[31mred\x1b[0m <a href='javascript:alert(4)'>here</a>"


@pytest.fixture(scope="module")
def scene(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene_in(tmp_path_factory.mktemp("views") / "world", browser) as made:
        yield made


@pytest.fixture(scope="module")
def ended(scene: Scene) -> str:
    """A run in which something succeeded, failed and was skipped, and of which all texts are markup."""
    printing = ["printf", "%s\\n", WRITTEN]
    plan = plan_of(
        wave(1, batch(MARKUP, printing), batch("fails", "echo oh; exit 3"), batch("no such program", ["/<b>none</b>"])),
        wave(2, batch("never")),
    )
    run_id = scene.begin(plan)
    page = scene.open_run(run_id)
    expect(page.locator("header").get_by_text("failed", exact=True)).to_be_visible()
    page.close()
    return run_id


@pytest.fixture(scope="module")
def going_on(scene: Scene) -> Iterator[str]:
    """A run of which something runs."""
    run_id = scene.begin(plan_of(wave(1, batch("runs", "echo begun; sleep 1000"), batch("ends"))))
    page = scene.open_run(run_id)
    expect(figure(page, "Running")).to_have_text("1")
    page.close()
    yield run_id
    scene.server.post(f"/api/runs/{run_id}/cancel", {"force": True})
    page = scene.open_run(run_id)
    expect(page.locator("header").get_by_text("interrupted", exact=True)).to_be_visible()
    page.close()


@pytest.mark.parametrize("look", LOOKS)
def test_no_view_has_a_serious_barrier(scene: Scene, ended: str, going_on: str, look: str) -> None:
    colours, size, rules = LOOKS[look]
    page = scene.open()
    page.emulate_media(color_scheme=colours, reduced_motion="reduce")
    page.set_viewport_size(size)
    found: dict[str, list[str]] = {}

    def look_at(where: str, name: str) -> None:
        page.goto(f"{scene.server.origin}/#/{where}")
        expect(page.get_by_role("main").get_by_role("heading").first).to_be_visible()
        found[name] = barriers(page, rules)

    for view in ("", "runs", "pools", "workspaces", "processes"):
        look_at(view, view or "overview")
    for tab in ("", "/timeline", "/resources"):
        look_at(f"runs/{going_on}{tab}", f"run{tab}")
    look_at(f"runs/{ended}", "ended run")
    page.get_by_role("region", name="What failed, and why").get_by_role("button", name="fails").click()
    drawer = page.get_by_role("complementary", name="Task fails")
    expect(drawer.get_by_role("log")).to_contain_text("oh")
    for tab in ("Output", "Attempts", "About"):
        drawer.get_by_role("tab", name=tab).click()
        found[f"task, {tab}"] = barriers(page, rules)
    page.keyboard.press("Escape")
    page.get_by_role("banner").get_by_role("button", name="Start a run").click()
    dialog = page.get_by_role("dialog", name="Start a run")
    dialog.get_by_role("button", name="Prompts").click()
    expect(dialog.get_by_label("Repository", exact=True)).to_be_visible()
    dialog.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")
    found["dialog"] = barriers(page, rules)
    page.keyboard.press("Escape")
    page.goto(f"{scene.server.origin}/#/runs")
    page.get_by_role("button", name="Give up old runs").click()
    dialog = page.get_by_role("dialog", name="Give up old runs")
    dialog.get_by_role("button", name="Look what would go").click()
    expect(dialog.get_by_role("region", name="What would go and what would stay")).to_be_visible()
    found["what would go"] = barriers(page, rules)
    page.keyboard.press("Escape")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    assert {name: faults for name, faults in found.items() if faults} == {}
    page.close()


def test_nothing_that_a_task_says_is_more_than_text(scene: Scene, ended: str) -> None:
    page = scene.open_run(ended)
    expect(task_row(page, MARKUP)).to_contain_text("succeeded")
    drawer = open_task(page, MARKUP)
    log = drawer.get_by_role("log")
    expect(log).to_contain_text("<b>bold</b><script>alert(3)</script> &amp; red <a href='javascript:alert(4)'>here</a>")
    for tab in ("Attempts", "About", "Output"):
        drawer.get_by_role("tab", name=tab).click()
        expect(drawer).to_contain_text(MARKUP)
        _has_no_markup(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="What failed, and why")).to_contain_text("no such program")
    page.get_by_label("Find tasks by name, reason or command").fill(MARKUP)
    expect(task_row(page, MARKUP)).to_be_visible()
    page.reload()
    expect(task_row(page, MARKUP)).to_be_visible()
    _has_no_markup(page)
    for tab in ("timeline", "resources"):
        page.goto(f"{scene.server.origin}/#/runs/{ended}/{tab}")
        _has_no_markup(page)

    page.get_by_role("banner").get_by_role("button", name="Start a run").click()
    dialog = page.get_by_role("dialog", name="Start a run")
    bad = '{"waves": [{"wave_number": 1, "batches": [{"batch_id": "<img src=x onerror=alert(5)>", "memory": "<b>"}]}]}'
    dialog.get_by_label("Plan", exact=True).fill(bad)
    dialog.get_by_role("button", name="Start 1").click()
    expect(dialog.get_by_role("alert")).to_contain_text("<b>")
    _has_no_markup(page)
    page.goto(f"{scene.server.origin}/#/runs/{MARKUP.replace('/', '%2F')}")
    expect(page.get_by_role("main")).to_contain_text("No such run")
    _has_no_markup(page)
    page.close()


def test_a_task_is_found_opened_and_closed_by_keyboard_alone(scene: Scene, ended: str) -> None:
    page = scene.open()
    page.keyboard.press("2")
    page.get_by_role("link", name=ended).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=ended, level=1)).to_be_visible()
    expect(page.get_by_role("table", name="Tasks")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_label("Find tasks by name, reason or command")).to_be_focused()
    page.keyboard.type("fails")
    for _ in range(20):  # past the headings of the columns
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "fails":
            break
    page.keyboard.press("Enter")
    drawer = page.get_by_role("complementary", name="Task fails")
    expect(drawer).to_be_focused()
    page.keyboard.press("/")
    expect(drawer.get_by_label("Find in this output")).to_be_focused()
    page.keyboard.type("oh")
    expect(drawer.locator("mark").first).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(page.get_by_role("link", name="fails", exact=True)).to_be_focused()
    page.close()


def test_a_timeline_is_drawn_apart_by_two_fingers_and_together_again(scene: Scene, ended: str) -> None:
    page = scene.open_run(ended, "/timeline")
    canvas = page.get_by_role("region", name="Timeline").locator("canvas")
    canvas.scroll_into_view_if_needed()
    expect(page.get_by_role("main")).to_contain_text("lower bound")
    whole = page.get_by_role("button", name="All", exact=True)
    expect(whole).to_be_disabled()
    box = canvas.bounding_box()
    assert box is not None
    fingers = page.context.new_cdp_session(page)

    def touch(kind: str, *apart_px: int) -> None:
        middle, height = box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2
        points = [{"id": at, "x": middle + each, "y": height} for at, each in enumerate(apart_px)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def pinch(begin_px: int, end_px: int) -> None:
        touch("touchStart", -begin_px)
        touch("touchStart", -begin_px, begin_px)
        for step in range(1, 11):
            here = begin_px + (end_px - begin_px) * step // 10
            touch("touchMove", -here, here)
        touch("touchEnd")

    pinch(20, 120)
    expect(whole).to_be_enabled()
    assert page.evaluate("visualViewport.scale") == 1  # it is not the page that is larger
    pinch(120, 10)
    expect(whole).to_be_disabled()
    page.close()


def _has_no_markup(page: Page) -> None:
    """No element came of a task's words, and no address that runs something."""
    made = page.locator(
        "img, body script, a[href^='javascript'], [onerror], [onclick], b:text-is('bold'), b:text-is('none')"
    )
    assert made.evaluate_all("found => found.map(each => each.outerHTML)") == []
