"""The index on disk: each fact has one writer that wins."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from wavepool.drivers.base import Scope
from wavepool.drivers.boot import boot_id
from wavepool.drivers.process.liveness import ProcessIdentity, own_identity
from wavepool.drivers.process.records import ExitRecord, Record, Records
from wavepool.errors import InfrastructureError

RECORD = Record(
    name="cfn-wave1-a-0123456789ab",
    owner="me",
    run_id="run",
    wave=1,
    task_id="../../ünï\n",
    attempt=1,
    spec_hash="abc",
    labels={"wavepool.owner": "me"},
    memory_bytes=1,
    boot_id="boot",
    cgroups=("/sys/fs/cgroup/memory/x",),
)


@pytest.fixture
def records(tmp_path: Path) -> Records:
    made = Records(tmp_path)
    made.open()
    return made


def test_a_record_comes_back_as_it_was(records: Records) -> None:
    assert records.create(RECORD)
    assert records.read(RECORD.name) == RECORD
    assert records.names() == [RECORD.name]


def test_the_second_record_of_a_name_loses(records: Records) -> None:
    assert records.create(RECORD)
    assert not records.create(replace(RECORD, spec_hash="other"))
    assert records.read(RECORD.name) == RECORD
    assert os.listdir(records.path("x").parent) == [RECORD.name], "nothing is left of the loser"


def test_nothing_is_known_of_what_does_not_exist(records: Records) -> None:
    name = RECORD.name
    assert records.read(name) is None
    assert records.mark(name) is None
    assert records.exit(name) is None
    assert records.forbid_start(name, 1.0) is None
    assert records.settle(name, ExitRecord(lost="x")) is None
    records.ask_to_stop(name, 1.0)
    records.retire(name)


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "-x", ".new-1", "a\0b", "x" * 300])
def test_no_hostile_name_becomes_a_path(records: Records, name: str) -> None:
    with pytest.raises(InfrastructureError):
        records.path(name)


def test_a_mark_is_made_once(records: Records) -> None:
    records.create(RECORD)
    first = records.forbid_start(RECORD.name, 1.0)
    assert first is not None
    assert first.supervisor is None
    assert records.forbid_start(RECORD.name, 2.0) == first


def test_the_first_ending_stands(records: Records) -> None:
    records.create(RECORD)
    assert records.settle(RECORD.name, ExitRecord(status=0)) == ExitRecord(status=0)
    assert records.settle(RECORD.name, ExitRecord(lost="late")) == ExitRecord(status=0)


def test_a_retired_attempt_leaves_nothing(records: Records) -> None:
    records.create(RECORD)
    records.retire(RECORD.name)
    assert os.listdir(records.path("x").parent) == []


def test_opening_sweeps_what_crashes_left_and_spares_live_drafts(records: Records, tmp_path: Path) -> None:
    me = own_identity()
    root = records.path("x").parent
    live = root / f".new-{me.pid}-{me.ticks}-aa"
    for stale in (root / ".gone-1", root / f".new-{me.pid}-{me.ticks + 1}-aa", live):
        stale.mkdir()
        (stale / "record.json").write_text("{}")
    Records(tmp_path).open()
    assert list(root.iterdir()) == [live]


def test_a_scope_narrows_by_everything_it_names() -> None:
    assert RECORD.within(Scope(owner="me"))
    assert RECORD.within(Scope(owner="me", run_id="run", wave=1, detached=False))
    for other in (
        Scope(owner="you"),
        Scope(owner="me", run_id="other"),
        Scope(owner="me", wave=10),
        Scope(owner="me", detached=True),
        Scope(owner="me", shared_network="net"),
    ):
        assert not RECORD.within(other)


def test_a_used_pid_is_not_trusted() -> None:
    me = own_identity()
    assert me.is_alive()
    assert not replace(me, ticks=me.ticks - 1).is_alive()
    assert not replace(me, boot_id="another").is_alive()
    assert replace(me, ticks=me.ticks - 1).open_pidfd() is None
    assert not ProcessIdentity(pid=2**22 + 1, ticks=1, boot_id=boot_id()).is_alive()
