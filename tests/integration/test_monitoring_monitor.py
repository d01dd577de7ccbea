"""The monitor over real journals: what runs, what ran, what went away, and what cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import TypeAdapter

from wavepool.core.facts import RunOpened, RunResumed, Stamped
from wavepool.engine.history.runs import UnknownRun
from wavepool.engine.naming import UnknownTask
from wavepool.errors import InfrastructureError, JournalError
from wavepool.journal.sqlite import SqliteJournal
from wavepool.monitoring.documents.overview import Overview
from wavepool.monitoring.monitor import Monitor
from wavepool.monitoring.runs.stories import Stories
from wavepool.statedir import StateDir
from wavepool.testing.simulation import Simulation
from wavepool.testing.simulation.scenarios import random_scenario

OVERVIEW = TypeAdapter(Overview)
SEED = 6
OWNER = "o"
DEADLINE_S = 120.0


@pytest.fixture(scope="module")
def journal() -> list[Stamped]:
    return list(Simulation(random_scenario(SEED)).run().journal)


@pytest.fixture
def state_dir(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state")


async def write(state_dir: StateDir, run_id: str, facts: list[Stamped]) -> None:
    state_dir.run(run_id).create()
    async with SqliteJournal(state_dir.run(run_id).journal, owner=OWNER, run_id=run_id) as opened:
        await opened.append(facts)


def named(facts: list[Stamped], run_id: str) -> list[Stamped]:
    first = facts[0]
    assert isinstance(first.fact, RunOpened)
    return [Stamped(first.boot_s, first.utc, replace(first.fact, run_id=run_id)), *facts[1:]]


async def until(holds: Callable[[], Any]) -> None:
    with anyio.fail_after(DEADLINE_S):
        while not holds():  # noqa: ASYNC110 - files tell nobody
            await anyio.sleep(0.02)


def runs_of(monitor: Monitor) -> dict[str, Any]:
    monitor.overview.take_patch()
    return monitor.overview.document()["runs"]


def test_runs_that_are_over_are_lines_and_can_be_looked_into(state_dir: StateDir, journal: list[Stamped]) -> None:
    async def scene() -> None:
        await write(state_dir, "done", named(journal, "done"))
        async with Monitor(state_dir.path) as monitor:
            await until(lambda: "done" in runs_of(monitor))
            line = runs_of(monitor)["done"]
            assert line["state"] in ("success", "failed", "interrupted", "infrastructure")
            OVERVIEW.validate_python(monitor.overview.document())
            document = await monitor.run_document("done")
            assert document["run"] == line
            total, tasks = await monitor.tasks("done", limit=2, offset=1)
            assert total == line["tasks"]["total"]
            assert [task["place"] for task in tasks] == [1, 2]
            assert (await monitor.task("done", tasks[0]["key"]))["id"] == tasks[0]["id"]
            _, everything = await monitor.tasks("done", limit=1000)
            for wave in sorted({task["wave"] for task in everything}):
                number, of_wave = await monitor.tasks("done", wave=wave, limit=1000)
                assert number == len(of_wave)
                assert of_wave == [task for task in everything if task["wave"] == wave]
            assert await monitor.tasks("done", wave=max(task["wave"] for task in everything) + 1) == (0, [])
            with pytest.raises(UnknownTask):
                await monitor.task("done", "nonesuch")
            with pytest.raises(UnknownRun):
                await monitor.open_run("nonesuch")

    anyio.run(scene)


def test_a_run_is_followed_while_it_lives_and_after(state_dir: StateDir, journal: list[Stamped]) -> None:
    async def scene() -> None:
        files, facts = state_dir.run("r"), named(journal, "r")
        files.create()
        async with Monitor(state_dir.path) as monitor:
            with files.lock():
                async with SqliteJournal(files.journal, owner=OWNER, run_id="r") as opened:
                    await opened.append(facts[:2])
                    await until(lambda: runs_of(monitor).get("r", {}).get("state") == "live")
                    channel = await monitor.open_run("r")
                    assert channel is await monitor.open_run("r")
                    for place in range(2, len(facts), 7):
                        await opened.append(facts[place : place + 7])
                    await until(lambda: channel.run.fold.facts == len(facts))
            await until(lambda: runs_of(monitor)["r"]["state"] != "live")
            await until(lambda: channel.run.standing != "live")
            channel.take_patch()
            assert channel.document()["run"] == runs_of(monitor)["r"]
            assert channel.document()["tasks"] == (await monitor.run_document("r"))["tasks"]
            monitor.close_run("r")
            monitor.close_run("r")

    anyio.run(scene)


def test_damage_is_told_and_harms_no_other(state_dir: StateDir, journal: list[Stamped]) -> None:
    async def scene() -> None:
        for run_id in ("good", "torn", "odd"):
            facts = named(journal, run_id)
            await write(state_dir, run_id, facts if run_id != "odd" else [facts[0], *facts[9:]])
        torn = state_dir.run("torn").journal
        torn.write_bytes(torn.read_bytes()[:5000])
        async with Monitor(state_dir.path) as monitor:
            await until(lambda: len(runs_of(monitor)) == 3)
            found = runs_of(monitor)
            assert "problem" not in found["good"]
            assert found["torn"]["state"] == found["odd"]["state"] == "damaged"
            assert "damaged" in found["torn"]["problem"]
            assert "do not fit together" in found["odd"]["problem"]
            assert (await monitor.run_document("torn"))["run"]["state"] == "damaged"
            assert (await monitor.run_document("odd"))["run"]["problem"] == found["odd"]["problem"]
        stories = Stories(state_dir)
        for _ in range(2):
            with pytest.raises(JournalError, match="do not fit together"):
                await stories.run("odd")
        assert (await stories.run("good")).chronicle.tasks

    anyio.run(scene)


def test_a_run_that_was_removed_goes_away(state_dir: StateDir, journal: list[Stamped]) -> None:
    async def scene() -> None:
        for run_id in ("a", "b"):
            await write(state_dir, run_id, named(journal, run_id))
        async with Monitor(state_dir.path) as monitor:
            await until(lambda: len(runs_of(monitor)) == 2)
            channel = await monitor.open_run("a")
            state_dir.remove_run("a")
            await until(lambda: list(runs_of(monitor)) == ["b"])
            await until(lambda: "removed" in (channel.run.problem or ""))
            monitor.close_run("a")
            with pytest.raises(UnknownRun):
                await monitor.run_document("a")
            await write(state_dir, "a", named(journal[:2], "a"))
            await until(lambda: len(runs_of(monitor)) == 2)
            assert (await monitor.run_document("a"))["run"]["state"] == "unfinished"

    anyio.run(scene)


def test_a_run_that_died_goes_on_under_another_process(state_dir: StateDir) -> None:
    """Its document goes on where it was, and ends as a fresh one has it."""
    facts = next(each for each in map(died_once, (6, 11, 12, 13, 17, 19)) if each is not None)
    at = next(n for n, each in enumerate(facts) if isinstance(each.fact, RunResumed))

    async def scene() -> None:
        async with Monitor(state_dir.path) as monitor:
            with state_dir.run("r").lock():
                await write(state_dir, "r", facts[:at])
                await until(lambda: runs_of(monitor).get("r", {}).get("state") == "live")
            await until(lambda: runs_of(monitor)["r"]["state"] == "unfinished")
            assert runs_of(monitor)["r"]["resume"] == "wavepool resume r"
            channel = await monitor.open_run("r")
            with state_dir.run("r").lock():
                await write(state_dir, "r", facts[at:])
                await until(lambda: runs_of(monitor)["r"]["state"] == "live")
                await until(lambda: channel.run.fold.facts == len(facts))
            await until(lambda: channel.run.standing not in ("live", "unfinished"))
            channel.take_patch()
            whole = await monitor.run_document("r")
            assert {**channel.document(), "as_of": ""} == {**whole, "as_of": ""}

    anyio.run(scene)


def died_once(seed: int) -> list[Stamped] | None:
    facts = named(list(Simulation(random_scenario(seed)).run().journal), "r")
    return facts if any(isinstance(each.fact, RunResumed) for each in facts) else None


def test_what_a_server_of_pools_holds_is_no_run(state_dir: StateDir, journal: list[Stamped]) -> None:
    async def scene() -> None:
        session, run = state_dir.run("pool-20261120-231530-4f2a"), state_dir.run("pool-of-mine")
        with session.lock():
            await write(state_dir, run.id, named(journal, run.id))
            async with Monitor(state_dir.path) as monitor:
                await until(lambda: runs_of(monitor))
                assert list(runs_of(monitor)) == [run.id]
                assert [line["id"] for line in await monitor.runs()] == [run.id]
                assert monitor.overview.document()["figures"]["live_runs"] == 0

    anyio.run(scene)


class Away:
    name, period_s = "workspaces", 0.01

    def __init__(self, answers: Iterator[Any]) -> None:
        self._answers = answers

    async def read(self) -> dict[str, Any]:
        answer = next(self._answers, {})
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_source_that_fails_is_a_problem_until_it_answers(
    state_dir: StateDir, logged: list[Mapping[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wavepool.monitoring.monitor.BROKEN_S", 0.1)

    async def scene() -> None:
        turn = anyio.Event()
        answers: list[Any] = [InfrastructureError("the server is away", advice=""), ValueError("odd")]

        def told() -> dict[str, str]:
            monitor.overview.take_patch()
            return monitor.overview.document()["problems"]

        def endless() -> Iterator[Any]:
            while not turn.is_set():
                yield answers[0]
            while True:
                yield {"w": {"path": "w"}}

        async with Monitor(state_dir.path, sources=[Away(endless())]) as monitor:
            await until(lambda: told() == {"workspaces": "the server is away"})
            answers[0] = answers[1]
            await until(lambda: told() == {"workspaces": "ValueError: odd"})
            assert logged[0]["log_level"] == "error"
            turn.set()
            await until(lambda: told() == {})
            assert monitor.overview.document()["workspaces"] == {"w": {"path": "w"}}

    anyio.run(scene)
