"""Limits that reach the kernel, and what the watchdog does about the soft ones, on both drivers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from wavepool_cli import World, batch, docker, plan_of, wave

from wavepool import labels
from wavepool.drivers.docker.usage.reading import cgroup_version
from wavepool.drivers.process.cgroups import find_cgroups, own_v2_path

PLAN = Path(__file__).parents[2] / "examples" / "limits-plan.json"
MIB = 1 << 20
CGROUPS = Path("/sys/fs/cgroup")


@pytest.fixture
def done(world: World) -> Any:
    return world.run(PLAN, "--keep-going", "--parallel", "10", env={"WAVEPOOL_GRACE": "1"})


def test_the_watchdog_stops_or_warns_and_says_why(world: World, done: Any) -> None:
    assert done.exit_code == 1
    assert done.verdicts() == {
        "many-processes": "watchdog",
        "much-memory": "watchdog",
        "waits-for-ever": "watchdog",
        "works-on": "success",
        "too-old": "watchdog",
        "only-warned": "success",
        "guarded-commands": "failed",
    }
    entries = done.entries()
    evidence = {name: entry["evidence"] for name, entry in entries.items()}
    rules = {
        "many-processes": ("pids", 15),
        "much-memory": ("memory", round(0.4 * 48 * MIB)),
        "waits-for-ever": ("no_progress", 2),
        "too-old": ("lifetime", 2),
    }
    for name, (rule, threshold) in rules.items():
        assert (evidence[name]["rule"], evidence[name]["threshold"]) == (rule, threshold)
        assert evidence[name]["reading"] >= threshold
        assert evidence[name]["stop_reason"] == "watchdog"
        assert evidence[name]["signal_sender"] == "wavepool"
        assert " allowed: " in evidence[name]["reason"]
        assert "SIGTERM" not in evidence[name]["reason"]
        (line,) = [each for each in done.stderr.splitlines() if f"task {name}: attempt 1 watchdog; " in each]
        assert evidence[name]["reason"].partition(" allowed: ")[0] in line
        assert evidence[name]["reason"] not in line
        assert entries[name]["exit_status"] == "failed"
    assert evidence["much-memory"]["memory_peak_bytes"] >= 0.4 * 48 * MIB
    assert "rule" not in evidence["only-warned"]
    (warning,) = entries["only-warned"]["warnings"]
    assert "5 allowed" in warning
    assert f"task only-warned: attempt 1 warned of: {warning}" in done.stderr
    check_commands(world, entries["guarded-commands"])


def check_commands(world: World, entry: dict[str, Any]) -> None:
    assert entry["exit_code"] == 3
    assert entry["evidence"]["command"] == 2
    assert entry["evidence"]["reason"].startswith("command 2 of 3: exit code 3")
    lines = world.log(entry).read_text().splitlines()
    assert sorted(lines) == ["built", "tested", "wavepool: command 2 of 3 failed with exit code 3"]


# -- what the kernel was told --

WAITING = "touch here.$BATCH_ID; while [ ! -e go ]; do sleep 0.05; done"
OWN = batch("own", WAITING, memory="24m", cpus=0.5, pids=50)
PLAIN = {"batch_id": "plain", "files": [], "command": WAITING}
EXPECTED_OWN = {"memory": 24 * MIB, "swap": 24 * MIB, "pids": 50, "milli_cpus": 500}
EXPECTED_PLAIN = {"memory": 512 * MIB, "swap": 512 * MIB, "pids": 2048, "milli_cpus": -1}
EXPECTED_GUARDED = {"memory": 8192 * MIB, "swap": 8192 * MIB, "pids": 256, "milli_cpus": 2000}


def kernel_limits(cgroup_of: Any) -> dict[str, int]:
    """What the control groups of one attempt say; `cgroup_of` gives its directory for a controller."""
    if cgroup_version() == 2:
        quota, period = (cgroup_of("") / "cpu.max").read_text().split()
        return {
            "memory": int((cgroup_of("") / "memory.max").read_text()),
            "swap": int((cgroup_of("") / "memory.max").read_text()) + _number(cgroup_of("") / "memory.swap.max"),
            "pids": _number(cgroup_of("") / "pids.max"),
            "milli_cpus": -1 if quota == "max" else int(quota) * 1000 // int(period),
        }
    memory, cpu = cgroup_of("memory"), cgroup_of("cpu")
    quota_us = int((cpu / "cpu.cfs_quota_us").read_text())
    swap = memory / "memory.memsw.limit_in_bytes"
    limit = int((memory / "memory.limit_in_bytes").read_text())
    return {
        "memory": limit,
        "swap": int(swap.read_text()) if swap.exists() else limit,
        "pids": _number(cgroup_of("pids") / "pids.max"),
        "milli_cpus": -1 if quota_us < 0 else quota_us * 1000 // int((cpu / "cpu.cfs_period_us").read_text()),
    }


def _number(path: Path) -> int:
    text = path.read_text().strip()
    return -1 if text == "max" else int(text)


def container_group(container: str) -> Any:
    """The directory of its control group, for a controller, by the main process of the container."""
    pid = docker("inspect", "--format", "{{.State.Pid}}", container)
    places: dict[str, str] = {}
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        places.update(dict.fromkeys(controllers.split(","), path.strip("/")))
    return lambda controller: CGROUPS / controller / places[controller]


@pytest.mark.docker
def test_what_reached_the_kernel_on_docker(docker_world: World) -> None:
    """Of a task with limits of its own, of one with the defaults, and of one under the preset."""
    found = {
        **limits_on_docker(docker_world, OWN, PLAIN),
        **limits_on_docker(docker_world, {**PLAIN, "batch_id": "guarded"}, options=("--preset", "guarded")),
    }
    assert found == {"own": EXPECTED_OWN, "plain": EXPECTED_PLAIN, "guarded": EXPECTED_GUARDED}


def limits_on_docker(world: World, *batches: Any, options: tuple[str, ...] = ()) -> dict[str, dict[str, int]]:
    (world.workspace / "go").unlink(missing_ok=True)
    run = world.start(plan_of(wave(1, *batches)), "--budget", "9g", *options)
    for each in batches:
        world.wait_for_file(f"here.{each['batch_id']}")
    found = {}
    for container in world.containers():
        limits = found[docker("inspect", "--format", _label(labels.TASK), container)] = kernel_limits(
            container_group(container)
        )
        config = json.loads(docker("inspect", container))[0]["HostConfig"]
        assert (config["Memory"], config["MemorySwap"]) == (limits["memory"], limits["swap"])
        assert (config["PidsLimit"], config["NanoCpus"]) == (limits["pids"], max(0, limits["milli_cpus"]) * 10**6)
    world.touch("go")
    assert run.finish().exit_code == 0
    return found


def _label(name: str) -> str:
    return f'{{{{index .Config.Labels "{name}"}}}}'


def test_what_reached_the_kernel_without_containers(process_world: World) -> None:
    groups = find_cgroups(CGROUPS, own_v2_path())
    if groups is None:
        pytest.skip("NO LIMIT WAS LOOKED AT: no control groups can be made here (run as root)")
    run = process_world.start(plan_of(wave(1, OWN, PLAIN)))
    for name in ("own", "plain"):
        process_world.wait_for_file(f"here.{name}")
    found = {}
    for record in (process_world.state / "processes" / "attempts").glob("*/record.json"):
        attempt = record.parent.name
        found[json.loads(record.read_bytes())["task_id"]] = kernel_limits(
            lambda controller, attempt=attempt: group_of(controller, attempt)
        )
    process_world.touch("go")
    assert run.finish().exit_code == 0
    assert found == {"own": EXPECTED_OWN, "plain": EXPECTED_PLAIN}


def group_of(controller: str, attempt: str) -> Path:
    return CGROUPS / controller / "wavepool" / attempt


# -- refusals --


@pytest.mark.parametrize(
    ("options", "fields", "words"),
    [
        (("--watch-pids", "300", "--pids", "256"), {}, "--watch-pids: got '300:stop', expected a soft limit below"),
        ((), {"pids": 30, "watchdog": {"pids": 30}}, "waves[0].batches[0].watchdog.pids: got 30, expected a soft"),
    ],
)
def test_a_soft_limit_that_is_not_below_its_hard_one_starts_nothing(
    process_world: World, options: tuple[str, ...], fields: dict[str, Any], words: str
) -> None:
    done = process_world.run(plan_of(wave(1, batch("a", "touch ran", **fields))), *options)
    assert done.exit_code == 2
    assert words in done.stderr
    assert not (process_world.workspace / "ran").exists()


# -- over a crash of the orchestrator --

AFTER_A_CRASH = plan_of(
    wave(
        1,
        batch("old", "touch here.old; while :; do sleep 0.2; done", lifetime="3s"),
        batch(
            "crowd",
            "touch here.crowd; while [ ! -e go ]; do sleep 0.05; done;"
            " i=0; while [ $i -lt 20 ]; do sleep 60 & i=$((i+1)); done; wait",
            watchdog={"pids": 15},
        ),
    )
)


def test_the_watchdog_goes_on_after_the_orchestrator_was_killed(world: World) -> None:
    """The lifetime was over while nobody watched: the resume stops it at once, and counts from its own start."""
    run = world.start(AFTER_A_CRASH, "--run-id", "killed", "--json")
    run.wait_for("AttemptStarted", count=2)
    for name in ("old", "crowd"):
        world.wait_for_file(f"here.{name}")
    run.kill()
    world.touch("go")
    done = world.run(AFTER_A_CRASH, "--run-id", "killed", env={"WAVEPOOL_GRACE": "1"})
    assert done.verdicts() == {"old": "watchdog", "crowd": "watchdog"}
    entries = done.entries()
    assert entries["old"]["evidence"]["rule"] == "lifetime"
    assert 3 <= entries["old"]["evidence"]["reading"] < 60
    assert entries["crowd"]["evidence"]["rule"] == "pids"
    assert [entry["attempts"] for entry in entries.values()] == [1, 1]
