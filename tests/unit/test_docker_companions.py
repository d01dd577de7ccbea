"""A sidecar's create call, and what its record says of whether it is ready."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from wavepool.drivers.base import SidecarSpec
from wavepool.drivers.docker.sidecars.companion_spec import companion_body, healthcheck_body
from wavepool.drivers.docker.sidecars.readiness import has_settled, patience_s, read_readiness
from wavepool.errors import NotStarted
from wavepool.model import Healthcheck, Limits, Mount, Port, Sidecar
from wavepool.units import MIB


def body_of(tmp_path: Path, mounts: tuple[Mount, ...] = (), **fields: Any) -> dict[str, Any]:
    limits = Limits(memory_bytes=64 * MIB, cpus=0.5, pids=50)
    sidecar = Sidecar(**{"name": "db", "image": "i", "limits": limits, **fields})
    spec = SidecarSpec(sidecar=sidecar, name="cfn-x.db", data=tmp_path, mounts=mounts, labels={"wavepool.owner": "o"})
    return companion_body(spec, network_id="n1", host_gateway=True)


def test_it_is_confined_as_a_task_is(tmp_path: Path) -> None:
    body = body_of(tmp_path, cap_add=("SETUID",))
    config = body["HostConfig"]
    assert config["Memory"] == config["MemorySwap"] == config["MemoryReservation"] == 64 * MIB
    assert (config["NanoCpus"], config["PidsLimit"]) == (500_000_000, 50)
    assert (config["CapDrop"], config["CapAdd"]) == (["ALL"], ["SETUID"])
    assert config["SecurityOpt"] == ["no-new-privileges"]
    assert (config["Init"], config["AutoRemove"], config["RestartPolicy"]) == (True, False, {"Name": "no"})
    assert config["LogConfig"]["Config"]["max-size"]
    assert body["Labels"] == {"wavepool.owner": "o"}


def test_it_is_called_by_its_name_and_runs_as_the_owner_of_its_data(tmp_path: Path) -> None:
    body = body_of(tmp_path)
    status = tmp_path.stat()
    assert body["Hostname"] == "db"
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"n1": {"Aliases": ["db"]}}}
    assert body["User"] == f"{status.st_uid}:{status.st_gid}"
    assert body_of(tmp_path, user="999:999")["User"] == "999:999"
    (data,) = body["HostConfig"]["Mounts"]
    assert (data["Source"], data["Target"], data["ReadOnly"]) == (str(tmp_path), "/data", False)


def test_a_volume_at_data_replaces_the_usual_one_and_what_is_never_mounted_is_refused(tmp_path: Path) -> None:
    own = Mount(source=str(tmp_path / "x"), target="/data", read_only=False)
    assert [each["Source"] for each in body_of(tmp_path, (own,))["HostConfig"]["Mounts"]] == [own.source]
    with pytest.raises(NotStarted, match="never mounted"):
        body_of(tmp_path, (Mount(source="/var/run/docker.sock", target="/s"),))


def test_what_it_does_not_say_is_left_to_the_image(tmp_path: Path) -> None:
    body = body_of(tmp_path)
    assert not {"Cmd", "Entrypoint", "WorkingDir", "StopSignal", "StopTimeout", "Healthcheck"} & set(body)
    full = body_of(
        tmp_path, command=("a", "b"), entrypoint=(), working_dir="/w", stop_signal="SIGINT", stop_grace_s=1.2
    )
    assert (full["Cmd"], full["Entrypoint"]) == (["a", "b"], [""])
    assert (full["WorkingDir"], full["StopSignal"], full["StopTimeout"]) == ("/w", "SIGINT", 2)


def test_ports_are_published_where_they_say(tmp_path: Path) -> None:
    body = body_of(tmp_path, ports=(Port(target=5432), Port(target=5432, published=15432, address="::1")), expose=(1,))
    assert body["HostConfig"]["PortBindings"] == {
        "5432/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}, {"HostIp": "::1", "HostPort": "15432"}]
    }
    assert body["ExposedPorts"] == {"5432/tcp": {}, "1/tcp": {}}


@pytest.mark.parametrize(
    ("check", "interval_s", "retries"),
    [
        (Healthcheck(test=("CMD", "x")), 5, 18),
        (Healthcheck(test=("CMD", "x"), interval_s=60), 60, 3),
        (Healthcheck(test=("CMD", "x"), interval_s=1, retries=2), 1, 2),
    ],
)
def test_a_health_check_has_the_same_patience_whatever_its_interval(
    check: Healthcheck, interval_s: int, retries: int
) -> None:
    body = healthcheck_body(check)
    assert (body["Interval"], body["Retries"]) == (interval_s * 10**9, retries)


def record(**state: Any) -> dict[str, Any]:
    started = {"StartedAt": "2026-11-20T10:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z", "ExitCode": 0}
    return {"State": {"Status": "running", **started, **state}, "Config": {}}


def health(status: str, output: str = "") -> dict[str, Any]:
    return {"Status": status, "Log": [{"ExitCode": 1, "Output": output}] if output else []}


@pytest.mark.parametrize(
    ("found", "ready"),
    [
        (record(), True),
        (record(Health=health("none")), True),
        (record(Health=health("healthy")), True),
        (record(Health=health("starting")), False),
        (record(Status="paused"), False),
        (record(Status="created"), False),
    ],
)
def test_one_that_runs_is_ready_when_its_test_says_so(found: dict[str, Any], ready: bool) -> None:
    assert (read_readiness("db", found).ready, read_readiness("db", found).trouble) == (ready, None)


@pytest.mark.parametrize(
    ("found", "words", "code", "oom", "transient"),
    [
        (record(Health=health("unhealthy", "no\n route")), "returned 1 and said 'no route'", None, None, False),
        (record(Status="exited", ExitCode=3), "exit code 3 before it was ready", 3, None, False),
        (record(Status="exited", ExitCode=137, OOMKilled=True), "for memory", 137, True, False),
        (record(Status="exited", ExitCode=137), "exit code 137", 137, None, True),
    ],
)
def test_one_that_never_will_be_ready_says_why(
    found: dict[str, Any], words: str, code: int | None, oom: bool | None, transient: bool
) -> None:
    readiness = read_readiness("db", found)
    assert readiness.trouble is not None
    assert words in readiness.trouble.reason
    assert (readiness.trouble.exit_code, readiness.trouble.oom, readiness.transient) == (code, oom, transient)


def test_one_that_only_runs_is_believed_after_a_second() -> None:
    began = datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert read_readiness("db", record(Health=health("healthy"))).tested
    assert not read_readiness("db", record()).tested
    assert not has_settled(record(), 0.9, began + timedelta(seconds=0.9))
    assert has_settled(record(), 0.1, began + timedelta(seconds=1))
    assert has_settled(record(), 1.0, began)


def test_it_is_waited_for_as_long_as_its_test_may_take() -> None:
    check = {"Test": ["CMD", "x"], "Interval": 2 * 10**9, "Timeout": 3 * 10**9, "Retries": 4, "StartPeriod": 5 * 10**9}
    assert patience_s({"Config": {"Healthcheck": check}}) == 5 + 4 * (2 + 3) + 30
    assert patience_s({"Config": {"Healthcheck": {"Test": ["CMD", "x"]}}}) == 3 * 60 + 30
    assert patience_s({"Config": {"Healthcheck": {"Test": ["NONE"]}}}) == patience_s({"Config": {}}) == 60
