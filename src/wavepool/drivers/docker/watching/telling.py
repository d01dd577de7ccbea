"""Telling what is known of one container: as an observation, once for each state.

An ending comes from the die event itself where events were seen without a gap: the daemon holds the container's lock
while it takes the network down (50 ms on a bridge, API 1.41), and `inspect` would wait for that.
"""

from __future__ import annotations

from dataclasses import replace

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from wavepool import labels
from wavepool.drivers.base import Observation, Phase, Synced
from wavepool.drivers.docker.api import DockerApi
from wavepool.drivers.docker.containers import inspect
from wavepool.drivers.docker.watching.kernel_log import KernelLog
from wavepool.drivers.docker.watching.lifetime import may_have_kept_unseen
from wavepool.drivers.docker.watching.peaks import Peaks
from wavepool.drivers.docker.watching.sightings import ORDER, OwnActs, Sighting
from wavepool.drivers.docker.watching.verdict import KILLED, UNKNOWN_CODE, Final, ending, lost, read_final
from wavepool.model import Ending

SECOND_LOOK_S = 0.2
"""Before a container is called removed by others."""
LATE_OOM_S = 0.1
"""On a busy host the event of a memory kill may come after that of the death it caused."""

Told = Observation | Synced


class Teller:
    """Turns sightings into observations. One at a time for each container; drops from `known` what is gone."""

    def __init__(
        self,
        api: DockerApi,
        own: OwnActs,
        known: dict[str, Sighting],
        out: MemoryObjectSendStream[Told],
        kernel: KernelLog,
        peaks: Peaks,
    ) -> None:
        self._api = api
        self._own = own
        self._known = known
        self._out = out
        self._kernel = kernel
        self._peaks = peaks

    async def tell(self, sighting: Sighting) -> None:
        """Tell the state that events have shown; inspect only where they do not suffice. Raises as the API does."""
        if sighting.is_unclaimed() and (sighting.phase is Phase.GONE or not sighting.unlisted):
            await self._tell_unclaimed(sighting)
        elif sighting.phase is Phase.GONE:
            await self._tell_gone(sighting)
        elif sighting.unlisted:
            sighting.unlisted = False
            await self.tell_inspected(sighting)  # what it does not find is gone
        elif sighting.phase is Phase.EXITED:
            self._hear_the_kernel(sighting)
            await self._ask_who_killed(sighting)
            ended = _ending_by_events(sighting, self._own)
            if ended is None:
                await self.tell_inspected(sighting)
            else:
                await self._send(sighting, Phase.EXITED, ended)
        else:
            await self._send(sighting, sighting.phase, None)

    async def _tell_unclaimed(self, sighting: Sighting) -> None:
        """A parked container is created and no more, even where it has ended; its removal is nobody's loss."""
        if sighting.phase is Phase.GONE:
            self._drop(sighting)
        elif not self._own.unclaimed(sighting.handle.id):
            await self._send(sighting, Phase.CREATED, None)

    async def _ask_who_killed(self, sighting: Sighting) -> None:
        """A daemon that stops ends its containers as a user would, and tells it, before it cuts the stream."""
        if sighting.kills and not sighting.in_gap and not self._own.stopped(sighting.handle.id):
            sighting.in_gap = not await self._api.takes_calls()

    async def _tell_gone(self, sighting: Sighting) -> None:
        ours = self._own.removed(sighting.handle.id)
        if not ours and await self._is_there_after_all(sighting):
            await self.tell_inspected(sighting)
            return
        if not (ours and sighting.told is Phase.EXITED):  # else the usual end: its verdict is known and we cleaned up
            by = "Wavepool before it had ended" if ours else "someone else"
            await self._send(sighting, Phase.GONE, lost(f"its container was removed by {by}"))
        self._drop(sighting)

    def _drop(self, sighting: Sighting) -> None:
        self._known.pop(sighting.handle.id, None)
        self._peaks.forget(sighting.handle.id)

    async def _is_there_after_all(self, sighting: Sighting) -> bool:
        """A second look at what others seem to have removed: seen twice under load, of containers that ran on."""
        await anyio.sleep(SECOND_LOOK_S)
        found = await inspect(self._api, sighting.handle.id)
        if found is None or found["State"]["Status"] in ("removing", "dead"):
            return False
        sighting.phase = Phase.CREATED  # what is told next is what it really is
        return True

    async def tell_inspected(self, sighting: Sighting, *, repeat: bool = False) -> None:
        """Tell the state that `inspect` shows; with `repeat` also where it was told before. Raises as the API does."""
        if _may_be_oom_yet(sighting) and self._kernel.tally(sighting.handle.id) is None:
            await anyio.sleep(LATE_OOM_S)
        found = await inspect(self._api, sighting.handle.id)
        self._hear_the_kernel(sighting)
        if sighting.is_unclaimed():
            sighting.phase = Phase.GONE if found is None else sighting.phase
            await self._tell_unclaimed(sighting)
            return
        if found is None:
            sighting.phase = Phase.GONE
            if sighting.told is not None or sighting.died is not None:
                await self._tell_gone(sighting)
            return
        final = read_final(found["State"])
        if labels.PARKED in sighting.labels:
            final = replace(final, started_at=sighting.started_at)  # by its start mark
        sighting.started_at = final.started_at or sighting.started_at  # the event's own time may differ by a little
        if final.status in ("removing", "dead") and self._own.removed(sighting.handle.id):
            return  # its destroy event follows
        if final.status == "exited" and final.exit_code == UNKNOWN_CODE and sighting.died is None:
            sighting.code_unproven = await may_have_kept_unseen(self._api, sighting.handle.id)
        ended = ending(final, sighting.witnessed(self._own))
        if final.started_at is None and sighting.handle.name in self._own.starting:
            ended = None  # a start of ours is at work on it and will say how that went
        phase = _phase(final, ended)
        if sighting.phase is not Phase.GONE:
            sighting.phase = phase  # newer than any event that led here: a start that failed may yet be repeated
        sighting.in_gap = sighting.in_gap and phase is not Phase.RUNNING
        await self._send(sighting, phase, ended, repeat=repeat)

    def _hear_the_kernel(self, sighting: Sighting) -> None:
        container_id = sighting.handle.id
        if sighting.oom_at is not None and self._kernel.spares(container_id, sighting.oom_at):
            sighting.spare()
        sighting.note_kernel(self._kernel.tally(container_id))

    async def _send(self, sighting: Sighting, phase: Phase, ended: Ending | None, *, repeat: bool = False) -> None:
        """Phases only go forward: what replayed events would tell again, or backwards, is not told."""
        before, after = ORDER[sighting.told], ORDER[phase]
        if after < before or (after == before and not repeat):
            return
        peak_bytes = self._peaks.peak_bytes(sighting.handle.id)
        if ended is not None and peak_bytes is not None:
            ended = replace(ended, evidence=replace(ended.evidence, memory_peak_bytes=peak_bytes))
        await self._out.send(
            Observation(
                handle=sighting.handle,
                run_id=sighting.run_id,
                wave=sighting.wave,
                phase=phase,
                started_at=sighting.started_at,
                ending=ended,
                labels=sighting.labels,
            )
        )
        sighting.told = phase  # after it is told: one that is cut off here is told again after the next listing


def _may_be_oom_yet(sighting: Sighting) -> bool:
    """It died with 137, and nothing has said why yet."""
    return sighting.died is not None and sighting.died[0] == KILLED and not sighting.oom_at and not sighting.kills


def _ending_by_events(sighting: Sighting, own: OwnActs) -> Ending | None:
    """The ending of one whose every event was seen; None where only `inspect` knows (137 may be a memory kill)."""
    if not sighting.complete or sighting.died is None or sighting.died[0] == KILLED:
        return None
    code, at = sighting.died
    final = Final(
        status="exited",
        exit_code=code,
        started_at=sighting.started_at,
        finished_at=at,
        oom_flag=sighting.oom_at is not None,
    )
    return ending(final, sighting.witnessed(own))


def _phase(final: Final, ended: Ending | None) -> Phase:
    if ended is not None:
        return Phase.GONE if final.status in ("removing", "dead") else Phase.EXITED
    return Phase.CREATED if final.started_at is None else Phase.RUNNING
