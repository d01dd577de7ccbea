"""A person at the dashboard, in a real browser, over real runs on Docker: start, watch, read, search, cancel, retry,
pause, scale, reload, lose the server and find it again.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest
from dashboard_scene import Scene, agree, figure, open_task, run_of, scene_in, task_row, text_of
from playwright.sync_api import Browser, Route, ViewportSize, expect
from user_git import git
from wavepool_cli import TEST_IMAGE, batch, plan_of, wave

from browser import barriers

pytestmark = pytest.mark.docker

TALKS = 'cd /workspace; n=0; until [ -e enough ]; do n=$((n+1)); echo "line $n of my work"; sleep 0.2; done; echo bye'
BREAKS = "cd /workspace; [ -e mended ] || { echo it cannot go on >&2; exit 3; }"
PHONE: ViewportSize = {"width": 390, "height": 844}
STAYS = "cd /workspace; [ -e mended ] || sleep 1000"


@pytest.fixture(scope="module")
def scene(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene_in(tmp_path_factory.mktemp("dashboard") / "world", browser) as made:
        yield made


def test_a_run_is_started_watched_and_mended_whatever_becomes_of_the_server(scene: Scene) -> None:
    page = scene.open()
    plan = plan_of(
        wave(1, batch("talks", TALKS), batch("breaks", BREAKS), batch("stays", STAYS)), wave(2, batch("later"))
    )

    # It is started by the page's own dialog, in a process of its own.
    page.get_by_role("banner").get_by_role("button", name="Start a run").click()
    dialog = page.get_by_role("dialog", name="Start a run")
    dialog.get_by_label("Plan", exact=True).fill(text_of(plan))
    expect(dialog.get_by_role("status")).to_have_text("2 waves, 4 tasks")
    dialog.get_by_label("Workspace", exact=True).fill(str(scene.world.workspace))
    dialog.get_by_label("Image", exact=True).fill(TEST_IMAGE)
    dialog.get_by_label("Memory budget", exact=True).fill("1g")

    # What is wrong is told at the field that it is about, also where that is behind a heading.
    dialog.locator("summary", has_text="Limits and watchdog").click()
    pids = dialog.get_by_label("Processes of each task", exact=True)
    pids.fill("lots")
    dialog.get_by_role("button", name="Start 4").click()
    expect(pids).to_be_focused()
    expect(pids).to_have_accessible_description(re.compile("--pids: got 'lots', expected a whole number from 1"))
    pids.fill("100")
    dialog.get_by_role("button", name="Start 4").click()
    run_id = run_of(page)

    # Numbers change by themselves.
    expect(figure(page, "Running")).to_have_text("2")
    expect(figure(page, "Failed")).to_have_text("1")
    expect(page.get_by_role("region", name="What failed, and why")).to_contain_text("breaks")
    expect(task_row(page, "breaks")).to_contain_text("failed")

    # A log is read while it is written, and searched.
    drawer = open_task(page, "talks")
    log = drawer.get_by_role("log")
    expect(log).to_contain_text("line 1 of my work")
    expect(log).to_contain_text("line 9 of my work")
    drawer.get_by_label("Find in this output").fill("line 3 of")
    expect(log.locator("mark").first).to_have_text("line 3 of")
    with page.expect_download() as downloading:
        drawer.get_by_role("link", name="Download").click()
    assert downloading.value.path().read_text().startswith("line 1 of my work\nline 2 of my work\n")
    expect(drawer.get_by_role("img", name=re.compile(r"^Memory: \d+%$"))).to_be_visible()

    # A reload shows the same again.
    page.reload()
    expect(log).to_contain_text("line 9 of my work")
    expect(figure(page, "Running")).to_have_text("2")

    # The server dies. What is known stays in sight, and is told to be old; the run goes on without it.
    scene.server.kill()
    expect(page.get_by_role("alert")).to_contain_text("Connection lost.")
    expect(page.get_by_role("button", name="Not connected")).to_be_visible()
    expect(figure(page, "Running")).to_have_text("2")
    page.get_by_role("button", name="Try now").click()
    expect(page.get_by_role("alert")).to_contain_text("Connection lost.")
    scene.world.touch("enough")
    scene.server.start_again()
    page.evaluate("dispatchEvent(new Event('online'))")  # else it tries by itself, within seconds
    expect(page.get_by_role("button", name="Live", exact=True)).to_be_visible()
    expect(page.get_by_role("alert")).to_be_empty()
    expect(figure(page, "Succeeded")).to_have_text("1")
    expect(log).to_contain_text("bye")
    page.keyboard.press("Escape")

    # One task is cancelled, and the run ends as one of which something failed.
    drawer = open_task(page, "stays")
    drawer.get_by_role("button", name="Cancel").click()
    agree(page, "Cancel the task")
    expect(drawer).to_contain_text("cancelled")
    page.keyboard.press("Escape")
    expect(page.locator("header").get_by_text("failed", exact=True)).to_be_visible()
    expect(task_row(page, "later")).to_contain_text("skipped")

    # What failed is mended and tried again: also what was skipped because of it.
    scene.world.touch("mended")
    page.get_by_role("button", name="Retry failed").click()
    agree(page, "Retry")
    expect(figure(page, "Succeeded")).to_have_text("4")
    expect(page.locator("header").get_by_text("succeeded", exact=True)).to_be_visible()
    assert scene.run(run_id)["state"] == "success"
    page.close()


def test_starting_is_paused_and_goes_on_and_the_run_is_cancelled(scene: Scene) -> None:
    def waits(name: str) -> dict[str, object]:
        return batch(
            name, f"cd /workspace; touch begun-{name}; until [ -e go-{name} ]; do sleep 0.1; done", memory="32m"
        )

    run_id = scene.begin(plan_of(wave(1, *map(waits, "abc"))), budget="40m")
    page = scene.open_run(run_id)
    scene.world.wait_for_file("begun-a")
    expect(figure(page, "Running")).to_have_text("1")
    page.get_by_role("button", name="Pause starting").click()
    expect(page.locator("header").get_by_text("paused", exact=True)).to_be_visible()
    scene.world.touch("go-a")
    expect(figure(page, "Succeeded")).to_have_text("1")
    expect(figure(page, "Queued")).to_have_text("2")
    expect(figure(page, "Running")).to_have_text("0")
    assert not (scene.world.workspace / "begun-b").exists()

    page.get_by_role("button", name="Go on starting").click()
    expect(figure(page, "Running")).to_have_text("1")
    scene.world.wait_for_file("begun-b")
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Keep as it is").click()
    assert "draining" not in scene.run(run_id)
    page.get_by_role("button", name="Cancel", exact=True).click()
    agree(page, "Cancel the run")
    expect(page.locator("header").get_by_text("draining", exact=True)).to_be_visible()
    scene.world.touch("go-b")
    expect(page.locator("header").get_by_text("interrupted", exact=True)).to_be_visible()
    assert not (scene.world.workspace / "begun-c").exists()
    page.close()


@pytest.mark.slow
def test_a_run_whose_process_was_killed_is_gone_on_with_also_from_a_phone(scene: Scene) -> None:
    stays = batch("holds", "cd /workspace; echo once >> held; until [ -e let-go ]; do sleep 0.1; done")
    plan, run_id = plan_of(wave(1, batch("ends", "exit 3"), stays), wave(2, batch("last"))), "killed"
    page = scene.open(f"runs/{run_id}")
    page.set_viewport_size(PHONE)
    expect(page.get_by_role("heading", name="No such run here")).to_be_visible()
    scene.begin(plan, run_id=run_id, keep_going=True)
    expect(page.get_by_role("heading", name=run_id, level=1)).to_be_visible()
    expect(figure(page, "Failed")).to_have_text("1")
    scene.world.wait_for_file("held")
    os.kill(scene.run(run_id)["pid"], signal.SIGKILL)

    # What is seldom done is behind one button, for the keyboard too, where there is no room for all.
    expect(page.locator("main header").get_by_text("unfinished", exact=True)).to_be_visible()
    report = page.get_by_role("button", name="Report", exact=True)
    expect(report).to_be_hidden()
    more = page.locator("summary", has_text="More")
    more.press("Enter")
    expect(report).to_be_visible()
    assert barriers(page) == []
    report.press("Escape")
    expect(report).to_be_hidden()
    expect(more).to_be_focused()

    # The overview says what is left, and goes on with it.
    page.goto(f"{scene.server.origin}/#/")
    left = page.get_by_role("region", name="Left by processes that died")
    expect(left).to_contain_text(run_id)
    expect(left).to_contain_text("1 task under way, 1 not started")
    left.get_by_role("button", name=f"Resume {run_id}").click()
    expect(left).to_be_hidden()
    page.goto(f"{scene.server.origin}/#/runs/{run_id}")
    expect(page.locator("main header").get_by_text("live", exact=True)).to_be_visible()
    scene.world.touch("let-go")
    expect(figure(page, "Succeeded")).to_have_text("2")
    expect(page.locator("main header").get_by_text("failed", exact=True)).to_be_visible()
    assert (scene.world.workspace / "held").read_text() == "once\n"
    page.close()


def test_agents_are_given_a_prompt_and_the_run_is_given_up_after_a_look_at_what_would_go(scene: Scene) -> None:
    git(scene.world.workspace, "init", "-q")
    git(scene.world.workspace, "commit", "-q", "--allow-empty", "-m", "begin")
    page = scene.open()
    page.get_by_role("banner").get_by_role("button", name="Start a run").click()
    dialog = page.get_by_role("dialog", name="Start a run")
    dialog.get_by_role("button", name="Prompts").click()
    dialog.get_by_label("Prompt", exact=True).fill("Say\nhello.")
    dialog.get_by_label("Repository", exact=True).fill(str(scene.world.workspace))
    dialog.get_by_label("Agent", exact=True).fill("command")
    dialog.get_by_label("Words for the agent").fill("sh -c 'cat; echo; echo done'")
    dialog.locator("summary", has_text="Where tasks run").click()
    dialog.get_by_label("Image", exact=True).fill(TEST_IMAGE)
    dialog.locator("summary", has_text="Limits and watchdog").click()
    dialog.get_by_label("Memory of each task", exact=True).fill("64m")
    expect(dialog).to_contain_text("--agent command -- sh -c 'cat; echo; echo done'")
    dialog.get_by_role("button", name="Start", exact=True).click()
    run_id = run_of(page)
    expect(page.locator("header").get_by_text("succeeded", exact=True)).to_be_visible()
    expect(open_task(page, "task-1").get_by_role("log")).to_contain_text("hello.")

    page.goto(f"{scene.server.origin}/#/runs")
    page.get_by_role("button", name="Give up old runs").click()
    dialog = page.get_by_role("dialog", name="Give up old runs")
    dialog.get_by_label("Max size").fill("1")
    look = dialog.get_by_role("button", name="Look what would go")
    held: list[Route] = []
    page.route("**/api/prune", lambda route: held.append(route))
    with page.expect_request("**/api/prune"):
        look.click()
    dialog.get_by_label("Max size").fill("1t")
    held[0].continue_()
    expect(look).to_be_enabled()  # what came was by the other bound: nothing is offered by it
    page.unroute("**/api/prune")
    dialog.get_by_label("Max size").fill("1")
    look.click()
    expect(dialog.get_by_role("row").filter(has_text=run_id)).to_contain_text("goes")
    assert scene.run(run_id)["state"] == "success"
    dialog.get_by_role("button", name=re.compile("^Give up [0-9]+$")).click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("link", name=run_id)).to_be_hidden()
    page.close()


def test_a_pool_is_scaled_and_a_task_of_it_is_counted(scene: Scene) -> None:
    page = scene.open("pools")
    coder = page.get_by_role("region", name="coder")
    expect(coder).to_contain_text("1 of 1 ready")
    coder.get_by_role("button", name="Scale").click()
    page.get_by_label("Containers that stand ready").fill("2")
    agree(page, "Scale")
    expect(coder).to_contain_text("2 of 2 ready")
    done = scene.world.command("pool", "run", "coder", "--state-dir", str(scene.world.state), "--", "true").finish()
    assert done.exit_code == 0, done.stderr
    expect(coder).to_contain_text(re.compile(r"Hits, misses\s*1, 0"))
    expect(coder).to_contain_text(re.compile(r"Hit rate\s*100"))
    page.close()
