"""Why pending tasks of a run do not start though there may be room, in words for people."""

from __future__ import annotations

from wavepool.core.events import Now
from wavepool.listeners.progress import Progress
from wavepool.listeners.wording import count, printable, time_of


def held_back(progress: Progress, now: Now) -> list[str]:
    """One phrase for each reason, empty where nothing does it."""
    course, pending = progress.course, progress.totals.pending
    if course.paused is not None and pending and not course.is_ending and progress.run is not None:
        go_on = f"`wavepool unpause {printable(progress.run.run_id)}` lets starts go on"
        return [f"paused since {time_of(course.paused, now.utc)}, nothing new starts: {go_on}"]
    words = []
    for account, until in progress.paused_now(now).items():
        many = progress.waiting_on[account]
        pending -= many
        waiting = f", {count(many, 'task')} {'waits' if many == 1 else 'wait'}" if many else ""
        words.append(f"account {printable(account, 80)} is paused until {time_of(until, now.utc)}{waiting}")
    if pending > 0 and not course.draining and course.stopped is None:
        words += _by_pressure(progress)
    return words


def _by_pressure(progress: Progress) -> list[str]:
    starting, running = progress.totals.starting, progress.totals.running
    if progress.short_of is not None:
        if starting + running:
            return [f"starts are held back until memory eases: {printable(progress.short_of)}"]
    elif progress.busy is not None and starting >= progress.busy.allowed:
        because = printable(progress.busy.because)
        return [f"starts are held back, {progress.busy.allowed} at a time: {because}"]
    return []
