"""A run outlives its process, and answers to others: resume, retry, detach, attach, cancel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from wavepool_cli import Finished, Running, World, batch, eventually, plan_of, wave

HERE = "touch here.$BATCH_ID"
WAITING = f"echo $BATCH_ID >> executed; {HERE}; while [ ! -e go.$BATCH_ID ]; do sleep 0.05; done"


def verb(world: World, name: str, run_id: str, *options: str, env: dict[str, str] | None = None) -> Running:
    """A verb that takes a run's id."""
    return world.command(name, run_id, *options, "--state-dir", str(world.state), env=env)


def finished(world: World, name: str, run_id: str, *options: str, env: dict[str, str] | None = None) -> Finished:
    return verb(world, name, run_id, *options, env=env).finish()


def test_a_killed_run_goes_on_by_its_journal_alone(world: World) -> None:
    """No plan, no options: images, workspace, rules, driver and where secrets come from are in the journal."""
    secret = "cat ${WAVEPOOL_SECRETS_DIR:-/run/secrets}/TOKEN >> secrets"
    plan = plan_of(
        wave(1, batch("ends-meanwhile", f"{WAITING}; exit 3"), batch("runs-on", WAITING)),
        wave(2, batch("later", f"echo later >> executed; {secret}")),
    )
    options = ("--run-id", "killed", "--keep-going", "--secret", "TOKEN=env:FIRST_PLACE")
    killed = world.start(plan, *options, "--json", env={"FIRST_PLACE": "s3cret"})
    killed.wait_for("AttemptStarted", count=2)
    world.wait_for_file("here.ends-meanwhile")
    world.wait_for_file("here.runs-on")
    live = finished(world, "resume", "killed")
    assert live.exit_code == 3
    assert f"held by process {killed.process.pid}" in live.stderr
    assert "`wavepool attach killed`" in live.stderr
    killed.kill()
    for path in world.root.glob("plan-*.json"):
        path.unlink()
    world.touch("go.ends-meanwhile")

    moved = finished(world, "resume", "killed")
    assert moved.exit_code == 2
    assert "env:FIRST_PLACE" in moved.stderr
    assert "--secret TOKEN=env:OTHER_VARIABLE" in moved.stderr

    run = verb(world, "resume", "killed", "--secret", "TOKEN=env:SECOND_PLACE", env={"SECOND_PLACE": "s3cret"})
    run.wait_for_line("run resumed")
    world.touch("go.runs-on")
    done = run.finish()
    assert done.exit_code == 1, done.stderr
    assert done.verdicts() == {"ends-meanwhile": "failed", "runs-on": "success", "later": "success"}
    assert done.entries()["ends-meanwhile"]["exit_code"] == 3
    assert {entry["attempts"] for entry in done.entries().values()} == {1}
    assert sorted(world.marks("executed")) == ["ends-meanwhile", "later", "runs-on"]
    assert world.marks("secrets") == ["s3cret"]

    again = finished(world, "resume", "killed")
    assert (again.exit_code, again.verdicts()) == (1, done.verdicts())
    assert "run killed is over" in again.stderr


@pytest.mark.docker
def test_what_failed_is_tried_again_until_the_run_is_green(docker_world: World) -> None:
    world = docker_world
    plan = plan_of(
        wave(1, batch("good", "echo good >> executed"), batch("bad", f"{HERE}; test -e mended")),
        wave(2, batch("next", "echo next >> executed"), batch("after", "exit 0", depends_on=["bad"])),
    )
    first = world.run(plan, "--run-id", "red")
    assert first.exit_code == 1
    assert first.verdicts() == {"good": "success", "bad": "failed", "next": "skipped", "after": "skipped"}

    world.touch("mended")
    second = finished(world, "retry", "red", "--failed")
    assert second.exit_code == 0, second.stderr
    assert set(second.verdicts().values()) == {"success"}
    bad = second.entries()["bad"]
    assert (bad["attempts"], bad["retried_because"]) == (2, ["failed (attempt 1), by `wavepool retry`"])
    assert world.marks("executed") == ["good", "next"]
    assert "nothing of run red failed" in finished(world, "retry", "red", "--failed").stderr


@pytest.mark.docker
def test_a_detached_run_is_seen_and_cancelled_from_elsewhere(docker_world: World) -> None:
    world = docker_world
    plan = plan_of(wave(1, batch("runs", WAITING), batch("ends", "echo ends >> executed")), wave(2, batch("never")))
    began = world.run(plan, "--run-id", "away", "--detach")
    assert began.exit_code == 0, began.stderr
    assert set(began.result) == {"run_id", "pid", "log"}
    pid, log = began.result["pid"], Path(began.result["log"])
    assert _session_of(pid) == pid
    world.wait_for_file("here.runs")

    first, second = verb(world, "attach", "away", "--json"), verb(world, "attach", "away", "--json")
    for seen in (first, second):
        assert seen.wait_for("RunOpened")[0]["seq"] == 1
        seen.wait_for("AttemptRemoved")
    first.interrupt()
    left = first.finish()
    assert left.exit_code == 130
    assert "detached: run away goes on" in left.stderr

    drained = finished(world, "cancel", "away", "--json")
    assert (drained.exit_code, drained.result) == (
        0,
        {"run_id": "away", "force": False, "pid": pid, "taken": True, "ended": False, "status": None},
    )
    second.wait_for("RunInterrupted")
    stopped = finished(world, "cancel", "away", "--force", "--wait", "--json")
    assert (stopped.result["ended"], stopped.result["status"]) == (True, "interrupted")
    seen = second.finish()
    assert seen.exit_code == 130
    assert [line["seq"] for line in seen.lines[:-1]] == list(range(1, len(seen.lines)))
    found = {e["batch_id"]: e["verdict"] for each in seen.lines[-1]["waves"] for e in each["containers"]}
    assert found == {"runs": "cancelled", "ends": "success", "never": None}
    eventually(lambda: not Path(f"/proc/{pid}").exists(), "the end of the detached process")
    assert "interrupted: what runs is stopped" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600

    told = finished(world, "attach", "away")
    assert (told.exit_code, told.result["status"]) == (130, "interrupted")
    late = finished(world, "cancel", "away", "--json")
    assert (late.exit_code, late.result["taken"], late.result["status"]) == (1, False, "interrupted")


@pytest.mark.docker
def test_what_a_dead_process_left_running_is_ended(docker_world: World) -> None:
    world = docker_world
    run = world.start(plan_of(wave(1, batch("runs", WAITING), batch("b", "true"))), "--run-id", "dead", "--json")
    world.wait_for_file("here.runs")
    run.wait_for("AttemptStarted", count=2)
    run.kill()
    looked = finished(world, "attach", "dead")
    assert looked.exit_code == 3
    assert "`wavepool resume dead` goes on with it" in looked.stderr
    unheld = finished(world, "cancel", "dead")
    assert unheld.exit_code == 1
    assert "no process works on run dead" in unheld.stderr
    ended = finished(world, "cancel", "dead", "--force", "--json")
    assert (ended.exit_code, ended.result["status"]) == (0, "interrupted"), ended.stderr
    assert world.left_behind() == []
    assert json.loads((world.state / "runs/dead/results.json").read_text())["metrics"]["failed"] == 1


def test_what_a_run_cannot_begin_with_is_said_at_once_also_when_it_is_detached(process_world: World) -> None:
    world = process_world
    world.run(plan_of(wave(1, batch("one", "exit 0"))), "--run-id", "taken")
    same = world.run(world.root / "plan-1.json", "--run-id", "taken", "--retries", "7", "--keep-going")
    assert "run taken keeps what it began with; told otherwise now, and not heeded: keep-going, retries" in same.stderr
    other = world.run(plan_of(wave(1, batch("two", "exit 0"))), "--run-id", "taken", "--detach")
    assert (other.exit_code, other.stdout) == (2, b"")
    assert "of this very plan" in other.stderr
    secret = "cat ${WAVEPOOL_SECRETS_DIR:-/run/secrets}/TOKEN >> secrets"
    plan = plan_of(wave(1, batch("one", secret)))
    began = world.run(plan, "--detach", "--secret", "TOKEN", env={"TOKEN": "s3cret"})
    done = finished(world, "attach", began.result["run_id"])
    assert (done.exit_code, world.marks("secrets")) == (0, ["s3cret"])


def _session_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[3])
