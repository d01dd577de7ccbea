"""The doctor's judgement on readings, one finding at a time."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from wavepool.drivers.base import DriverFacts
from wavepool.drivers.memory import Fault, MemoryDriver, MemoryWorld
from wavepool.engine.verbs.doctor import (
    Check,
    Doctor,
    Expectations,
    Status,
    check_api,
    check_cgroups,
    check_clock,
    check_directory,
    check_disk,
    check_memory,
    check_socket,
    check_state_dir,
)
from wavepool.host import CgroupReading, DiskReading, MemoryReading, read_cgroups, read_disk, read_memory
from wavepool.testing.faults import FaultPlan
from wavepool.testing.virtual_time import run_virtual
from wavepool.units import GIB, MIB

V1 = CgroupReading(version=1, controllers=frozenset({"memory"}), writable=True)


def facts(**changes: object) -> DriverFacts:
    given: dict[str, object] = {"driver": "docker", "version": "20.10", "execution_mode": "docker", "nodes": ()}
    return DriverFacts(**(given | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("check", "status", "words"),
    [
        (check_api({"api_version": "1.41"}), Status.OK, "1.41"),
        (check_api({"api_version": "1.51"}), Status.OK, "1.51"),
        (check_api({"api_version": "1.40"}), Status.FAIL, "20.10 or newer"),
        (check_api({"api_version": "1.9"}), Status.FAIL, "20.10 or newer"),
        (check_api({}), Status.WARN, "unknown"),
        (check_clock(facts(clock_offset_s=0.3)), Status.OK, "+0.3 s"),
        (check_clock(facts(clock_offset_s=-60.0)), Status.WARN, "NTP"),
        (check_cgroups(V1, facts()), Status.OK, "limits are enforced"),
        (check_cgroups(V1, facts(enforces_memory=False)), Status.FAIL, "cgroup_enable=memory"),
        (check_cgroups(V1, facts(details={"swap_limit": "no"})), Status.WARN, "swapaccount=1"),
        (check_cgroups(V1, None), Status.OK, "version 1"),
        (check_cgroups(CgroupReading(version=0, controllers=frozenset(), writable=False), None), Status.WARN, "Mount"),
        (check_disk(DiskReading(path=Path("/x"), total_bytes=GIB, free_bytes=100 * MIB)), Status.FAIL, "prune"),
        (check_disk(DiskReading(path=Path("/x"), total_bytes=9 * GIB, free_bytes=GIB)), Status.WARN, "df -h"),
        (check_disk(DiskReading(path=Path("/x"), total_bytes=99 * GIB, free_bytes=50 * GIB)), Status.OK, "/x"),
        (check_memory(MemoryReading(total_bytes=GIB, available_bytes=MIB, swap_bytes=0)), Status.FAIL, "free -h"),
        (check_memory(MemoryReading(total_bytes=GIB, available_bytes=GIB // 2, swap_bytes=0)), Status.WARN, "tiers"),
        (check_memory(MemoryReading(total_bytes=9 * GIB, available_bytes=8 * GIB, swap_bytes=0)), Status.OK, "8.0GB"),
        (check_socket("tcp://elsewhere:2375"), Status.OK, "tcp://elsewhere:2375"),
        (check_socket("unix:///no/such/place.sock"), Status.WARN, "systemctl start docker"),
    ],
)
def test_each_reading_has_its_status_and_what_to_do(check: Check, status: Status, words: str) -> None:
    assert check.status is status
    assert words in f"{check.seen} {check.fix}"
    assert bool(check.fix) is (status is not Status.OK)


def test_a_socket_is_told_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert check_socket(f"unix://{tmp_path}/file").status is Status.FAIL
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "sock"))
        assert check_socket(f"unix://{tmp_path}/sock").status is Status.OK


def test_directories(tmp_path: Path) -> None:
    assert check_directory(tmp_path, is_default=False).status is Status.OK
    assert check_directory(tmp_path / "none", is_default=False).status is Status.FAIL
    assert check_directory(tmp_path / "none", is_default=True).status is Status.WARN
    assert check_state_dir(tmp_path / "a" / "b").seen.endswith("can be made")
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").touch()
    assert check_state_dir(tmp_path / "file").status is Status.FAIL


def test_this_hosts_readings_are_sane(tmp_path: Path) -> None:
    memory = read_memory()
    assert 0 < memory.available_bytes <= memory.total_bytes
    assert read_disk(tmp_path / "not" / "there").path == tmp_path
    assert read_cgroups(tmp_path).version == 0
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    assert read_cgroups(tmp_path).controllers == {"cpu", "memory", "pids"}
    assert read_cgroups(tmp_path).version == 2


class Nothing:
    """A survey of an engine that has no image and no network."""

    async def has_image(self, reference: str) -> bool:
        return False

    async def network_labels(self, name: str) -> None:
        return None


@pytest.mark.parametrize(("pull", "image"), [("missing", Status.WARN), ("never", Status.FAIL)])
def test_a_whole_examination(tmp_path: Path, pull: str, image: Status) -> None:
    found = {check.name: check for check in _examined(tmp_path, MemoryWorld(), pull)}
    assert found["image"].status is image
    assert "docker pull some:image" in found["image"].fix
    assert "does not exist" in found["network"].seen
    assert found["process fallback"].status is Status.OK


def test_without_an_engine_the_host_is_examined_all_the_same(tmp_path: Path) -> None:
    world = MemoryWorld(hazards=FaultPlan.always(Fault.UNAVAILABLE, most=1))
    found = {check.name: check for check in _examined(tmp_path, world, "missing")}
    assert found["daemon"].status is Status.FAIL
    assert found["daemon"].fix == "Try again."
    assert {"memory", "cgroups", "workspace", "state directory"} <= set(found)
    assert "image" not in found


def _examined(tmp_path: Path, world: MemoryWorld, pull: str) -> list[Check]:
    async def main() -> list[Check]:
        expected = Expectations(
            owner="nobody",
            image="some:image",
            pull=pull,
            network="cfn-network",
            workspace=tmp_path,
            workspace_is_default=False,
            state_dir=tmp_path / "state",
        )
        doctor = Doctor(
            docker=MemoryDriver(world),
            process=MemoryDriver(MemoryWorld()),
            survey=Nothing(),  # type: ignore[arg-type]
            expected=expected,
            memory=read_memory(),
            cgroups=V1,
        )
        return await doctor.examine()

    return run_virtual(main)
