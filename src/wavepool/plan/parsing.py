"""From a plan's bytes to a `Plan`: the waves, what they promise, and all their batches."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256

from wavepool.errors import PlanError, SizeError
from wavepool.model import Task, Wave
from wavepool.plan.batches import NUMBER_MAX, BatchReader
from wavepool.plan.dependencies import check_dependencies
from wavepool.plan.documents import read_plan_document
from wavepool.plan.limits import DEFAULT_LIMITS, LimitPolicy
from wavepool.plan.misspelt import meant, near_fields
from wavepool.plan.schema import Plan, WaveSlice
from wavepool.plan.sidecars import read_services
from wavepool.plan.tiers import TierMap
from wavepool.units import GIB, TIB, human_size, parse_size

WARNINGS_MAX = 50
"""Warnings beyond this many are only counted."""

_PLAN_FIELDS = frozenset({"waves", "sidecars", "agent"})
_WAVE_FIELDS = frozenset({"wave_number", "batches", "parallelism", "batch_count", "memory_needed"})


def parse_plan(
    raw: bytes,
    *,
    source: str,
    tiers: TierMap,
    memory_override_bytes: int | None = None,
    policy: LimitPolicy = DEFAULT_LIMITS,
) -> Plan:
    """The plan that `raw` holds, checked as a whole. A plan without waves is a plan without tasks.

    Args:
        raw: the file, as in seed 000: ``.waves[]`` or ``.waves.waves[]``, with or without text around the JSON; or
            the same as YAML.
        source: its name, for messages.
        tiers: memory and files of the four tiers.
        memory_override_bytes: the limit of every task (``--memory``).
        policy: limits of batches that say nothing of their own; its `watchdog` belongs into the run's rules.

    Raises:
        PlanError: naming the path in the JSON, the value there and what was expected.
    """
    reader = BatchReader(tiers, memory_override_bytes=memory_override_bytes, policy=policy)
    # Totals in the plan were worked out without what the user says now, so then they prove nothing.
    totals_hold = memory_override_bytes is None and not tiers.overrides
    with _collector_paused():
        document = read_plan_document(raw, source)
        root, waves = _waves_of(document)
        reading = _PlanReading(root, reader, totals_hold)
        reading.read_sidecars(document)
        reading.read_agent(document)
        for position, number in sorted(_numbers(waves, root).items(), key=lambda item: item[1]):
            reading.read_wave(position, number, waves[position])
        plan = reading.finish(source, sha256(raw).hexdigest())
        check_dependencies(plan)
    return plan


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Millions of new objects, none of them garbage, none in a cycle: looking for some takes a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _PlanReading:
    """What has been read of one plan so far."""

    def __init__(self, root: str, reader: BatchReader, totals_hold: bool) -> None:
        self._root = root
        self._reader = reader
        self._totals_hold = totals_hold
        self._waves: list[Wave] = []
        self._tasks: list[Task] = []
        self._layout: list[WaveSlice] = []
        self._warnings: list[str] = []
        self._warned = 0
        self._places: dict[str, tuple[int, int]] = {}
        self._derived_keys: dict[str, str] = {}

    def read_sidecars(self, document: Mapping[str, object]) -> None:
        """The sidecars that every task gets: beside the list of waves, or at the top."""
        places = [("sidecars", document)]
        inner = document["waves"]
        if isinstance(inner, dict):
            places.append(("waves.sidecars", inner))
        for path, holder in places:
            self._warn_of_misspelt(holder, path.removesuffix("sidecars"), "the plan", _PLAN_FIELDS)
            if holder.get("sidecars") is not None:
                self._reader.give_all(read_services(holder["sidecars"], path, self._warn), path)

    def read_agent(self, document: Mapping[str, object]) -> None:
        """The agent of every batch without a command: beside the list of waves, or at the top."""
        inner = document["waves"]
        places = [("", document), *([("waves.", inner)] if isinstance(inner, dict) else [])]
        for prefix, holder in places:
            if holder.get("agent") is not None:
                try:
                    self._reader.give_agent(holder["agent"])
                except PlanError as error:
                    raise PlanError(f"{prefix}{error.path}", error.value, error.expected) from None

    def read_wave(self, position: int, number: int, wave: Mapping[str, object]) -> None:
        """Read one wave and its batches. The batches are dropped from `wave` as their tasks are made."""
        path = f"{self._root}[{position}]"
        batches = wave.get("batches")
        if not isinstance(batches, list):
            raise PlanError(f"{path}.batches", batches, "a list of batches")
        first = len(self._tasks)
        for place, batch in enumerate(batches):
            batches[place] = None  # with a million batches, JSON and tasks together would double the memory
            self._tasks.append(self._read_batch(batch, number, position, place))
        self._waves.append(Wave(number=number, parallelism=_parallelism(wave, path)))
        self._layout.append(WaveSlice(position=position, first=first, end=len(self._tasks)))
        self._warn_of_misspelt(wave, f"{path}.", f"wave {number}", _WAVE_FIELDS)
        self._check_promises(wave, path, self._tasks[first:])

    def finish(self, source: str, digest: str) -> Plan:
        """The plan, with all that was read."""
        if not self._waves:
            self._warn(f"{source} has no waves: there is nothing to do")
        if self._warned > len(self._warnings):
            self._warnings.append(f"and {self._warned - len(self._warnings)} more warnings about this plan")
        return Plan(
            source=source,
            digest=digest,
            waves=tuple(self._waves),
            tasks=tuple(self._tasks),
            layout=tuple(self._layout),
            root=self._root,
            warnings=tuple(self._warnings),
        )

    def _read_batch(self, batch: object, wave: int, position: int, place: int) -> Task:
        try:
            task = self._reader.read(batch, wave)
        except PlanError as error:
            path = f"{self._root}[{position}].batches[{place}]"
            raise PlanError(f"{path}.{error.path}" if error.path else path, error.value, error.expected) from None
        for sentence in self._reader.warnings:
            self._warn(f"{self._root}[{position}].batches[{place}].{sentence}")
        if self._places.setdefault(task.id, (position, place)) != (position, place):
            self._refuse_twice(task.id, position, place)
        # Two ids of one key would share a directory. Keys that are the id itself cannot clash, digests could.
        if task.key != task.id and self._derived_keys.setdefault(task.key, task.id) != task.id:
            self._refuse_twice(task.id, position, place)
        return task

    def _refuse_twice(self, task_id: str, position: int, place: int) -> None:
        first, at = self._places[task_id]
        raise PlanError(
            f"{self._root}[{position}].batches[{place}].batch_id",
            task_id,
            f"an id of its own: {self._root}[{first}].batches[{at}] has it already",
        )

    def _check_promises(self, wave: Mapping[str, object], path: str, tasks: list[Task]) -> None:
        if not tasks:
            self._warn(f"{path}: the wave has no batches")
        count = wave.get("batch_count")
        if count is not None and type(count) is not int:
            raise PlanError(f"{path}.batch_count", count, "a whole number")
        if count is not None and count != len(tasks):
            self._warn(f"{path}.batch_count: says {_digits(count)}, but the wave has {len(tasks)} batches")
        self._check_total(wave.get("memory_needed"), path, sum(task.limits.memory_bytes for task in tasks))

    def _check_total(self, given: object, path: str, total_bytes: int) -> None:
        if given is None:
            return
        if isinstance(given, bool) or not isinstance(given, str | int | float):
            raise PlanError(f"{path}.memory_needed", given, "a size such as 14.5GB")
        try:
            said_bytes = parse_size(given if isinstance(given, int) else str(given))
        except SizeError:
            if total_bytes:
                self._warn(f"{path}.memory_needed: {given!r:.60} is not a size")
            return
        # Totals are written with one decimal of GB or TB, and some round each batch before they add; a byte is lost
        # where the size is read back.
        allowed_bytes = max(total_bytes * 0.01, (TIB if total_bytes >= TIB else GIB) / 20 + 1)
        if self._totals_hold and abs(said_bytes - total_bytes) > allowed_bytes:
            self._warn(f"{path}.memory_needed: says {given}, but its batches add up to {human_size(total_bytes)}")

    def _warn_of_misspelt(self, holder: Mapping[str, object], prefix: str, what: str, known: frozenset[str]) -> None:
        for name, best in near_fields(holder, known):
            self._warn(f"{prefix}{name}: {meant(what, best)}")

    def _warn(self, sentence: str) -> None:
        self._warned += 1
        if self._warned <= WARNINGS_MAX:
            self._warnings.append(sentence)


def _waves_of(document: dict[str, object]) -> tuple[str, list[dict[str, object]]]:
    """The list of waves and its path."""
    root, waves = "waves", document["waves"]
    if isinstance(waves, dict) and "waves" in waves:
        root, waves = "waves.waves", waves["waves"]
    if not isinstance(waves, list):
        raise PlanError(root, waves, "a list of waves")
    for position, wave in enumerate(waves):
        if not isinstance(wave, dict):
            raise PlanError(f"{root}[{position}]", wave, "a wave as a JSON object")
    return root, waves


def _numbers(waves: list[dict[str, object]], root: str) -> dict[int, int]:
    """Position in the list -> wave number, each number once."""
    positions: dict[int, int] = {}
    for position, wave in enumerate(waves):
        path = f"{root}[{position}].wave_number"
        number = _whole(wave.get("wave_number"), path, least=0)
        if positions.setdefault(number, position) != position:
            raise PlanError(path, number, f"a number of its own: {root}[{positions[number]}] has it already")
    return {position: number for number, position in positions.items()}


def _parallelism(wave: Mapping[str, object], path: str) -> int | None:
    given = wave.get("parallelism")
    return None if given is None else _whole(given, f"{path}.parallelism", least=1)


def _whole(given: object, path: str, *, least: int) -> int:
    if type(given) is not int or not least <= given <= NUMBER_MAX:
        raise PlanError(path, given, f"a whole number from {least} to {NUMBER_MAX}")
    return given


def _digits(number: int) -> str:
    return f"{number!r:.20}"
