"""Cleaning up one wave on the simulated engine: what goes, what stays, what is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from simulated_wave import NETWORK, Steps, task

from wavepool.drivers.base import Needs
from wavepool.drivers.memory import Fault, MemoryWorld
from wavepool.engine.steps.cleanup import SPAWN_RECORD, Cleaned, Keep, Selection, cleanup_json
from wavepool.engine.steps.manifest import Entry, Manifest
from wavepool.engine.steps.spawn import needs_of
from wavepool.inputs import parse_pattern
from wavepool.model import Isolation
from wavepool.testing.faults import FaultPlan
from wavepool.testing.virtual_time import run_virtual


def batch_ids(world: MemoryWorld, names: Iterable[str] | None = None) -> set[str]:
    found = (world.named(name) for name in (names if names is not None else world.container_names()))
    return {each.spec.attempt.task_id for each in found if each is not None}


def test_wave_1_spares_wave_10_and_other_owners(tmp_path: Path) -> None:
    async def main() -> None:
        world = MemoryWorld()
        (tmp_path / "other").mkdir()
        steps, other = Steps(tmp_path, world), Steps(tmp_path / "other", world)
        await steps.spawn(task("one"), task("slow", "duration=1e9"), run_id="spawn-1")
        await steps.spawn(task("ten", wave=10), run_id="spawn-10")
        await other.spawn(task("theirs"), run_id="spawn-1")
        cleaned = await steps.cleaner(logs=tmp_path / "logs").clean(Selection(wave=1), Keep())
        assert batch_ids(world) == {"ten", "theirs"}
        assert (len(cleaned.containers), cleaned.exit_code) == (2, 0)
        assert NETWORK in world.networks

    run_virtual(main)


def test_the_shared_network_goes_with_the_last_container_and_never_under_a_live_run(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        await steps.spawn(task("a"))
        with steps.state_dir.network_lease(NETWORK):
            await steps.cleaner().clean(Selection(wave=1), Keep())
        assert NETWORK in steps.world.networks
        cleaned = await steps.cleaner().clean(Selection(wave=1), Keep())
        assert cleaned.networks == [NETWORK]
        assert not steps.world.networks

    run_virtual(main)


def test_the_network_that_a_spawn_used_is_found_by_its_record(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        await steps.spawn(task("a"))
        record = steps.state_dir.run("spawn-1").artifacts / SPAWN_RECORD
        record.write_text(json.dumps({"network": NETWORK}))
        cleaner = steps.cleaner()
        cleaner._shared_network = "another"
        await cleaner.clean(Selection(wave=1), Keep())
        assert not steps.world.networks

    run_virtual(main)


def test_networks_of_the_wave_alone_go_too_even_without_containers(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld(), isolation=Isolation.WAVE)
        await steps.spawn(task("a"), run_id="spawn-1")
        await steps.spawn(task("b", wave=2), run_id="spawn-2")
        await steps.driver.prepare(_network_of_a_dead_run(steps))
        cleaned = await steps.cleaner().clean(Selection(wave=1), Keep())
        assert len(cleaned.networks) == 2
        assert len(steps.world.networks) == 1, "wave 2's"

    run_virtual(main)


def test_live_runs_are_skipped_and_named(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        await steps.spawn(task("dead"), run_id="run-dead", detached=False)
        await steps.spawn(task("live", "duration=1e9"), task("done"), run_id="run-live", detached=False)
        with steps.state_dir.run("run-live").lock():
            planned = steps.cleaner().rehearse(await steps.cleaner().find(Selection(wave=1)), Keep())
            assert {action["run_id"] for action in planned} == {"run-dead"}
            cleaned = await steps.cleaner().clean(Selection(wave=1), Keep())
        assert batch_ids(steps.world) == {"live", "done"}
        assert cleaned.exit_code == 0
        report = cleanup_json(cleaned, wave=1, at=steps.clock.now().utc)
        assert [(each["run_id"], each["containers"]) for each in report["skipped"]] == [("run-live", 2)]  # type: ignore[attr-defined]
        assert any("run run-live is live" in line for line in steps.told)
        assert "left 1 live run alone" in str(report["summary"])

    run_virtual(main)


def test_pattern_manifest_and_run_id_narrow(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        first = await steps.spawn(task("a1"), task("a2"), task("b1"), run_id="spawn-1")
        await steps.spawn(task("a1"), run_id="spawn-2")
        by_pattern = Selection(wave=1, run_id="spawn-1", pattern=parse_pattern("cfn-wave1-a*", 1))
        cleaned = await steps.cleaner().clean(by_pattern, Keep())
        assert batch_ids(steps.world) == {"b1", "a1"}
        assert len(cleaned.containers) == 2
        stranger = Entry(container_id="cfn-wave1-a1-of-another")
        kept = Manifest(source="m", wave=1, entries=(Entry(container_id=first.started[2].handle.id), stranger))
        await steps.cleaner().clean(Selection(wave=1, manifest=kept), Keep())
        assert batch_ids(steps.world) == {"a1"}
        assert any("1 containers of m are gone, or not of our wave 1" in line for line in steps.told)
        await steps.cleaner().clean(Selection(wave=1, run_id="spawn-2"), Keep())
        assert steps.world.container_names() == []

    run_virtual(main)


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        (Keep(), {"bad", "slow"}),
        (Keep(failed=False), set()),
        (Keep(everything=True), {"good", "bad", "slow"}),
        (Keep(failed=False, everything=True), {"good", "bad", "slow"}),
    ],
)
def test_which_logs_are_kept(tmp_path: Path, keep: Keep, kept: set[str]) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        spawned = await steps.spawn(
            task("good", "stdout=good"),
            task("bad", "exit=1", "stdout=bad"),
            task("slow", "duration=1e9", "stdout=slow"),
        )
        ids = {each.handle.id: each.task.id for each in spawned.started}
        cleaned = await steps.cleaner().clean(Selection(wave=1), keep)
        logs = {ids[Path(log).stem]: Path(log) for log in cleaned.logs}
        assert set(logs) == kept
        for name, log in logs.items():
            assert (log.read_text(), log.stat().st_mode & 0o777) == (name, 0o600)
            assert log.parent == steps.state_dir.run("spawn-1").logs

    run_virtual(main)


def test_a_container_whose_log_can_not_be_kept_stays(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        await steps.spawn(task("bad", "exit=1"), task("good"))
        (tmp_path / "logs").write_text("a file where a directory is needed")
        cleaned = await steps.cleaner(logs=tmp_path / "logs").clean(Selection(wave=1), Keep())
        assert batch_ids(steps.world) == {"bad"}
        assert "its log could not be saved" in cleaned.errors[0]
        assert cleaned.exit_code == 1

    run_virtual(main)


def test_what_resists_is_reported_by_how_much_it_is(tmp_path: Path) -> None:
    async def main() -> None:
        world = MemoryWorld()
        steps = Steps(tmp_path, world)
        await steps.spawn(task("a"), task("b"), task("c"))
        world.hazards = FaultPlan.always(Fault.REMOVE_FAILS, most=99)
        cleaned = await steps.cleaner().clean(Selection(wave=1), Keep())
        assert (cleaned.exit_code, cleaned.containers, len(cleaned.errors)) == (2, [], 3)
        report = cleanup_json(cleaned, wave=1, at=steps.clock.now().utc)
        assert report["summary"] == "Removed 0 of 3 containers, 3 could not be removed"

    run_virtual(main)


@pytest.mark.parametrize(
    ("found", "failed", "code"), [(0, 0, 0), (4, 0, 0), (4, 1, 1), (4, 2, 1), (4, 3, 2), (1, 1, 2)]
)
def test_exit_codes(found: int, failed: int, code: int) -> None:
    assert Cleaned(found=found, containers_failed=failed, errors=["x"] * failed).exit_code == code


def test_nothing_to_clean_is_said(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        cleaned = await steps.cleaner().clean(Selection(wave=3), Keep())
        report = cleanup_json(cleaned, wave=3, at=steps.clock.now().utc)
        assert report["summary"] == "Nothing to clean: there are no containers of ours of wave 3"
        assert cleaned.exit_code == 0

    run_virtual(main)


def test_a_rehearsal_names_causes_and_touches_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        steps = Steps(tmp_path, MemoryWorld())
        await steps.spawn(task("bad", "exit=1"), task("slow", "duration=1e9"))
        before = steps.world.container_names()
        cleaner = steps.cleaner()
        planned = cleaner.rehearse(await cleaner.find(Selection(wave=1)), Keep())
        assert [(action["action"], action["cause"]) for action in planned] == [
            ("preserve_log", "it ended as failed"),
            ("remove_container", "ours, of wave 1"),
            ("stop_container", "it is running"),
            ("preserve_log", "it is running"),
            ("remove_container", "ours, of wave 1"),
        ]
        assert steps.world.container_names() == before
        assert steps.world.running == 1

    run_virtual(main)


def _network_of_a_dead_run(steps: Steps) -> Needs:
    return needs_of([task("x")], steps.specs("run-dead", detached=False))
