"""Reading on in the journal of a run that another process writes, or has written."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from itertools import islice
from typing import cast

from wavepool.core import facts
from wavepool.core.facts import Stamped
from wavepool.journal.reading import JournalReader
from wavepool.monitoring.runs.blanking import TELLING, blanked
from wavepool.statedir import RunDir

PIECE = 5000
"""Facts that are read at a time: so many are in memory between the journal and the fold, and no more (some 5 MB)."""

PIECE_TASKS = 2000
"""A piece ends early after facts that brought so many tasks."""

UNFIT = (KeyError, IndexError, AssertionError)
"""What is raised by who takes in a fact that speaks of what no fact before it has brought."""


def unfit_words(error: Exception) -> str:
    """A journal that can be read, and makes no sense."""
    return f"the facts of its journal do not fit together ({type(error).__name__}: {error})"


class JournalTail:
    """Reads facts on from a number, without what nobody is to see. Blocks; one caller at a time."""

    def __init__(self, files: RunDir) -> None:
        self._path = files.journal
        self._reader = JournalReader(files.journal, run_id=files.id)
        self._inode: int | None = None

    def is_of_another_journal(self) -> bool:
        """Whether there is another file now than the one that facts were read from: the run was made anew."""
        return self._inode is not None and self._inode_now() not in (None, self._inode)

    def read_after(self, taken: int, *, check: bool) -> list[Stamped]:
        """At most `PIECE` facts after number `taken`; empty where there are none (yet), at the cost of one small read.

        With `check` the whole database is checked before the first one: for a journal that nobody writes.

        Raises:
            JournalError: there is no journal any more, or it is damaged.
        """
        inode = self._inode_now()
        if (inode is None and self._inode is None) or self._reader.committed() <= taken:
            return []
        self._inode = self._inode or inode
        found: list[Stamped] = []
        tasks = 0
        reading = cast(Generator[Stamped, None, None], self._reader.read(taken + 1, check=check and not taken))
        with closing(reading):
            for stamped in islice(reading, PIECE):
                if type(stamped.fact) not in TELLING:
                    found.append(stamped)
                    continue
                found.append(Stamped(stamped.boot_s, stamped.utc, blanked(stamped.fact)))
                tasks += len(stamped.fact.tasks) if isinstance(stamped.fact, facts.TasksAdded) else 0
                if tasks >= PIECE_TASKS:
                    break
        return found

    def _inode_now(self) -> int | None:
        try:
            return self._path.stat().st_ino
        except OSError:
            return None
