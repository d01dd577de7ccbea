"""Dead runs that are told at the start of another one."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from wavepool.core.facts import Outcome, RunFinished, RunResumed, Stamped
from wavepool.engine.recover.dead_runs import LINES, dead_run_lines
from wavepool.journal.sqlite import SqliteJournal
from wavepool.statedir import StateDir

AT = datetime(2026, 6, 1, tzinfo=UTC)
BEGUN = RunResumed(boot_id="b", shift_s=0.0, at=AT)
OVER = RunFinished(outcome=Outcome.SUCCESS, at=AT)


def make_run(state_dir: StateDir, run_id: str, *facts: RunResumed | RunFinished) -> None:
    """A run whose process is gone, and whose journal ends with these facts."""
    files = state_dir.run(run_id)

    async def write() -> None:
        async with SqliteJournal(files.journal, owner="me", run_id=run_id) as journal:
            await journal.append([Stamped(0.0, AT, fact) for fact in facts])

    with files.lock():
        anyio.run(write)


@pytest.fixture
def state_dir(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path)


def test_a_run_that_died_in_the_middle_is_told_with_its_command(state_dir: StateDir) -> None:
    make_run(state_dir, "dead", BEGUN, BEGUN)
    make_run(state_dir, "ended", BEGUN, OVER)
    sign = state_dir.run("dead").last_sign_of_life()
    assert sign is not None
    (line,) = dead_run_lines(state_dir, now=sign + timedelta(minutes=5))
    assert line == "run dead died 5m00s ago: `wavepool resume dead` goes on with it"


def test_a_live_run_and_the_one_that_is_gone_on_with_are_not_told(state_dir: StateDir) -> None:
    make_run(state_dir, "live", BEGUN)
    make_run(state_dir, "resumed", BEGUN)
    with state_dir.run("live").lock():
        assert dead_run_lines(state_dir, but="resumed") == []


def test_only_a_few_are_told_and_the_rest_counted(state_dir: StateDir) -> None:
    for number in range(LINES + 2):
        make_run(state_dir, f"run-{number}", BEGUN)
    lines = dead_run_lines(state_dir)
    assert len(lines) == LINES + 1
    assert "run-6" in lines[0], "the newest first"
    assert lines[-1].startswith("2 more runs died")


def test_a_damaged_journal_does_not_keep_anybody_from_starting(state_dir: StateDir) -> None:
    make_run(state_dir, "damaged", BEGUN)
    journal = state_dir.run("damaged").journal
    journal.write_bytes(journal.read_bytes()[:4096])
    (line,) = dead_run_lines(state_dir)
    assert "run damaged died, and its journal cannot be read" in line
    assert "wavepool recover --dry-run" in line


def test_the_last_fact_is_found_without_reading_the_others(state_dir: StateDir) -> None:
    make_run(state_dir, "long", *[BEGUN] * 50)
    with sqlite3.connect(state_dir.run("long").journal) as database:
        database.execute("UPDATE facts SET body = x'00' WHERE seq < 50")
    assert len(dead_run_lines(state_dir)) == 1


def test_without_a_state_directory_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert dead_run_lines(StateDir(tmp_path / "none")) == []
