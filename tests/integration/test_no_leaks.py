"""`wavepool doctor --prove-no-leaks`, and that it would notice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wavepool.testing.chaos.ground import Ground
from wavepool.testing.leaks.proof import Prover
from wavepool.testing.leaks.sights import FAMILIES

COMMAND = str(Path(sys.executable).with_name("wavepool"))
IMAGE = os.environ.get("WAVEPOOL_TEST_IMAGE", "wavepool-test:latest")
DEADLINE_S = 240


def wavepool(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *words], capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def proved(*words: str) -> dict[str, Any]:
    done = wavepool("doctor", "--prove-no-leaks", "--json", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["ok"]
    assert {(each["recovered_by"], each["compared"]) for each in found["checks"]} == {
        (way, family) for way in ("resume", "reap") for family in FAMILIES
    }
    return found


@pytest.mark.docker
def test_on_docker_nothing_is_left() -> None:
    found = proved("--base-image", IMAGE, "--driver", "docker")
    killed = {each["compared"]: each["killed"] for each in found["checks"] if each["recovered_by"] == "reap"}
    for family in ("containers", "networks", "processes", "control groups", "secrets", "slots, records and sockets"):
        assert killed[family] > 0, f"no {family} were there to be removed"


@pytest.mark.slow
def test_of_plain_processes_nothing_is_left() -> None:
    found = proved("--driver", "process")
    killed = {each["compared"]: each["killed"] for each in found["checks"] if each["recovered_by"] == "reap"}
    assert killed["processes"] > 0
    assert killed["secrets"] > 0


class Forgetful(Prover):
    """Recovers nothing."""

    async def _recover(self, way: str, ground: Ground) -> None:
        return None


@pytest.mark.anyio
async def test_what_is_left_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wavepool.testing.leaks.proof.WAYS", ("reap",))
    monkeypatch.setattr("wavepool.testing.leaks.proof.SETTLE_S", 0.1)
    proof = await Forgetful(tmp_path, driver="process", image=IMAGE, tell=lambda text: None).prove()
    assert not proof.ok
    bad = {each.family for each in proof.compared if not each.ok}
    assert {"processes", "secrets", "slots, records and sockets"} <= bad
    swept = wavepool(
        "recover", "--state-dir", str(tmp_path / "reap" / "state"), "--driver", "process", "--grace", "0s", "--json"
    )
    assert swept.returncode == 0, swept.stderr
    assert json.loads(swept.stdout)["problems"] == []


def test_an_image_that_is_missing_is_not_pulled() -> None:
    done = wavepool("doctor", "--prove-no-leaks", "--base-image", "wavepool-none/such:1", "--driver", "docker")
    assert done.returncode in (2, 3), "bad input; without a daemon, infrastructure"
    assert done.stdout == ""
