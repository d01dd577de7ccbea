"""The monitor beside a real run in another process: what it uses, and what must be in nothing that is shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import TypeAdapter

from wavepool.monitoring.documents.overview import Overview
from wavepool.monitoring.documents.runs import RunDocument, TaskEntry
from wavepool.monitoring.monitor import Monitor

OVERVIEW, DOCUMENT, TASK = TypeAdapter(Overview), TypeAdapter(RunDocument), TypeAdapter(TaskEntry)
WAVEPOOL = str(Path(sys.executable).with_name("wavepool"))
PLANTED = "planted-7f3a9c"
DEADLINE_S = 120.0

pytestmark = pytest.mark.anyio


class Shown:
    """Everything that the monitor has handed out, as text."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, value: Any) -> Any:
        self.texts.append(json.dumps(value))
        return value

    def has(self, text: str) -> bool:
        return any(text in each for each in self.texts)


async def until(holds: Callable[[], Any]) -> None:
    with anyio.fail_after(DEADLINE_S):
        while not holds():  # noqa: ASYNC110 - what is waited for is another process's doing
            await anyio.sleep(0.05)


def started(tmp_path: Path) -> subprocess.Popen[bytes]:
    """A run whose tasks wait for the file `go`, and that knows the planted word in every way it can."""
    waits = "until [ -e go ]; do sleep 0.1; done"
    batches: list[dict[str, Any]] = [
        {"batch_id": f"b{n}", "command": ["sh", "-c", waits], "memory": "64m", "task_prompt": f"say {PLANTED}-prompt"}
        for n in range(2)
    ]
    batches[0] |= {"env": {"TASK_OWN": f"{PLANTED}-own"}, "unknown_field": f"{PLANTED}-unknown"}
    says = {"role": "assistant", "content": [{"type": "text", "text": "I will look first"}], "id": "m1", "model": "m"}
    says["usage"] = {"input_tokens": 100, "output_tokens": 20}
    (tmp_path / "said").write_text(json.dumps({"type": "assistant", "message": says}) + "\n")
    batches.append({"batch_id": "d", "agent": "claude", "memory": "64m", "command": ["sh", "-c", f"cat said; {waits}"]})
    batches.append({"batch_id": "c", "command": ["sh", "-c", "exit 3"], "memory": "64m"})
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"waves": [{"wave_number": 1, "parallelism": 4, "batches": batches}]}))
    options = ["--driver", "process", "--state-dir", "state", "--workspace", ".", "--secret", "KEY", "--keep-going"]
    options.append("--allow-host")
    with (tmp_path / "stderr").open("wb") as stderr:
        return subprocess.Popen(
            [WAVEPOOL, "run", plan.name, *options, "--environment", f"RUN_VAR={PLANTED}-var"],
            cwd=tmp_path,
            env={**os.environ, "KEY": f"{PLANTED}-secret"},
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )


async def test_a_run_of_another_process_is_shown_without_what_nobody_is_to_see(tmp_path: Path) -> None:
    shown = Shown()
    with started(tmp_path) as process:
        try:
            await until(lambda: (tmp_path / "state" / "runs").exists() or process.poll() is not None)
            async with Monitor(tmp_path / "state") as monitor:
                await watch(monitor, shown, tmp_path)
        finally:
            (tmp_path / "go").touch()
            process.wait(DEADLINE_S)
    assert process.returncode == 1, (tmp_path / "stderr").read_text()
    assert shown.has("RUN_VAR") is False  # of the run's variables not even the names
    assert shown.has("TASK_OWN")  # of a task's the names
    assert not shown.has(PLANTED)


async def watch(monitor: Monitor, shown: Shown, tmp_path: Path) -> None:
    def overview() -> Overview:
        shown.add(monitor.overview.take_patch())
        return OVERVIEW.validate_python(shown.add(monitor.overview.document()))

    await until(lambda: any(line["state"] == "live" and line["tasks"]["total"] for line in overview()["runs"].values()))
    run_id = next(iter(overview()["runs"]))
    channel = await monitor.open_run(run_id)

    def document() -> RunDocument:
        shown.add(channel.take_patch())
        return DOCUMENT.validate_python(shown.add(channel.document()))

    def tasks() -> dict[str, TaskEntry]:
        return {task["id"]: task for task in document()["tasks"].values()}

    await until(lambda: tasks()["c"]["state"] == "failed")
    await until(lambda: "cpu_percent" in tasks()["b0"].get("usage", {}))
    assert tasks()["b0"]["usage"]["memory_bytes"] > 0
    assert len(tasks()["b0"]["history"]["at"]) >= 2
    assert document()["usage"]["memory_bytes"]
    await until(lambda: "containers_memory_bytes" in overview().get("host", {}))
    assert overview()["figures"]["tasks"]["running"] == 3
    await until(lambda: tasks()["d"].get("says") == "said I will look first")
    assert (tasks()["d"]["tokens"], document()["run"]["tokens"]) == (120, 120)
    assert overview()["history"]["cpu_percent"]
    assert overview()["problems"] == {}

    (tmp_path / "go").touch()
    await until(lambda: overview()["runs"][run_id]["state"] == "failed")
    await until(lambda: document()["run"]["state"] == "failed")
    states = {"b0": "success", "b1": "success", "c": "failed", "d": "failed"}  # it said nothing of a result
    assert {name: task["state"] for name, task in tasks().items()} == states
    assert "says" not in tasks()["d"]
    assert tasks()["c"]["attempts"]["1"]["exit_code"] == 3
    assert document()["efficiency"]["peak"] >= 2
    for line in shown.add(await monitor.runs()):
        assert line == overview()["runs"][line["id"]]
    _, entries = await monitor.tasks(run_id)
    for entry in entries:
        TASK.validate_python(shown.add(entry))
        TASK.validate_python(shown.add(await monitor.task(run_id, entry["key"])))
    shown.add(await monitor.run_document(run_id))
    monitor.close_run(run_id)
