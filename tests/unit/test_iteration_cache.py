"""`--cache`: each iteration has a place of its own."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from wavepool.engine.cache import keep_iteration
from wavepool.errors import InfrastructureError
from wavepool.statedir import RunDir, StateDir


@pytest.fixture
def files(tmp_path: Path) -> RunDir:
    made = StateDir(tmp_path / "state").run("run-1")
    made.create()
    log = made.logs / "one.1.log"
    log.write_bytes(b"\xff said\n")
    log.chmod(0o600)
    return made


def result_of(*containers: dict[str, Any]) -> dict[str, Any]:
    return {"waves": [{"wave_number": 3, "containers": list(containers)}]}


ONE = {"container_id": "abc", "container_name": "cfn-wave3-one", "log": "logs/one.1.log"}
NEVER_RAN = {"container_id": "", "container_name": "", "log": None}


def test_each_iteration_has_its_results_and_logs(tmp_path: Path, files: RunDir) -> None:
    kept = keep_iteration(tmp_path / "cache", result_of(ONE, NEVER_RAN), files)
    assert kept == tmp_path / "cache" / "1"
    assert sorted(path.relative_to(kept).as_posix() for path in kept.rglob("*")) == [
        "logs",
        "logs/abc.log",
        "wave-3-results.json",
    ]
    assert (kept / "logs" / "abc.log").read_bytes() == b"\xff said\n"
    assert stat.S_IMODE((kept / "logs" / "abc.log").stat().st_mode) == 0o600


def test_iterations_are_never_mixed(tmp_path: Path, files: RunDir) -> None:
    cache = tmp_path / "cache"
    (cache / "7").mkdir(parents=True)
    (cache / "notes").mkdir()
    assert [keep_iteration(cache, result_of(), files).name for _ in range(2)] == ["8", "9"]


def test_a_place_that_cannot_be_written_is_told_with_where_the_results_are(tmp_path: Path, files: RunDir) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(InfrastructureError, match="results could not be kept") as caught:
        keep_iteration(tmp_path / "cache", result_of(), files)
    assert str(files.path) in caught.value.advice
