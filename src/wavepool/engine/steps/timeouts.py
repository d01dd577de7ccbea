"""Which spawned containers were stopped for their time: written before the stop, so that no one forgets it.

A container that was stopped looks like one that failed (137 or 143), to another monitor and to `docker inspect`.
"""

from __future__ import annotations

from wavepool.errors import InfrastructureError
from wavepool.statedir import StateDir

_DIRECTORY = "timeouts"


class TimeoutMarks:
    """One empty file for each, named by its container id, in the artifacts of the run that spawned it."""

    def __init__(self, state_dir: StateDir) -> None:
        self._state_dir = state_dir

    def note(self, run_id: str, container_id: str) -> None:
        """Keep that this container is stopped at its bound.

        Raises:
            InfrastructureError: the state directory cannot be written to.
        """
        files = self._state_dir.run(run_id)
        files.create()
        place = files.artifacts / _DIRECTORY
        try:
            place.mkdir(mode=0o700, exist_ok=True)
            (place / container_id).touch(mode=0o600)
        except OSError as error:
            raise InfrastructureError(f"cannot write {place}: {error.strerror}") from error

    def noted(self, run_id: str, container_id: str) -> bool:
        """True if it was. Creates nothing."""
        return (self._state_dir.run(run_id).artifacts / _DIRECTORY / container_id).exists()
