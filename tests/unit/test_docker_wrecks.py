"""Starts that a restart of the daemon cut in two: what is certain of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from wavepool.drivers.docker.starting.wrecks import clear_unborn
from wavepool.drivers.docker.trouble import is_wreck

NOBODY = 4_194_305
"""Above the largest pid of a kernel: signalling it fails."""


def laid_out(root: Path, *comms: str) -> bool:
    """`clear_unborn` on a host where the container's cgroup holds processes of these names."""
    group = root / "cgroup" / "pids" / "docker" / "abc"
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text("".join(f"{NOBODY + n}\n" for n in range(len(comms))))
    for n, comm in enumerate(comms):
        process = root / "proc" / str(NOBODY + n)
        process.mkdir(parents=True)
        (process / "comm").write_text(f"{comm}\n")
    return clear_unborn("abc", root=root / "cgroup", proc=root / "proc")


@pytest.mark.parametrize(
    ("comms", "certain"),
    [
        pytest.param(("runc:[2:INIT]",), True, id="it waits to be started"),
        pytest.param(("tini", "sh"), False, id="it runs"),
        pytest.param(("runc:[2:INIT]", "sh"), False, id="something of it runs"),
        pytest.param((), False, id="it may have ended"),
    ],
)
def test_only_what_waits_in_place_of_the_program_proves_that_it_never_ran(
    tmp_path: Path, comms: tuple[str, ...], certain: bool
) -> None:
    assert laid_out(tmp_path, *comms) is certain


def test_where_there_is_no_cgroup_nothing_is_certain(tmp_path: Path) -> None:
    assert not clear_unborn("abc", root=tmp_path, proc=tmp_path)


def test_the_words_of_the_daemon() -> None:
    assert is_wreck("task be5662b2c9f67a05bb192015ef48a597d214b63ea5fed4885dfa8be4b89ff985: already exists: unknown")
    assert is_wreck("id already in use")
    assert is_wreck("failed to start shim: mkdir x/exec/moby/69ca: file exists: unknown")
    assert is_wreck("grpc: the client connection is closing: context canceled")
    assert not is_wreck("endpoint with name x already exists in network y")
