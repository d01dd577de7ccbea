"""Reports of real runs: while they live, left by a process that died, and over; with what containers really wrote."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from wavepool_cli import Finished, World, batch, eventually, plan_of, wave

from wavepool.engine.usage.record import read_record
from wavepool.model import AttemptId
from wavepool.statedir import StateDir

UNTIL_GO = "while [ ! -e go.$BATCH_ID ]; do sleep 0.05; done"
ANGRY = "</script><script>alert(1)</script>"


def report(world: World, *arguments: str) -> Finished:
    return world.command("report", "--state-dir", str(world.state), *arguments).finish()


def states(text: bytes) -> dict[str, str]:
    """JUnit's word for each task."""
    cases = ElementTree.fromstring(text).iter("testcase")
    return {case.get("name", ""): case[0].tag if len(case) else "passed" for case in cases}


@pytest.mark.docker
def test_a_run_is_reported_whatever_has_become_of_it(docker_world: World, tmp_path: Path) -> None:
    world = docker_world
    plan = plan_of(
        wave(
            1,
            batch(ANGRY, rf"printf '\033[31mred\033[0m {ANGRY} \000\001\377\n'; exit 3"),
            batch("waits", UNTIL_GO),
            batch("slow", "echo going; sleep 100", timeout=2),
        ),
        wave(2, batch("after")),
    )
    run = world.start(plan, "--run-id", "told", "--keep-going", "--json")
    run.wait_for("AttemptSettled", count=2)

    live = report(world, "told", "--format", "junit")
    assert states(live.stdout) == {ANGRY: "failure", "waits": "skipped", "slow": "failure", "after": "skipped"}
    words = report(world, "latest", "--format", "md").stdout.decode()
    assert "## Run <code>told</code> is running" in words
    assert "As of 2" in words

    files = StateDir(world.state).run("told")
    eventually(lambda: AttemptId("waits", 1) in read_record(files.usage).attempts, "what it used in the file")
    run.kill()
    words = report(world, "told", "--format", "md").stdout.decode()
    assert "was left by its process" in words
    assert "<code>wavepool resume told</code>" in words
    world.touch("go.waits")
    world.command("resume", "told", "--state-dir", str(world.state)).finish()

    done = report(world, "told", "--format", "junit")
    assert states(done.stdout) == {ANGRY: "failure", "waits": "passed", "slow": "failure", "after": "passed"}
    [angry] = [case for case in ElementTree.fromstring(done.stdout).iter("testcase") if case.get("name") == ANGRY]
    assert f"red {ANGRY} �" in (angry[0].text or "")
    [slow] = [case for case in ElementTree.fromstring(done.stdout).iter("testcase") if case.get("name") == "slow"]
    assert (slow[0].get("type"), slow[0].get("message")) == ("timeout", "it reached its timeout and was stopped")
    document = json.loads(report(world, "told", "--format", "json").stdout)
    assert document["run"]["state"] == "failed"
    assert "usage_problem" not in document, "a killed writer's file is whole to whoever goes on"
    assert max(each or 0 for each in document["load"]["used_bytes"]) == document["used"]["memory_peak_bytes"] > 0
    [waits] = [task for task in document["tasks"].values() if task["id"] == "waits"]
    assert waits["attempts"]["1"]["used"]["read_s"] > 0
    assert document["efficiency"]["lower_bound_s"] <= document["efficiency"]["elapsed_s"]

    page = tmp_path / "page.html"
    assert report(world, "told", "--output", str(page)).stdout.decode() == f"{page}\n"
    text = page.read_text()
    assert ANGRY not in text
    assert "default-src &#x27;none&#x27;" in text
    unknown = report(world, "tolt")
    assert (unknown.exit_code, unknown.stdout) == (2, b"")
    assert "Is it told?" in unknown.stderr
