"""Parked containers without an engine: their create call, their start mark, what a watch makes of them."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wavepool import labels
from wavepool.drivers.base import AttemptSpec, Phase
from wavepool.drivers.docker.parking.claim_mark import UNTOUCHED, claimed_at, clear, is_laid_out, keep, lay_out
from wavepool.drivers.docker.parking.claiming import resources
from wavepool.drivers.docker.parking.parker import check_parkable, parked_body
from wavepool.drivers.docker.parking.script import MARK_FILE
from wavepool.drivers.docker.starting.spec import create_body
from wavepool.drivers.docker.watching.sightings import Sighting, sight
from wavepool.errors import CannotPark
from wavepool.model import AttemptId, Limits
from wavepool.units import MIB

ME = f"{os.getuid()}:{os.getgid()}"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def spec(tmp_path: Path) -> AttemptSpec:
    return AttemptSpec(
        attempt=AttemptId("t", 1),
        owner="own",
        run_id="run",
        wave=1,
        name="cfn-wave1-t",
        image="img",
        command=("sh", "-c", "true"),
        env={"A": "b"},
        prompt="",
        limits=Limits(memory_bytes=64 * MIB),
        workspace=tmp_path,
        slot=tmp_path,
        user="1000:1001",
        read_only=True,
        tmpfs={"/tmp": MIB},
    )


def bodies(spec: AttemptSpec) -> tuple[dict[str, object], dict[str, object]]:
    cold = create_body(spec, prompt_dir=spec.slot / "prompt", secrets_dir=None)
    return cold, parked_body(spec, cold)


def test_parking_changes_as_little_of_a_cold_start_as_it_needs(spec: AttemptSpec) -> None:
    cold, parked = bodies(spec)
    assert {key for key in {*cold, *parked} if cold.get(key) != parked.get(key)} == {
        "Entrypoint",
        "Cmd",
        "AttachStdin",
        "OpenStdin",
        "StdinOnce",
        "Labels",
        "HostConfig",
    }
    before, after = cold["HostConfig"], parked["HostConfig"]
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert [key for key in after if after[key] != before.get(key)] == ["Mounts"]
    assert after["Mounts"][:-1] == before["Mounts"]
    assert after["Mounts"][-1]["Target"] == "/run/wavepool-slot"
    assert after["ReadonlyRootfs"] is True
    assert after["Tmpfs"]["/tmp"].startswith(f"rw,exec,nosuid,nodev,mode=1777,size={MIB}")
    assert parked["Labels"] == {**cold["Labels"], labels.PARKED: "bound", labels.SLOT: str(spec.slot)}  # type: ignore[dict-item]


@pytest.mark.parametrize(("user", "whose"), [("1000:1001", "uid=1000,gid=1001,mode=0700"), ("swarm", "mode=0777")])
def test_a_late_one_has_a_place_for_secrets_that_its_user_may_write_to(
    spec: AttemptSpec, user: str, whose: str
) -> None:
    _, parked = bodies(replace(spec, late=True, command=None, user=user))
    config = parked["HostConfig"]
    assert isinstance(config, dict)
    options = config["Tmpfs"]["/run/secrets"].split(",")
    assert options[:4] == ["rw", "noexec", "nosuid", "nodev"]
    assert ",".join(options[5:]) == whose
    assert "/tmp" in config["Tmpfs"]


def test_a_late_one_that_is_told_already_what_to_run_cannot_be_parked(spec: AttemptSpec) -> None:
    check_parkable(spec)
    with pytest.raises(CannotPark):
        check_parkable(replace(spec, late=True))
    with pytest.raises(CannotPark):
        check_parkable(replace(spec, late=True, command=None, secrets={"a": b""}))


def test_a_mark_is_seen_and_its_time_is_that_of_the_task(tmp_path: Path) -> None:
    assert claimed_at(tmp_path) is None
    directory = lay_out(tmp_path, ME)
    assert claimed_at(tmp_path) is None
    (directory / MARK_FILE).write_text("t#1")
    os.utime(directory / MARK_FILE, (NOW.timestamp(), NOW.timestamp()))
    assert claimed_at(tmp_path) == NOW
    keep(tmp_path, NOW)
    (directory / MARK_FILE).unlink()
    assert claimed_at(tmp_path) == NOW, "what was seen stays seen"


def test_a_mark_that_was_taken_away_counts_as_one(tmp_path: Path) -> None:
    directory = lay_out(tmp_path, ME)
    before = directory.stat()
    while directory.stat().st_ctime_ns == before.st_ctime_ns:  # until the kernel's clock of files has moved on
        (directory / MARK_FILE).touch()
        (directory / MARK_FILE).unlink()
    os.utime(directory, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a task may do that covers its tracks
    assert directory.stat().st_mtime_ns == before.st_mtime_ns
    assert claimed_at(tmp_path) is not None


def test_a_slot_that_is_cleared_can_be_laid_out_anew(tmp_path: Path) -> None:
    lay_out(tmp_path, ME)
    clear(tmp_path)
    clear(tmp_path)
    assert claimed_at(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    lay_out(tmp_path, ME)
    assert claimed_at(tmp_path) is None


def test_without_its_evidence_a_slot_proves_nothing(tmp_path: Path) -> None:
    assert not is_laid_out(tmp_path)
    directory = lay_out(tmp_path, ME)
    assert is_laid_out(tmp_path)
    (tmp_path / UNTOUCHED).write_text("garbage")
    assert not is_laid_out(tmp_path)
    lay_out(tmp_path, ME)
    directory.rmdir()
    assert not is_laid_out(tmp_path)


def test_evidence_of_an_earlier_container_is_not_laid_over(tmp_path: Path) -> None:
    directory = lay_out(tmp_path, ME)
    before = directory.stat()
    while directory.stat().st_ctime_ns == before.st_ctime_ns:
        (directory / MARK_FILE).touch()
        (directory / MARK_FILE).unlink()
    lay_out(tmp_path, ME)
    assert claimed_at(tmp_path) is not None, "it took its mark away"


def test_a_mark_that_is_no_mark_is_none(tmp_path: Path) -> None:
    directory = lay_out(tmp_path, ME)
    (tmp_path / "claimed-at").write_text("garbage")
    assert claimed_at(tmp_path) is None
    (directory / MARK_FILE).symlink_to("/no/such/file")
    assert claimed_at(tmp_path) is not None, "a link that a task left is not followed"


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        (Limits(memory_bytes=MIB), Limits(memory_bytes=MIB, lifetime_s=5.0), {}),
        (
            Limits(memory_bytes=MIB, cpus=1.0),
            Limits(memory_bytes=2 * MIB, cpus=1.0),
            dict.fromkeys(("Memory", "MemorySwap", "MemoryReservation"), 2 * MIB),
        ),
        (Limits(memory_bytes=MIB, pids=5), Limits(memory_bytes=MIB), {"PidsLimit": -1}),
        (Limits(memory_bytes=MIB), Limits(memory_bytes=MIB, cpus=0.5), {"NanoCpus": 500_000_000}),
    ],
)
def test_only_what_differs_is_resized(before: Limits, after: Limits, changes: dict[str, int]) -> None:
    assert resources(before, after) == changes


def parked(slot: Path) -> Sighting:
    found = {labels.OWNER: "o", labels.RUN: "r", labels.WAVE: "1", labels.TASK: "t", labels.ATTEMPT: "1"}
    seen = sight("id", "name", {**found, labels.PARKED: "late", labels.SLOT: str(slot)})
    assert seen is not None
    return seen


def test_a_watch_takes_a_parked_container_for_created_until_its_mark_is_there(tmp_path: Path) -> None:
    directory = lay_out(tmp_path, ME)
    seen = parked(tmp_path)
    seen.apply("start", {}, NOW)
    assert seen.is_unclaimed()
    assert (seen.phase, seen.started_at, seen.complete) == (Phase.CREATED, None, True)
    (directory / MARK_FILE).touch()
    assert not seen.is_unclaimed()
    assert seen.phase is Phase.RUNNING
    assert seen.started_at == claimed_at(tmp_path)
    seen.apply("die", {"exitCode": "3"}, NOW + timedelta(seconds=1))
    assert not seen.is_unclaimed()
    assert seen.phase is Phase.EXITED


def test_one_that_died_unclaimed_stays_unclaimed(tmp_path: Path) -> None:
    lay_out(tmp_path, ME)
    seen = parked(tmp_path)
    seen.apply("start", {}, NOW)
    seen.apply("die", {"exitCode": "0"}, NOW)
    assert seen.is_unclaimed()
