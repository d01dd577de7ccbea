"""Runs that an earlier server started, as the next one finds them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wavepool.core.facts import Outcome, RunFinished, RunResumed, Stamped
from wavepool.engine.recover.dead_runs import dead_run_lines
from wavepool.journal.sqlite import SqliteJournal
from wavepool.statedir import ServedRun, StateDir, served_now
from wavepool.web.launching import RESUMES, Launches

pytestmark = pytest.mark.anyio

AT = datetime(2026, 6, 1, tzinfo=UTC)
BEGUN = RunResumed(boot_id="b", shift_s=0.0, at=AT)
OVER = RunFinished(outcome=Outcome.INTERRUPTED, at=AT)


async def served(state_dir: StateDir, run_id: str, *facts: RunResumed | RunFinished) -> ServedRun:
    """The record of a run whose process is gone, and whose journal ends with these facts."""
    files = state_dir.run(run_id)
    with files.lock():
        async with SqliteJournal(files.journal, owner="me", run_id=run_id) as journal:
            await journal.append([Stamped(0.0, AT, fact) for fact in facts])
    record = served_now(run_id, state_dir.path)
    state_dir.served_runs().keep(record)
    return record


@pytest.fixture
def state_dir(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path)


async def test_what_is_live_is_left_and_what_ended_is_forgotten_without_a_word(state_dir: StateDir) -> None:
    await served(state_dir, "cancelled", BEGUN, OVER)
    live = await served(state_dir, "live", BEGUN)
    state_dir.served_runs().keep(served_now("gone", state_dir.path))
    said: list[str] = []
    with state_dir.run("live").lock():
        await Launches(state_dir).resume_dead(said.append)
    assert (said, state_dir.served_runs().all()) == ([], [live])


async def test_a_run_whose_secrets_came_with_the_request_is_told_with_its_command(state_dir: StateDir) -> None:
    state_dir.served_runs().keep(replace(await served(state_dir, "private", BEGUN), secrets=("KEY", "PIN")))
    said: list[str] = []
    await Launches(state_dir).resume_dead(said.append)
    assert len(said) == 1
    assert "`wavepool resume private --secret KEY --secret PIN` goes on with it" in said[0]


async def test_one_that_dies_again_and_again_is_only_told_in_the_end(state_dir: StateDir) -> None:
    state_dir.served_runs().keep(replace(await served(state_dir, "doomed", BEGUN), resumed=RESUMES))
    said: list[str] = []
    await Launches(state_dir).resume_dead(said.append)
    assert said == [
        "run doomed, which a server started, died, 4 times by now: `wavepool resume doomed` goes on with it"
    ]


async def test_a_damaged_one_is_told_where_all_dead_runs_are_and_not_twice(state_dir: StateDir) -> None:
    await served(state_dir, "broken", BEGUN)
    journal = state_dir.run("broken").journal
    journal.write_bytes(journal.read_bytes()[:4096])
    said: list[str] = []
    await Launches(state_dir).resume_dead(said.append)
    assert (said, state_dir.served_runs().all()) == ([], [])
    assert any("broken" in line for line in dead_run_lines(state_dir))


async def test_who_asks_for_it_gives_it_all_its_lives_again(state_dir: StateDir) -> None:
    state_dir.served_runs().keep(replace(await served(state_dir, "again", BEGUN), resumed=RESUMES))
    await Launches(state_dir).note("again")
    assert [record.resumed for record in state_dir.served_runs().all()] == [0]
