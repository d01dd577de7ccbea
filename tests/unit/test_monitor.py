"""Watching a spawned wave on the simulated engine; half an hour passes at once."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from simulated_wave import Steps, task

from wavepool.drivers.memory import Fault, MemoryWorld
from wavepool.engine.steps.manifest import Entry, Manifest
from wavepool.errors import InputError
from wavepool.model import AttemptId
from wavepool.testing.faults import FaultPlan
from wavepool.testing.virtual_time import run_virtual


def entries(result: dict[str, object]) -> dict[str, dict[str, object]]:
    return {str(entry["batch_id"]): entry for entry in result["containers"]}  # type: ignore[attr-defined]


def leaf(caught: pytest.ExceptionInfo[BaseExceptionGroup]) -> BaseException:
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def test_all_succeed(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        monitor = steps.monitor(steps.manifest(await steps.spawn(task("a", "duration=100"), task("b"))))
        await monitor.run(timeout_s=1800, poll_s=5)
        result = monitor.result()
        assert monitor.exit_code == 0
        assert (result["completion_status"], result["monitoring_duration"], result["wave_number"]) == (
            "complete",
            100,
            1,
        )
        assert result["metrics"] == {"total": 2, "running": 0, "exited": 2, "success": 2, "failed": 0, "timeout": 0}
        assert entries(result)["a"]["exit_status"] == "success"
        assert entries(result)["a"]["completed_at"]
        assert steps.told.count("Running: 1, Completed: 1, Failed: 0, Timeout: 0") == 19
        assert steps.told[-1] == "Running: 0, Completed: 2, Failed: 0, Timeout: 0"

    run_virtual(main)


def test_every_verdict_that_is_no_success_and_no_timeout_counts_as_failed(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        spawned = await steps.spawn(
            task("good"), task("bad", "exit=3"), task("oom", "duration=1", "memory=1g"), task("term", "kill_self")
        )
        monitor = steps.monitor(steps.manifest(spawned))
        await monitor.run(timeout_s=1800, poll_s=5)
        found = entries(monitor.result())
        assert {name: entry["verdict"] for name, entry in found.items()} == {
            "good": "success",
            "bad": "failed",
            "oom": "oom",
            "term": "failed",
        }
        assert found["bad"]["exit_code"] == 3
        assert monitor.result()["metrics"]["failed"] == 3  # type: ignore[index]
        assert monitor.exit_code == 1

    run_virtual(main)


def test_at_the_timeout_what_runs_is_stopped_and_timeout_beats_failure(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        spawned = await steps.spawn(
            task("slow", "duration=1e9", "on_term=0"),
            task("deaf", "duration=1e9", "ignore_term"),
            task("bad", "exit=1"),
        )
        monitor = steps.monitor(steps.manifest(spawned))
        await monitor.run(timeout_s=1800, poll_s=60)
        found = entries(monitor.result())
        for name in ("slow", "deaf"):
            assert (found[name]["exit_code"], found[name]["exit_status"], found[name]["status"]) == (
                124,
                "timeout",
                "exited",
            )
        assert found["deaf"]["evidence"]["exit_code"] == 137  # type: ignore[index]
        assert found["deaf"]["evidence"]["stop_reason"] == "timeout"  # type: ignore[index]
        assert monitor.result()["completion_status"] == "timeout"
        assert monitor.exit_code == 2
        assert steps.world.running == 0
        again = steps.monitor(steps.manifest(spawned))
        await again.run(timeout_s=1800, poll_s=60)
        assert entries(again.result())["slow"]["exit_code"] == 124, "a second monitor knows it too"

    run_virtual(main)


def test_a_batchs_own_timeout_is_kept(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        spawned = await steps.spawn(task("short", "duration=1e9", timeout_s=30), task("long", "duration=200"))
        monitor = steps.monitor(steps.manifest(spawned))
        await monitor.run(timeout_s=1800, poll_s=60)
        found = entries(monitor.result())
        assert (found["short"]["verdict"], found["long"]["verdict"]) == ("timeout", "success")
        assert monitor.result()["monitoring_duration"] == 200

    run_virtual(main)


def test_a_vanished_container_is_never_a_success(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        spawned = await steps.spawn(task("before"), task("during", "duration=1e9"), task("good", "duration=20"))
        handles = {each.task.id: each.handle for each in spawned.started}
        manifest = steps.manifest(spawned)
        await steps.driver.remove(handles["before"])
        monitor = steps.monitor(manifest)

        async def remove_later() -> None:
            await anyio.sleep(10)
            await steps.driver.remove(handles["during"])

        async with anyio.create_task_group() as group:
            group.start_soon(remove_later)
            await monitor.run(timeout_s=1800, poll_s=5)
        found = entries(monitor.result())
        assert (found["before"]["status"], found["before"]["exit_status"], found["before"]["verdict"]) == (
            "removed",
            "failed",
            "lost",
        )
        assert found["during"]["exit_status"] == "failed"
        assert monitor.exit_code == 1

    run_virtual(main)


def test_containers_of_others_are_refused_before_anything_is_touched(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        spawned = await steps.spawn(task("slow", "duration=1e9"))
        steps.foreign.append("cfn-wave1-foreign")
        manifest = steps.manifest(spawned)
        mixed = Manifest(
            source="mixed.json", wave=1, entries=(*manifest.entries, Entry(container_id="cfn-wave1-foreign"))
        )
        with pytest.raises(BaseExceptionGroup) as caught:
            await steps.monitor(mixed).run(timeout_s=1, poll_s=5)
        assert isinstance(leaf(caught), InputError)
        assert "cfn-wave1-foreign" in str(leaf(caught))
        assert steps.world.running == 1

    run_virtual(main)


def test_containers_of_a_run_are_the_runs_own_business(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        spawned = await steps.spawn(task("slow", "duration=1e9"), detached=False)
        entry = Entry(container_id=spawned.started[0].handle.name)
        with pytest.raises(BaseExceptionGroup) as caught:
            await steps.monitor(Manifest(source="m", wave=1, entries=(entry,))).run(timeout_s=1, poll_s=5)
        assert isinstance(leaf(caught), InputError)

    run_virtual(main)


def test_one_that_was_created_and_never_started_is_not_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        specs = steps.specs("spawn-1")
        files = steps.state_dir.run("spawn-1")
        files.create()
        made = steps.world.create(specs.build(task("a"), AttemptId("a", 1), files.slot("a", 1)))
        monitor = steps.monitor(Manifest(source="m", wave=1, entries=(Entry(container_id=made.spec.name),)))
        with anyio.fail_after(5):
            await monitor.run(timeout_s=1800, poll_s=5)
        assert entries(monitor.result())["a"]["verdict"] == "start_error"
        assert monitor.exit_code == 1

    run_virtual(main)


def test_a_stop_that_hangs_is_repeated_and_a_broken_watch_is_survived(tmp_path: Path) -> None:
    async def main() -> None:
        hazards = FaultPlan.always(Fault.STOP_HANGS, Fault.STREAM_CUT, Fault.EVENT_LATE, Fault.EVENT_DOUBLED, most=2)
        steps = Steps(tmp_path, MemoryWorld(hazards=hazards))
        spawned = await steps.spawn(task("slow", "duration=1e9"), task("ok", "duration=30"))
        monitor = steps.monitor(steps.manifest(spawned))
        await monitor.run(timeout_s=60, poll_s=5)
        found = entries(monitor.result())
        assert (found["slow"]["verdict"], found["ok"]["verdict"]) == ("timeout", "success")

    run_virtual(main)


def test_results_can_be_asked_in_the_middle(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        monitor = steps.monitor(steps.manifest(await steps.spawn(task("slow", "duration=1e9"), task("ok"))))
        with anyio.move_on_after(30):
            await monitor.run(timeout_s=1800, poll_s=5)
        result = monitor.result(ended="interrupted")
        assert result["completion_status"] == "interrupted"
        assert result["metrics"] == {"total": 2, "running": 1, "exited": 1, "success": 1, "failed": 0, "timeout": 0}
        assert entries(result)["slow"]["exit_status"] is None
        assert steps.world.running == 1, "they are not the monitor's to stop"

    run_virtual(main)


def test_logs_are_kept_for_this_user_alone(tmp_path: Path) -> None:
    async def main() -> Path:
        steps = Steps(tmp_path, MemoryWorld())
        spawned = await steps.spawn(task("a", "stdout=out%FF", "stderr=err"), task("b", "duration=9", "stdout=x"))
        monitor = steps.monitor(steps.manifest(spawned), logs=tmp_path / "logs")
        await monitor.run(timeout_s=1800, poll_s=5)
        assert entries(monitor.result())["a"]["log"] == str(tmp_path / "logs" / f"{spawned.started[0].handle.id}.log")
        return Path(str(entries(monitor.result())["a"]["log"]))

    log = run_virtual(main)
    assert (log.read_bytes(), log.stat().st_mode & 0o777) == (b"out\xfferr", 0o600)


def test_nothing_to_watch_is_a_success(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        monitor = steps.monitor(Manifest(source="m", wave=None, entries=()))
        await monitor.run(timeout_s=1, poll_s=1)
        assert monitor.exit_code == 0
        assert monitor.result()["completion_status"] == "complete"

    run_virtual(main)
