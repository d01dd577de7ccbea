"""Pausing, cancelling tasks and retrying over the control socket of a run in this very process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import pytest
from live_ground import FOREVER, NODES, live, until

from wavepool.core import facts
from wavepool.core.facts import Outcome
from wavepool.drivers.memory import MemoryWorld
from wavepool.engine.control import Control, OlderProcess, open_control, orders
from wavepool.engine.control.sockets import accepted, listening_on
from wavepool.engine.naming import UnknownTask
from wavepool.errors import InfrastructureError, InputError, NotNow, RunOver
from wavepool.journal.sqlite import SqliteJournal
from wavepool.statedir import StateDir

pytestmark = pytest.mark.anyio


def idle(status: dict[str, Any]) -> bool:
    return bool(status["tasks"]["active"] == 0)


async def test_a_paused_run_of_which_nothing_runs_waits_until_it_is_let_go_on(tmp_path: Path) -> None:
    async with live(tmp_path, FOREVER, ("sim",), ("sim",), parallelism=1) as run, open_control(run.files) as control:
        await until(lambda s: s["tasks"]["active"] == 1, control)
        paused = await control.pause()
        assert (paused["changed"], paused["paused"], paused["running"]) == (True, True, 1)
        assert (await control.pause())["changed"] is False
        assert (await control.cancel_tasks(["t0"]))["stopped"] == ["t0"]
        status = await until(lambda s: idle(s) and not s["memory_held_bytes"], control)
        assert (status["outcome"], status["paused"], status["tasks"]["pending"]) == (None, True, 2)
        assert status["paused_since"].endswith("Z")
        gone_on = await control.unpause()
        assert (gone_on["changed"], gone_on["paused"]) == (True, False)
        await run.ended.wait()
    assert run.report is not None
    assert run.report.outcome is Outcome.FAILED
    assert [str(s.fact.attempt) for s in run.facts() if isinstance(s.fact, facts.StartIntended)] == [
        "t0#1",
        "t1#1",
        "t2#1",
    ]


async def test_all_that_ask_at_once_are_answered_in_turn(tmp_path: Path) -> None:
    answers: list[Any] = []

    async def ask(control: Control, number: int) -> None:
        answers.append(await (control.pause() if number % 2 else control.unpause()))

    async with live(tmp_path, FOREVER, ("sim",), parallelism=1) as run:
        async with anyio.create_task_group() as group:
            for number in range(8):
                control = await group.start(_kept_open, run.files, group)
                group.start_soon(ask, control, number)
            while len(answers) < 8:
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        async with open_control(run.files) as last:
            await last.unpause()
            await last.cancel(force=True)
    told = [type(s.fact) for s in run.facts() if isinstance(s.fact, facts.RunPaused | facts.RunUnpaused)]
    assert told[::2] == [facts.RunPaused] * len(told[::2])
    assert told[1::2] == [facts.RunUnpaused] * len(told[1::2])
    assert sum(answer["changed"] for answer in answers) in (len(told), len(told) - 1)


async def _kept_open(files: Any, group: Any, *, task_status: anyio.abc.TaskStatus[Control]) -> None:
    async with open_control(files) as control:
        task_status.started(control)
        await anyio.sleep_forever()


async def test_single_tasks_end_and_the_rest_goes_on(tmp_path: Path) -> None:
    needs = {"t3": ["t2"]}
    commands = (FOREVER, FOREVER, ("sim",), ("sim",), ("sim",))
    async with (
        live(tmp_path, *commands, parallelism=2, needs=needs) as run,
        open_control(run.files) as control,
    ):
        await until(lambda s: s["tasks"]["active"] == 2, control)
        with pytest.raises(InputError, match="'t9'") as unknown:
            await control.cancel_tasks(["t0", "t9"])
        assert isinstance(unknown.value, UnknownTask)
        assert unknown.value.advice.startswith("There are 't4', ")
        found = await control.cancel_tasks(["t0", "t2", "t0"])
        assert {name: found[name] for name in ("stopped", "skipped", "dependents", "ended")} == {
            "stopped": ["t0"],
            "skipped": ["t2"],
            "dependents": ["t3"],
            "ended": [],
        }
        await until(lambda s: s["tasks"].get("success") == 1, control)  # t4, in the place of t0
        with pytest.raises(NotNow, match="task 't0' has ended already: cancelled"):
            await control.cancel_tasks(["t0"])
        assert (await control.cancel_tasks(["t4", "t1"]))["ended"] == ["t4"]
        await run.ended.wait()
    assert run.report is not None
    assert run.report.outcome is Outcome.FAILED
    assert not any(isinstance(s.fact, facts.RunStopped) for s in run.facts())


async def test_what_failed_is_tried_again_while_the_others_go_on(tmp_path: Path) -> None:
    async with (
        live(tmp_path, FOREVER, ("sim", "exit=3"), ("sim",), needs={"t2": ["t1"]}) as run,
        open_control(run.files) as control,
    ):
        await until(lambda s: s["tasks"].get("failed") == 1, control)
        with pytest.raises(InputError, match="a task that has ended; this one is active"):
            await control.retry(["t0"])
        with pytest.raises(InputError, match="its dependency 't1' did not succeed"):
            await control.retry(["t2"])
        again = await control.retry()
        assert (again["tasks"], again["waiting"], again["paused"]) == (["t1"], ["t2"], False)
        await until(lambda s: s["tasks"].get("failed") == 1 and s["tasks"]["final"] == 2, control)
        assert (await control.retry(["t1"]))["tasks"] == ["t1"]
        await until(lambda s: s["tasks"].get("failed") == 1 and s["tasks"]["final"] == 2, control)
        await control.cancel(force=False)
        for order in (control.pause(), control.retry()):
            with pytest.raises(NotNow, match="run watched is ending: it was interrupted or cancelled"):
                await order
        await control.cancel(force=True)
    assert run.report is not None
    started = [str(s.fact.attempt) for s in run.facts() if isinstance(s.fact, facts.StartIntended)]
    assert sorted(started) == ["t0#1", "t1#1", "t1#2", "t1#3"]
    entries = {each["batch_id"]: each for wave in run.report.result()["waves"] for each in wave["containers"]}
    assert len(entries["t1"]["retried_because"]) == 2


async def test_what_a_resumed_process_had_not_ahead_is_made_ready_before_it_is_tried_again(tmp_path: Path) -> None:
    images = {"t0": "other:latest"}
    commands = (("sim", "exit=3"), FOREVER, FOREVER)
    async with (
        live(tmp_path, *commands, parallelism=1, images=images) as run,
        open_control(run.files) as control,
    ):
        await until(lambda s: s["tasks"].get("failed") == 1 and s["tasks"]["active"] == 1, control)
        await control.cancel(force=True)
    world = MemoryWorld(nodes=NODES, absent_images=["other:latest"])
    async with (
        live(tmp_path, *commands, parallelism=1, images=images, world=world) as run,
        open_control(run.files) as control,
    ):
        await until(lambda s: s["tasks"]["active"] == 1, control)
        before = len(run.facts())
        with pytest.raises(InfrastructureError, match="image other:latest does not exist") as refused:
            await control.retry(["t0"])
        assert "Build it" in refused.value.advice
        assert not any(isinstance(s.fact, facts.RunReopened) for s in run.facts()[before:])
        world.absent_images = frozenset()
        assert (await control.retry(["t0"]))["tasks"] == ["t0"]
        world.absent_images = frozenset(["other:latest"])  # it is asked for once only
        assert (await control.cancel_tasks(["t0"]))["skipped"] == ["t0"]
        assert (await control.retry(["t0"]))["tasks"] == ["t0"]
        await control.cancel(force=True)


async def test_who_asks_after_its_end_hears_that_it_is_over(tmp_path: Path) -> None:
    """A follower that does not read holds the socket open for a while after the end."""
    async with (
        live(tmp_path, *[("sim",)] * 150, parallelism=100) as run,
        open_control(run.files) as sleeper,
        open_control(run.files) as control,
    ):
        await sleeper.follow()
        await until(lambda s: s["outcome"] is not None, control)
        for order in (control.pause, control.unpause, control.retry, lambda: control.cancel_tasks(["t0"])):
            with pytest.raises(RunOver, match="run watched is over: success"):
                await order()
    assert run.report is not None


async def test_a_process_of_an_older_release_is_not_asked_what_it_would_take_for_something_else(
    tmp_path: Path,
) -> None:
    files = StateDir(tmp_path).run("old")
    files.create()
    heard: list[Any] = []

    async def serve() -> None:
        client = await accepted(listening)
        try:
            while (data := await client.receive(4096)) is not None:
                heard.append(json.loads(data)["op"])
                await client.send(b'{"ok": true, "run_id": "old", "pid": 7}\n')
        finally:
            client.close()

    with listening_on(files.control, backlog=1) as listening:
        async with anyio.create_task_group() as group:
            group.start_soon(serve)
            async with open_control(files) as control:
                for order in (control.pause(), control.unpause(), control.cancel_tasks(["a"]), control.retry()):
                    with pytest.raises(OlderProcess, match="process 7, which works on run old") as error:
                        await order
                    assert "`wavepool resume old`" in error.value.advice
    assert heard == ["status"] * 4


async def test_what_is_not_taken_in_time_is_withdrawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits behind a turn whose facts a slow disk takes long to write."""
    slow = SlowJournal(monkeypatch, facts.RunPaused)
    async with live(tmp_path, FOREVER) as run:
        async with open_control(run.files) as first, open_control(run.files) as second:
            await until(lambda s: s["tasks"]["active"] == 1, first)
            async with anyio.create_task_group() as group:
                group.start_soon(first.pause)
                await slow.writing.wait()
                monkeypatch.setattr(orders, "TAKEN_S", 0.05)
                with pytest.raises(InfrastructureError, match="has not taken it within") as error:
                    await second.unpause()
                slow.go_on.set()
            assert not isinstance(error.value, RunOver)
            assert (await second.status())["paused"] is True
            await second.cancel(force=True)
        await run.ended.wait()
    assert not [each for each in run.facts() if isinstance(each.fact, facts.RunUnpaused)]


async def test_what_is_taken_is_answered_however_long_it_takes_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "TAKEN_S", 1.0)
    slow = SlowJournal(monkeypatch, facts.RunPaused)
    async with live(tmp_path, FOREVER) as run:
        async with open_control(run.files) as control, open_control(run.files) as other:
            await until(lambda s: s["tasks"]["active"] == 1, control)
            async with anyio.create_task_group() as group:

                async def let_go_on() -> None:
                    await slow.writing.wait()
                    with pytest.raises(InfrastructureError):  # so its time has passed, too: it was asked before
                        await other.pause()
                    slow.go_on.set()

                group.start_soon(let_go_on)
                assert (await control.pause())["changed"] is True
            await control.cancel(force=True)
        await run.ended.wait()


class SlowJournal:
    """A disk that does not write a fact of one kind before it may.

    Attributes:
        writing: set as soon as it should.
        go_on: to be set by the test.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: type[Any]) -> None:
        self.writing, self.go_on = anyio.Event(), anyio.Event()
        append = SqliteJournal.append

        async def slowly(journal: SqliteJournal, stamped: Any, *, durable: bool = False) -> None:
            if any(isinstance(each.fact, kind) for each in stamped):
                self.writing.set()
                await self.go_on.wait()
            await append(journal, stamped, durable=durable)

        monkeypatch.setattr(SqliteJournal, "append", slowly)
