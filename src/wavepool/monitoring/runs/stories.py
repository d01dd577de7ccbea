"""What the tasks and attempts of a run are and where their output lies, kept up with its journal for all who ask."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import anyio
import anyio.to_thread
from anyio.lowlevel import checkpoint

from wavepool.core.facts import Stamped
from wavepool.engine.history.chronicle import Chronicle, TaskStory
from wavepool.engine.history.runs import RunHistory, UnknownRun, open_history
from wavepool.engine.naming import UnknownTask
from wavepool.errors import JournalError
from wavepool.model import Surroundings
from wavepool.monitoring.runs.followed import SLICE
from wavepool.monitoring.runs.following import UNFIT, JournalTail, unfit_words
from wavepool.statedir import StateDir

KEPT = 8
"""Runs of which the stories are kept in memory, those that were asked for last; a story has neither prompt nor values
of variables, and takes about 1 KiB for each task."""

FRESH_S = 0.2
"""Who asks within so long of the last look into a journal gets what that found: a thousand may ask at once."""


class RunStory:
    """One run, as far as its journal was read.

    Attributes:
        history: its directory.
        chronicle: its tasks. Changed by `refresh` alone, on the loop of who asks.
    """

    def __init__(self, history: RunHistory, clock: Callable[[], float] = time.monotonic) -> None:
        self.history = history
        self.chronicle = Chronicle()
        self.live = False
        self._tail = JournalTail(history.files)
        self._clock = clock
        self._lock = anyio.Lock()
        self._looked_s: float | None = None
        self._taken = 0
        self._by_key: dict[str, TaskStory] = {}

    @property
    def driver(self) -> str:
        """Name of its driver; empty where it has not begun."""
        return "" if self.chronicle.opened is None else self.chronicle.opened.driver

    @property
    def surroundings(self) -> Surroundings | None:
        """What its attempts are given, without values of variables; None where it has not begun."""
        return None if self.chronicle.opened is None else self.chronicle.opened.surroundings

    def is_gone(self) -> bool:
        """Whether its directory was removed, be it that another run has its id now. Blocks shortly."""
        return not self.history.files.path.is_dir() or self._tail.is_of_another_journal()

    async def refresh(self) -> None:
        """Read on, unless that was done just now. Raises JournalError, InfrastructureError."""
        async with self._lock:
            if self._looked_s is not None and self._clock() - self._looked_s < FRESH_S:
                return
            await self._catch_up()
            self._looked_s = self._clock()

    def task(self, key: str) -> TaskStory:
        """The task of exactly this key, or else of this id. Raises UnknownTask."""
        found = self._by_key.get(key) or self.chronicle.tasks.get(key)
        if found is None:
            self._by_key = {story.task.key: story for story in self.chronicle.tasks.values()}
            found = self._by_key.get(key)
        if found is None:
            raise UnknownTask(
                f"run {self.history.id} has no task {key[:100]!r}", advice="The list of its tasks has their keys."
            )
        return found

    async def _catch_up(self) -> None:
        """Read in threads, and fold on the loop: who is there looks through the tasks meanwhile."""
        live = await anyio.to_thread.run_sync(self.history.is_live)  # first: of one that ends now all facts are read
        while facts := await anyio.to_thread.run_sync(partial(self._tail.read_after, self._taken, check=False)):
            for stamped in facts:
                self._take(stamped)
                if self._taken % SLICE == 0:
                    await checkpoint()
        self.live = live  # last: who waits for more until nobody works on it has all of it then

    def _take(self, stamped: Stamped) -> None:
        try:
            self.chronicle.take(stamped)
        except UNFIT as error:
            raise JournalError(str(self.history.files.journal), unfit_words(error)) from error
        self._taken += 1


class Stories:
    """The stories of the runs that were asked for last, `KEPT` at most."""

    def __init__(self, state_dir: StateDir) -> None:
        self._state_dir = state_dir
        self._runs: OrderedDict[str, RunStory] = OrderedDict()

    async def run(self, run_id: str) -> RunStory:
        """The run of exactly this id, as of now.

        Raises:
            UnknownRun: there is none.
            JournalError: its journal cannot be read.
        """
        story = self._runs.get(run_id)
        if story is None or await anyio.to_thread.run_sync(story.is_gone):
            self._runs.pop(run_id, None)
            story = RunStory(await anyio.to_thread.run_sync(self._open, run_id))
        self._runs[run_id] = story
        self._runs.move_to_end(run_id)
        while len(self._runs) > KEPT:
            self._runs.popitem(last=False)
        await story.refresh()
        return story

    def _open(self, run_id: str) -> RunHistory:
        if run_id in {"", ".", ".."} or "/" in run_id or "\0" in run_id or len(run_id.encode(errors="replace")) > 255:
            raise UnknownRun(f"there is no run {run_id[:100]!r}", advice="`wavepool runs` has all.")
        return open_history(self._state_dir, run_id)
