"""A run whose journal is read on, and folded, as its process writes it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

import anyio
from anyio import CapacityLimiter
from anyio.lowlevel import checkpoint

from wavepool.core import facts
from wavepool.core.events import Now
from wavepool.core.facts import Stamped
from wavepool.engine.history.runs import Standing, standing_of
from wavepool.errors import InfrastructureError
from wavepool.monitoring.documents.runs import RunLine
from wavepool.monitoring.runs.folds import RunFold
from wavepool.monitoring.runs.following import UNFIT, JournalTail, unfit_words
from wavepool.monitoring.runs.lines import blank_line, run_line
from wavepool.statedir import RunDir

SLICE = 100
"""Facts that are folded before others have their turn on the loop."""

SETTLED_AT = 10_000
"""So many facts and tasks are folded between two times that the garbage collector is told not to look at them."""

REMOVED = "its directory has been removed"

Fold = TypeVar("Fold", bound=RunFold)
Result = TypeVar("Result")


class FollowedRun(Generic[Fold]):
    """Files are read in threads; all else is on the loop of whoever made it.

    Attributes:
        id: of the run.
        files: its directory.
        fold: what its facts amount to so far; another one where the run was removed and made anew.
        standing: where it stood at the last look.
        is_live: whether somebody held it then, and `pid`, who.
        problem: why its journal cannot be read (any further); None where it can.
    """

    def __init__(self, files: RunDir, make_fold: Callable[[], Fold], threads: CapacityLimiter) -> None:
        self.id = files.id
        self.files = files
        self.fold = make_fold()
        self.standing = Standing.EMPTY
        self.is_live = False
        self.pid: int | None = None
        self.problem: str | None = None
        self._make_fold = make_fold
        self._threads = threads
        self._tail = JournalTail(files)
        self._turn = anyio.Lock()
        self._unfit: str | None = None
        self._unsettled = 0
        self._of_engine = False

    async def look(self) -> None:
        """See whether somebody holds it, or it was made anew. Raises nothing."""
        async with self._turn:
            try:
                self.is_live, self.pid = await self._in_thread(self._holder)
                if await self._in_thread(self._tail.is_of_another_journal):
                    self.fold, self._tail, self._unfit = self._make_fold(), JournalTail(self.files), None
                    self._unsettled = 0
                self._stand()
            except InfrastructureError as error:
                self.problem = error.message

    async def read_on(self) -> bool:
        """Read on in the journal, a bounded piece of it; whether there may be more. Raises nothing."""
        async with self._turn:
            piece: list[Stamped] = []
            try:
                piece = await self._in_thread(partial(self._tail.read_after, self.fold.facts, check=not self.is_live))
                self.problem = None
            except InfrastructureError as error:
                self.problem = error.message if self.files.path.is_dir() else REMOVED
            try:
                for done, stamped in enumerate(piece, start=1):
                    self.fold.take(stamped)
                    if done % SLICE == 0:
                        await checkpoint()
                self._settle(piece)
            except UNFIT as error:
                self._unfit = unfit_words(error)
            if self._unfit is not None:
                piece, self.problem = [], self._unfit
            self._stand()
            return bool(piece)

    async def catch_up(self) -> None:
        """Read on to the journal's end."""
        while await self.read_on():
            pass

    def put_seen(self, fold: Fold) -> None:
        """What the engine says of a run that keeps no journal, in place of what was said before."""
        self.fold, self._of_engine = fold, True

    @property
    def is_under_way(self) -> bool:
        """Whether its times go on by themselves: somebody holds it, or what was seen of it runs."""
        return self.is_live or (self._of_engine and bool(self.fold.running))

    def line(self, now: Now) -> RunLine:
        """As of now."""
        if self.fold.progress.run is None:
            return blank_line(self.id, self.standing, problem=self.problem)
        return run_line(self.id, self.standing, self.fold.progress, now, pid=self.pid, problem=self.problem)

    def _settle(self, piece: Sequence[Stamped]) -> None:
        """Have the collector pass over what was folded, which stays: else it goes through all of it again and again,
        and every loop of this process waits for it (seconds, with 100,000 tasks). Freed it is as ever, by its counts.
        """
        brought = sum(len(each.fact.tasks) for each in piece if isinstance(each.fact, facts.TasksAdded))
        self._unsettled += len(piece) + brought
        if self._unsettled >= SETTLED_AT:
            self._unsettled = 0
            gc.freeze()

    def _holder(self) -> tuple[bool, int | None]:
        live = self.files.is_live()
        word = self.files.holder().partition(" ")[0] if live else ""
        return live, int(word) if word.isdecimal() else None

    def _stand(self) -> None:
        if self.problem is not None and not self.is_live and self.problem != REMOVED:
            self.standing = Standing.DAMAGED
            return
        progress = self.fold.progress
        begun = progress.run is not None and not self._of_engine
        self.standing = standing_of(self.files, live=self.is_live, begun=begun, outcome=progress.outcome)

    async def _in_thread(self, function: Callable[[], Result]) -> Result:
        return await anyio.to_thread.run_sync(function, limiter=self._threads)
