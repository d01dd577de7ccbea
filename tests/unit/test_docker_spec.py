"""The create body: limits, confinement, mounts, environment and labels as the contract says."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wavepool import labels
from wavepool.drivers.base import AttemptSpec
from wavepool.drivers.docker.starting.spec import ENV_STRING_MAX_BYTES, create_body, forbidden
from wavepool.errors import NotStarted
from wavepool.model import AttemptId, Limits, Mount
from wavepool.units import MIB


@pytest.fixture
def spec(tmp_path: Path) -> AttemptSpec:
    (tmp_path / "w:o,r k").mkdir()
    return AttemptSpec(
        attempt=AttemptId("t/../1\n", 2),
        owner="own",
        run_id="run",
        wave=3,
        name="cfn-wave3-x",
        image="img:1",
        command=("sh", "-c", "true"),
        env={"A": "1=2", "TASK_PROMPT_FILE": "/etc/passwd"},
        prompt="hello\n",
        limits=Limits(memory_bytes=64 * MIB, cpus=1.5, pids=100),
        workspace=tmp_path / "w:o,r k",
        slot=tmp_path,
        network="net",
        labels={labels.OWNER: "someone else", "extra": "kept"},
        spec_hash="h",
    )


def body_of(spec: AttemptSpec, **changes: Any) -> dict[str, Any]:
    return create_body(replace(spec, **changes), prompt_dir=spec.slot / "prompt", secrets_dir=None)


def env_of(body: dict[str, Any]) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in body["Env"])


def test_limits_are_hard_and_swap_is_not_on_top(spec: AttemptSpec) -> None:
    config = body_of(spec)["HostConfig"]
    assert config["Memory"] == config["MemorySwap"] == config["MemoryReservation"] == 64 * MIB
    assert config["NanoCpus"] == 1_500_000_000
    assert config["PidsLimit"] == 100


def test_absent_limits_are_left_out(spec: AttemptSpec) -> None:
    config = body_of(spec, limits=Limits(memory_bytes=64 * MIB))["HostConfig"]
    assert "NanoCpus" not in config
    assert "PidsLimit" not in config


def test_confinement(spec: AttemptSpec) -> None:
    config = body_of(spec)["HostConfig"]
    assert config["CapDrop"] == ["ALL"]
    assert config["SecurityOpt"] == ["no-new-privileges"]
    assert config["Init"] is True
    assert config["AutoRemove"] is False
    assert config["LogConfig"]["Config"] == {"max-size": str(8 * MIB), "max-file": "5"}
    assert "Privileged" not in config


def test_a_command_replaces_entrypoint_and_arguments(spec: AttemptSpec) -> None:
    body = body_of(spec)
    assert (body["Entrypoint"], body["Cmd"]) == (["sh"], ["-c", "true"])
    own = body_of(spec, command=None)
    assert "Entrypoint" not in own
    assert "Cmd" not in own


def test_networks(spec: AttemptSpec) -> None:
    assert body_of(spec)["HostConfig"]["NetworkMode"] == "net"
    assert body_of(spec, network=None)["HostConfig"]["NetworkMode"] == "none"
    with pytest.raises(NotStarted, match="not the name of a network"):
        body_of(spec, network="container:other")


def test_the_user_is_the_workspace_s_owner(spec: AttemptSpec) -> None:
    status = spec.workspace.stat()
    assert body_of(spec)["User"] == f"{status.st_uid}:{status.st_gid}"
    assert body_of(spec, user="1:2")["User"] == "1:2"


def test_a_missing_workspace_is_refused(spec: AttemptSpec, tmp_path: Path) -> None:
    with pytest.raises(NotStarted, match="workspace"):
        body_of(spec, workspace=tmp_path / "absent")


def test_mounts_survive_colons_and_are_read_only_unless_told(spec: AttemptSpec, tmp_path: Path) -> None:
    mounts = (Mount(source=str(tmp_path), target="/data"), Mount(source="/tmp", target="/t", read_only=False))
    found = {
        mount["Target"]: mount
        for mount in create_body(
            replace(spec, mounts=mounts), prompt_dir=tmp_path / "prompt", secrets_dir=tmp_path / "secrets"
        )["HostConfig"]["Mounts"]
    }
    assert found["/workspace"]["Source"] == str(spec.workspace)
    read_only = {target: mount["ReadOnly"] for target, mount in found.items()}
    assert read_only == {
        "/workspace": False,
        "/data": True,
        "/t": False,
        "/run/wavepool": True,
        "/run/secrets": True,
    }
    assert {mount["Type"] for mount in found.values()} == {"bind"}


def test_our_variables_win(spec: AttemptSpec) -> None:
    env = env_of(body_of(spec))
    assert env == {
        "A": "1=2",
        "TASK_PROMPT": "hello\n",
        "TASK_PROMPT_FILE": "/run/wavepool/prompt",
        "WAVEPOOL_WORKSPACE": "/workspace",
        "WAVEPOOL_SECRETS_DIR": "/run/secrets",
    }


@pytest.mark.parametrize(
    ("prompt", "fits"),
    [
        ("x" * (ENV_STRING_MAX_BYTES - len("TASK_PROMPT=")), True),
        ("x" * (ENV_STRING_MAX_BYTES - len("TASK_PROMPT=") + 1), False),
        ("é" * (ENV_STRING_MAX_BYTES // 2), False),
        ("a\0b", False),
        ("", True),
    ],
)
def test_task_prompt_only_where_execve_can_carry_it(spec: AttemptSpec, prompt: str, fits: bool) -> None:
    env = env_of(body_of(spec, prompt=prompt))
    assert ("TASK_PROMPT" in env) is fits
    assert env["TASK_PROMPT_FILE"] == "/run/wavepool/prompt"


def test_labels_that_make_it_ours_cannot_be_overridden(spec: AttemptSpec) -> None:
    found = body_of(spec)["Labels"]
    assert found["extra"] == "kept"
    assert found[labels.OWNER] == "own"
    assert found[labels.RUN] == "run"
    assert (found[labels.TASK], found[labels.ATTEMPT], found[labels.WAVE]) == ("t/../1\n", "2", "3")
    assert found[labels.SPEC_HASH] == "h"


def test_secret_values_are_nowhere_in_the_body(spec: AttemptSpec, tmp_path: Path) -> None:
    body = create_body(
        replace(spec, secrets={"KEY": b"hunter2"}), prompt_dir=tmp_path / "prompt", secrets_dir=tmp_path / "secrets"
    )
    assert "hunter2" not in repr(body)


@pytest.mark.parametrize(
    "source", ["/", "/proc", "/proc/1/root", "/sys", "/sys/fs/cgroup", "/var/run/docker.sock", "/run", "/tmp/../"]
)
def test_what_would_hand_over_the_host_is_never_mounted(spec: AttemptSpec, source: str) -> None:
    with pytest.raises(NotStarted, match="never mounted"):
        body_of(spec, mounts=(Mount(source=source, target="/x"),))


def test_a_link_to_the_forbidden_is_forbidden(tmp_path: Path) -> None:
    (tmp_path / "innocent").symlink_to("/proc")
    assert forbidden(str(tmp_path / "innocent"))
    assert not forbidden(str(tmp_path))


def test_a_daemon_s_socket_elsewhere_is_forbidden(tmp_path: Path) -> None:
    path = tmp_path / "d" / "docker.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(path))
        assert forbidden(str(path))
        assert forbidden(str(path.parent), socket=str(path))
        assert not forbidden(str(path.parent))


def test_the_root_as_workspace_is_refused(spec: AttemptSpec) -> None:
    with pytest.raises(NotStarted, match="whole host"):
        body_of(spec, workspace=Path("/"))
