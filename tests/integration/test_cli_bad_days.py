"""`wavepool run` as a user types it, on the process driver, where what it should write cannot be written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DEADLINE_S = 60


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    (tmp_path / "workspace").mkdir()
    batches = [{"batch_id": "a", "memory": "16m", "tier": 1, "files": ["a"], "command": ["true"]}]
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"waves": [{"wave_number": 1, "batches": batches}]}))
    program = str(Path(sys.executable).with_name("wavepool"))
    places = ["--workspace", str(tmp_path / "workspace"), "--state-dir", str(tmp_path / "state")]
    return [program, "run", str(plan), "--driver", "process", *places]


def ran(words: list[str], **streams: Any) -> subprocess.CompletedProcess[str]:
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.run(words, text=True, timeout=DEADLINE_S, check=False, **streams)


def test_a_cache_that_cannot_be_made_is_refused_before_anything_starts(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = ran([*words, "--cache", str(tmp_path / "file" / "cache")])
    assert done.returncode == 2
    assert "--cache" in done.stderr
    assert not (tmp_path / "state" / "runs").exists()


def test_a_file_that_cannot_be_written_keeps_the_result_from_no_other_place(words: list[str], tmp_path: Path) -> None:
    done = ran([*words, "--output", "/dev/full", "--cache", str(tmp_path / "cache")])
    assert done.returncode == 3
    assert json.loads(done.stdout)["status"] == "success"
    assert "1 of 1 task succeeded" in done.stderr
    assert "cannot write /dev/full: No space left on device" in done.stderr
    assert (tmp_path / "cache" / "1" / "wave-1-results.json").exists()


def test_a_full_stdout_is_told_in_one_sentence(words: list[str], tmp_path: Path) -> None:
    output = tmp_path / "out.json"
    with open("/dev/full", "w") as full:
        done = ran([*words, "--output", str(output)], stdout=full)
    assert done.returncode == 3
    assert "cannot write the result to stdout: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(output.read_text())["status"] == "success"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_has_gone_is_no_failure_of_the_run(words: list[str], stream: str) -> None:
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    gone = getattr(process, stream)
    gone.close()
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0


def test_a_refusal_of_a_run_that_exists_is_not_lost_below_its_history(words: list[str], tmp_path: Path) -> None:
    assert ran([*words, "--run-id", "before"]).returncode == 0
    other = tmp_path / "other.json"
    other.write_text((tmp_path / "plan.json").read_text().replace('"a"', '"b"'))
    place = ["--state-dir", str(tmp_path / "state")]
    for refused, told in (
        ([words[0], "run", str(other), *words[3:], "--run-id", "before"], "error: --run-id: got 'before', expected"),
        ([words[0], "retry", "before", "aa", *place], "'aa' is no task of this run\nThere are 'a'."),
        ([words[0], "retry", "before", "a", *place], "a task that did not succeed; this one did"),
    ):
        done = ran(refused)
        assert done.returncode == 2
        assert told in done.stderr
        assert done.stderr.startswith("error: ")
        assert done.stdout == ""
    again = ran([words[0], "resume", "before", *place])
    assert again.returncode == 0
    assert "run before opened" in again.stderr


def test_a_run_that_is_refused_leaves_no_directory_also_when_it_is_detached(words: list[str], tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(plan.read_text().replace("16m", "64g"))
    for more in ([], ["--detach"]):
        done = ran([*words, "--run-id", "refused", "--budget", "1g", *more])
        assert (done.returncode, done.stdout) == (2, "")
        assert "waves[0].batches[0].memory" in done.stderr
        runs = tmp_path / "state" / "runs"
        assert not runs.exists() or list(runs.iterdir()) == []
