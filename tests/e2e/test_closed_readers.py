"""A reader that goes away ends what only shows, at once and without a word, and never a run."""

from __future__ import annotations

import os
import subprocess

import pytest
from wavepool_cli import COMMAND, DEADLINE_S, World, batch, plan_of, wave

UNTIL_GO = "echo started; while [ ! -e go ]; do sleep 0.05; done"
CLOSED_PIPE = 141


def shown(world: World, *words: str, both: bool = False) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [str(COMMAND), *words, "--state-dir", str(world.state)],
        env=world.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if both else subprocess.PIPE,
    )


def test_a_look_at_a_silent_run_ends_with_its_reader_and_the_run_goes_on(process_world: World) -> None:
    world = process_world
    run = world.start(plan_of(wave(1, batch("only", UNTIL_GO))), "--run-id", "silent", "--json")
    run.wait_for("AttemptStarted")
    looks = [
        (shown(world, "attach", "silent", "--json"), CLOSED_PIPE),
        (shown(world, "attach", "silent", both=True), CLOSED_PIPE),
        (shown(world, "logs", "silent", "only", "--follow"), 0),
    ]
    for look, exit_code in looks:
        with look:
            assert look.stdout is not None
            assert os.read(look.stdout.fileno(), 1)
            look.stdout.close()
            assert look.wait(DEADLINE_S) == exit_code, look.args
            said = b"" if look.stderr is None else look.stderr.read()
            assert b"Traceback" not in said
            assert b"detached" not in said
    assert run.process.poll() is None
    world.touch("go")
    assert run.finish().exit_code == 0


def test_an_attach_that_writes_a_file_waits_for_the_result_whoever_reads(process_world: World) -> None:
    world = process_world
    run = world.start(plan_of(wave(1, batch("only", UNTIL_GO))), "--run-id", "silent", "--json")
    run.wait_for("AttemptStarted")
    result = world.root / "result.json"
    with shown(world, "attach", "silent", "--json", "--output", str(result)) as look:
        assert look.stdout is not None
        assert os.read(look.stdout.fileno(), 1)
        look.stdout.close()
        world.touch("go")
        assert look.wait(DEADLINE_S) == 0
    assert result.exists()
    assert run.finish().exit_code == 0


@pytest.mark.parametrize(("options", "closed"), [("--json", ">&-"), ("", "<&- >&- 2>&-")])
def test_a_run_needs_no_stream_to_be_open(process_world: World, options: str, closed: str) -> None:
    world = process_world
    plan = world.plan(plan_of(wave(1, batch("only", "echo out; exit 0"))))
    words = " ".join([str(COMMAND), "run", str(plan), *world.options(), "--run-id", "shut", options, closed])
    done = subprocess.run(words, shell=True, env=world.environment(), timeout=DEADLINE_S, check=False)
    assert done.returncode == 0
    assert world.journaled("shut") > 0
    assert (world.state / "runs" / "shut" / "results.json").exists()


@pytest.mark.parametrize("verb", ["runs", "recover"])
def test_what_is_said_into_a_closed_pipe_has_one_exit_code(process_world: World, verb: str) -> None:
    world = process_world
    only = ("--driver", "process") if verb == "recover" else ("--json",)
    reading, writing = os.pipe()
    os.close(reading)
    words = [str(COMMAND), verb, *only, "--state-dir", str(world.state)]
    done = subprocess.run(
        words, env=world.environment(), stdout=writing, stderr=subprocess.PIPE, timeout=DEADLINE_S, check=False
    )
    os.close(writing)
    assert done.returncode == CLOSED_PIPE
    assert b"Traceback" not in done.stderr


def test_with_both_streams_in_a_closed_pipe_the_exit_code_is_still_the_commands_own(process_world: World) -> None:
    world = process_world
    plan = world.plan(plan_of(wave(1, batch("only", "exit 3"))))
    reading, writing = os.pipe()
    os.close(reading)
    ran, refused = (
        subprocess.run(
            [str(COMMAND), *words],
            env=world.environment(),
            stdout=writing,
            stderr=writing,
            timeout=DEADLINE_S,
            check=False,
        )
        for words in (
            ("run", str(plan), *world.options(), "--run-id", "unread"),
            ("show", "nosuch", "--state-dir", str(world.state)),
        )
    )
    os.close(writing)
    assert (ran.returncode, refused.returncode) == (1, 2)
    assert (world.state / "runs" / "unread" / "results.json").exists()
