"""What ended while nobody of its run watched, under a daemon that was restarted since. Pure.

A daemon that stops ends what runs, and a task may answer that with any exit code. Such an end is the task's own only
where the daemon certainly lived on after it. Two things tell, both by the daemon's own clock:

- Something else of the run ended later, by more than a stop of the daemon takes. Whatever stops it first ends all that
  the run has, and nothing starts more: the run's last end is no later than that stop. So the daemon may have been away
  for a night, or been restarted more than once.
- The daemon's machine was up all the time, so that the daemon was away for as long as a restart takes, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

DAEMON_AWAY = timedelta(minutes=2)
"""Between the end of what a stopping daemon ends and its next start; also more than its stop takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwatched:
    """What is known of the gap in which one of a run's containers ended.

    Attributes:
        began: when the daemon of now was started; None where it cannot say.
        last_end: when the last of the run's containers ended that ran under an earlier daemon; None where none tells.
        up_since: when the daemon's machine was started; None where that is not known to be this one.
    """

    began: datetime | None = None
    last_end: datetime | None = None
    up_since: datetime | None = None

    def ended_by_itself(self, finished_at: datetime | None) -> bool:
        """True where that is certain; False where the daemon may have ended it."""
        if finished_at is None:
            return False
        if self.last_end is not None and finished_at < self.last_end - DAEMON_AWAY:
            return True
        if self.began is None or self.up_since is None:
            return False
        return self.up_since < finished_at < self.began - DAEMON_AWAY
