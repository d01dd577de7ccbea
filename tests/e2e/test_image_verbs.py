"""`wavepool image`: what it says of an image that tasks run in, of one that lacks something, and of what is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("wavepool")
IMAGE = os.environ.get("WAVEPOOL_TEST_IMAGE", "wavepool-test:latest")


def image(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "WAVEPOOL_STATE_DIR": str(tmp_path / "state")}
    return subprocess.run([COMMAND, "image", *words], capture_output=True, text=True, timeout=180, check=False, env=env)


@pytest.mark.docker
def test_each_thing_that_tasks_need_is_tried_in_a_container(tmp_path: Path) -> None:
    plain = image(tmp_path, "check", IMAGE, "--json")
    assert plain.returncode == 0, plain.stdout + plain.stderr
    found = {each["name"]: each for each in json.loads(plain.stdout)["checks"]}
    assert {found[name]["status"] for name in ("shell", "user", "workspace", "prompt")} == {"ok"}
    assert (found["git"]["status"], found["git"]["fix"]) == ("warn", "Install git in it.")
    assert (found["agent"]["seen"], "--agent NAME" in found["agent"]["fix"]) == ("not looked for", True)

    agent = image(tmp_path, "check", IMAGE, "--agent", "claude")
    assert agent.returncode == 1
    (line,) = [line for line in agent.stdout.splitlines() if " agent " in line]
    assert line.startswith("fail")
    assert "not found" in line
    assert "wavepool image build" in agent.stdout
    left = ["docker", "ps", "-aq", "--filter", "label=wavepool.task=image-check"]
    owner = (tmp_path / "state" / "owner").read_text().strip()
    mine = [*left, "--filter", f"label=wavepool.owner={owner}"]
    assert subprocess.run(mine, capture_output=True, text=True, check=True).stdout == ""


@pytest.mark.docker
def test_an_image_that_is_not_there_is_the_machines_fault(tmp_path: Path) -> None:
    told = image(tmp_path, "check", "wavepool-no-such-image:x", "--pull", "never")
    assert (told.returncode, told.stdout) == (3, "")
    assert "is not on this Docker host" in told.stderr


@pytest.mark.docker
def test_a_step_that_fails_is_told_with_what_it_said(tmp_path: Path) -> None:
    told = image(tmp_path, "build", "--base", IMAGE, "--agent", "none")
    assert told.returncode == 3
    assert "apt-get: not found" in told.stderr
    assert "--base" in told.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("build", "--agent", "nobody"), "one of claude, or none"),
        (("build", "--base", "not an image"), "--base"),
        (("build", "--tag", "a b"), "--tag"),
        (("build", "--certificates", "/nowhere/at/all.pem"), "/nowhere/at/all.pem"),
        (("build", "--certificates", __file__), "certificates in PEM"),
        (("check", "a b"), "IMAGE"),
        (("check", "image:x", "--agent", "nobody"), "nobody"),
        (("check", "image:x", "--pull", "maybe"), "missing, always or never"),
    ],
)
def test_bad_input_is_refused_before_anything_starts(words: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    told = image(tmp_path, *words)
    assert (told.returncode, told.stdout) == (2, "")
    assert expected in told.stderr
