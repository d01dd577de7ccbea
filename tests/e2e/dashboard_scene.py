"""A person before the dashboard: one server, one browser, and what is looked for on the page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from served_page import ServedPage, served
from wavepool_cli import TEST_IMAGE, World, world_in

from browser import DEADLINE_MS, Watched, profile

expect.set_options(timeout=DEADLINE_MS)

POOLS = {
    "image": TEST_IMAGE,
    "size": 1,
    "auto_scaling": False,
    "pools": {"coder": {"memory": "32m", "user": "0:0"}},
    "warm": ["coder"],
}


class Scene:
    """A server on Docker with a browser that is signed in.

    Attributes:
        world: where its runs are; tasks wait for files in its workspace.
        server: what answers.
        context: of the browser.
    """

    def __init__(self, world: World, server: ServedPage, context: BrowserContext) -> None:
        self.world = world
        self.server = server
        self.context = context
        self._watched: list[Watched] = []

    def open(self, where: str = "") -> Page:
        """The page at an address behind its #, in a tab of its own. What must not happen in it is watched for."""
        page = self.context.new_page()
        self._watched.append(Watched(page))
        page.goto(f"{self.server.origin}/#/{where}")
        expect(page.get_by_role("button", name="Live", exact=True)).to_be_visible()
        return page

    def open_run(self, run_id: str, tab: str = "") -> Page:
        """The page of a run."""
        page = self.open(f"runs/{run_id}{tab}")
        expect(page.get_by_role("heading", name=run_id, level=1)).to_be_visible()
        return page

    def begin(self, plan: Mapping[str, object], **options: object) -> str:
        """A run that the server was asked for over its interface; its id."""
        told = {"workspace": str(self.world.workspace), **options}
        started: str = self.server.post("/api/runs", {"plan": plan, "options": told})["run_id"]
        return started

    def run(self, run_id: str) -> dict[str, Any]:
        """Its line, as the interface tells it."""
        found: dict[str, Any] = self.server.get(f"/api/runs/{run_id}")["run"]
        return found

    def close(self) -> None:
        """Nothing that must not happen may have happened in any tab."""
        for watched in self._watched:
            watched.page.close()
        assert [fault for watched in self._watched for fault in watched.faults] == []


@contextmanager
def scene_in(root: Path, browser: Browser, **how: Any) -> Iterator[Scene]:
    """A scene; leaving it ends the server, and proves that nothing is left but what runs have to leave."""
    with (
        world_in(root, "docker") as world,
        served(world, settings=POOLS) as server,
        profile(browser, **how) as context,
    ):
        server.running.wait_for("ready")
        signing_in = context.new_page()
        signing_in.goto(server.link)
        signing_in.close()
        scene = Scene(world, server, context)
        yield scene
        scene.close()


def figure(page: Page, name: str) -> Locator:
    """The number of a key figure."""
    figures = page.get_by_label(re.compile("^Key figures"))
    return figures.locator(".figure").filter(has=page.get_by_text(name, exact=True)).locator(".value")


def task_row(page: Page, task_id: str) -> Locator:
    """The row of a task in the table of tasks."""
    link = page.get_by_role("link", name=task_id, exact=True)
    return page.get_by_role("table", name="Tasks").get_by_role("row").filter(has=link)


def open_task(page: Page, task_id: str) -> Locator:
    """Open a task by its row; its drawer."""
    task_row(page, task_id).get_by_role("link").click()
    drawer = page.get_by_role("complementary", name=f"Task {task_id}", exact=True)
    expect(drawer).to_be_visible()
    return drawer


def agree(page: Page, action: str) -> None:
    """Answer the question that the page asks before it does something."""
    page.get_by_role("dialog").get_by_role("button", name=action, exact=True).click()


def run_of(page: Page) -> str:
    """The id of the run that the page shows."""
    page.wait_for_url(re.compile("#/runs/."))
    return page.url.partition("#/runs/")[2].partition("?")[0].partition("/")[0]


def text_of(plan: Mapping[str, object]) -> str:
    """As it is pasted into the dialog."""
    return json.dumps(plan, indent=2)
