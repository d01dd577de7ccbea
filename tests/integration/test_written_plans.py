"""A plan that `wavepool plan` writes is one that `wavepool run` takes, rehearsed and for real."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("wavepool")
DEADLINE_S = 120.0
FILES = ("a.py", "-b.py", "src/[id]/c d.py", "src/(group)/ü.py")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "ws"
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("wrong\n")
    told = "".join(f"{name}:1:1: E1 It is wrong.\n" for name in FILES)
    (tmp_path / "told.txt").write_text(told)
    return root


def wavepool(workspace: Path, *arguments: str) -> str:
    state = ("--state-dir", str(workspace.parent / "state"), "--workspace", str(workspace))
    argv = [COMMAND, arguments[0], *state, *arguments[1:]]
    done = subprocess.run(argv, cwd=workspace.parent, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr
    assert "warning:" not in done.stderr
    return done.stdout


def test_a_written_plan_is_rehearsed_and_run(workspace: Path) -> None:
    mend = ("--", "sh", "-c", 'for file; do echo mended >"$file"; done', "sh", "{files}")
    asked = ("--input", "told.txt", "--strategy", "file", "--budget", "1g")
    (workspace.parent / "plan.yaml").write_text(wavepool(workspace, "plan", *asked, "--format", "yaml", *mend))
    (workspace.parent / "plan.json").write_text(wavepool(workspace, "plan", *asked, "--format", "json", *mend))
    run = ("--driver", "process", "--json")
    rehearsal = json.loads(wavepool(workspace, "run", "plan.json", *run, "--dry-run"))
    starts = [step for step in rehearsal["actions"] if step["action"] == "start"]
    assert [step["batch_id"] for step in starts] == [f"iter1-batch-{number}" for number in (1, 2, 3, 4)]
    assert [step["wave_number"] for step in starts] == [1, 1, 2, 2]
    assert {(workspace / name).read_text() for name in FILES} == {"wrong\n"}
    wavepool(workspace, "run", "plan.yaml", *run)
    assert {(workspace / name).read_text() for name in FILES} == {"mended\n"}
