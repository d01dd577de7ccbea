"""`wavepool plan`: from a check that fails to a plan that `wavepool run` takes; and every end that is none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from wavepool_cli import COMMAND, DEADLINE_S, TEST_IMAGE, Finished, World

from checkers import Checkers
from wavepool.cli import main
from wavepool.inputs.yamltext import load_yaml
from wavepool.plan import TierMap, parse_plan

ERRORS = "src/a.ts(1,2): error TS2322: no.\nsrc/b.ts(3,4): error TS2304: where?\n"
Capture = pytest.CaptureFixture[str]
RSS_MAX_KIB = 400 * 1024


@pytest.fixture
def failing(world: World) -> World:
    """A workspace whose check, `./check`, tells two errors."""
    return with_check(world)


@pytest.fixture
def here(process_world: World) -> World:
    return with_check(process_world)


def with_check(world: World) -> World:
    (world.workspace / "src").mkdir()
    for name in ("a.ts", "b.ts"):
        (world.workspace / "src" / name).write_text("")
    (world.workspace / "errors").write_text(ERRORS)
    script = world.workspace / "check"
    script.write_text("#!/bin/sh\ncat errors\nexit 2\n")
    script.chmod(0o755)
    return world


def plan(world: World, *arguments: str, **how: Any) -> Finished:
    """`wavepool plan` with a budget, as others may use this machine's memory at the same time."""
    where = ("--workspace", str(world.workspace), "--state-dir", str(world.state), "--budget", "2g")
    return world.command("plan", *where, *arguments, **how).finish()


def ended(world: World, arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> tuple[int, str]:
    """Exit code and stderr of `wavepool plan` in this process, which is quicker; stdout has had nothing."""
    where = ("--workspace", str(world.workspace), "--state-dir", str(world.state), "--budget", "2g")
    monkeypatch.setattr(sys, "argv", ["wavepool", "plan", *where, *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    said = capfd.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    assert isinstance(caught.value.code, int)
    return caught.value.code, said.err


def batches(done: Finished) -> list[dict[str, Any]]:
    return [each for wave in done.result["waves"] for each in wave["batches"]]


def test_a_failing_check_becomes_a_plan_that_run_takes(failing: World) -> None:
    mend = ("--", "sh", "-c", 'for file; do cat "$TASK_PROMPT_FILE" >"$file"; done', "sh", "{files}")
    planned = plan(failing, "--command", "./check", "--strategy", "file", *mend)
    assert (planned.exit_code, planned.result["errors"], len(batches(planned))) == (0, 2, 2)
    done = failing.start("-", stdin=planned.stdout).finish()
    assert (done.exit_code, set(done.verdicts().values())) == (0, {"success"})
    assert "1:2 TS2322: no." in (failing.workspace / "src" / "a.ts").read_text()
    assert "TS2304" in (failing.workspace / "src" / "b.ts").read_text()


def test_a_real_compilers_errors_are_planned_by_what_imports_what(here: World, checkers: Checkers) -> None:
    (here.workspace / "src" / "a.ts").write_text('import { b } from "./b";\nexport const a: number = b;\n')
    (here.workspace / "src" / "b.ts").write_text("export const b: string = 1;\n")
    (here.workspace / "src" / "[id] (x).ts").write_text('export const c: number = "s";\n')
    (here.workspace / "tsconfig.json").write_text('{"compilerOptions": {"strict": true, "noEmit": true}}')
    done = plan(here, "-c", "tsc --pretty", env={"PATH": checkers.path})
    assert done.exit_code == 0, done.stderr
    assert done.result["disagreements"] == []
    assert sorted(sorted(each["files"]) for each in batches(done)) == [["src/[id] (x).ts"], ["src/a.ts", "src/b.ts"]]
    assert sum(each["error_count"] for each in batches(done)) == done.result["errors"] == 3


def test_a_plan_is_the_same_in_every_form_and_file(here: World) -> None:
    at = here.root / "made.yaml"
    done = plan(here, "-c", "./check", "--format", "text", "--output", str(at))
    assert done.exit_code == 0
    assert b"iter1-batch-1" in done.stdout
    made: Any = load_yaml(at.read_bytes())
    as_json = plan(here, "-c", "./check").result
    assert made == as_json
    assert len(parse_plan(json.dumps(as_json).encode(), source="made", tiers=TierMap()).tasks) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_output_that_was_written_elsewhere_is_read_in_its_encoding(here: World, encoding: str) -> None:
    data = ERRORS.replace("\n", "\r\n").replace("/", "\\").encode(encoding)
    (here.root / "output").write_bytes(data)
    given = "-" if encoding in ("utf-8", "utf-16") else str(here.root / "output")
    done = plan(here, "--input", given, stdin=data if given == "-" else None)
    assert (done.exit_code, done.result["errors"]) == (0, 2), done.stderr
    assert [each["files"] for each in batches(done)] == [["src/a.ts"], ["src/b.ts"]]


def test_the_memory_that_is_told_holds_for_every_batch(here: World) -> None:
    done = plan(here, "-c", "./check", "--strategy", "file", "--memory", "64m", "--budget", "100m")
    assert done.exit_code == 0, done.stderr
    assert [each["memory"] for each in batches(done)] == ["64m", "64m"]
    assert len(done.result["waves"]) == 2


def test_a_disk_that_is_full_is_told_in_a_line(here: World) -> None:
    options = ("--state-dir", str(here.state))
    for words, what in (
        (
            ("plan", "-c", str(here.workspace / "check"), "--workspace", str(here.workspace), *options),
            "cannot write the plan",
        ),
        (("--version",), "its output cannot be written"),
        (("doctor", *options), "its output cannot be written"),
    ):
        with open("/dev/full", "w") as full:
            done = subprocess.run([COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=DEADLINE_S)
        assert done.returncode == 3, done.stderr
        assert done.stderr.splitlines()[-1] == f"error: {what}: No space left on device"
        assert "Traceback" not in done.stderr


def test_words_without_a_place_for_files_are_told_of_once(here: World) -> None:
    assert plan(here, "-c", "./check", "--", "mend").stderr.count("no word after -- is {files}") == 1
    assert "{files}" not in plan(here, "-c", "./check", "--", "mend", "{files}").stderr


def test_a_content_check_has_an_empty_plan_which_is_said_and_which_run_takes(here: World) -> None:
    done = plan(here, "-c", "true")
    assert (done.exit_code, done.result["waves"]) == (0, [])
    assert "nothing to do" in done.stderr
    run = here.start("-", stdin=done.stdout).finish()
    assert run.exit_code == 0


def test_a_check_that_exits_with_0_has_passed_whatever_it_wrote(here: World) -> None:
    done = plan(here, "-c", "cat errors")
    assert (done.exit_code, done.result["waves"]) == (0, [])
    assert "warning: `cat errors` exits with 0" in done.stderr
    assert len(batches(plan(here, "-c", "cat errors", "--warnings"))) > 0


def test_errors_that_no_batch_can_be_made_of_are_listed_and_there_is_no_plan(here: World) -> None:
    (here.workspace / "node_modules").mkdir()
    (here.workspace / "node_modules" / "x.ts").touch()
    (here.workspace / "errors").write_text(
        "node_modules/x.ts(1,2): error TS1: a\n/usr/y.ts(1,2): error TS2: b\nsrc/gone.ts(1,2): error TS3: c\n"
        "error TS5055: without a file\n"
    )
    done = plan(here, "-c", "./check", "--output", str(here.root / "made.json"))
    assert (done.exit_code, done.stdout) == (1, b"")
    assert not (here.root / "made.json").exists()
    for words in ("node_modules/x.ts:1:2", "/usr/y.ts", "src/gone.ts", "TS5055", "none that a batch could be made of"):
        assert words in done.stderr


CHECK_ERRORS = {
    "no readable error": (["-c", "sh -c 'echo odd words; exit 1'"], "odd words"),
    "no output": (["-c", "false"], "no error could be read"),
    "killed": (["-c", "kill -9 $$", "--shell"], "SIGKILL"),
    "too long": (["-c", "echo $$ >pid; setsid sleep 100 & sleep 100", "--shell", "--timeout", "1"], "did not end"),
    "too much": (["-c", "yes", "--output-limit", "1m"], "wrote more than 1MB"),
    "empty input": (["--input", "/dev/null"], "is empty"),
    "unknown input": (["--input", "src/../check"], "no error could be read"),
}


@pytest.mark.parametrize("name", CHECK_ERRORS)
def test_a_check_that_came_to_no_end_is_never_an_empty_success(
    here: World, name: str, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    arguments, words = CHECK_ERRORS[name]
    given = [str(here.workspace / each) if each.startswith("src/..") else each for each in arguments]
    exit_code, said = ended(here, [*given, "--output", str(here.root / "made.json")], monkeypatch, capfd)
    assert exit_code == 3, said
    assert words in said
    assert not (here.root / "made.json").exists()


BAD_INPUT = {
    "nothing to check": ([], "--command: got nothing"),
    "no such command": (["-c", "no-such-tool"], "in no directory of PATH"),
    "no such command in a shell": (["-c", "no-such-tool | cat", "--shell"], "no such command"),
    "not executable": (["-c", "./errors"], "not executable"),
    "a pipe without a shell": (["-c", "./check | cat"], "--shell"),
    "an open quote": (["-c", "it's"], "quot"),
    "no such input": (["--input", "missing"], "No such file"),
    "an image for input": (["--input", "-", "--check-image", "x"], "--check-image"),
    "no such workspace": (["-c", "./check", "--workspace", "/no/such"], "--workspace"),
    "a pattern without a shell": (["-c", "./check *.ts"], "*.ts is a shell's"),
    "a variable without a shell": (["-c", "./check $PWD"], "Give --shell"),
    "a wrong bound": (["-c", "./check", "--timeout", "abc"], "--timeout (or --check-timeout)"),
    "a budget too small": (["-c", "./check", "--budget", "100m"], "at most the budget of 100m"),
    "a broken tier config": (["-c", "./check", "--tier-config", "errors"], "errors"),
    "no tier config": (["-c", "./check", "--tier-config", "/no/such"], "cannot read /no/such"),
    "an unknown language": (["-c", "./check", "--language", "cobol"], "cobol"),
    "an unknown agent": (["-c", "./check", "--agent", "nobody"], "nobody"),
    "an unknown format": (["-c", "./check", "--format", "xml"], "text, json or yaml"),
    "a glued file": (["-c", "./check", "--", "tool", "--in={files}"], "{files} as a word of its own"),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_refused_with_advice(
    here: World, name: str, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    arguments, words = BAD_INPUT[name]
    given = [str(here.workspace / each) if each == "errors" else each for each in arguments]
    exit_code, said = ended(here, given, monkeypatch, capfd)
    assert exit_code == 2, said
    assert words in said


@pytest.mark.slow
@pytest.mark.parametrize("how", ["command", "input"])
def test_a_gigabyte_of_output_ends_soon_and_takes_little_memory(here: World, how: str) -> None:
    flood = subprocess.Popen(["yes", "src/a.ts(1,2): error TS1: no."], stdout=subprocess.PIPE)
    options = ["-c", "yes 'src/a.ts(1,2): error TS1: no.'"] if how == "command" else ["--input", "-"]
    with flood:
        process = subprocess.Popen(
            [str(COMMAND), "plan", *options, "--state-dir", str(here.state)],
            cwd=here.workspace,
            env=here.environment(),
            stdin=flood.stdout,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        said = process.stderr.read().decode()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stderr.close()
        flood.kill()
    assert process.returncode == 3, said
    assert "more than 256MB" in said
    assert used.ru_maxrss < RSS_MAX_KIB


LEFT = "setsid sh -c 'touch begun; sleep 300; exit 1' & "
"""It has left the process group, and holds the output; the world proves that nothing of it is left."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_of_the_check_and_is_told(here: World, number: int) -> None:
    running = here.command(
        *("plan", "--workspace", str(here.workspace), "--state-dir", str(here.state), "--shell"),
        *("-c", f"{LEFT} sleep 100 & sleep 100"),
    )
    here.wait_for_file("begun")
    running.interrupt(number)
    done = running.finish()
    assert (done.exit_code, done.stdout) == (130, b"")
    assert "interrupted" in done.stderr
    assert here.processes() == []


def test_a_flood_is_ended_with_what_has_left_its_group(here: World) -> None:
    flood = f"{LEFT} while ! test -e begun; do sleep 0.02; done; exec yes"
    done = plan(here, "--shell", "--output-limit", "1m", "-c", flood)
    assert done.exit_code == 3, done.stderr
    assert here.processes() == []


def test_a_named_pipe_is_waited_for_and_read_and_ctrl_c_ends_the_waiting(here: World) -> None:
    pipe = here.workspace / "pipe"
    os.mkfifo(pipe)
    where = ("--workspace", str(here.workspace), "--state-dir", str(here.state), "--budget", "2g")
    running = here.command("plan", *where, "--input", str(pipe))
    pipe.write_text(ERRORS)  # returns when somebody has opened it
    assert running.finish().result["errors"] == 2
    running = here.command("plan", *where, "--input", str(pipe))
    running.wait_for_line("reading")  # the first line of progress
    running.interrupt()
    assert running.finish().exit_code == 130


@pytest.mark.docker
def test_a_check_in_an_image_is_a_run_of_its_own(docker_world: World) -> None:
    here = with_check(docker_world)
    told = f"echo '/workspace/{ERRORS.splitlines()[0]}' >&2; cat errors"
    (here.workspace / "check").write_text(f"#!/bin/sh\n{told}; ip -o link | grep -vc ' lo:' >links; exit 2\n")
    done = plan(here, "-c", "./check", "--check-image", TEST_IMAGE)
    assert (done.exit_code, done.result["errors"]) == (0, 2), done.stderr
    (run,) = here.run_dirs()
    assert run.name.startswith("check-")
    assert run.name in done.stderr
    logs = here.command("logs", run.name, "check", "--state-dir", str(here.state)).finish()
    assert ERRORS.encode() in logs.stdout
    assert here.marks("links") == ["0"], "there is no network"


@pytest.mark.docker
def test_a_check_in_an_image_that_comes_to_no_end_is_told_as_one_on_the_host(docker_world: World) -> None:
    here = with_check(docker_world)
    image = ("--check-image", TEST_IMAGE)
    for options, code, words in (
        (("-c", "no-such-tool"), 2, "no such command"),
        (("-c", "sleep 100", "--timeout", "1"), 3, "did not end"),
        (("-c", "kill -9 $$", "--shell"), 3, "SIGKILL"),
    ):
        done = plan(here, *image, *options)
        assert (done.exit_code, done.stdout) == (code, b""), done.stderr
        assert words in done.stderr


@pytest.mark.docker
@pytest.mark.slow
def test_a_flood_in_an_image_is_ended(docker_world: World) -> None:
    done = plan(docker_world, "--check-image", TEST_IMAGE, "-c", "yes", "--output-limit", "1m")
    assert (done.exit_code, done.stdout) == (3, b""), done.stderr
    assert "wrote more than" in done.stderr


@pytest.mark.docker
def test_ctrl_c_ends_a_check_in_an_image(docker_world: World) -> None:
    here = with_check(docker_world)
    where = ("--workspace", str(here.workspace), "--state-dir", str(here.state), "--check-image", TEST_IMAGE)
    running = here.command("plan", *where, "--shell", "-c", "touch begun; sleep 100")
    here.wait_for_file("begun")
    running.interrupt()
    done = running.finish(DEADLINE_S)
    assert (done.exit_code, done.stdout) == (130, b""), done.stderr


def test_the_workspace_may_be_named_by_a_link(here: World, tmp_path: Path) -> None:
    alias = tmp_path / "alias"
    alias.symlink_to(here.workspace)
    (here.workspace / "errors").write_text(f"{alias}/src/a.ts(1,2): error TS1: no.\n")
    done = plan(here, "-c", "./check", "--workspace", str(alias))
    assert [each["files"] for each in batches(done)] == [["src/a.ts"]], done.stderr
