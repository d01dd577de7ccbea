"""Retention: which runs are given up, and how they are removed so that no crash leaves half of one to be seen.

A run is removed under its own lock. Its directory is first renamed out of the runs, in one step, and deleted there;
what a crash leaves of it is deleted by the next prune. Its kept images go before it; those that could not be removed
are found by their labels when the run is gone. Where Docker does not answer, a run with kept images stays: nothing else
would tell of them (docs/decisions/0012).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from anyio import to_thread

from wavepool.drivers.base import Driver, Scope, Synced
from wavepool.drivers.keeping import Kept, SupportsKeeping
from wavepool.engine.history.runs import RunHistory, RunSummary, Standing, summaries, summary_of
from wavepool.errors import DriverUnavailable, InfrastructureError, RunLocked
from wavepool.statedir import StateDir
from wavepool.units import format_duration, human_size

OLDER_THAN_S = 30 * 86400.0
KEEP_LAST = 20
"""What goes unless something else is asked for: runs that ended 30 days ago, but for the 20 newest."""

NAMED = 5
"""Kept images of a run that are named at most where they cannot be removed."""

DOCKER = "docker"
"""Where the containers of a run may be whose journal does not say it."""

Opener = Callable[[str], AbstractAsyncContextManager[Driver]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What may go.

    Attributes:
        older_than_s: runs whose end is longer ago. Without it, and without `max_size_bytes`: all.
        max_size_bytes: then the oldest, until all runs together are not larger.
        keep_last: the newest runs, so many, are kept in any case.
        only_succeeded: failed runs are kept.
        unfinished: those that a resume could go on with, or that cannot be read, go too.
    """

    older_than_s: float | None = None
    max_size_bytes: int | None = None
    keep_last: int = 0
    only_succeeded: bool = False
    unfinished: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What is to become of one run, and why.

    Attributes:
        images: those that were kept of it, as the engine tells; `size_bytes` counts them too.
        held_up: it would go, and stays only because its kept images cannot be removed now.
    """

    summary: RunSummary
    goes: bool
    why: str
    size_bytes: int
    held_up: bool = False
    images: tuple[Kept, ...] = ()


@dataclass(slots=True, kw_only=True)
class Pruned:
    """What a prune did.

    Attributes:
        removed: runs that are gone.
        problems: one sentence for each thing that is still there; the next prune tries again.
        images: references of kept images that are gone.
        freed_bytes: of directories and images.
    """

    removed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    freed_bytes: int = 0


def decide(
    found: Sequence[RunSummary],
    retention: Retention,
    now: datetime,
    *,
    ages_from: Mapping[str, datetime],
    images: Mapping[str, Sequence[Kept]],
    away: str = "",
) -> list[Decided]:
    """One decision for each run, the newest first.

    Args:
        found: all runs.
        ages_from: run id -> when it ended, or last changed.
        images: run id -> what was kept of it, where there is any.
        away: why the engine that has kept images does not answer; empty where it does.
    """
    newest = sorted(found, key=lambda each: ages_from[each.run_id], reverse=True)
    kept_of = {each.run_id: tuple(images.get(each.run_id, ())) for each in newest}
    sizes = {each.run_id: each.size_bytes + sum(kept.size_bytes for kept in kept_of[each.run_id]) for each in newest}
    total_bytes = sum(sizes.values())
    decided: dict[str, Decided] = {}
    for position, each in reversed(list(enumerate(newest))):  # the oldest first, so that these make room
        age_s = (now - ages_from[each.run_id]).total_seconds()
        spared = _spared(each, retention, position)
        reason = None if spared else _reason(retention, age_s, total_bytes)
        held_up = bool(reason and away and each.kept)
        total_bytes -= sizes[each.run_id] if reason and not held_up else 0
        decided[each.run_id] = Decided(
            summary=each,
            goes=reason is not None and not held_up,
            held_up=held_up,
            why=_held_up(each, away) if held_up else spared or reason or _why_not(retention, age_s),
            size_bytes=sizes[each.run_id],
            images=kept_of[each.run_id],
        )
    return [decided[each.run_id] for each in newest]


def _spared(summary: RunSummary, retention: Retention, position: int) -> str | None:
    """Why it is kept whatever its age and size; None where these decide."""
    standing = summary.standing
    if standing is Standing.LIVE:
        return "it is live"
    if standing is Standing.FAILED and retention.only_succeeded:
        return "it failed, and only succeeded runs go"
    if not standing.is_over and not retention.unfinished:
        return f"it is {standing}: --unfinished gives it up"
    if position < retention.keep_last:
        return f"it is among the {retention.keep_last} newest"
    return None


def _reason(retention: Retention, age_s: float, total_bytes: int) -> str | None:
    if retention.older_than_s is not None and age_s > retention.older_than_s:
        return f"its end was more than {_days(retention.older_than_s)} ago"
    if retention.max_size_bytes is not None and total_bytes > retention.max_size_bytes:
        return f"all runs take {human_size(total_bytes)}, more than {human_size(retention.max_size_bytes)}"
    if retention.older_than_s is None and retention.max_size_bytes is None:
        return f"it is not among the {retention.keep_last} newest" if retention.keep_last else "all were asked for"
    return None


def _held_up(summary: RunSummary, away: str) -> str:
    named = ", ".join(summary.kept[:NAMED]) + (", …" if len(summary.kept) > NAMED else "")
    return f"what was kept of it ({named}) cannot be removed now: {away}"


def _why_not(retention: Retention, age_s: float) -> str:
    if retention.older_than_s is not None:
        return f"its end was {_days(max(0.0, age_s))} ago"
    return "there is room for it"


def _days(seconds: float) -> str:
    return f"{seconds / 86400:g} days" if seconds >= 86400 and seconds % 86400 == 0 else _long(seconds)


def _long(seconds: float) -> str:
    return f"{seconds / 86400:.1f} days" if seconds >= 2 * 86400 else format_duration(seconds)


class Pruner:
    """Looks at all runs of a state directory, and removes those that go.

    Args:
        owner: of the state directory.
        open_driver: opens a driver by its name, to look for what is left and for kept images.
        notice: takes sentences for a person.
    """

    def __init__(self, state_dir: StateDir, owner: str, *, open_driver: Opener, notice: Callable[[str], None]) -> None:
        self._state_dir = state_dir
        self._owner = owner
        self._open_driver = open_driver
        self._notice = notice
        self._away = ""
        """Why the engine that has kept images did not answer the survey."""

    @property
    def unknown(self) -> str:
        """What the survey could not see, as a sentence; empty where it saw all."""
        if not self._away:
            return ""
        return f"whether kept images of runs that are gone are still there is not known: {self._away}"

    async def survey(self, retention: Retention, now: datetime) -> tuple[list[Decided], list[Kept]]:
        """(what is to become of each run, kept images of runs that are gone). Changes nothing.

        Raises:
            InfrastructureError: the state directory cannot be read.
        """
        found = await to_thread.run_sync(lambda: list(summaries(self._state_dir)))
        kept = await self._images()
        images: dict[str, list[Kept]] = {}
        for image in kept:
            images.setdefault(image.run_id, []).append(image)
        ages_from = {each.run_id: each.ended_at or self._history(each.run_id).began_at() for each in found}
        decided = decide(found, retention, now, ages_from=ages_from, images=images, away=self._away)
        return decided, [image for image in kept if image.run_id not in ages_from]

    async def prune(self, decided: Iterable[Decided], stray: Iterable[Kept]) -> Pruned:
        """Remove the runs that go, images of runs that are gone already, and what earlier prunes left half done."""
        done = Pruned()
        decided = list(decided)
        for path in self._state_dir.half_removed():
            await self._delete(path.name, partial(self._state_dir.finish_removal, path), done)
        for each in decided:
            if each.goes:
                await self._remove(each, done)
            elif each.held_up:
                done.problems.append(f"run {each.summary.run_id} is kept: {each.why}")
        await self._discard(list(stray), done)
        if self.unknown and any(each.summary.driver == DOCKER for each in decided):
            done.problems.append(self.unknown)
        elif self.unknown:  # there will be none, as far as this state directory tells
            self._notice(self.unknown)
        return done

    async def _remove(self, each: Decided, done: Pruned) -> None:
        run_id = each.summary.run_id
        files = self._state_dir.run(run_id)
        try:
            with files.lock(as_its_process=False):
                if await self._has_changed(each.summary):
                    self._notice(f"run {run_id} is kept: it changed meanwhile")
                    return
                if not each.summary.standing.is_over and (left := await self._left(each.summary)):
                    done.problems.append(f"run {run_id} is kept: {left}")
                    return
                if not await self._discard(each.images, done):
                    done.problems.append(f"run {run_id} is kept, as it alone tells of them")
                    return
                if await self._delete(run_id, partial(self._state_dir.remove_run, run_id), done):
                    done.removed.append(run_id)
                    self._notice(f"removed run {run_id}: {each.why}")
        except RunLocked:
            self._notice(f"run {run_id} is kept: it is live")
        except InfrastructureError as error:
            done.problems.append(f"run {run_id}: {error.message}")

    async def _delete(self, name: str, delete: Callable[[], int], done: Pruned) -> bool:
        try:
            done.freed_bytes += await to_thread.run_sync(delete)
        except InfrastructureError as error:
            done.problems.append(f"run {name}: {error.message}")
            return False
        return True

    async def _has_changed(self, before: RunSummary) -> bool:
        """Somebody went on with it between the survey and our lock."""
        now = await to_thread.run_sync(summary_of, self._history(before.run_id))
        return (now.ended_at, now.total, now.problem) != (before.ended_at, before.total, before.problem)

    async def _left(self, summary: RunSummary) -> str:
        """What of an unfinished run is still there; an empty text for nothing."""
        if summary.standing is Standing.EMPTY:
            return ""
        scope = Scope(owner=self._owner, run_id=summary.run_id)
        try:
            async with self._open_driver(summary.driver or DOCKER) as driver, driver.watch(scope) as states:
                async for seen in states:
                    if isinstance(seen, Synced):
                        count = len(seen.present)
                        return (
                            f"{count} of its attempts are still there: `wavepool recover`, then prune" if count else ""
                        )
        except DriverUnavailable as error:
            return f"whether something of it still runs is not known: {error.message}"
        return ""

    async def _images(self) -> tuple[Kept, ...]:
        try:
            async with self._open_driver(DOCKER) as driver:
                return await driver.kept(self._owner) if isinstance(driver, SupportsKeeping) else ()
        except DriverUnavailable as error:
            self._away = error.message
            return ()

    async def _discard(self, images: Sequence[Kept], done: Pruned) -> bool:
        """Remove these; what resists is told. False where nothing answers that could remove them."""
        if not images:
            return True
        try:
            async with self._open_driver(DOCKER) as driver:
                assert isinstance(driver, SupportsKeeping)
                for image in images:
                    if problem := await driver.discard(image):
                        done.problems.append(problem)
                        continue
                    done.images.append(image.reference)
                    done.freed_bytes += image.size_bytes
                    self._notice(f"removed image {image.reference}")
        except DriverUnavailable as error:
            done.problems.append(f"kept images are left for the next prune: {error.message}")
            return False
        return True

    def _history(self, run_id: str) -> RunHistory:
        return RunHistory(self._state_dir.run(run_id))
