"""`wavepool cleanup`: remove what is ours of one wave, and keep the logs that are wanted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime

import anyio

from wavepool import labels
from wavepool.drivers.base import Driver, Observation, Phase, Scope, Synced
from wavepool.engine.report import stamp
from wavepool.engine.steps.archive import LogArchive
from wavepool.engine.steps.manifest import Manifest, unmatched
from wavepool.engine.steps.survey import Survey
from wavepool.errors import DriverUnavailable, InfrastructureError, NoSuchAttempt, RunLocked, Unknown
from wavepool.inputs import NamePattern
from wavepool.model import VerdictKind
from wavepool.statedir import SPAWN_RECORD, StateDir

AT_ONCE = 10
"""Containers that are being removed together; the daemon serialises most of the work anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is to be removed: this wave, narrowed by what is not None."""

    wave: int
    run_id: str | None = None
    pattern: NamePattern | None = None
    manifest: Manifest | None = None

    @property
    def narrowed(self) -> bool:
        """True where containers of the wave may be left alone on purpose."""
        return self.pattern is not None or self.manifest is not None

    def takes(self, seen: Observation) -> bool:
        """True if this container of the wave is meant."""
        if self.pattern is not None and not self.pattern.matches(seen.handle.name):
            return False
        return self.manifest is None or any(entry.means(seen.handle) for entry in self.manifest.entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Whose logs are kept: `failed` of those that did not end in success, `everything` of all."""

    failed: bool = True
    everything: bool = False

    def wants(self, seen: Observation) -> bool:
        """True if the log of this container is to be kept. One that still runs has not succeeded."""
        if self.everything:
            return True
        return self.failed and not (seen.ending is not None and seen.ending.kind is VerdictKind.SUCCESS)


@dataclass(slots=True, kw_only=True)
class Cleaned:
    """What was done. `skipped` maps live runs to their holder and how many containers they have."""

    found: int = 0
    containers: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    failed_logs: int = 0
    volumes: int = 0
    networks: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    containers_failed: int = 0
    skipped: dict[str, tuple[str, int]] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0 all is gone, 1 some is not, 2 most is not."""
        if self.containers_failed * 2 > self.found:
            return 2
        return 1 if self.errors else 0


class Cleaner:
    """Removes containers, networks and slots of one wave.

    Args:
        owner: whose; nothing else is ever touched.
        archive: where logs go.
        grace_s: between SIGTERM and SIGKILL for what still runs.
        shared_network: the name that shared networks have by the settings.
        tell: told what is left alone, and what failed.
        detail: told each step.
    """

    def __init__(
        self,
        *,
        driver: Driver,
        owner: str,
        state_dir: StateDir,
        survey: Survey,
        archive: LogArchive,
        grace_s: float,
        shared_network: str,
        tell: Callable[[str], None],
        detail: Callable[[str], None],
    ) -> None:
        self._driver = driver
        self._owner = owner
        self._state_dir = state_dir
        self._survey = survey
        self._archive = archive
        self._grace_s = grace_s
        self._shared_network = shared_network
        self._tell = tell
        self._detail = detail
        self.cleaned = Cleaned()

    async def find(self, selection: Selection) -> list[Observation]:
        """What is there of the selection, by name; containers of live runs among it.

        Raises:
            DriverUnavailable: the engine cannot be reached.
        """
        await (
            self._driver.probe()
        )  # a watch is patient with an engine that is away; one that is not there is told at once
        scope = Scope(owner=self._owner, run_id=selection.run_id, wave=selection.wave)
        found: list[Observation] = []
        async with self._driver.watch(scope) as stream:
            async for seen in stream:
                if isinstance(seen, Synced):
                    break
                if seen.phase is not Phase.GONE:
                    found.append(seen)
        if selection.manifest is not None:
            others = unmatched(selection.manifest.entries, [seen.handle for seen in found])
            if others:
                self._tell(
                    f"{len(others)} containers of {selection.manifest.source} are gone, or not of our wave "
                    f"{selection.wave}: left alone"
                )
        return sorted((seen for seen in found if selection.takes(seen)), key=lambda seen: seen.handle.name)

    async def clean(self, selection: Selection, keep: Keep) -> Cleaned:
        """Remove it; what cannot be removed is in the result. Cancelling it leaves `cleaned` as far as it came.

        Raises:
            DriverUnavailable: the engine cannot be reached.
        """
        found = await self.find(selection)
        with ExitStack() as locks:
            free = self._lock_runs(found, await self._runs(selection, found), locks)
            ours = [seen for seen in found if seen.run_id in free]
            self.cleaned.found = len(ours)
            limiter = anyio.CapacityLimiter(AT_ONCE)
            async with anyio.create_task_group() as group:
                for seen in ours:
                    group.start_soon(self._remove, seen, keep, limiter)
            if not selection.narrowed:
                await self._remove_wave_networks(sorted(free), selection.wave)
            shared = self._shared_networks(free)
            self._drop_slots(ours)
        for name in sorted(shared):
            await self._remove_shared(name)
        return self.cleaned

    def rehearse(self, found: Sequence[Observation], keep: Keep) -> list[Mapping[str, object]]:
        """The actions of `clean`, each with its cause. Changes nothing, takes no lock."""
        planned: list[Mapping[str, object]] = []
        for seen in found:
            if self._state_dir.run(seen.run_id).is_live():
                self._skip(seen.run_id)
                continue
            planned += self._actions(seen, keep)
        return planned

    # -- which --

    async def _runs(self, selection: Selection, found: Sequence[Observation]) -> frozenset[str]:
        runs = frozenset(seen.run_id for seen in found)
        if selection.narrowed:
            return runs
        with_networks = await self._survey.runs_with_networks(self._owner, selection.wave)
        return runs | {run for run in with_networks if selection.run_id in (None, run)}

    def _lock_runs(self, found: Sequence[Observation], runs: frozenset[str], locks: ExitStack) -> frozenset[str]:
        """Hold each run that no process holds; the others are skipped and named."""
        free: set[str] = set()
        for run_id in sorted(runs):
            try:
                locks.enter_context(self._state_dir.run(run_id).lock())
            except RunLocked:
                self._skip(run_id, sum(seen.run_id == run_id for seen in found))
            else:
                free.add(run_id)
        return frozenset(free)

    def _skip(self, run_id: str, containers: int = 1) -> None:
        holder = self._state_dir.run(run_id).holder()
        _, before = self.cleaned.skipped.get(run_id, (holder, 0))
        self.cleaned.skipped[run_id] = (holder, before + containers)
        if before == 0:
            self._tell(f"run {run_id} is live (process {holder or 'unknown'}): its containers are left alone")

    def _shared_networks(self, runs: frozenset[str]) -> set[str]:
        """The network of the settings, and those that the spawns among `runs` have used."""
        names = {self._shared_network}
        for run_id in runs:
            try:
                record = json.loads((self._state_dir.run(run_id).artifacts / SPAWN_RECORD).read_bytes())
            except (OSError, ValueError):
                continue
            if isinstance(record, dict) and isinstance(record.get("network"), str):
                names.add(record["network"])
        return names

    # -- removal --

    async def _remove(self, seen: Observation, keep: Keep, limiter: anyio.CapacityLimiter) -> None:
        async with limiter:
            try:
                await self._remove_surely(seen, keep)
            except (InfrastructureError, OSError) as error:
                self._fail(f"{seen.handle.name}: {error}")

    async def _remove_surely(self, seen: Observation, keep: Keep) -> None:
        name = seen.handle.name
        if seen.ending is None:
            self._detail(f"stopping {name}")
            await self._stop(seen)
        if keep.wants(seen) and seen.started_at is not None:
            try:
                path = await self._archive.save(seen.handle, seen.run_id)
            except NoSuchAttempt:
                pass
            except (DriverUnavailable, OSError) as error:
                # Once it is removed its log is gone for ever: the user decides.
                self._fail(f"{name} is kept, as its log could not be saved: {error}")
                return
            else:
                self.cleaned.logs.append(str(path))
                self.cleaned.failed_logs += not (seen.ending is not None and seen.ending.kind is VerdictKind.SUCCESS)
                self._detail(f"log of {name}: {path}")
        removed = await self._driver.remove(seen.handle)
        self.cleaned.volumes += removed.volumes
        if removed.errors:
            self._fail("; ".join(removed.errors))
            return
        self.cleaned.containers.append(name)
        self._detail(f"removed {name}")

    async def _stop(self, seen: Observation) -> None:
        try:
            await self._driver.stop(seen.handle, self._grace_s)
        except Unknown as error:
            self._tell(f"{seen.handle.name} could not be stopped in time, it is killed: {error}")

    def _fail(self, sentence: str) -> None:
        self.cleaned.errors.append(sentence)
        self.cleaned.containers_failed += 1
        self._tell(f"error: {sentence}")

    async def _remove_wave_networks(self, runs: Sequence[str], wave: int) -> None:
        """Their locks are held and their containers are gone, so what the scope still has are networks.

        Containers that resisted resist again, and are not counted twice.
        """
        if self.cleaned.errors:
            return
        for run_id in runs:
            removed = await self._driver.remove(Scope(owner=self._owner, run_id=run_id, wave=wave))
            self.cleaned.networks += removed.networks
            self.cleaned.errors += removed.errors

    async def _remove_shared(self, name: str) -> None:
        """A network that runs share goes when it is ours, empty, and no live run is about to use it."""
        with self._state_dir.try_exclusive(name) as alone:
            if alone:
                removed = await self._driver.remove(Scope(owner=self._owner, shared_network=name))
                self.cleaned.networks += removed.networks
                self.cleaned.errors += removed.errors

    def _drop_slots(self, ours: Sequence[Observation]) -> None:
        """Slots of spawns of which nothing is left; those of runs are theirs."""
        left = {seen.handle.name for seen in ours}.difference(self.cleaned.containers)
        for run_id in {seen.run_id for seen in ours if labels.DETACHED in seen.labels}:
            kept = any(seen.handle.name in left for seen in ours if seen.run_id == run_id)
            if not kept:
                shutil.rmtree(self._state_dir.run(run_id).slots, ignore_errors=True)

    # -- words --

    def _actions(self, seen: Observation, keep: Keep) -> Iterator[Mapping[str, object]]:
        subject = {"name": seen.handle.name, "container_id": seen.handle.id, "run_id": seen.run_id}
        how = f"ended as {seen.ending.kind}" if seen.ending is not None else seen.phase.value
        if seen.ending is None:
            yield {"action": "stop_container", **subject, "cause": f"it is {how}"}
        if keep.wants(seen) and seen.started_at is not None:
            place = str(self._archive.place(seen.handle, seen.run_id))
            yield {
                "action": "preserve_log",
                **subject,
                "path": place,
                "cause": f"it is {how}" if seen.ending is None else f"it {how}",
            }
        yield {"action": "remove_container", **subject, "cause": f"ours, of wave {seen.wave}"}


def cleanup_json(cleaned: Cleaned, *, wave: int, at: datetime) -> dict[str, object]:
    """The JSON of `cleanup`: the seed's fields, then ours."""
    result: dict[str, object] = {
        "cleanup_at": stamp(at),
        "containers_removed": len(cleaned.containers),
        "logs_preserved": len(cleaned.logs),
        "volumes_cleaned": cleaned.volumes,
        "errors": cleaned.errors,
        "summary": _summary(cleaned, wave),
        "wave_number": wave,
        "networks_removed": cleaned.networks,
        "logs": sorted(cleaned.logs),
        "skipped": [
            {"run_id": run_id, "holder": holder, "containers": count}
            for run_id, (holder, count) in sorted(cleaned.skipped.items())
        ],
    }
    return result | {"interrupted": True} if cleaned.interrupted else result


def _summary(cleaned: Cleaned, wave: int) -> str:
    if not cleaned.found and not cleaned.errors:
        text = f"Nothing to clean: there are no containers of ours of wave {wave}"
    elif cleaned.containers_failed:
        text = f"Removed {len(cleaned.containers)} of {_count(cleaned.found, 'container')}"
        text += f", {cleaned.containers_failed} could not be removed"
    else:
        text = f"Successfully removed {_count(len(cleaned.containers), 'container')}"
    if cleaned.logs:
        of = "failed container" if cleaned.failed_logs == len(cleaned.logs) else "container"
        text += f", preserved logs from {_count(len(cleaned.logs), of)}"
    if cleaned.skipped:
        text += f", left {_count(len(cleaned.skipped), 'live run')} alone"
    return text


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
