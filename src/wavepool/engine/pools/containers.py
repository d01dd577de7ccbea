"""One container of a pool: what it was made from, and what is known of it."""

from __future__ import annotations

from pathlib import Path

import anyio

from wavepool.drivers.base import AttemptSpec, Handle
from wavepool.drivers.parking import ReusableContainer
from wavepool.engine.pools.output import Output
from wavepool.model import Ending


class Container:
    """A container that is parked, that runs its task, or that is to be removed; or the place where one would be.

    Args:
        key: who it is in its session: the attempt's task id.
        slot_key: what its slot is called after.
        spec: as it is parked; of a cold one what it is started from, less the task.

    Attributes:
        handle: None until it exists for sure.
        ending: how it ended as the watch told it; None while it has not.
        ended: set with `ending`.
        follow: the scope of what reads its log; cancelled when it is disposed of.
        reusable: what runs tasks in it, where it is reused.
        turn: held while it runs something, where it is reused.
        claimed: it is somebody's.
        ran: a task of it is known to have begun.
        since_s: when `handle` was got, on the loop's clock.
        asked: something was asked of the engine that may have made it: it must be removed.
    """

    def __init__(self, *, key: str, slot_key: str, spec: AttemptSpec, output: Output) -> None:
        self.key = key
        self.slot_key = slot_key
        self.spec = spec
        self.output = output
        self.handle: Handle | None = None
        self.since_s = 0.0
        self.ending: Ending | None = None
        self.ended = anyio.Event()
        self.follow = anyio.CancelScope()
        self.reusable: ReusableContainer | None = None
        self.turn = anyio.Lock()
        self.claimed = False
        self.ran = False
        self.asked = False

    @property
    def workspace(self) -> Path:
        """The host's side of its /workspace."""
        return self.spec.workspace

    def handle_or_name(self, driver: str) -> Handle:
        """What finds it, also where only its name is known."""
        if self.handle is not None:
            return self.handle
        return Handle(driver=driver, id="", name=self.spec.name, attempt=self.spec.attempt)

    def exists(self, handle: Handle, now_s: float) -> None:
        """It was started, or parked."""
        self.handle, self.since_s = handle, now_s

    def end(self, ending: Ending) -> None:
        """How it ended; the first word counts."""
        if self.ending is None:
            self.ending = ending
            self.ended.set()
