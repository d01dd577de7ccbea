"""One plan that ends in every way there is: each batch gets its right verdict, evidence, log and entry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from wavepool_cli import Finished, World

PLAN = Path(__file__).parents[2] / "examples" / "verdicts-plan.json"

SEED_FIELDS = {"container_id", "batch_id", "status", "exit_code", "exit_status", "started_at", "completed_at"}
OWN_WILL = ("exit-124-own-will", "exit-126-own-will", "exit-127-own-will", "exit-137-own-will", "exit-143-own-will")
OUTPUT = {
    "exit-0": b"",
    "exit-0-no-newline": b"no newline at the end",
    "exit-0-big-output": b"".join(b"%d\n" % number for number in range(1, 20001)),
    "exit-0-binary": b"\xff\xfe\x00\x01 not UTF-8 \x80\n",
    "exit-0-orphan": b"left one behind\n",
    "exit-1": b"failing\n",
    "timeout": b"waiting\n",
    "timeout-ignores-term": b"stubborn\n",
    "after-success": b"the one before it succeeded\n",
}


def enforces_memory(world: World) -> bool:
    """Whether the process driver has control groups here; Docker always does."""
    if world.driver == "docker":
        return True
    from anyio import run

    from wavepool.drivers.process import ProcessDriver

    async def ask() -> bool:
        async with ProcessDriver(base_dir=world.root / "probe") as driver:
            return (await driver.probe()).enforces_memory

    return run(ask)


@pytest.fixture
def done(world: World) -> Finished:
    return world.run(PLAN, "--output", str(world.root / "results.json"), env={"WAVEPOOL_GRACE": "1"})


def test_every_batch_gets_its_verdict_its_evidence_and_its_log(world: World, done: Finished) -> None:
    assert done.exit_code == 1
    entries = done.entries()
    with_groups = enforces_memory(world)
    for planned in json.loads(PLAN.read_bytes())["waves"][0]["batches"]:
        expected = planned["expect"] if with_groups else planned.get("expect_without_cgroups", planned["expect"])
        entry = entries[planned["batch_id"]]
        assert {name: entry[name] for name in expected} == expected, planned["batch_id"]
    check_evidence(entries, with_groups)
    check_logs(world, entries)
    check_result(world, done, with_groups)


def check_evidence(entries: dict[str, dict[str, Any]], with_groups: bool) -> None:
    evidence = {name: entry["evidence"] for name, entry in entries.items()}
    for name, entry in entries.items():
        if entry["verdict"] not in ("success", "skipped"):
            assert evidence[name]["reason"], name
        if entry["verdict"] in ("success", "failed"):
            assert evidence[name]["exit_code"] == entry["exit_code"], name
            assert evidence[name].get("signal_sender") not in ("kernel", "wavepool"), name
    for name in OWN_WILL:
        assert not evidence[name].get("oom_kills"), name
        assert not evidence[name].get("oom_flag"), name
    for name in ("exit-137-own-will", "exit-143-own-will"):
        assert "signal" not in evidence[name], "it returned the code by its own will: nobody saw a signal"
    for name in ("kill-9-self", "term-self"):
        assert evidence[name].get("signal_sender") in ("task", "other")
    assert evidence["timeout"]["stop_reason"] == evidence["timeout-ignores-term"]["stop_reason"] == "timeout"
    assert evidence["timeout"]["signal"] == "SIGTERM"
    assert evidence["timeout-ignores-term"]["signal"] == "SIGKILL"
    assert evidence["timeout"]["signal_sender"] == evidence["timeout-ignores-term"]["signal_sender"] == "wavepool"
    assert "exit-1" in evidence["after-failure"]["reason"]
    if with_groups:
        for name in ("oom", "oom-after-output"):
            assert evidence[name]["signal_sender"] == "kernel"
            assert evidence[name].get("oom_kills") or evidence[name].get("oom_flag")
        for name in ("child-oom-success", "child-oom-failed"):
            assert evidence[name]["child_oom"] is True


def check_logs(world: World, entries: dict[str, dict[str, Any]]) -> None:
    for name, output in OUTPUT.items():
        assert world.log(entries[name]).read_bytes() == output, name
    streams = world.log(entries["exit-0-output"]).read_bytes()
    assert sorted(streams.splitlines()) == [b"to stderr", b"to stdout"]
    assert world.log(entries["oom-after-output"]).read_bytes().startswith(b"soon\n")
    for entry in entries.values():
        if entry["log"] is None:
            assert entry["verdict"] == "skipped" or entry["exit_code"] in (126, 127)
        else:
            assert world.log(entry).stat().st_mode & 0o777 == 0o600


def check_result(world: World, done: Finished, with_groups: bool) -> None:
    result = done.result
    assert json.loads((world.root / "results.json").read_bytes()) == result
    assert json.loads((world.run_dirs()[0] / "results.json").read_bytes()) == result
    assert result["execution_mode"] == ("docker" if world.driver == "docker" else "subprocess")
    assert result["status"] == "failed"
    assert result["left_behind"] == []
    (wave,) = result["waves"]
    assert wave["wave_number"] == 1
    assert isinstance(wave["monitoring_duration"], int)
    assert wave["completion_status"] == "timeout"
    assert wave["metrics"] == {
        "total": 28,
        "running": 0,
        "exited": 27,
        "pending": 0,
        "success": 8,
        "failed": 18,
        "timeout": 2,
    }
    words = {"success": "success", "timeout": "timeout"}
    for entry in wave["containers"]:
        assert set(entry) >= SEED_FIELDS | {"verdict", "evidence"}
        assert entry["exit_status"] == words.get(entry["verdict"], "failed")
        if entry["verdict"] != "skipped":
            assert entry["status"] == "exited"
            assert entry["container_id"]
