"""The journal of a fix: the same as a run's, with facts of its own, in the fix's place. All of it blocks.

Each fact is synced before anything goes on: there are a handful in a round, and each stands for minutes of work.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import get_args

import anyio

from wavepool.core.facts import Stamped
from wavepool.core.fixes.course import Course
from wavepool.core.fixes.facts import FixFact
from wavepool.engine.clock import SystemClock
from wavepool.fixing.iterations import FixLog
from wavepool.journal.sqlite import SqliteJournal
from wavepool.statedir import FixPlace, StateDir

_KINDS = get_args(FixFact)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def open_log(state_dir: StateDir, place: FixPlace) -> FixLog:
    """What the fix of this place has noted, and where it notes more; whoever holds the place calls.

    Raises:
        JournalError: the journal is damaged, or of another release or owner.
    """
    journal, course = SqliteJournal(place.journal, owner=state_dir.owner(), run_id=place.id), Course()
    if place.journal.exists():
        for stamped in journal.replay():
            if isinstance(stamped.fact, _KINDS):
                course.apply(stamped.fact)
    return FixLog(course, partial(_keep, journal), around=whole)


def _keep(journal: SqliteJournal, fact: FixFact) -> None:
    now = SystemClock().now()
    anyio.run(_append, journal, Stamped(now.boot_s, now.utc, fact))


async def _append(journal: SqliteJournal, stamped: Stamped) -> None:
    async with journal:
        await journal.append([stamped], durable=True)


@contextmanager
def whole() -> Iterator[None]:
    """Ctrl-C inside the block is heard at its end: a fact that is on the disk must be in the course, too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[Callable[[], object]] = []

    def later(number: int, frame: FrameType | None) -> None:
        heard.append(partial(signal.raise_signal, number))

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, later)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for each in heard:
            each()
