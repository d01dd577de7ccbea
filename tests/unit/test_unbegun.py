"""Of a run that was refused before its first fact nothing is left; of every other one everything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from wavepool.core.facts import Outcome, RunFinished, Stamped
from wavepool.engine.unbegun import forget_unbegun
from wavepool.journal.sqlite import SqliteJournal
from wavepool.statedir import SPAWN_RECORD, RunDir, StateDir

AT = datetime(2026, 11, 20, tzinfo=UTC)
OWNER = "0123456789abcdef"


def journal(files: RunDir, *facts: RunFinished) -> None:
    async def work() -> None:
        async with SqliteJournal(files.journal, owner=OWNER, run_id=files.id) as opened:
            if facts:
                await opened.append([Stamped(0.0, AT, fact) for fact in facts])

    anyio.run(work)


def left(root: Path, make: Callable[[RunDir], object], *, although_logged: bool = False) -> list[str]:
    state_dir = StateDir(root)
    files = state_dir.run("r1")
    with files.lock():
        make(files)
        forget_unbegun(state_dir, files, although_logged=although_logged)
    return state_dir.runs()


@pytest.mark.parametrize("make", [lambda files: None, journal], ids=["no journal", "a journal without a fact"])
def test_one_that_never_began_is_gone(tmp_path: Path, make: Callable[[RunDir], object]) -> None:
    assert left(tmp_path, make) == []
    assert list((tmp_path / "removed").iterdir()) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda files: journal(files, RunFinished(outcome=Outcome.FAILED, at=AT)),
        lambda files: files.journal.write_bytes(b"garbage" * 100),
        lambda files: (files.artifacts / SPAWN_RECORD).write_text("{}"),
        lambda files: files.detached_log.write_text("error: no image"),
    ],
    ids=["it began", "damaged", "spawned", "nobody read yet why"],
)
def test_every_other_one_stays(tmp_path: Path, make: Callable[[RunDir], object]) -> None:
    assert left(tmp_path, make) == ["r1"]


def test_what_was_read_from_its_log_is_not_kept(tmp_path: Path) -> None:
    assert left(tmp_path, lambda files: files.detached_log.write_text("error"), although_logged=True) == []
