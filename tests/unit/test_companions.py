"""Sidecar specs: names, digests, where volumes lie, and directories for whoever will write there."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from wavepool import labels
from wavepool.engine.attempts.companions import DATA_UID, CompanionBuilder, address_variables, data_owner
from wavepool.model import Limits, Port, Sidecar, Volume

LIMITS = Limits(memory_bytes=16 << 20)


def sidecar(name: str = "db", *volumes: Volume, **fields: object) -> Sidecar:
    return Sidecar(name=name, image="i", limits=LIMITS, volumes=volumes, **fields)  # type: ignore[arg-type]


@pytest.fixture
def builder(tmp_path: Path) -> CompanionBuilder:
    (tmp_path / "workspace").mkdir()
    return CompanionBuilder(
        data=tmp_path / "data" / "a.1",
        base=tmp_path / "workspace",
        shares_base=False,
        owner=None,
        labels={labels.OWNER: "o"},
        prefix="cfn-wave1-a",
    )


def test_the_same_sidecar_is_the_same_spec_and_any_change_shows(builder: CompanionBuilder) -> None:
    (spec,) = builder.build([sidecar()])
    assert builder.build([sidecar()]) == (spec,)
    assert spec.name == "cfn-wave1-a.db"
    assert spec.labels == {
        labels.OWNER: "o",
        labels.SIDECAR: "db",
        labels.LEVEL: "0",
        labels.SPEC_HASH: spec.spec_hash,
    }
    others = [sidecar(env={"A": "1"}), sidecar("db", Volume(source="x", target="/x")), sidecar(command=("a",))]
    hashes = {each.spec_hash for other in others for each in builder.build([other])}
    hashes |= {each.spec_hash for each in replace(builder, prefix="other").build([sidecar()])}
    assert len(hashes | {spec.spec_hash}) == 5


def test_levels_follow_dependencies(builder: CompanionBuilder) -> None:
    chain = [sidecar("a"), sidecar("b"), sidecar("c", depends_on=("a", "b")), sidecar("d", depends_on=("c",))]
    assert [spec.labels[labels.LEVEL] for spec in builder.build(chain)] == ["0", "0", "1", "2"]


@pytest.mark.parametrize(
    ("source", "read_only", "stack", "place"),
    [
        ("pg", False, False, "data/a.1/.volumes/pg"),
        ("./pg", False, False, "data/a.1/.volumes/pg"),
        ("./seed.sql", True, False, "workspace/seed.sql"),
        ("../seed.sql", True, False, "seed.sql"),
        ("pg", False, True, "data/a.1/.volumes/pg"),
        ("./pg", False, True, "workspace/pg"),
        ("../pg", False, True, "pg"),
    ],
)
def test_what_is_written_is_the_attempts_own_and_what_is_read_the_workspaces(
    builder: CompanionBuilder, tmp_path: Path, source: str, read_only: bool, stack: bool, place: str
) -> None:
    volume = Volume(source=source, target="/x", read_only=read_only)
    (spec,) = replace(builder, shares_base=stack).build([sidecar("db", volume)])
    assert spec.mounts[0].source == str(tmp_path / place)


def test_directories_are_made_for_who_will_write_there_and_then_left_alone(builder: CompanionBuilder) -> None:
    builder = replace(builder, owner=(1234, 1234))
    specs = builder.build(
        [
            sidecar("db", Volume(source="pg", target="/pg"), Volume(source="./in", target="/in", read_only=True)),
            sidecar("named", user="postgres"),
            sidecar("numbered", user="999:998"),
        ]
    )
    builder.make_directories(specs)
    assert not (builder.base / "in").exists()
    found = {path.name: path.stat() for path in (builder.data / "db", builder.data / ".volumes" / "pg")}
    named, numbered = (builder.data / "named").stat(), (builder.data / "numbered").stat()
    assert named.st_mode & 0o777 == 0o777
    if os.geteuid() == 0:
        assert {(each.st_uid, each.st_gid, each.st_mode & 0o777) for each in found.values()} == {(1234, 1234, 0o700)}
        assert (numbered.st_uid, numbered.st_gid) == (999, 998)
    (builder.data / "db").chmod(0o750)
    builder.make_directories(specs)
    assert (builder.data / "db").stat().st_mode & 0o777 == 0o750


def test_new_data_never_belongs_to_root(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        assert data_owner(tmp_path) is None
        return
    assert data_owner(tmp_path) == (DATA_UID, DATA_UID)
    os.chown(tmp_path, 1000, 1001)
    assert data_owner(tmp_path) == (1000, 1001)


def test_a_task_is_told_where_its_sidecars_are() -> None:
    found = [
        sidecar("my-db", ports=(Port(target=5432),)),
        sidecar("cache", expose=(6379,), ports=(Port(target=1),)),
        sidecar("quiet"),
    ]
    assert address_variables(found) == {
        "WAVEPOOL_SIDECAR_MY_DB_HOST": "my-db",
        "WAVEPOOL_SIDECAR_MY_DB_PORT": "5432",
        "WAVEPOOL_SIDECAR_CACHE_HOST": "cache",
        "WAVEPOOL_SIDECAR_CACHE_PORT": "6379",
        "WAVEPOOL_SIDECAR_QUIET_HOST": "quiet",
    }
