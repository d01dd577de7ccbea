"""Bad input, through the whole command: exit 2, one message with path, value and expectation, and nothing has begun."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from wavepool_cli import World, batch, plan_of, wave

from wavepool.cli import main

GOOD = plan_of(wave(1, batch("a")))
TEXT = json.dumps(GOOD)


def of(**fields: object) -> dict[str, object]:
    return plan_of(wave(1, batch("a"), batch("b", **fields)))


PLANS = {
    "an empty file": (b"", "empty file"),
    "blanks": (b" \n\n", "empty file"),
    "truncated": (TEXT.encode()[:-10], "cut off"),
    "not JSON": (b"waves are here\n", "JSON object with a list of waves"),
    "UTF-16": (TEXT.encode("utf-16"), "iconv -f UTF-16 -t UTF-8"),
    "duplicate keys": (b'{"waves": [{"wave_number": 1, "wave_number": 2, "batches": []}]}', "each key once"),
    "no list of waves": (b'{"waves": 3}', "waves: got 3"),
    "duplicate ids": (plan_of(wave(1, batch("a")), wave(2, batch("a"))), "waves[1].batches[0].batch_id: got 'a'"),
    "duplicate waves": (plan_of(wave(1), wave(1)), "waves[1].wave_number: got 1"),
    "unknown tier": (of(tier=5), "waves[0].batches[1].tier: got 5"),
    "dependency unknown": (of(depends_on=["zzz"]), "waves[0].batches[1].depends_on: got 'zzz'"),
    "circle of one": (of(depends_on=["b"]), "got 'b -> b'"),
    "circle": (
        plan_of(wave(1, batch("a", depends_on=["b"]), batch("b", depends_on=["a"]))),
        "no circle",
    ),
    "dependency on a later wave": (
        plan_of(wave(1, batch("a", depends_on=["b"])), wave(2, batch("b"))),
        "waves[0].batches[0].depends_on: got 'b'",
    ),
    "memory -1": (of(memory="-1"), "waves[0].batches[1].memory: got '-1'"),
    "memory -1 as a number": (of(memory=-1), "waves[0].batches[1].memory: got -1"),
    "memory 0": (of(memory=0), "waves[0].batches[1].memory: got 0"),
    "memory NaN": (of(memory="NaN"), "waves[0].batches[1].memory: got 'NaN'"),
    "a bare NaN": (TEXT.replace('"16m"', "NaN").encode(), "waves[0].batches[0].memory: got 'NaN'"),
    "memory 1e9g": (of(memory="1e9g"), "waves[0].batches[1].memory: got '1e9g'"),
    "memory below 6 MB": (of(memory="5m"), "waves[0].batches[1].memory: got '5m', expected at least 6m"),
    "memory above the host": (of(memory="64t"), "waves[0].batches[1].memory"),
    "memory above the budget": (of(memory="3g"), "waves[0].batches[1].memory"),
    "an empty id": (plan_of(wave(1, batch(""))), "waves[0].batches[0].batch_id: got ''"),
    "an id of 10 KB": (plan_of(wave(1, batch("x" * 10_240))), "waves[0].batches[0].batch_id"),
    "an id with NUL": (plan_of(wave(1, batch("a\0b"))), "waves[0].batches[0].batch_id"),
    "a timeout of 0": (of(timeout=0), "waves[0].batches[1].timeout: got 0"),
    "a variable that is forbidden": (of(env={"LD_PRELOAD": "x"}), "waves[0].batches[1].env"),
    "an empty command": (of(command=[]), "waves[0].batches[1].command"),
}

FORBIDDEN = (
    *("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_DEBUG", "DOCKER_HOST", "DOCKERHOST", "DOCKER_SOCKET", "DOCKER_CONFIG"),
    *("DOCKER_CERT_PATH", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_API_VERSION"),
)
OPTIONS = {
    "environment without =": (("--environment", "NOVALUE"), "--environment: got 'NOVALUE', expected NAME=VALUE"),
    **{f"environment {name}": (("--environment", f"{name}=x"), f"--environment: got '{name}'") for name in FORBIDDEN},
    "workspace missing": (("--workspace", "no/such/place"), "--workspace: got"),
    "workspace /": (("--workspace", "/"), "--workspace: got '/'"),
    "workspace /proc": (("--workspace", "/proc"), "--workspace: got '/proc'"),
    "workspace a file": (("--workspace", "plan-1.json"), "--workspace: got"),
    "mount the Docker socket": (("--mount", "/var/run:/data"), "--mount: got '/var/run'"),
    "mount /": (("--mount", "/:/host"), "--mount: got '/'"),
    "mount /sys": (("--mount", "/sys:/data"), "--mount: got '/sys'"),
    "mount missing": (("--mount", "/no/such/place:/data"), "--mount: got '/no/such/place'"),
    "mount over the workspace": (("--mount", "/tmp:/workspace"), "--mount: got '/workspace'"),
    "mount in one word": (("--mount", "/tmp"), "--mount: got '/tmp'"),
    "timeout 0": (("--timeout", "0"), "--timeout: got '0'"),
    "timeout negative": (("--timeout=-5",), "--timeout: got '-5'"),
    "parallel 0": (("--parallel", "0"), "--parallel: got '0'"),
    "retries 0": (("--retries", "0"), "--retries: got '0'"),
    "retry on success": (("--retry-on", "success"), "--retry-on: got 'success'"),
    "memory 5m": (("--memory", "5m"), "--memory: got '5m'"),
    "budget of words": (("--budget", "lots"), "--budget: got 'lots'"),
    "budget above the host": (("--budget", "64t"), "--budget: got"),
    "budget below a batch": (("--budget", "8m"), "waves[0].batches[0].memory: got '16m'"),
    "schedule": (("--schedule", "chaos"), "--schedule: got 'chaos'"),
    "driver": (("--driver", "podman"), "--driver: got 'podman'"),
    "pull": (("--pull", "sometimes"), "--pull: got 'sometimes'"),
    "isolate": (("--isolate", "task"), "--isolate: got 'task'"),
    "network host": (("--network", "host"), "--network: got 'host'"),
    "image": (("--base-image", "; rm -rf /"), "--base-image: got"),
    "user": (("--user", "root"), "--user: got 'root'"),
    "run id": (("--run-id", "../../x"), "--run-id: got '../../x'"),
    "secret in the open": (("--secret", "token=hunter2"), "--secret: got 'token=…'"),
    "secret not set": (("--secret", "NOT_SET_ANYWHERE"), "--secret NOT_SET_ANYWHERE: got"),
    "env file missing": (("--env-file", "nowhere"), "--env-file: cannot read nowhere: No such file"),
    "output into a missing directory": (("--output", "no/such/place/out.json"), "--output: got"),
}


@pytest.fixture
def world(process_world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The process driver needs no daemon; what is refused is refused before any driver is asked, or by its capacity."""
    for name in ("PATH", "HOME"):
        monkeypatch.setenv(name, process_world.environment()[name])
    monkeypatch.chdir(process_world.root)
    return process_world


def refusal(
    world: World,
    plan: Path | str,
    options: Sequence[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> str:
    """What the command says on stderr; everything that must be true of a refusal has been checked."""
    monkeypatch.setattr(sys, "argv", ["wavepool", "run", str(plan), *world.options(), *options])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code == 2, said.err
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("error: ") == 1
    assert "expected" in said.err or "cannot read" in said.err
    assert "Traceback" not in said.err
    assert len(said.err) < 900
    assert world.run_dirs() == []
    assert list(world.workspace.iterdir()) == []
    return said.err


@pytest.mark.parametrize("case", PLANS)
def test_plans(world: World, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    document, message = PLANS[case]
    assert message in refusal(world, world.plan(document), (), monkeypatch, capsys)


@pytest.mark.parametrize("case", OPTIONS)
def test_options(world: World, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    options, message = OPTIONS[case]
    assert message in refusal(world, world.plan(GOOD), options, monkeypatch, capsys)


def test_a_plan_that_is_missing(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = "error: PLAN: cannot read nowhere.json: No such file or directory\n"
    assert missing in refusal(world, "nowhere.json", (), monkeypatch, capsys)
    assert f"cannot read {world.root}: Is a directory" in refusal(world, world.root, (), monkeypatch, capsys)


@pytest.mark.parametrize("options", [("--no-such-option",), ("--parallel",)])
def test_the_installed_command_refuses_too(docker_world: World, options: Sequence[str]) -> None:
    done = docker_world.run(GOOD, *options)
    assert (done.exit_code, done.stdout) == (2, b"")
    assert options[0] in done.stderr


def test_nothing_is_made_in_docker_for_a_bad_plan(docker_world: World) -> None:
    for document, message in (PLANS["memory above the host"], PLANS["circle"], PLANS["truncated"]):
        done = docker_world.run(docker_world.plan(document))
        assert (done.exit_code, done.stdout) == (2, b"")
        assert message in done.stderr
    assert docker_world.run_dirs() == []
    assert docker_world.left_behind() == []


@pytest.mark.docker
def test_a_run_whose_image_is_missing_leaves_no_directory_and_is_no_run(docker_world: World) -> None:
    done = docker_world.run(GOOD, "--base-image", "wavepool-test:no-such-tag", "--pull", "never")
    assert done.exit_code == 3
    assert "no-such-tag is not on this Docker host" in done.stderr
    assert docker_world.run_dirs() == []
    assert docker_world.left_behind() == []
