"""Control groups on trees of plain files: which hierarchy is chosen, and what is written where."""

from __future__ import annotations

from pathlib import Path

import pytest

from wavepool.drivers.process.cgroups import CgroupsV1, CgroupsV2, find_cgroups, kill_writes, members, remove_groups
from wavepool.model import Limits
from wavepool.units import MIB

LIMITS = Limits(memory_bytes=64 * MIB, cpus=1.5, pids=33)


def put(directory: Path, **files: str) -> Path:
    """A group: plain files in the place of the kernel's; ``__`` stands for a dot."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name.replace("__", ".")).write_text(content)
    return directory


def v2_root(place: Path) -> Path:
    """A root whose controllers are handed down already (a plain file does not turn ``+memory`` into ``memory``)."""
    put(place, cgroup__controllers="cpu memory pids\n", cgroup__subtree_control="cpu memory pids\n")
    put(place / "wavepool", cgroup__subtree_control="cpu memory pids\n")
    return place


def v2_group(root: Path, name: str, **more: str) -> Path:
    files = {
        "memory__max": "",
        "memory__swap__max": "",
        "pids__max": "",
        "cpu__max": "",
        "cgroup__procs": "",
        "cgroup__kill": "",
    }
    return put(root / "wavepool" / name, **{**files, **more})


def v1_root(place: Path, *, memsw: bool = True) -> Path:
    put(
        place / "memory" / "wavepool" / "a", memory__limit_in_bytes="", memory__swappiness="", cgroup__procs="7\n8\n0\n"
    )
    if memsw:
        put(place / "memory" / "wavepool" / "a", memory__memsw__limit_in_bytes="")
    put(place / "pids" / "wavepool" / "a", pids__max="", pids__current="2")
    put(place / "cpu" / "wavepool" / "a", cpu__cfs_period_us="", cpu__cfs_quota_us="")
    put(place / "cpuacct" / "wavepool" / "a", cpuacct__usage="1500000000")
    return place


def test_no_hierarchy_is_no_groups(tmp_path: Path) -> None:
    assert find_cgroups(tmp_path, "/") is None
    assert find_cgroups(tmp_path / "missing", "/") is None


def test_v2_without_the_memory_controller_is_no_groups(tmp_path: Path) -> None:
    put(tmp_path, cgroup__controllers="cpu pids\n")
    assert find_cgroups(tmp_path, "/") is None


def test_v2_sets_limits_with_no_swap_beyond(tmp_path: Path) -> None:
    group = v2_group(v2_root(tmp_path), "a")
    found = find_cgroups(tmp_path, "/")
    assert isinstance(found, CgroupsV2)
    membership = found.create("a", LIMITS)
    assert (group / "memory.max").read_text() == str(64 * MIB)
    assert (group / "memory.swap.max").read_text() == "0"
    assert (group / "pids.max").read_text() == "33"
    assert (group / "cpu.max").read_text() == "150000 100000"
    assert membership.join == (str(group / "cgroup.procs"),)
    assert membership.oom == str(group / "memory.events")
    assert membership.oom_event_control is None
    assert membership.kill_writes == ((str(group / "cgroup.kill"), "1"),)


def test_v2_before_5_14_stops_forks_instead(tmp_path: Path) -> None:
    group = v2_group(v2_root(tmp_path), "a")
    (group / "cgroup.kill").unlink()
    assert kill_writes([group]) == ((str(group / "pids.max"), "0"),)


def test_v2_asks_for_controllers_that_are_not_handed_down_and_does_without_groups_if_refused(tmp_path: Path) -> None:
    put(tmp_path, cgroup__controllers="cpu memory pids\n", cgroup__subtree_control="")
    put(tmp_path / "wavepool", cgroup__subtree_control="")
    assert find_cgroups(tmp_path, "/") is None, "plain files keep what is written: memory never appears"
    assert (tmp_path / "cgroup.subtree_control").read_text().startswith("+")


def test_v2_takes_the_highest_place_that_can_be_written(tmp_path: Path) -> None:
    """As root everything can be written: the root that lacks memory is passed over, the slice below it is taken."""
    put(tmp_path, cgroup__controllers="cpu memory pids\n", cgroup__subtree_control="cpu\n")
    put(tmp_path / "wavepool", cgroup__subtree_control="cpu\n")
    v2_root(tmp_path / "user.slice")
    found = find_cgroups(tmp_path, "/user.slice/session.scope")
    assert isinstance(found, CgroupsV2)
    assert found.parents() == (tmp_path / "user.slice" / "wavepool",)


def test_v2_usage_leaves_out_inactive_file_cache(tmp_path: Path) -> None:
    v2_group(
        v2_root(tmp_path),
        "a",
        memory__current="1000\n",
        memory__stat="anon 500\ninactive_file 300\nactive_file 200\n",
        memory__peak="2000\n",
        memory__events="low 0\noom 2\noom_kill 1\noom_group_kill 0\n",
        pids__current="3\n",
        cpu__stat="usage_usec 2500000\nuser_usec 1\n",
    )
    usage = CgroupsV2(tmp_path).usage("a", 4000)
    assert usage is not None
    assert (usage.memory_bytes, usage.memory_limit_bytes, usage.memory_peak_bytes) == (700, 4000, 2000)
    assert (usage.pids, usage.cpu_s, usage.oom_kills) == (3, 2.5, 1)
    assert CgroupsV2(tmp_path).usage("b", 4000) is None


@pytest.mark.parametrize("memsw", [True, False])
def test_v1_bounds_memory_and_swap_together(tmp_path: Path, memsw: bool) -> None:
    v1_root(tmp_path, memsw=memsw)
    found = find_cgroups(tmp_path, "/")
    assert isinstance(found, CgroupsV1)
    membership = found.create("a", LIMITS)
    memory = tmp_path / "memory" / "wavepool" / "a"
    assert (memory / "memory.limit_in_bytes").read_text() == str(64 * MIB)
    if memsw:
        assert (memory / "memory.memsw.limit_in_bytes").read_text() == str(64 * MIB)
    else:
        assert (memory / "memory.swappiness").read_text() == "0"
    assert (tmp_path / "pids/wavepool/a/pids.max").read_text() == "33"
    assert (tmp_path / "cpu/wavepool/a/cpu.cfs_quota_us").read_text() == "150000"
    assert len(membership.join) == 4
    assert membership.directories[0] == str(memory), "the first one lists all processes"
    assert membership.kill_writes == ((str(tmp_path / "pids/wavepool/a/pids.max"), "0"),)


def test_v1_usage(tmp_path: Path) -> None:
    memory = v1_root(tmp_path) / "memory" / "wavepool" / "a"
    put(
        memory,
        memory__usage_in_bytes="1000\n",
        memory__stat="inactive_file 1\ntotal_inactive_file 400\n",
        memory__max_usage_in_bytes="1200\n",
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    )
    found = find_cgroups(tmp_path, "/")
    assert found is not None
    usage = found.usage("a", 5000)
    assert usage is not None
    assert (usage.memory_bytes, usage.memory_peak_bytes, usage.pids) == (600, 1200, 2)
    assert (usage.cpu_s, usage.oom_kills) == (1.5, 2)


def test_hybrid_without_memory_in_the_unified_hierarchy_is_v1(tmp_path: Path) -> None:
    put(v1_root(tmp_path) / "unified", cgroup__controllers="hugetlb\n")
    assert isinstance(find_cgroups(tmp_path, "/"), CgroupsV1)


def test_members_never_name_pid_0(tmp_path: Path) -> None:
    """The kernel shows 0 for a process of another pid namespace; to signal it would signal ourselves."""
    v1_root(tmp_path)
    assert members([tmp_path / "memory/wavepool/a"]) == {7, 8}
    assert members([tmp_path / "memory/wavepool/gone"]) == set()


def test_removing_what_is_gone_is_fine_and_what_is_in_use_is_told(tmp_path: Path) -> None:
    assert remove_groups([tmp_path / "gone"], 0.0)
    assert not remove_groups([v1_root(tmp_path) / "memory/wavepool/a"], 0.0), "plain files keep it from being empty"


def test_a_tiny_share_of_cpu_is_what_the_kernel_still_takes(tmp_path: Path) -> None:
    group = v2_group(v2_root(tmp_path), "a")
    CgroupsV2(tmp_path).create("a", Limits(memory_bytes=MIB, cpus=0.001))
    assert (group / "cpu.max").read_text() == "1000 100000"
