"""The verbs that look at runs, on a state directory with a sound run, a damaged one, and one that never began."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from wavepool.cli import app
from wavepool.cli.logs import parse_since
from wavepool.drivers.memory import MemoryWorld
from wavepool.errors import InfrastructureError, InputError, SettingError
from wavepool.model import Node, Resources, Rules
from wavepool.plan import TierMap, parse_plan
from wavepool.statedir import StateDir
from wavepool.testing.whole_runs import SimulatedRun
from wavepool.units import GIB


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tasks = {"good": ["sim", "stdout=x"], "bad\x1b[31m": ["sim", "exit=3"]}
    batches = [{"batch_id": name, "memory": "64m", "files": [], "command": command} for name, command in tasks.items()]
    made = SimulatedRun(
        plan=parse_plan(
            json.dumps({"waves": [{"wave_number": 4, "batches": batches}]}).encode(), source="plan", tiers=TierMap()
        ),
        rules=Rules(nodes=(Node(name="local", capacity=Resources(GIB)),), max_attempts=2, keep_failed=True),
        world=MemoryWorld(),
        directory=tmp_path_factory.mktemp("state"),
    )
    made.process()
    damaged = StateDir(made.directory).run("damaged")
    damaged.create()
    damaged.journal.write_bytes(b"no database" * 1000)
    StateDir(made.directory).run("never-began").create()
    return made.directory


def call(directory: Path, *arguments: str) -> str:
    """Stdout of the verb. What it raises comes out as it is."""
    done = CliRunner().invoke(app, [*arguments, "--state-dir", str(directory)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_all_runs_are_listed_a_damaged_one_too(directory: Path) -> None:
    lines = call(directory, "runs").splitlines()
    assert lines[0].split() == ["run", "state", "started", "took", "tasks", "failed", "size", "driver", "what", "next"]
    by_run = {line.split()[0]: line for line in lines[1:]}
    assert set(by_run) == {"damaged", "never-began", "simulated"}
    assert by_run["simulated"].split()[1] == "failed"
    assert "2/2" in by_run["simulated"]
    assert "damaged: this is no SQLite database" in by_run["damaged"]
    assert by_run["never-began"].split()[1] == "empty"
    assert by_run["never-began"].endswith("never started; `wavepool prune` removes it")


def test_a_pool_that_was_killed_is_no_run_and_says_what_removes_it(tmp_path: Path) -> None:
    session = "pool-20300101-000000-abcd"
    files = StateDir(tmp_path).run(session)
    files.create()
    files.slot("coder-1", 1)
    assert call(tmp_path, "runs").splitlines()[1].endswith(f"wavepool recover --grace 0s --run-id {session}")
    files.slot("coder-1", 1).rmdir()  # as `recover` leaves it
    assert call(tmp_path, "runs").splitlines()[1].endswith("never started; `wavepool prune` removes it")
    for verb in ("show", "report"):
        with pytest.raises(InputError) as refused:
            call(tmp_path, verb, session)
        assert "`wavepool pool status`" in refused.value.advice


def test_runs_are_filtered_by_state(directory: Path) -> None:
    found = json.loads(call(directory, "runs", "--json", "--state", "failed,empty"))
    assert sorted(each["run_id"] for each in found["runs"]) == ["never-began", "simulated"]
    assert {each["run_id"]: each["tasks"] for each in found["runs"]}["simulated"] == {
        "total": 2,
        "done": 2,
        "failed": 1,
    }
    assert call(directory, "runs", "--state", "live") == ""
    with pytest.raises(SettingError, match="'odd', expected one of live, unfinished"):
        call(directory, "runs", "--state", "odd")


def test_a_run_is_shown_with_its_tasks_and_nothing_acts_on_the_terminal(directory: Path) -> None:
    shown = call(directory, "show", "simul")
    assert shown.startswith("run simulated: failed, began 2026-01-01T")
    assert "wave 4: 2 tasks: 1 success, 1 failed" in shown
    assert "\x1b" not in shown
    assert r"bad\x1b[31m" in shown


def test_a_task_is_shown_with_every_attempt(directory: Path) -> None:
    shown = call(directory, "show", "simulated", "bad")
    for part in (
        "attempt 1: failed",
        "attempt 2: failed",
        "because   it ended with exit code 3",
        "kept      wavepool/kept:bad",
    ):
        assert part in shown
    assert "then      another attempt: failed (attempt 1 of 2)" in shown
    assert "wavepool exec simulated" in shown


def test_everything_is_there_as_json(directory: Path) -> None:
    run: dict[str, Any] = json.loads(call(directory, "show", "simulated", "--json"))
    entries = {entry["batch_id"]: entry for entry in run["waves"][0]["containers"]}
    assert (run["state"], run["status"], run["exit_code"]) == ("failed", "failed", 1)
    history = entries["bad\x1b[31m"]["history"]
    assert [(each["attempt"], each["verdict"], bool(each["kept"])) for each in history] == [
        (1, "failed", True),
        (2, "failed", True),
    ]
    task: dict[str, Any] = json.loads(call(directory, "show", "simulated", "good", "--json"))
    assert (task["task_id"], task["state"], len(task["attempts"])) == ("good", "success", 1)
    assert task["attempts"][0]["log_bytes"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "simulatde"), "Is it simulated?"),
        (("show", "simulated", "godo"), "'good'"),
        (("show", "never-began"), "has no journal"),
        (("logs", "simulated", "good", "--attempt", "2"), "There are 1."),
        (("logs", "simulated", "good", "--since", "yesterday"), "such as 10m"),
        (("exec", "simulated", "nothing"), "'good'"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(directory: Path, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError) as caught:
        call(directory, *arguments)
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_damaged_run_is_told_as_that(directory: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"damaged(?s:.)*Its files are in"):
        call(directory, "show", "damaged")


def test_since_is_a_time_or_how_long_ago() -> None:
    now = parse_since("2026-11-20T23:15:30Z", parse_since("2026-11-21", None))  # type: ignore[arg-type]
    assert now.isoformat() == "2026-11-20T23:15:30+00:00"
    assert parse_since("1h30m", now).isoformat() == "2026-11-20T21:45:30+00:00"
    assert parse_since("2026-11-20T23:15:30+01:00", now) < now


@pytest.mark.parametrize(
    ("content", "words"), [(b"garbage\n", "8 bytes are no SQLite database"), (b"", "the file is empty")]
)
def test_a_journal_that_is_none_is_called_that(tmp_path: Path, content: bytes, words: str) -> None:
    files = StateDir(tmp_path).run("odd")
    files.create()
    files.journal.write_bytes(content)
    assert f"{files.journal}: the journal is damaged: {words}" in call(tmp_path, "runs")
