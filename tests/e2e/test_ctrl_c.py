"""Ctrl-C once drains, twice kills; either way nothing is left behind, and the run can be gone on with."""

from __future__ import annotations

import signal
import socket

import pytest
from wavepool_cli import World, batch, plan_of, wave

WAITING = "touch here.$BATCH_ID; while [ ! -e go.$BATCH_ID ]; do sleep 0.05; done; echo $BATCH_ID >> ended"
PLAN = plan_of(
    wave(1, batch("running", WAITING), batch("unstarted", "echo unstarted >> ended"), parallelism=1),
    wave(2, batch("later", "echo later >> ended")),
)
DEAF = plan_of(wave(1, batch("deaf", "trap '' TERM INT; touch here.deaf; while :; do sleep 1; done")))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_once_lets_what_runs_end_and_starts_nothing_more(world: World, number: int) -> None:
    run = world.start(PLAN, "--run-id", "gone-on-with")
    world.wait_for_file("here.running")
    run.interrupt(number)
    run.wait_for_line("interrupted")
    world.touch("go.running")
    done = run.finish()
    assert done.exit_code == 130
    assert done.result["status"] == "interrupted"
    assert done.verdicts() == {"running": "success", "unstarted": None, "later": None}
    assert done.result["metrics"]["pending"] == 2
    assert world.marks("ended") == ["running"]
    assert world.left_behind() == []

    again = world.run(PLAN, "--run-id", "gone-on-with")
    assert again.exit_code == 0
    assert again.verdicts() == {"running": "success", "unstarted": "success", "later": "success"}
    assert world.marks("ended") == ["running", "unstarted", "later"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_twice_stops_what_runs(world: World, number: int) -> None:
    run = world.start(PLAN)
    world.wait_for_file("here.running")
    run.interrupt(number)
    run.wait_for_line("interrupted")
    run.interrupt(number)
    done = run.finish()
    assert done.exit_code == 130
    assert done.verdicts() == {"running": "cancelled", "unstarted": None, "later": None}
    assert world.marks("ended") == []


def test_twice_does_not_wait_for_a_task_that_will_not_listen(world: World) -> None:
    run = world.start(DEAF, env={"WAVEPOOL_GRACE": "3600"})
    world.wait_for_file("here.deaf")
    run.interrupt()
    run.wait_for_line("interrupted")
    run.interrupt()
    done = run.finish()
    assert (done.exit_code, done.verdicts()) == (130, {"deaf": "cancelled"})


def test_while_the_first_task_is_being_started(docker_world: World) -> None:
    run = docker_world.start(PLAN, "--json")
    run.wait_for("RunOpened")
    run.interrupt()
    run.wait_for("RunInterrupted")
    run.interrupt()
    done = run.finish()
    assert done.exit_code == 130
    assert done.lines[-1]["status"] == "interrupted"
    assert docker_world.marks("ended") == []


def test_while_an_image_is_being_pulled(docker_world: World) -> None:
    """From a registry that takes every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as registry:
        image = f"127.0.0.1:{registry.getsockname()[1]}/never:latest"
        run = docker_world.start(PLAN, "--base-image", image)
        connection, _ = registry.accept()
        with connection:
            run.interrupt()
            done = run.finish()
    assert done.exit_code == 130
    assert done.result["status"] == "interrupted"
    assert docker_world.left_behind() == []
