"""Runs as their directories tell them: who lives, who died in the middle, and when. Looks only; all of it blocks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from wavepool.core.facts import Outcome, RunFinished, RunOpened, Stamped
from wavepool.errors import InfrastructureError, InvariantBroken, JournalError
from wavepool.journal.reading import JournalReader
from wavepool.statedir import RunDir, StateDir


class RunState(StrEnum):
    """`LIVE`: a process holds its lock. `UNFINISHED`: its process died, and the journal can be gone on with. `OVER`:
    it came to an end. `DAMAGED`: its journal cannot be read. `UNJOURNALED`: it has a directory and no journal, as
    what `wavepool spawn` started. `MISSING`: not even a directory."""

    LIVE = "live"
    UNFINISHED = "unfinished"
    OVER = "over"
    DAMAGED = "damaged"
    UNJOURNALED = "unjournaled"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLook:
    """One run.

    Attributes:
        holder: process and host of the last holder, for people.
        last_sign: the newest of its last fact and its process's last sign of life; None where neither is known.
        driver: that it began on; empty where unknown.
        facts: how many facts the journal held.
        outcome: of one that is over.
        slots: the names of its slots.
        has_socket: it has a control socket.
        problem: why its journal cannot be read.
    """

    id: str
    state: RunState
    holder: str = ""
    last_sign: datetime | None = None
    driver: str = ""
    facts: int = 0
    outcome: Outcome | None = None
    slots: tuple[str, ...] = ()
    has_socket: bool = False
    problem: str = ""


def look_at(state_dir: StateDir, run_id: str, *, held: bool = False) -> RunLook:
    """One run as it is now; the journal of one that died in the middle is read whole, as only a sound one is gone on
    with. `held`: by us, so that it counts as dead.

    Raises:
        InfrastructureError: its directory cannot be read.
    """
    try:
        files = state_dir.run(run_id)
    except InvariantBroken:  # a label that no release of ours has written
        return RunLook(id=run_id, state=RunState.MISSING)
    if not files.path.is_dir():
        return RunLook(id=run_id, state=RunState.MISSING)
    slots, has_socket = _slots(files), files.control.exists()
    if not held and files.is_live():
        return RunLook(id=run_id, state=RunState.LIVE, holder=files.holder(), slots=slots, has_socket=has_socket)
    told = _Told(files)
    return RunLook(
        id=run_id,
        state=told.state,
        holder=files.holder(),
        last_sign=told.last_sign(files),
        driver=told.driver,
        facts=told.facts,
        outcome=told.outcome,
        slots=slots,
        has_socket=has_socket,
        problem=told.problem,
    )


def last_fact(files: RunDir) -> Stamped | None:
    """The last fact of a journal, without reading the others; None for an empty one, or where there is none.

    Raises:
        JournalError: it is damaged.
    """
    reader = JournalReader(files.journal, run_id=files.id)
    if not files.journal.exists():
        return None
    # From 2 on the whole database is not checked first.
    found = deque(reader.read(max(2, reader.committed())), maxlen=1)
    if not found:  # one fact alone, or a loss of power took unsynced ones
        found = deque(reader.read(), maxlen=1)
    return found[0] if found else None


class _Told:
    """What the journal says, as far as it must be read for that."""

    def __init__(self, files: RunDir) -> None:
        self.state = RunState.UNJOURNALED
        self.driver = self.problem = ""
        self.facts = 0
        self.outcome: Outcome | None = None
        self._last: Stamped | None = None
        try:
            self._read(files)
        except JournalError as error:
            self.state, self.problem = RunState.DAMAGED, error.message

    def last_sign(self, files: RunDir) -> datetime | None:
        signs = [files.last_sign_of_life(), None if self._last is None else self._last.utc]
        return max((each for each in signs if each is not None), default=None)

    def _read(self, files: RunDir) -> None:
        if not files.journal.exists():
            return
        self._last = last_fact(files)
        if self._last is not None and isinstance(self._last.fact, RunFinished):
            self.state, self.outcome = RunState.OVER, self._last.fact.outcome
            if _slots(files):  # then it matters which engine may still have something of it
                self.driver = _driver_of(next(JournalReader(files.journal, run_id=files.id).read()))
            return
        for self._last in JournalReader(files.journal, run_id=files.id).read():
            self.facts += 1
            self.driver = self.driver or _driver_of(self._last)
        # A journal without facts began nothing: there is nothing to go on with.
        self.state = RunState.UNFINISHED if self.facts else RunState.OVER


def _driver_of(stamped: Stamped) -> str:
    return stamped.fact.driver if isinstance(stamped.fact, RunOpened) else ""


def _slots(files: RunDir) -> tuple[str, ...]:
    try:
        return tuple(sorted(each.name for each in files.slots.iterdir()))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise InfrastructureError(f"cannot read {files.slots}: {error.strerror}") from error
