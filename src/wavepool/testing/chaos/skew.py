"""A wall clock that jumps, for this very process alone: the kernel has no namespace for that one.

As with `mortal`, only code that imports this can make it happen.
"""

from __future__ import annotations

import sys
import time
from datetime import timedelta

from wavepool.core.events import Now
from wavepool.engine.clock import SystemClock
from wavepool.testing.chaos.mortal import COMMAND


def skewed_command(by_s: float, *, after_s: float) -> list[str]:
    """The start of a command line that is `wavepool`, with a wall clock that jumps by `by_s` after so long."""
    arm = f"from wavepool.testing.chaos.skew import jump; jump({by_s!r}, after_s={after_s!r})"
    return [sys.executable, "-c", f"{arm}; {COMMAND}"]


def jump(by_s: float, *, after_s: float) -> None:
    """From `after_s` on, UTC is `by_s` later (or, below zero, earlier) than it is. The boot clock goes on as ever."""
    truly = SystemClock.now
    at_s = time.monotonic() + after_s

    def now(clock: SystemClock) -> Now:
        seen = truly(clock)
        return seen if time.monotonic() < at_s else Now(seen.boot_s, seen.utc + timedelta(seconds=by_s))

    setattr(SystemClock, "now", now)  # noqa: B010 - a type checker rightly minds a plain assignment
