"""Runs are looked at while they live, when their process died, and when they are over; what failed can be entered."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

import pytest
from wavepool_cli import COMMAND, DEADLINE_S, Finished, Running, World, batch, docker, plan_of, wave

UNTIL_GO = "while [ ! -e go.$BATCH_ID ]; do sleep 0.05; done"
BYTES = r"printf 'a\000\377\r\n'"


def look(world: World, verb: str, *arguments: str, **how: Any) -> Finished:
    return follow(world, verb, *arguments, **how).finish()


def follow(world: World, verb: str, *arguments: str, **how: Any) -> Running:
    """The options come first: `exec` takes all that follows its `--`."""
    return world.command(verb, "--state-dir", str(world.state), *arguments, **how)


def wait_for_output(running: Running, part: bytes) -> None:
    running._await(lambda: part in running._streams["stdout"], f"{part!r} on stdout")


@pytest.mark.docker
def test_a_run_is_looked_at_from_its_first_moment_to_its_last(docker_world: World) -> None:
    look_at_all_of_it(docker_world)


@pytest.mark.slow
def test_a_run_of_processes_is_looked_at_the_same_way(process_world: World) -> None:
    look_at_all_of_it(process_world)


def look_at_all_of_it(world: World) -> None:
    plan = plan_of(
        wave(1, batch("talks", f"{BYTES}; echo one >&2; {UNTIL_GO}; echo two; exit 3"), batch("quick", BYTES)),
        wave(2, batch("later", f"echo at last; {UNTIL_GO}")),
    )
    run = world.start(plan, "--run-id", "watched", "--keep-going", "--json")
    waiting = follow(world, "logs", "watched", "later", "--follow") if run.wait_for("RunOpened") else None
    run.wait_for("AttemptStarted", count=2)

    shown = look(world, "show", "latest", "--json").result
    entries = {each["batch_id"]: each for each in shown["waves"][0]["containers"]}
    assert (shown["state"], entries["talks"]["history"][0]["state"]) == ("live", "running")

    talk = follow(world, "logs", "watched", "talks", "--follow")
    wait_for_output(talk, b"one\n")
    so_far = look(world, "logs", "watched", "ta")
    assert so_far.exit_code == 0
    assert sorted(so_far.stdout) == sorted(b"a\x00\xff\r\none\n")  # the two streams are apart until the archive
    stopped = follow(world, "logs", "watched", "talks", "-f")
    wait_for_output(stopped, b"one\n")
    stopped.interrupt(signal.SIGINT)
    ended = stopped.finish()
    assert (ended.exit_code, ended.stderr) == (130, "")

    run.kill()  # what runs goes on without it, and can still be read
    (dead,) = look(world, "runs", "--json", "--state", "unfinished").result["runs"]
    assert dead["resume"] == "wavepool resume watched"
    attempts = look(world, "show", "watch", "talks", "--json").result["attempts"]
    assert [each["state"] for each in attempts] == ["running"]
    world.touch("go.talks")
    followed = talk.finish()
    assert (followed.exit_code, sorted(followed.stdout)) == (0, sorted(b"a\x00\xff\r\none\ntwo\n"))

    assert waiting is not None
    gave_up = waiting.finish()
    assert gave_up.exit_code == 2  # nobody works on the run any more: what it waits for will not come
    resumed = follow(world, "resume", "watched", "--json")
    resumed.wait_for("RunResumed")
    waiting = follow(world, "logs", "watched", "later", "--follow")
    wait_for_output(waiting, b"at last\n")
    world.touch("go.later")
    assert waiting.finish().stdout == b"at last\n"
    assert resumed.finish().exit_code == 1

    assert look(world, "logs", "watched", "quick").stdout == b"a\x00\xff\r\n"
    assert sorted(look(world, "logs", "watched", "talks").stdout) == sorted(b"a\x00\xff\r\none\ntwo\n")
    assert "exit code 3" in look(world, "show", "watched", "talks").stdout.decode()


def test_a_reader_that_has_had_enough_is_no_error(process_world: World) -> None:
    world = process_world
    world.run(plan_of(wave(1, batch("only", "echo $BATCH_ID; head -c 3000000 /dev/zero"))), "--run-id", "here")
    read_by_half = f"{COMMAND} logs --state-dir {world.state} here only | head -c 4"
    piped = subprocess.run(read_by_half, shell=True, capture_output=True, timeout=DEADLINE_S, check=False)
    assert (piped.stdout, piped.stderr) == (b"only", b"")
    refused = world.run(plan_of(wave(1, batch("only"))), "--keep-failed")
    assert refused.exit_code == 2
    assert "file system of their own" in refused.stderr


def images(world: World) -> list[str]:
    return docker("image", "ls", "-q", "--filter", f"label=wavepool.owner={world.owner()}").split()


INSIDE = "cat /left; id -u; cat /run/secrets/TOKEN; grep -h . /proc/self/status | grep -E 'CapEff|NoNewPrivs'; exit 41"


@pytest.mark.docker
def test_what_failed_is_kept_entered_and_pruned(docker_world: World) -> None:
    world = docker_world
    plan = plan_of(
        wave(
            1,
            batch("bad", "cat /run/secrets/TOKEN; echo $BATCH_ID > /left; exit 3", task_prompt="mend it"),
            batch("good", "echo fine > /left"),
            batch("held", UNTIL_GO),
        )
    )
    options = ("--run-id", "kept", "--keep-failed", "--retries", "2", "--secret", "TOKEN", "--user", "0:0")
    run = world.start(plan, *options, "--json", env={"TOKEN": "s3cret"})
    removed = run.wait_for("AttemptRemoved", count=3)
    kept = {tuple(fact["attempt"]): fact["kept"] for fact in removed}
    assert kept[("good", 1)] is None
    assert len(images(world)) == 2

    entered = look(world, "exec", "kept", "bad", "--", "sh", "-c", INSIDE)
    assert entered.exit_code == 41
    assert entered.stdout.decode().splitlines() == ["bad", "0", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"]
    assert "No such file" in entered.stderr  # the secret
    shell = follow(world, "exec", "kept", "bad", "--attempt", "1", stdin=b"echo $TASK_PROMPT; pwd; exit 5\n").finish()
    assert (shell.exit_code, shell.stdout) == (5, b"mend it\n/workspace\n")
    alive = look(world, "exec", "kept", "held", "--", "cat", "/run/secrets/TOKEN")
    assert (alive.exit_code, alive.stdout) == (0, b"s3cret")
    assert look(world, "exec", "kept", "good").exit_code == 2

    open_shell = follow(world, "exec", "kept", "bad", "--", "sh", "-c", f"echo in; {UNTIL_GO}", env={"LANG": "C"})
    wait_for_output(open_shell, b"in\n")
    label = docker(
        "ps", "--filter", f"label=wavepool.owner={world.owner()}", "--filter", "label=wavepool.role=exec", "-q"
    )
    settings = json.loads(docker("inspect", label))[0]["HostConfig"]
    assert (settings["Memory"], settings["MemorySwap"], settings["CapDrop"]) == (16 << 20, 16 << 20, ["ALL"])
    world.touch("go.held")
    ended = run.finish()
    assert "kept: wavepool exec kept bad\n" in ended.stderr
    result = ended.lines[-1]
    entries = {entry["batch_id"]: entry for entry in result["waves"][0]["containers"]}
    assert entries["bad"]["kept"] not in (None, kept[("bad", 1)])  # the last attempt's
    world.touch("go.bad")  # the end of the run has left the shell alone
    assert open_shell.finish().exit_code == 0
    assert follow(world, "recover", "--grace", "0s").finish().exit_code == 0  # the network that the shell was in

    plan_only = look(world, "prune", "--keep-last", "0", "--dry-run")
    assert "kept  failed" in plan_only.stdout.decode()
    assert len(images(world)) == 2
    first = entries["bad"]["kept"]
    docker(
        "run", "-d", "--name", world.network, "--entrypoint", "sleep", first, "3600"
    )  # it cannot go while it is used
    resisted = look(world, "prune", "--keep-last", "0", "--json")
    assert resisted.exit_code == 1
    assert resisted.result["problems"][0].startswith(f"image {first} is still there")
    assert world.run_dirs() == []
    docker("rm", "-f", world.network)
    again = look(world, "prune", "--keep-last", "0", "--json")
    assert (again.exit_code, again.result["images"]) == (0, [first])
    assert images(world) == []
    assert os.listdir(world.state / "removed") == []
