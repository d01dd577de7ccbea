"""What the page and the interfaces do to runs (`monitoring.actions`), on real runs of processes and of containers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from wavepool_cli import DEADLINE_S, Finished, World, batch, eventually, plan_of, wave

from wavepool.engine.control import NobodyHolds
from wavepool.engine.history.runs import RunHistory, UnknownRun
from wavepool.errors import InputError, NotNow, RunLocked
from wavepool.monitoring.actions import Actions
from wavepool.statedir import StateDir

HERE = "touch here.$BATCH_ID"
WAITING = f"echo $BATCH_ID >> executed; {HERE}; while [ ! -e go.$BATCH_ID ]; do sleep 0.05; done"

RETRY_AND_END = """
import json, sys, anyio
from pathlib import Path
from wavepool.monitoring.actions import Actions
print(json.dumps(anyio.run(Actions(Path(sys.argv[1])).retry, sys.argv[2])))
"""


def done(act: Callable[..., Awaitable[dict[str, Any]]], *arguments: Any, **more: Any) -> dict[str, Any]:
    """What an action returned, which is JSON."""

    async def work() -> dict[str, Any]:
        with anyio.fail_after(DEADLINE_S):
            return await act(*arguments, **more)

    found: dict[str, Any] = json.loads(json.dumps(anyio.run(work)))
    return found


def until_over(world: World, run_id: str) -> str:
    """Return where the run stands when nobody works on it any more, and its process has gone."""
    history = RunHistory(StateDir(world.state).run(run_id))
    eventually(lambda: not history.is_live(), f"the end of run {run_id}")
    eventually(lambda: not Path(f"/proc/{history.files.holder().split()[0]}").exists(), "the end of its process")
    return history.standing()


@pytest.fixture
def at_home(process_world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("HOME", str(process_world.home))
    monkeypatch.chdir(process_world.root)
    return process_world


def test_a_run_is_tried_again_by_a_process_that_outlives_who_asked(at_home: World) -> None:
    world, actions = at_home, Actions(at_home.state)
    (world.root / "json.py").write_text("raise SystemExit('a file of the working directory was imported')")
    plan = plan_of(wave(1, batch("good"), batch("bad", f"{WAITING}; test -e mended")))
    world.touch("go.bad")
    assert world.run(plan, "--run-id", "red").exit_code == 1
    (world.workspace / "go.bad").unlink()
    (world.workspace / "here.bad").unlink()
    world.touch("mended")

    command = [sys.executable, "-P", "-c", RETRY_AND_END, str(world.state), "red"]
    asked = subprocess.run(command, capture_output=True, timeout=DEADLINE_S, check=True)
    told = json.loads(asked.stdout)
    assert (told["run_id"], Path(told["log"]).name, told["detached"]) == ("red", "detached.log", True)
    world.wait_for_file("here.bad")
    os.kill(told["pid"], 0)  # it works on, and who asked has ended
    with pytest.raises(RunLocked, match=f"process {told['pid']}"):
        done(actions.resume, "red")
    with pytest.raises(NotNow, match="nothing of run red has failed"):
        done(actions.retry, "red")
    world.touch("go.bad")
    assert until_over(world, "red") == "success"
    assert world.marks("executed") == ["bad", "bad"]

    for refused in (actions.resume, actions.cancel):
        with pytest.raises(NotNow, match="run red is over: success"):
            done(refused, "red")
    with pytest.raises(InputError, match=r"'good'.*a task that did not succeed; this one did") as error:
        done(actions.retry, "red", ["good"])
    assert error.value.exit_code == 2
    with pytest.raises(InputError, match="'--god' is no task of this run") as error:
        done(actions.retry, "red", ["--god"])
    assert "There are " in error.value.advice
    with pytest.raises(UnknownRun):
        done(actions.cancel, "blue")


def test_a_run_of_nobodys_is_cancelled_with_force_and_resumed_without(at_home: World) -> None:
    world, actions = at_home, Actions(at_home.state)
    run = world.start(plan_of(wave(1, batch("a", WAITING), batch("b", WAITING))), "--run-id", "dead")
    world.wait_for_file("here.a")
    world.wait_for_file("here.b")
    run.kill()
    with pytest.raises(NobodyHolds):
        done(actions.cancel, "dead")
    told = done(actions.resume, "dead")
    taken = {"run_id": "dead", "pid": told["pid"], "taken": True, "ended": False, "status": None}
    assert done(actions.cancel, "dead") == taken
    os.kill(told["pid"], 9)
    eventually(lambda: not StateDir(world.state).run("dead").is_live(), "its end")
    ended = done(actions.cancel, "dead", force=True)
    assert (ended["taken"], ended["ended"], ended["status"]) == (True, True, "interrupted")
    assert sorted(world.marks("executed")) == ["a", "b"]


def test_a_paused_run_waits_for_who_lets_it_go_on_and_tells_so(at_home: World) -> None:
    world, actions = at_home, Actions(at_home.state)
    plan = plan_of(wave(1, batch("first", WAITING), batch("second", WAITING), parallelism=1), wave(2, batch("third")))
    run = world.start(plan, "--run-id", "night", "--poll-interval", "0.2")
    world.wait_for_file("here.first")
    told = verb(world, "pause", "night", "--json")
    assert told.exit_code == 0, told.stderr
    assert "paused already: nothing new starts, 1 attempt may end" in verb(world, "pause", "night").stderr
    assert done(actions.pause, "night")["changed"] is False
    assert told.result == {
        "run_id": "night",
        "pid": run.process.pid,
        "changed": True,
        "paused": True,
        "running": 1,
    }
    run.wait_for_line("paused: nothing new starts, 1 task may end; `wavepool unpause night` lets starts go on")
    world.touch("go.first")
    run.wait_for_line("Running: 0, Completed: 1, Failed: 0, Timeout: 0; paused since ")
    assert world.marks("executed") == ["first"]
    assert "paused: wavepool unpause night; held by process" in verb(world, "runs").stdout.decode()
    assert "nothing new starts: wavepool unpause night" in verb(world, "show", "night").stdout.decode()
    watching = world.command("attach", "night", "--state-dir", str(world.state), "--poll-interval", "0.2")
    watching.wait_for_line("; paused since ")
    assert done(actions.unpause, "night")["changed"] is True
    assert "was not paused" in verb(world, "unpause", "night").stderr
    run.wait_for_line("unpaused: starts go on")
    world.touch("go.second")
    assert run.finish().exit_code == 0
    assert watching.finish().exit_code == 0
    late = verb(world, "pause", "night")
    assert (late.exit_code, late.stderr) == (1, "error: run night is over: success\n`wavepool show night` tells it.\n")


def test_ctrl_c_ends_a_paused_run_and_a_killed_one_goes_on_unpaused(at_home: World) -> None:
    world, actions = at_home, Actions(at_home.state)
    plan = plan_of(wave(1, batch("first", WAITING), batch("second"), parallelism=1))
    run = world.start(plan, "--run-id", "night", "--json")
    world.wait_for_file("here.first")
    done(actions.pause, "night")
    world.touch("go.first")
    run.wait_for("AttemptRemoved")
    run.interrupt()
    ended = run.finish()
    assert ended.exit_code == 130, ended.stderr
    assert ended.lines[-1]["status"] == "interrupted"

    for name in ("go.first", "here.first"):
        (world.workspace / name).unlink()
    run = world.start(plan, "--run-id", "killed", "--json")
    world.wait_for_file("here.first")
    done(actions.pause, "killed")
    run.kill()
    world.touch("go.first")
    resumed = verb(world, "resume", "killed")
    assert resumed.exit_code == 0, resumed.stderr
    assert "unpaused: starts go on" in resumed.stderr
    for run_id in ("night", "killed"):
        assert verb(world, "resume", run_id).verdicts() == {"first": "success", "second": "success"}


def test_tasks_of_a_live_run_are_cancelled_and_tried_again_one_by_one(world: World) -> None:
    plan = plan_of(
        wave(1, batch("a", WAITING), batch("b", f"echo b >> executed; {HERE}; test -e mended"), batch("c", WAITING)),
        wave(2, batch("needs-b", "echo needs-b >> executed", depends_on=["b"]), batch("needs-c", depends_on=["c"])),
    )
    run = world.start(plan, "--run-id", "live", "--json")
    world.wait_for_file("here.a")
    world.wait_for_file("here.c")
    run.wait_for("TaskSkipped")
    unknown = verb(world, "cancel", "live", "nothing-like-it")
    assert (unknown.exit_code, "'nothing-like-it' is no task of this run" in unknown.stderr) == (2, True)
    assert "a task that has ended; this one is active" in verb(world, "retry", "live", "a").stderr
    several = verb(world, "cancel", "live", "needs-")
    assert (several.exit_code, "'needs-' is the start of 2 tasks" in several.stderr) == (2, True)
    cancelled = verb(world, "cancel", "live", "c", "--wait")
    assert cancelled.exit_code == 0, cancelled.stderr
    assert "task c: stopped" in cancelled.stderr
    again = verb(world, "cancel", "live", "c")
    assert (again.exit_code, again.stderr) == (1, "error: task 'c' has ended already: cancelled\n")
    forced = verb(world, "cancel", "live", "a", "--force")
    assert (forced.exit_code, "--force" in forced.stderr) == (2, True)
    world.touch("mended")
    for option, value, instead in (
        ("--secret", ["TOKEN=env:HOME"], "let it end"),
        ("--output", ["result.json"], "wavepool attach live --output FILE"),
        ("--poll-interval", ["1"], "wavepool attach live --poll-interval"),
        ("--cache", ["kept"], "its results and logs"),
        ("--dashboard", [], "wavepool serve"),
    ):
        refused = verb(world, "retry", "live", "b", option, *value)
        told = f"{option} cannot hold: process {run.process.pid} works on run live" in refused.stderr
        assert (refused.exit_code, told, instead in refused.stderr) == (2, True, True), refused.stderr
    retried = verb(world, "retry", "live", "b", "--json", "--detach", "--verbose")
    assert retried.exit_code == 0, retried.stderr
    pid = run.process.pid
    expected = {"run_id": "live", "pid": pid, "tasks": ["b"], "waiting": ["needs-b"], "paused": False}
    assert retried.result == expected
    assert "task b: will be tried again" in retried.stderr
    assert "task needs-b: had been skipped, and waits again" in retried.stderr
    eventually(lambda: world.marks("executed").count("b") == 2, "the second attempt of b")
    world.touch("go.a")
    ended = run.finish()
    assert ended.exit_code == 1, ended.stderr
    entries = {each["batch_id"]: each for wave in ended.lines[-1]["waves"] for each in wave["containers"]}
    verdicts = {name: entry["verdict"] for name, entry in entries.items()}
    skipped = dict.fromkeys(("needs-c",), "skipped")
    assert verdicts == {"a": "success", "b": "success", "c": "cancelled", "needs-b": "success", **skipped}
    assert entries["b"]["retried_because"] == ["failed (attempt 1), by `wavepool retry`"]
    assert entries["c"]["evidence"]["reason"].startswith("the task was cancelled")
    assert sorted(world.marks("executed")) == ["a", "b", "b", "c", "needs-b"]


def verb(world: World, name: str, *arguments: str) -> Finished:
    """A verb, to its end."""
    return world.command(name, *arguments, "--state-dir", str(world.state)).finish()
