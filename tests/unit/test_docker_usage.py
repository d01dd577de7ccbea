"""Cgroup readings on trees that look like the kernel's, version 1 and 2."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from wavepool.drivers.base import Usage
from wavepool.drivers.docker.usage.reading import REUSED, CgroupReader, OomCounter, cgroup_version, path_of_process
from wavepool.drivers.docker.usage.stats import usage_from_stats
from wavepool.drivers.docker.watching.births import Births

ID = "ab" * 32

V1 = {
    "memory/{0}/memory.usage_in_bytes": "50000000\n",
    "memory/{0}/memory.limit_in_bytes": "67108864\n",
    "memory/{0}/memory.max_usage_in_bytes": "60000000\n",
    "memory/{0}/memory.stat": "cache 1\ninactive_file 5\ntotal_cache 9\ntotal_inactive_file 20000000\ntotal_x 1\n",
    "memory/{0}/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "pids/{0}/pids.current": "7\n",
    "cpuacct/{0}/cpuacct.usage": "1500000000\n",
}
V2 = {
    "cgroup.controllers": "cpu memory pids\n",
    "{0}/memory.current": "50000000\n",
    "{0}/memory.max": "67108864\n",
    "{0}/memory.peak": "60000000\n",
    "{0}/memory.stat": "anon 1\ninactive_anon 3\ninactive_file 20000000\nactive_file 1\n",
    "{0}/memory.events": "low 0\nhigh 0\nmax 4\noom 3\noom_kill 2\noom_group_kill 9\nsock_throttled 0\n",
    "{0}/pids.current": "7\n",
    "{0}/cpu.stat": "usage_usec 1500000\nuser_usec 1\nsystem_usec 2\n",
}
WANTED = Usage(
    memory_bytes=30_000_000,
    memory_limit_bytes=67_108_864,
    memory_peak_bytes=60_000_000,
    pids=7,
    cpu_s=1.5,
    oom_kills=2,
)


def build(root: Path, tree: Mapping[str, str], place: str) -> None:
    for name, text in tree.items():
        path = root / name.format(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize("tree", [V1, V2], ids=["v1", "v2"])
@pytest.mark.parametrize("place", [f"docker/{ID}", f"system.slice/docker-{ID}.scope"], ids=["cgroupfs", "systemd"])
def test_a_container_is_found_and_read(tmp_path: Path, tree: Mapping[str, str], place: str) -> None:
    build(tmp_path, tree, place)
    reader = CgroupReader.find(ID, root=tmp_path)
    assert reader is not None
    assert reader.read() == WANTED
    reader.close()
    reader.close()


@pytest.mark.parametrize("tree", [V1, V2], ids=["v1", "v2"])
def test_a_held_reader_sees_new_values(tmp_path: Path, tree: Mapping[str, str]) -> None:
    build(tmp_path, tree, f"docker/{ID}")
    reader = CgroupReader.find(ID, root=tmp_path)
    assert reader is not None
    for path in tmp_path.rglob("pids.current"):
        path.write_text("123\n")
    assert reader.read().pids == 123
    reader.close()


def test_old_kernels_have_neither_peak_nor_kill_counter(tmp_path: Path) -> None:
    tree = {name: text for name, text in V2.items() if not name.endswith(("memory.peak", "memory.events"))}
    build(tmp_path, tree, f"docker/{ID}")
    reader = CgroupReader.find(ID, root=tmp_path)
    assert reader is not None
    reading = reader.read()
    assert (reading.memory_peak_bytes, reading.oom_kills) == (None, None)
    reader.close()


def test_no_limit_at_all(tmp_path: Path) -> None:
    build(tmp_path, {**V2, "{0}/memory.max": "max\n"}, f"docker/{ID}")
    reader = CgroupReader.find(ID, root=tmp_path)
    assert reader is not None
    assert reader.read().memory_limit_bytes == (1 << 63) - 1
    reader.close()


def test_an_absent_container_is_none_and_leaks_nothing(tmp_path: Path) -> None:
    build(tmp_path, V2, "docker/other")
    before = len(os.listdir("/proc/self/fd"))
    assert CgroupReader.find(ID, root=tmp_path) is None
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_half_made_cgroup_leaks_nothing(tmp_path: Path) -> None:
    build(tmp_path, {name: text for name, text in V2.items() if "cpu" not in name}, f"docker/{ID}")
    (tmp_path / "cgroup.controllers").write_text("")
    before = len(os.listdir("/proc/self/fd"))
    assert CgroupReader.find(ID, root=tmp_path) is None
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_version_follows_the_memory_controller(tmp_path: Path) -> None:
    (tmp_path / "unified").mkdir()
    (tmp_path / "unified" / "cgroup.controllers").write_text("")
    assert cgroup_version(tmp_path) == 1, "a hybrid host keeps memory in version 1"
    (tmp_path / "cgroup.controllers").write_text("memory\n")
    assert cgroup_version(tmp_path) == 2


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"9:name=systemd:/x\n4:cpu,memory:/parent/docker/{ID}\n0::/\n", f"parent/docker/{ID}"),
        (f"0::/parent.slice/docker-{ID}.scope\n", f"parent.slice/docker-{ID}.scope"),
        ("0::/\n", ""),
    ],
)
def test_a_process_tells_its_cgroup(tmp_path: Path, text: str, wanted: str) -> None:
    (tmp_path / "42").mkdir()
    (tmp_path / "42" / "cgroup").write_text(text)
    assert (path_of_process(42, tmp_path) or "") == wanted
    assert path_of_process(43, tmp_path) is None


@pytest.mark.parametrize("tree", [V1, V2], ids=["v1", "v2"])
def test_kills_in_the_first_moments_are_noticed(tmp_path: Path, tree: Mapping[str, str]) -> None:
    killed: list[str] = []
    births = Births(lambda container, kills: killed.append(container), root=tmp_path)
    births.expect(ID)
    births.look()
    assert killed == [], "it has no cgroup yet"
    quiet = {name: text.replace("oom_kill 2", "oom_kill 0") for name, text in tree.items()}
    build(tmp_path, quiet, f"docker/{ID}")
    births.started(ID)
    births.look()
    assert killed == []
    build(tmp_path, tree, f"docker/{ID}")
    births.look()
    births.look()
    assert killed == [ID], "said once"
    births.forget(ID)


@pytest.mark.parametrize("tree", [V1, V2], ids=["v1", "v2"])
def test_each_rise_of_the_kill_counter_is_told(tmp_path: Path, tree: Mapping[str, str]) -> None:
    """A child's kill, and later that of the main process: the second must not be taken for the first."""
    told: list[tuple[str, int]] = []
    births = Births(lambda container, kills: told.append((container, kills)), root=tmp_path)
    births.expect(ID)
    for kills in (0, 1, 1, 3):
        now = {name: text.replace("oom_kill 2", f"oom_kill {kills}") for name, text in tree.items()}
        build(tmp_path, now, f"system.slice/docker-{ID}.scope")
        births.look()
    assert told == [(ID, 1), (ID, 3)]
    births.forget(ID)


def test_the_kill_counter_of_one_without_cgroup(tmp_path: Path) -> None:
    assert OomCounter.find(ID, root=tmp_path) is None


def test_stats_of_the_engine_say_the_same() -> None:
    stats = {
        "memory_stats": {
            "usage": 50_000_000,
            "limit": 67_108_864,
            "max_usage": 60_000_000,
            "stats": {"inactive_file": 5, "total_inactive_file": 20_000_000},
        },
        "pids_stats": {"current": 7},
        "cpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000}},
    }
    reading = usage_from_stats(stats)
    assert reading is not None
    assert (reading.memory_bytes, reading.memory_limit_bytes) == (WANTED.memory_bytes, WANTED.memory_limit_bytes)
    assert (reading.pids, reading.cpu_s) == (7, 1.5)
    assert usage_from_stats({"memory_stats": {}}) is None


def test_where_nothing_much_ran_one_file_is_read(tmp_path: Path) -> None:
    """An idle container's reading holds, for a while: then all of it is read again, for what reclaim took."""
    build(tmp_path, V1, f"docker/{ID}")
    reader = CgroupReader.find(ID, root=tmp_path)
    assert reader is not None
    assert reader.read() == WANTED
    (tmp_path / f"pids/docker/{ID}/pids.current").write_text("9\n")
    assert [reader.read().pids for _ in range(REUSED + 1)] == [7] * REUSED + [9]
    (tmp_path / f"pids/docker/{ID}/pids.current").write_text("11\n")
    (tmp_path / f"cpuacct/docker/{ID}/cpuacct.usage").write_text("1500999999\n")
    assert reader.read().pids == 9
    (tmp_path / f"cpuacct/docker/{ID}/cpuacct.usage").write_text("1501001000\n")
    assert reader.read().pids == 11, "something ran: nothing of the last reading is taken for granted"
    reader.close()
