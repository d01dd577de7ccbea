"""The seed's progress callback: told of each task as it ends."""

from __future__ import annotations

from collections.abc import Callable

from wavepool.blocking.results import ExecutionResult

ProgressCallback = Callable[[int, int, ExecutionResult], object]
"""(how many have ended, of how many, the result of the last one)"""


class Progress:
    """Counts results, and tells a callback of each.

    Args:
        total: how many there will be.
        callback: whose exceptions are told to `notice`; None for nobody.
    """

    def __init__(self, total: int, callback: ProgressCallback | None, notice: Callable[[str], None]) -> None:
        self._total = total
        self._callback = callback
        self._notice = notice
        self._ended = 0

    def __call__(self, result: ExecutionResult) -> None:
        self._ended += 1
        if self._callback is None:
            return
        try:
            self._callback(self._ended, self._total, result)
        except Exception as error:  # a broken display must not end the tasks
            self._notice(f"the progress callback failed for {result.task_id!r}: {type(error).__name__}: {error}")
