"""What became of each attempt, and the removal of one: records, processes, control groups and secrets together.

Everything here blocks for a moment, and is called in worker threads.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from wavepool.drivers.base import Observation, Phase, Scope, Usage
from wavepool.drivers.boot import boot_id
from wavepool.drivers.process.cgroups import Cgroups, kill_members, remove_groups
from wavepool.drivers.process.liveness import ProcessIdentity, kill_marked
from wavepool.drivers.process.records import ExitRecord, Mark, Record, Records
from wavepool.drivers.process.slot import SecretStore
from wavepool.drivers.process.usage import Readings
from wavepool.drivers.process.verdict import ending_of
from wavepool.model import Ending, Evidence, VerdictKind

KILL_PATIENCE_S = 5.0
VANISHED = "Its supervisor vanished (it was killed, or the machine ran out of memory)."
REBOOTED = "The machine was restarted while it ran."
NEVER_STARTED = "it was stopped before it started"


class Attempts:
    """Answers for all attempts below one base directory."""

    def __init__(self, *, records: Records, cgroups: Cgroups | None, secrets: SecretStore) -> None:
        self._records = records
        self._secrets = secrets
        self._readings = Readings(records, cgroups)

    def observe(self, name: str, scope: Scope | None = None) -> Observation | None:
        """Its state now; None if it does not exist, or not in `scope`. One that lost its supervisor is settled."""
        record = self._records.read(name)
        if record is None or (scope is not None and not record.within(scope)):
            return None
        ended = self.ended(record)
        mark = self._records.mark(name)
        phase = Phase.CREATED if mark is None else Phase.RUNNING
        ending = None
        if ended is not None:
            ending = ending_of(ended)
            phase = Phase.GONE if ending.kind is VerdictKind.LOST else Phase.EXITED
        return Observation(
            handle=record.handle,
            run_id=record.run_id,
            wave=record.wave,
            phase=phase,
            started_at=None if mark is None else datetime.fromtimestamp(mark.at, UTC),
            ending=ending,
            labels=record.labels,
        )

    def ended(self, record: Record) -> ExitRecord | None:
        """How it ended, None while it has not. Leftovers of one that is lost are killed first."""
        known = self._records.exit(record.name)
        if known is not None:
            return known
        mark = self._records.mark(record.name)
        if mark is None:
            return None if record.boot_id == boot_id() else self._settle_lost(record, REBOOTED, None)
        if mark.supervisor is None:
            return self._records.settle(
                record.name, ExitRecord(setup_error=NEVER_STARTED, started_at=mark.at, finished_at=mark.at)
            )
        if mark.supervisor.is_alive():
            return None
        known = self._records.exit(record.name)  # its last act came between the two looks
        if known is None and self._records.read(record.name) is not None:
            return self._settle_lost(record, VANISHED if mark.supervisor.boot_id == boot_id() else REBOOTED, mark)
        return known

    def supervisor(self, name: str) -> ProcessIdentity | None:
        """Who supervises it; None where nobody does or did."""
        mark = self._records.mark(name)
        return None if mark is None else mark.supervisor

    def usage(self, names: Iterable[str]) -> dict[str, Usage]:
        """A reading of each that runs."""
        return self._readings.read(names)

    def clear(self, record: Record) -> str | None:
        """Delete all that is left of one that has ended; what is still there, as a sentence, or None."""
        directories = [Path(group) for group in record.cgroups]
        if directories and kill_members(directories, KILL_PATIENCE_S):
            return f"{record.name}: a process in its control group does not end; look for one in state D."
        if directories and not remove_groups(directories, KILL_PATIENCE_S):
            return f"{record.name}: its control group cannot be removed: {record.cgroups[0]}."
        try:
            self._secrets.remove(record.name)
            self._records.retire(record.name)
        except OSError as error:
            return f"{record.name}: {error}."
        return None

    def _settle_lost(self, record: Record, reason: str, mark: Mark | None) -> ExitRecord | None:
        if record.boot_id == boot_id():
            if record.cgroups:
                kill_members([Path(group) for group in record.cgroups], KILL_PATIENCE_S)
            kill_marked(record.name, KILL_PATIENCE_S)
        started_at = None if mark is None else mark.at
        return self._records.settle(
            record.name, ExitRecord(lost=reason, started_at=started_at, finished_at=time.time())
        )


def removed_while_running(last: Observation) -> Observation:
    """What a watch says of an attempt that vanished with its record before it had ended."""
    evidence = Evidence(reason="It was removed before it ended.")
    return Observation(
        handle=last.handle,
        run_id=last.run_id,
        wave=last.wave,
        phase=Phase.GONE,
        started_at=last.started_at,
        ending=Ending(kind=VerdictKind.LOST, evidence=evidence, started_at=last.started_at),
        labels=last.labels,
    )
