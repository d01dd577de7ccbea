"""What comes out: the result alone on stdout, everything else on stderr, an exit code for scripts."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
from wavepool_cli import COMMAND, World, batch, docker, plan_of, wave

GOOD = plan_of(wave(1, batch("a"), batch("b")), wave(2, batch("c", "echo out; echo err >&2")))
NO_DAEMON = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


def test_stdout_is_the_result_alone_and_stderr_tells_the_rest(world: World) -> None:
    done = world.run(GOOD, "--poll-interval", "0.2")
    assert done.exit_code == 0
    assert (done.result["status"], done.result["exit_code"]) == ("success", 0)
    assert "Running: 0, Completed: 3, Failed: 0, Timeout: 0" in done.stderr
    assert "3 of 3 tasks succeeded" in done.stderr
    assert done.result["waves"][1]["metrics"]["success"] == 1


def test_json_lines_end_with_the_result(world: World) -> None:
    done = world.run(GOOD, "--json", "--environment", "TOKEN=visible-in-inspect-only")
    *facts, result = done.lines
    assert done.exit_code == 0
    assert [fact["seq"] for fact in facts] == list(range(1, len(facts) + 1))
    assert (facts[0]["kind"], facts[-1]["kind"]) == ("RunOpened", "RunFinished")
    settled = [fact["attempt"][0] for fact in facts if fact["kind"] == "AttemptSettled"]
    assert sorted(settled) == ["a", "b", "c"]
    assert result["metrics"]["success"] == 3
    assert "visible-in-inspect-only" not in done.stdout.decode() + done.stderr


def test_a_misspelt_field_of_a_batch_is_told_to_people_and_to_machines(process_world: World) -> None:
    plan = plan_of(wave(1, batch("lint", lifetme="5s", owner_team="blue")))
    told = "waves[0].batches[0].lifetme: no field of batch 'lint', so it changes nothing; did you mean lifetime?"
    done = process_world.run(plan, "--json")
    assert done.exit_code == 0
    assert f"warning: {told}" in done.stderr
    assert done.lines[-1]["warnings"] == [told]
    assert process_world.run(plan, "--json", "--dry-run").result["warnings"] == [told]


@pytest.mark.parametrize(("command", "code"), [("exit 0", 0), ("exit 1", 1), ("exit 130", 1)])
def test_the_exit_code_tells_whether_all_succeeded(process_world: World, command: str, code: int) -> None:
    assert process_world.run(plan_of(wave(1, batch("only", command)))).exit_code == code


def test_the_plan_may_come_from_standard_input(process_world: World) -> None:
    banner = b"\xef\xbb\xbfBatching 3 errors ...\n" + json.dumps({"waves": GOOD}).encode() + b"\ndone.\n"
    assert process_world.run("-", stdin=banner).exit_code == 0


def test_the_plan_may_come_from_a_process_substitution(process_world: World) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, json.dumps(GOOD).encode())
    os.close(write_end)
    done = process_world.run(f"/dev/fd/{read_end}", fds=[read_end])
    os.close(read_end)
    assert done.exit_code == 0


def test_stdout_can_be_piped_into_who_does_not_read_it(process_world: World) -> None:
    """As `wavepool run ... --json | head -1` does."""
    plan = process_world.plan(GOOD)
    words = [str(COMMAND), "run", str(plan), *process_world.options(), "--json"]
    first = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=process_world.environment(), cwd=process_world.root
    )
    assert first.stdout is not None
    first.stdout.close()
    _, said = first.communicate(timeout=60)
    assert b"Traceback" not in said
    assert b"3 of 3 tasks succeeded" in said


def test_a_dry_run_says_what_would_be_done_and_does_nothing(world: World) -> None:
    plan = plan_of(wave(1, batch("a"), batch("b", depends_on=["a"]), batch("big", memory="1g")), wave(2, batch("c")))
    done = world.run(plan, "--dry-run", "--budget", "1g")
    assert done.exit_code == 0
    text = done.stdout.decode()
    assert [text.count(f"start         '{name}'") for name in ("a", "b", "big", "c")] == [1, 1, 1, 1]
    assert text.index("start         'a'") < text.index("start         'b'")
    assert text.index("release wave  wave 1") < text.index("start         'c'")
    assert "because" in text
    as_json = world.run(plan, "--dry-run", "--json").result
    assert [step["batch_id"] for step in as_json["actions"] if step["action"] == "start"] == ["a", "big", "b", "c"]
    assert all(step["cause"] for step in as_json["actions"])
    assert not world.state.exists()
    assert list(world.workspace.iterdir()) == []


def test_each_iteration_is_kept_with_its_logs(world: World) -> None:
    cache = world.root / "cache"
    for number in (1, 2):
        done = world.run(GOOD, "--cache", str(cache))
        kept = cache / str(number)
        assert done.result["cached_in"] == str(kept)
        assert sorted(path.name for path in kept.iterdir()) == ["logs", "wave-1-results.json", "wave-2-results.json"]
        assert json.loads((kept / "wave-2-results.json").read_text()) == done.result["waves"][1]
        entry = done.entries()["c"]
        log = kept / "logs" / f"{entry['container_id']}.log"
        assert sorted(log.read_bytes().split()) == [b"err", b"out"]
        assert stat.S_IMODE(log.stat().st_mode) == 0o600
        assert len(list((kept / "logs").iterdir())) == 3


def test_without_docker_processes_stand_in_and_say_so(process_world: World) -> None:
    done = process_world.run(GOOD, "--driver", "auto", env=NO_DAEMON)
    assert done.exit_code == 0
    assert done.result["execution_mode"] == "subprocess"
    assert done.stderr.count("Falling back to plain processes") == 1


def test_without_docker_a_batch_that_needs_its_image_is_refused(process_world: World) -> None:
    plan = plan_of(wave(1, batch("works"), batch("needs-image", None)))
    done = process_world.run(plan, "--driver", "auto", env=NO_DAEMON)
    assert (done.exit_code, done.stdout) == (3, b"")
    assert "waves[0].batches[1]" in done.stderr
    assert "systemctl start docker" in done.stderr
    assert process_world.run_dirs() == []


def test_processes_asked_for_and_a_batch_that_needs_its_image(process_world: World) -> None:
    done = process_world.run(plan_of(wave(1, batch("works"), batch("needs-image", None))), "--driver", "process")
    assert (done.exit_code, done.stdout) == (3, b"")
    assert "waves[0].batches[1] has no command" in done.stderr
    assert process_world.run_dirs() == []


def test_docker_asked_for_and_not_there(process_world: World) -> None:
    done = process_world.run(GOOD, "--driver", "docker", env=NO_DAEMON)
    assert (done.exit_code, done.stdout) == (3, b"")
    assert "/nonexistent/docker.sock" in done.stderr
    assert "systemctl start docker" in done.stderr
    assert "Traceback" not in done.stderr
    assert process_world.run_dirs() == []


def test_an_image_that_is_missing_is_told_before_anything_starts(docker_world: World) -> None:
    plan = plan_of(wave(1, batch("first", "touch ran"), batch("other", image="no-such-image:anywhere")))
    done = docker_world.run(plan, "--pull", "never")
    assert (done.exit_code, done.stdout) == (3, b"")
    assert "no-such-image:anywhere" in done.stderr
    assert "docker pull" in done.stderr
    assert list(docker_world.workspace.iterdir()) == []
    assert docker_world.left_behind() == []


def test_a_network_that_is_missing_is_made_and_removed(docker_world: World) -> None:
    command = "touch here; while [ ! -e go ]; do sleep 0.05; done"
    run = docker_world.start(plan_of(wave(1, batch("one", command))))
    docker_world.wait_for_file("here")
    label = docker("network", "inspect", "--format", '{{index .Labels "wavepool.owner"}}', docker_world.network)
    assert label == docker_world.owner()
    docker_world.touch("go")
    assert run.finish().exit_code == 0
    assert docker_world.networks() == []


def test_a_plan_with_no_waves_is_an_empty_success(world: World) -> None:
    done = world.run(plan_of())
    assert (done.exit_code, done.result["status"], done.result["waves"]) == (0, "success", [])
    assert "no waves" in done.stderr


def test_a_wave_with_no_batches_warns(world: World) -> None:
    done = world.run(plan_of(wave(1), wave(2, batch("one"))))
    assert done.exit_code == 0
    assert "waves[0]: the wave has no batches" in done.stderr
    assert [each["metrics"]["total"] for each in done.result["waves"]] == [0, 1]


def test_what_the_plan_promises_wrongly_is_told(process_world: World) -> None:
    done = process_world.run(plan_of(wave(1, batch("one"), batch_count=28, memory_needed="14.5GB")))
    assert done.exit_code == 0
    assert "batch_count: says 28" in done.stderr
    assert "memory_needed: says 14.5GB" in done.stderr


def test_results_go_to_a_pipe_as_well(process_world: World) -> None:
    done = process_world.run(GOOD, "--output", "/dev/stderr")
    assert done.exit_code == 0
    assert f'"run_id": "{done.result["run_id"]}"' in done.stderr


def test_the_run_keeps_its_state_private(process_world: World) -> None:
    process_world.run(GOOD)
    (run,) = process_world.run_dirs()
    assert stat.S_IMODE(process_world.state.stat().st_mode) == 0o700
    assert {path.name for path in run.iterdir()} >= {"journal.db", "results.json", "logs"}
    assert Path(process_world.home).exists()
    assert list(process_world.home.iterdir()) == []
