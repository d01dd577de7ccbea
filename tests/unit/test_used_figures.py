"""What an ended run used is shown by whoever looks later: reports, `show`, and documents of the page."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import TypeAdapter
from typer.testing import CliRunner

from wavepool.cli import app
from wavepool.core.events import Now
from wavepool.drivers.base import Usage
from wavepool.drivers.memory import MemoryWorld
from wavepool.engine.history.runs import find_run
from wavepool.engine.usage.record import UsageRecord, read_record
from wavepool.engine.usage.series import Series, Stretch, series_of
from wavepool.model import AttemptId, Node, Resources, Rules
from wavepool.monitoring.documents.runs import RunDocument
from wavepool.monitoring.monitor import Monitor
from wavepool.monitoring.usage.readings import RunUsage
from wavepool.monitoring.usage.recorded import history_of
from wavepool.plan import TierMap, parse_plan
from wavepool.reporting.load import LoadFold
from wavepool.reporting.markdown import markdown_of
from wavepool.reporting.page import data_of
from wavepool.reporting.telling import Told
from wavepool.statedir import StateDir
from wavepool.testing.whole_runs import SimulatedRun
from wavepool.units import GIB, MIB

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    batches = [
        {"batch_id": name, "memory": "64m", "files": [], "command": ["sim", f"duration={seconds}"]}
        for name, seconds in {"short": 30, "long": 90}.items()
    ]
    document = json.dumps({"waves": [{"wave_number": 1, "batches": batches}]}).encode()
    rules = Rules(nodes=(Node(name="local", capacity=Resources(GIB)),))
    run = SimulatedRun(
        plan=parse_plan(document, source="plan", tiers=TierMap()),
        rules=rules,
        world=MemoryWorld(),
        directory=tmp_path_factory.mktemp("state"),
        records_usage=True,
    )
    assert run.process() is not None
    return run.directory


@pytest.fixture
def told(directory: Path) -> Told:
    return Told(find_run(StateDir(directory), "simulated"), Now(0.0, NOW))


def call(directory: Path, *arguments: str) -> Any:
    done = CliRunner().invoke(app, [*arguments, "--state-dir", str(directory)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_report_has_peak_and_mean_and_draws_used_beside_promised(told: Told) -> None:
    used = told.used
    assert used is not None
    assert 85 <= used["read_s"] <= 95
    assert 0 < used["memory_mean_bytes"] < used["memory_peak_bytes"] <= max(told.load["held_bytes"])
    assert told.usage_problem == ""
    assert "of memory at most" in markdown_of(told).splitlines()[4]
    data = json.loads(data_of(told))
    load = data["load"]
    assert data["used"] == used
    assert len({len(load[name]) for name in ("at", "attempts", "held_bytes", "used_bytes", "cpu_percent")}) == 1
    assert load["at"] == sorted(load["at"])
    assert max(each for each in load["used_bytes"] if each is not None) == used["memory_peak_bytes"]
    both = [at for at, attempts in zip(load["at"], load["attempts"], strict=True) if attempts == 2]
    of_both = dict(zip(load["at"], load["used_bytes"], strict=True))
    assert used["memory_peak_bytes"] in {of_both[at] for at in both}, "the highest was when both ran"
    assert [
        round(attempt["used"]["read_s"], -1) for task in data["tasks"].values() for attempt in task["attempts"].values()
    ] == [30, 90]


def test_show_tells_it_of_the_run_and_of_an_attempt(directory: Path) -> None:
    run = call(directory, "show", "simulated")
    assert "\nused " in run
    assert "of memory at most" in run
    assert "  used      " in call(directory, "show", "simulated", "short")
    document = json.loads(call(directory, "show", "simulated", "--json"))
    assert document["used"]["memory_peak_bytes"] > 0
    attempts = [entry["history"][0] for wave in document["waves"] for entry in wave["containers"]]
    assert all(attempt["used"]["memory_peak_bytes"] > 0 for attempt in attempts)


def test_what_is_not_there_is_said_and_what_is_torn_is_read_up_to_that(directory: Path, tmp_path: Path) -> None:
    whole = StateDir(directory).run("simulated")
    state = StateDir(tmp_path)
    copy = state.run("simulated")
    shutil.copytree(whole.path, copy.path, ignore=shutil.ignore_patterns("usage"))
    missing = Told(find_run(state, "simulated"), Now(0.0, NOW))
    assert (missing.used, missing.usage_problem) == (None, "nobody wrote down what it used")
    assert "used_bytes" not in missing.load
    assert "of memory" not in markdown_of(missing).lower()
    data = whole.usage.read_bytes()
    copy.usage.write_bytes(data[: len(data) // 2] + b"\n" + data[len(data) // 2 :])
    torn = Told(find_run(state, "simulated"), Now(0.0, NOW))
    assert torn.used is not None
    assert "damaged from byte" in torn.usage_problem
    assert f"Of memory and CPU used: {torn.usage_problem}." in markdown_of(torn)
    assert "usage: what it used is damaged" in call(tmp_path, "show", "simulated")


def test_the_page_of_an_ended_run_has_graphs_and_sparklines(directory: Path) -> None:
    async def scene() -> tuple[RunDocument, Any]:
        async with Monitor(directory) as monitor:
            document = await monitor.run_document("simulated")
            return document, await monitor.task("simulated", next(iter(document["tasks"])))

    document, task = anyio.run(scene)
    TypeAdapter(RunDocument).validate_python(document)
    assert "usage_problem" not in document
    assert document["used"]["memory_peak_bytes"] == max(each or 0 for each in document["usage"]["memory_bytes"])
    assert len(document["tasks"]) == 2
    for entry in document["tasks"].values():
        assert 2 <= len(entry["history"]["at"]) <= 24
        assert entry["usage"]["memory_bytes"] > 0
        assert entry["attempts"]["1"]["used"]["cpu_mean_percent"] >= 0
    assert task["history"]["at"] == sorted(task["history"]["at"])


# -- joining what was written down with what is read here --


def used(memory: int, cpu_s: float) -> Usage:
    return Usage(memory_bytes=memory, memory_limit_bytes=100, memory_peak_bytes=None, pids=3, cpu_s=cpu_s)


def recorded(*attempts: AttemptId) -> UsageRecord:
    record = UsageRecord()
    for at in range(0, 40, 4):
        record.take(["run", at, 4, 4, 10 + at, 40, 1.0, 1], 1000.0)
        for number, attempt in enumerate(attempts):
            record.take(["attempt", number, attempt.task_id, attempt.number, 200], 1000.0)
            record.take([number, at, 4, 4, 10 + at, 40, 1.0], 1000.0)
    return record


def test_what_was_written_down_comes_before_what_is_read_here() -> None:
    first, second = AttemptId("a", 1), AttemptId("a", 2)
    usage = RunUsage()
    usage.take(1030.0, {second: used(7, 1.0)})
    usage.take(1032.0, {second: used(8, 2.0)})
    usage.changed.clear()
    usage.put_recorded(recorded(second, first))
    assert list(usage.changed) == ["a"]
    history = usage.history("a")
    assert history is not None
    assert history["at"] == [1000.0, *(1004.0 + 4 * n for n in range(7)), 1030.0, 1032.0]
    assert history["memory_bytes"][-3:] == [34 * 1024, 7, 8]
    together = usage.together()
    assert together is not None
    assert together["at"] == history["at"]
    assert (usage.now("a") or {}).get("memory_bytes") == 8, "what is read here is newer"
    assert usage.history("a", 3) == {name: values[-3:] for name, values in history.items()}  # type: ignore[index]
    figures = usage.used(first)
    assert figures is not None
    assert figures["memory_peak_bytes"] == 46 * 1024


def test_of_a_task_that_nobody_reads_here_its_last_is_the_newest() -> None:
    usage = RunUsage()
    usage.put_recorded(recorded(AttemptId("a", 1), AttemptId("a", 2)))
    assert usage.now("a") == {
        "at": "1970-01-01T00:17:20.000Z",
        "memory_bytes": 46 * 1024,
        "memory_limit_bytes": 200 * 1024,
        "cpu_percent": 25.0,
    }
    assert usage.together_now() is None
    assert list(usage.tasks()) == ["a"]


def test_a_time_that_nobody_read_is_a_gap() -> None:
    assert history_of(Series(4)) == {"at": [], "memory_bytes": [], "cpu_percent": []}
    series = series_of([Stretch(10, 12, 2, 5, 10, 1), Stretch(100, 102, 2, 6, 12, 2)], 8)
    assert history_of(series) == {
        "at": [10, 12, 56, 100, 102],
        "memory_bytes": [5, 5, None, 6, 6],
        "cpu_percent": [50.0, 50.0, None, 100.0, 100.0],
    }


def test_a_night_between_two_processes_takes_no_time_of_the_graph(directory: Path) -> None:
    """On the clock of work the second process goes on where the first one stopped."""
    fold = LoadFold()
    fold._sessions = [(1000.0, 0.0), (50_000.0, 60.0)]
    used_by_both = series_of([Stretch(1010, 1020, 10, MIB, MIB, 1), Stretch(50_005, 50_010, 5, 2 * MIB, MIB, 1)], 8)
    graph = fold.graph(70.0, used=used_by_both)
    assert graph["at"] == [0.0, 10.0, 20.0, 65.0, 70.0]
    assert graph["used_bytes"] == [None, MIB, None, 2 * MIB, None]
    assert read_record(directory / "nowhere").together.whole() is None
