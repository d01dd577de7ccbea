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
from wavepool_cli import DEADLINE_S, World, batch, eventually, plan_of, wave

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
    assert (told["run_id"], Path(told["log"]).name) == ("red", "detached.log")
    world.wait_for_file("here.bad")
    os.kill(told["pid"], 0)  # it works on, and who asked has ended
    for again in (actions.retry, actions.resume):
        with pytest.raises(RunLocked, match=f"process {told['pid']}"):
            done(again, "red")
    world.touch("go.bad")
    assert until_over(world, "red") == "success"
    assert world.marks("executed") == ["bad", "bad"]

    for refused in (actions.resume, actions.cancel):
        with pytest.raises(NotNow, match="run red is over: success"):
            done(refused, "red")
    with pytest.raises(InputError, match=r"'good'.*a task that did not succeed; this one did") as error:
        done(actions.retry, "red", ["good"])
    assert error.value.exit_code == 2
    with pytest.raises(InputError, match="a task of run red") as error:
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
