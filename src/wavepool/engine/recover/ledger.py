"""Writes into the journal of a dead run what became of its attempts, while `recover` takes their containers away.

The same decisions as in a run, so that a later resume finds nothing but the truth: what had ended has its own verdict,
what still ran (or may have) is `lost`, what was never started may be started. For each attempt: `reach` first, then
stop and read its log, `settle`, then remove, `clear`; a recovery that dies in between is taken up by the next one, or
by a resume.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import anyio

from wavepool.core import decide, events
from wavepool.core.events import Event
from wavepool.core.facts import AttemptSettled, RunFinished, Stamped
from wavepool.core.state import RunState
from wavepool.drivers.base import Observation, Phase
from wavepool.drivers.start_mark import is_marked
from wavepool.engine.clock import Clock
from wavepool.engine.replay import Replayed
from wavepool.journal.base import Journal
from wavepool.model import AttemptId, AttemptPhase, Ending, Evidence, LogRecord, VerdictKind
from wavepool.statedir import RunDir

_DURABLE = (AttemptSettled, RunFinished)
_NOT_ENDED = (AttemptPhase.INTENDED, AttemptPhase.RUNNING, AttemptPhase.STOPPING)


class Ledger:
    """One dead run's journal, open for writing.

    Args:
        replayed: what it holds.
        seen: what the driver tells of the run's attempts now.
        because: why they are ended, for people; part of the verdicts' evidence.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        replayed: Replayed,
        files: RunDir,
        clock: Clock,
        seen: Mapping[AttemptId, Observation],
        because: str,
    ) -> None:
        self._journal = journal
        self._state: RunState = replayed.state
        self._replayed = replayed
        self._files = files
        self._clock = clock
        self._seen = seen
        self._because = because
        self._turn = anyio.Lock()

    async def begin(self) -> None:
        """Take the run up, and let nothing new start in it. Raises JournalError, as all that follows."""
        shift_s = self._replayed.shift_s(self._clock.boot_id, self._clock.now())
        await self._take(events.Resumed(boot_id=self._clock.boot_id, shift_s=shift_s))
        await self._take(events.Interrupted(force=False))

    async def reach(self, attempt: AttemptId) -> None:
        """Say how it ended, or that it is lost since we end it; before it is stopped."""
        live = self._state.attempt(attempt)
        if live is not None and live.phase in _NOT_ENDED:
            seen = self._seen.get(attempt)
            handle = seen.handle if seen is not None and seen.started_at is not None else None
            await self._take(events.Ended(attempt=attempt, handle=handle, ending=self._ending(attempt, seen)))

    async def settle(self, attempt: AttemptId, log: LogRecord) -> None:
        """Its log is safe."""
        await self._take(events.Archived(attempt=attempt, log=log))

    async def clear(self, attempt: AttemptId, problem: str) -> None:
        """Nothing of it is left, or `problem` says what is."""
        await self._take(events.Cleared(attempt=attempt, problem=problem or None))

    async def close(self) -> None:
        """Say of the attempts of which nothing was there what became of them, and end the run as interrupted."""
        for attempt in list(self._state.live):
            await self.reach(attempt)
            await self.settle(attempt, LogRecord(problem="nothing was left of it to read logs from"))
            await self.clear(attempt, "")
        for wave in list(self._state.open_waves()):
            # What it needs is made anew by a resume; here the run only has to come to its end.
            await self._take(events.WaveReady(wave=wave.number))
        await self._take(events.Advance())
        await self._journal.sync()

    def _ending(self, attempt: AttemptId, seen: Observation | None) -> Ending:
        if seen is not None and seen.ending is not None:
            return seen.ending
        if seen is not None and seen.phase is Phase.RUNNING:
            return _lost(f"{self._because}: it still ran, and `wavepool recover` ended it")
        if self._was_started(attempt):
            return _lost("its orchestrator died, and nothing is left of it: it may have run")
        reason = f"{self._because}: it had not been started yet"
        return Ending(kind=VerdictKind.START_ERROR, evidence=Evidence(reason=reason), transient=True)

    def _was_started(self, attempt: AttemptId) -> bool:
        live = self._state.attempt(attempt)
        seen = self._seen.get(attempt)
        if seen is not None and seen.phase is Phase.CREATED:
            return False  # the engine itself says so, whatever mark there is
        if live is not None and live.handle is not None:
            return True
        task = self._state.tasks[attempt.task_id].task
        return is_marked(self._files.slots / f"{task.key}.{attempt.number}")

    async def _take(self, event: Event) -> None:
        async with self._turn:
            now = self._clock.now()
            facts = []
            for fact in decide.decide(self._state, event, now):
                decide.apply(self._state, fact)
                facts.append(fact)
            if facts:
                stamped = [Stamped(now.boot_s, now.utc, fact) for fact in facts]
                await self._journal.append(stamped, durable=any(isinstance(fact, _DURABLE) for fact in facts))


def _lost(reason: str) -> Ending:
    return Ending(kind=VerdictKind.LOST, evidence=Evidence(reason=reason))


def attempts_of(observations: Sequence[Observation]) -> Iterator[tuple[AttemptId, Observation]]:
    """As pairs for a dict; of what is gone nothing is known."""
    for seen in observations:
        if seen.phase is not Phase.GONE:
            yield seen.handle.attempt, seen
