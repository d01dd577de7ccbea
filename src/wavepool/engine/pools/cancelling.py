"""A way to end one task of a pool from outside."""

from __future__ import annotations

from collections.abc import Callable


class Stop:
    """Given to `ContainerPool.execute`, and asked at any time, from the same event loop: then the task is stopped.

    It has its grace to end by itself, and its verdict is ``cancelled``, unless it had just ended. One that was asked
    before it was given ends a task before it begins.
    """

    def __init__(self) -> None:
        self._asked = False
        self._tell: Callable[[], None] | None = None

    def ask(self) -> None:
        """Stop it. Safe to repeat, and after its end."""
        self._asked = True
        if self._tell is not None:
            self._tell()

    def lead_to(self, tell: Callable[[], None]) -> None:
        """Have `tell` called when this is asked; at once if it was."""
        self._tell = tell
        if self._asked:
            tell()
