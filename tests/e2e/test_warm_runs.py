"""`run --warm` on real Docker: what is parked, what becomes of it, and that a task cannot tell."""

from __future__ import annotations

import json
import os
import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stuck_engine import tried_again_where_the_engine_is_stuck
from test_daemon_restarts import own_daemon
from wavepool_cli import TEST_IMAGE, World, batch, docker, eventually, plan_of, wave, world_in

from wavepool import labels
from wavepool.drivers.docker.parking.claim_mark import claimed_at

PLAN = Path(__file__).parents[2] / "examples" / "verdicts-plan.json"
CHOSEN = (
    "exit-0-output",
    "exit-0-binary",
    "exit-0-orphan",
    "exit-2",
    "kill-9-self",
    "term-self",
    "not-executable",
    "missing-program",
    "oom",
    "child-oom-success",
    "timeout",
)
NO_PROGRAM = ("not-executable", "missing-program")
"""Who says so is the engine, the init, or the shell."""
WAITING = "touch here.$BATCH_ID; until [ -e go.$BATCH_ID ]; do sleep 0.05; done"
GETS = (
    "id; pwd; ls -ln /run/secrets | sed 's/ [A-Z].*//'; cat /run/secrets/TOKEN $TASK_PROMPT_FILE; "
    "env | sort | sed 's/HOSTNAME=.*//'; cat /proc/1/limits; ls -l /proc/self/fd | wc -l; cat"
)
READINGS = {"memory_peak_bytes", "oom_kills", "daemon_error"}
"""Of the evidence: what differs from one execution to the next, and the engine's words where it refused a program."""


@pytest.fixture
def bare_image(tmp_path: Path) -> Iterator[str]:
    """One program, and no shell under its name."""
    image = f"wavepool-bare-{secrets.token_hex(4)}:latest"
    made = docker("create", TEST_IMAGE)
    docker("cp", "--follow-link", f"{made}:/bin/busybox", str(tmp_path / "busybox"))
    docker("rm", made)
    with tarfile.open(tmp_path / "image.tar", "w") as tar:
        tar.add(tmp_path / "busybox", "busybox")
    docker("import", str(tmp_path / "image.tar"), image)
    yield image
    docker("rmi", "-f", image)


def parked(world: World, run_id: str) -> list[str]:
    """Tasks whose containers wait now."""
    look = f'{{{{.ID}}}} {{{{.Label "{labels.TASK}"}}}} {{{{.Label "{labels.SLOT}"}}}}'
    filters = [f"label={labels.OWNER}={world.owner()}", f"label={labels.RUN}={run_id}", f"label={labels.PARKED}"]
    words = [word for each in filters for word in ("--filter", each)]
    lines = docker("ps", "--no-trunc", *words, "--format", look).splitlines() if world.owner() else []
    return sorted(task for _, task, slot in map(str.split, lines) if claimed_at(Path(slot)) is None)


def waits_anew(world: World, before: set[str]) -> bool:
    """All of the second wave waits, in containers that were not there before (the first wave's one may be)."""
    return parked(world, "warm") == ["x", "y", "z"] and len(before & set(world.containers())) <= 1


def of_the_plan(chosen: tuple[str, ...] | None, prefix: str) -> list[dict[str, Any]]:
    found = json.loads(PLAN.read_bytes())["waves"][0]["batches"]
    return [
        {**each, "batch_id": f"{prefix}{each['batch_id']}"}
        for each in found
        if not each.get("depends_on") and (chosen is None or each["batch_id"] in chosen)
    ]


@pytest.mark.parametrize("chosen", [CHOSEN, pytest.param(None, marks=pytest.mark.slow)], ids=["some", "all"])
@pytest.mark.docker
def test_a_task_ends_warm_as_it_ends_cold(docker_world: World, chosen: tuple[str, ...] | None) -> None:
    """Each batch once in the first wave, cold, and once in the second one, warm."""
    world = docker_world
    gets = {"task_prompt": "do\nit\n", "memory": "16m"}
    cold = [*of_the_plan(chosen, "c-"), batch("c-gets", GETS, **gets), batch("gate", WAITING)]
    warm = [*of_the_plan(chosen, "w-"), batch("w-gets", GETS, **gets)]
    options = ("--keep-going", "--isolate", "wave", "--secret", "TOKEN", "--environment", "A=b c'\n$d", "--warm")
    run = world.start(
        plan_of(wave(1, *cold), wave(2, *warm)),
        *options,
        str(len(warm)),
        *("--run-id", "pairs", "--parallel", "100"),  # else the last of the first wave are parked too
        env={"WAVEPOOL_GRACE": "1", "TOKEN": "s3cret\n"},
    )
    eventually(lambda: len(parked(world, "pairs")) == len(warm), f"{len(warm)} parked containers")
    network = labels.wave_network_name(owner=world.owner(), run_id="pairs", wave=2)
    assert docker("network", "inspect", "--format", "{{.Name}}", network) == network
    world.touch("go.gate")
    done = run.finish()

    entries = done.entries()
    assert [name for name, entry in entries.items() if entry["warm"]] == [each["batch_id"] for each in warm]
    told = {"parked_at_most": len(warm), "attempts_started": len(cold) + len(warm), "started_warm": len(warm)}
    refused = sum(entry["container_id"] == "" for entry in entries.values())  # programs that the engine cannot execute
    assert done.result["warm"] == {**told, "attempts_started": told["attempts_started"] - refused}
    for name in (each["batch_id"].removeprefix("w-") for each in warm):
        assert summary(entries[f"w-{name}"]) == summary(entries[f"c-{name}"]), name
        if name not in NO_PROGRAM:
            assert output(world, entries[f"w-{name}"]) == output(world, entries[f"c-{name}"]), name
    assert b"s3cret" in output(world, entries["w-gets"])
    assert world.left_behind() == []


def summary(entry: dict[str, Any]) -> dict[str, Any]:
    """What must not depend on how it started."""
    evidence = {name: value for name, value in entry["evidence"].items() if name not in READINGS}
    told = ("verdict", "exit_code", "exit_status", "status", "attempts", "log_problem")
    if entry["batch_id"][2:] in NO_PROGRAM:
        evidence, told = {}, ("verdict", "exit_code", "exit_status", "attempts")
    return {**{name: entry[name] for name in told}, "evidence": evidence}


def output(world: World, entry: dict[str, Any]) -> list[bytes]:
    """Its lines; in which order those of two streams come the engine does not say."""
    return sorted(world.log(entry).read_bytes().replace(entry["batch_id"].encode(), b"ID").splitlines())


@pytest.mark.docker
def test_in_a_repository_it_is_warm_too_and_git_s_own_stays_as_it_is(docker_world: World) -> None:
    """Cold or warm: none can write to the workspace's `.git`, though it is its owner's."""
    world = docker_world
    (world.workspace / ".git").mkdir()
    writes = "touch .git/$BATCH_ID 2>/dev/null && echo wrote; ls -d .git; touch $BATCH_ID"
    cold = batch("cold", f"until [ -e go ]; do sleep 0.05; done; {writes}")
    run = world.start(plan_of(wave(1, cold), wave(2, batch("warm", writes))), "--warm", "1", "--run-id", "warm")
    eventually(lambda: parked(world, "warm") == ["warm"], "a parked container")
    world.touch("go")
    done = run.finish()
    entries = done.entries()
    assert {name: entry["warm"] for name, entry in entries.items()} == {"cold": False, "warm": True}
    assert [world.log(entry).read_text() for entry in entries.values()] == [".git\n", ".git\n"]
    assert sorted(each.name for each in world.workspace.iterdir()) == [".git", "cold", "go", "warm"]
    assert list((world.workspace / ".git").iterdir()) == []


@pytest.mark.docker
def test_after_ctrl_c_nothing_is_parked_and_a_resume_parks_again(docker_world: World) -> None:
    world = docker_world
    plan = plan_of(
        wave(1, batch("first", f"echo first >> ran; {WAITING}"), batch("second", f"echo second >> ran; {WAITING}")),
        wave(2, *(batch(name, f"echo {name} >> ran") for name in "xyz")),
    )
    run = world.start(plan, "--run-id", "warm", "--warm", "2", "--json")
    eventually(lambda: parked(world, "warm") == ["x", "y"], "two parked containers, and no third")
    run.interrupt()
    eventually(lambda: parked(world, "warm") == [], "nothing parked while the first wave goes on")
    assert len(world.containers()) == 2
    for name in ("first", "second"):
        world.touch(f"go.{name}")
    assert run.finish().exit_code == 130
    assert world.left_behind() == []

    again = world.command("resume", "warm", "--state-dir", str(world.state)).finish()
    assert again.exit_code == 0, again.stderr
    assert sorted(world.marks("ran")) == ["first", "second", "x", "y", "z"]
    assert again.result["warm"]["parked_at_most"] == 2
    assert "started warm" in again.stderr


@pytest.mark.docker
def test_a_cancel_that_stops_what_runs_takes_what_is_parked_along(docker_world: World) -> None:
    world = docker_world
    run = world.start(
        plan_of(wave(1, batch("first", WAITING)), wave(2, batch("x"), batch("y"))), "--run-id", "warm", "--warm"
    )
    eventually(lambda: parked(world, "warm") == ["x", "y"], "two parked containers")
    told = world.command("cancel", "warm", "--force", "--wait", "--state-dir", str(world.state)).finish()
    assert told.exit_code == 0, told.stderr
    assert run.finish().exit_code == 130
    assert world.left_behind() == []


@pytest.mark.docker
@pytest.mark.slow
def test_whoever_dies_leaves_nothing_that_waits_for_it(docker_world: World) -> None:
    """The shells read the end of their stdin, whatever killed the process that held the other end."""
    world = docker_world
    run = world.start(
        plan_of(wave(1, batch("first", WAITING)), wave(2, batch("x"), batch("y"))), "--run-id", "warm", "--warm", "2"
    )
    eventually(lambda: parked(world, "warm") == ["x", "y"], "two parked containers")
    run.kill()
    eventually(lambda: parked(world, "warm") == [], "nobody waits any more")
    world.touch("go.first")
    again = world.command("resume", "warm", "--state-dir", str(world.state)).finish()
    assert (again.exit_code, again.verdicts()) == (0, {"first": "success", "x": "success", "y": "success"})
    assert world.left_behind() == []


@pytest.mark.docker
def test_an_image_without_a_shell_starts_cold_and_that_is_said_once(docker_world: World, bare_image: str) -> None:
    world = docker_world
    bare = [batch(f"bare-{n}", ["/busybox", "true"], image=bare_image) for n in range(3)]
    run = world.start(
        plan_of(wave(1, batch("first", WAITING)), wave(2, *bare, batch("x"))), "--warm", "--run-id", "warm"
    )
    eventually(lambda: parked(world, "warm") == ["x"], "the one that has a shell is parked")
    world.touch("go.first")
    done = run.finish()
    assert [entry["warm"] for entry in done.entries().values()] == [False, False, False, False, True]
    assert done.stderr.count("start cold") == 1


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a Docker daemon")
@pytest.mark.parametrize("live_restore", [True, False], ids=["live-restore", "none"])
@tried_again_where_the_engine_is_stuck
def test_after_a_restart_of_the_daemon_what_was_parked_is_parked_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live_restore: bool
) -> None:
    """Either way the connections are lost, and the shells end with them."""
    with (
        own_daemon(tmp_path / "daemon", monkeypatch, live_restore=live_restore) as control,
        world_in(tmp_path / "world", "docker") as world,
    ):
        marking = (batch(name, f"echo {name} >> ran") for name in "xyz")
        plan = plan_of(wave(1, batch("first", WAITING)), wave(2, *marking))
        lost = ("--retries", "3", "--retry-on", "lost")
        run = world.start(plan, "--run-id", "warm", "--warm", "3", *lost)
        eventually(lambda: parked(world, "warm") == ["x", "y", "z"], "three parked containers")
        before = set(world.containers())
        control.restart(kill=False)
        eventually(lambda: waits_anew(world, before), "three others that wait")
        world.touch("go.first")
        done = run.finish()
        assert (done.exit_code, set(done.verdicts().values())) == (0, {"success"}), done.stderr
        assert sorted(world.marks("ran")) == ["x", "y", "z"]
        assert world.left_behind() == []


def test_without_containers_warm_has_no_effect_and_that_is_said(process_world: World) -> None:
    done = process_world.run(plan_of(wave(1, batch("a")), wave(2, batch("b"))), "--warm")
    assert done.exit_code == 0
    assert done.stderr.count("--warm has no effect: the process driver starts everything cold") == 1
    assert done.result["warm"] == {"parked_at_most": 0, "attempts_started": 2, "started_warm": 0}
