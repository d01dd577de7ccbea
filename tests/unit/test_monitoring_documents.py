"""What is told of a run, patch by patch, is what a fresh look finds: after every fact of simulated runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import TypeAdapter

from wavepool.core.events import Now
from wavepool.core.facts import Stamped, StartIntended, TasksAdded, WaveOpened
from wavepool.engine.clock import Clock
from wavepool.engine.history.runs import Standing
from wavepool.model import AttemptId, Evidence, Limits, Resources, Task, Verdict, VerdictKind, Wave
from wavepool.monitoring.documents.runs import RunDocument, TaskEntry
from wavepool.monitoring.runs.causes import GROUPS_SHOWN, NAMED, CauseBook
from wavepool.monitoring.runs.document import RunChannel
from wavepool.monitoring.runs.folds import TaskFold
from wavepool.monitoring.runs.followed import FollowedRun
from wavepool.monitoring.usage.readings import RunUsage
from wavepool.reporting.telling import FAILURES
from wavepool.statedir import StateDir
from wavepool.testing.simulation import Simulation
from wavepool.testing.simulation.scenarios import random_scenario

DOCUMENT = TypeAdapter(RunDocument)


class TimeOf(Clock):
    """The time of the newest fact."""

    boot_id = "b"

    def __init__(self) -> None:
        self.stamped: Stamped | None = None

    def now(self) -> Now:
        assert self.stamped is not None
        return Now(self.stamped.boot_s, self.stamped.utc)


def applied(document: Any, patch: Any) -> Any:
    """RFC 7396, as its section 2 has it."""
    if not isinstance(patch, Mapping):
        return patch
    found = dict(document) if isinstance(document, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = applied(found.get(name), value)
    return found


@cache
def journal_of(seed: int) -> tuple[Stamped, ...]:
    return Simulation(random_scenario(seed)).run().journal


def channel_of(clock: Clock, place: Path, shown: int) -> RunChannel:
    run = FollowedRun(StateDir(place).run("r"), TaskFold, anyio.CapacityLimiter(1))
    run.is_live, run.standing = True, Standing.LIVE
    return RunChannel(run, RunUsage(), clock, shown=shown)


@pytest.mark.parametrize("shown", [3, 500])
@pytest.mark.parametrize("seed", [2, 3, 6, 10, 11, 12, 13, 14, 16, 17, 19])
def test_patches_lead_to_what_a_fresh_look_finds(seed: int, shown: int, tmp_path: Path) -> None:
    clock = TimeOf()
    clock.stamped = journal_of(seed)[0]
    told = channel_of(clock, tmp_path, shown)
    mirror: Any = json.loads(json.dumps(told.document()))
    for number, stamped in enumerate(journal_of(seed), start=1):
        clock.stamped = stamped
        told.run.fold.take(stamped)
        if number % (seed % 3 + 1) == 0:  # several facts between two patches too
            mirror = applied(mirror, json.loads(json.dumps(told.take_patch() or {})))
            assert mirror == told.document()
            assert len(mirror["tasks"]) == min(shown, mirror["run"]["tasks"]["total"])
            fresh = told.whole()
            assert without_time(mirror) == without_time(fresh)
            assert grouped(told) == failed(told)
    DOCUMENT.validate_python(told.document())
    DOCUMENT.validate_python(told.whole())
    again = channel_of(clock, tmp_path, shown)
    for stamped in journal_of(seed):
        again.run.fold.take(stamped)
    told.take_patch()
    assert without_time(again.whole()) == without_time(told.document())


def failed(channel: RunChannel) -> set[str]:
    fold = channel.run.fold
    return {task_id for task_id in fold.in_order() if fold.state(task_id) in FAILURES}


def grouped(channel: RunChannel) -> set[str]:
    """Those that some group has: by the group that each names, which is one that the document has, of as many."""
    fold, groups = channel.run.fold, channel.document().get("failures", {})
    by_group: dict[str, set[str]] = {}
    for task_id in fold.in_order():
        if (cause := fold.entry(task_id).get("cause")) is not None:
            by_group.setdefault(cause, set()).add(task_id)
    assert {each: len(tasks) for each, tasks in by_group.items()} == {
        each: group["count"] for each, group in groups.items()
    }
    for each, group in groups.items():
        assert {fold.key(task_id): task_id for task_id in by_group[each]}.items() >= group["first"].items()
        assert {fold.state(task_id) for task_id in by_group[each]} == {group["state"]}
    return set().union(*by_group.values())


def test_what_failed_alike_is_one_group_whatever_its_figures_and_ids(tmp_path: Path) -> None:
    book = CauseBook()

    def verdict(why: str, code: int | None = 3) -> Verdict:
        return Verdict(kind=VerdictKind.FAILED, exit_code=code, evidence=Evidence(exit_code=code, reason=why))

    for number in range(100):
        book.put(f"t{number}", verdict(f"container 0123456789ab{number:02} used {number}.5 MB"))
    book.put("other", verdict("container 0123456789ab00 used 1.5 MB", code=4))
    for number in range(GROUPS_SHOWN):
        book.put(f"alone-{number}", verdict("alone " + "x" * number))
    groups = book.largest(str.upper)
    assert len(groups) == GROUPS_SHOWN < len(book)
    first = next(iter(groups.values()))
    assert (first["count"], list(first["first"].items())) == (100, [(f"T{n}", f"t{n}") for n in range(NAMED)])
    assert first["id"] == book.of("t99") != book.of("other")
    for number in range(100):
        book.drop(f"t{number}")
    assert book.of("t99") is None
    assert first["id"] not in book.largest(str.upper)


def without_time(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "as_of"}


class Counting(TaskFold):
    """Knows how many entries were made of it."""

    made = 0

    def entry(self, task_id: str) -> TaskEntry:
        self.made += 1
        return super().entry(task_id)


def test_a_patch_costs_what_it_tells_however_many_tasks_there_are(tmp_path: Path) -> None:
    tasks = tuple(
        Task(id=f"t{n}", key=f"t{n}", wave=1, tier=1, limits=Limits(memory_bytes=1), prompt="long", env={"A": "b"})
        for n in range(3000)
    )
    clock = TimeOf()
    clock.stamped = first = journal_of(2)[0]
    run = FollowedRun(StateDir(tmp_path).run("r"), Counting, anyio.CapacityLimiter(1))
    added = TasksAdded(waves=(Wave(number=1),), tasks=tasks)
    for fact in (first.fact, added, WaveOpened(wave=1, deadline_s=None, at=first.utc)):
        run.fold.take(Stamped(first.boot_s, first.utc, fact))
    channel = RunChannel(run, RunUsage(), clock, shown=100)
    assert len(channel.document()["tasks"]) == 100
    assert channel.document()["tasks_left_out"] == 2900
    assert run.fold.made == 100
    for n, task in enumerate(tasks[2000:2150], start=1):  # from where nothing was shown
        intended = StartIntended(attempt=AttemptId(task.id, 1), node=0, held=Resources(1), at=first.utc)
        run.fold.take(Stamped(first.boot_s, first.utc, intended))
        patch = channel.take_patch()
        assert patch is not None
        # One comes and one goes, until all that are shown are under way.
        assert len(patch.get("tasks", ())) == (2 if n <= 100 else 0)
        assert len(json.dumps(patch)) < 2000
        assert run.fold.made == 100 + min(n, 100)
    assert len(channel.document()["tasks"]) == 100
    assert channel.take_patch() is None
