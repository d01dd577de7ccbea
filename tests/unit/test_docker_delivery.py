"""Prompts and secrets on the host's side."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from wavepool.drivers.docker.starting.delivery import SecretStore, write_prompt
from wavepool.errors import NotStarted

ME = f"{os.getuid()}:{os.getgid()}"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("prompt", ["", "a\r\nb\0c\n\n", "漢字 🎉", "x" * 300_000])
def test_a_prompt_is_byte_exact_and_anyone_s_to_read(tmp_path: Path, prompt: str) -> None:
    umask = os.umask(0o077)
    try:
        directory = write_prompt(tmp_path, prompt)
        directory = write_prompt(tmp_path, prompt)
    finally:
        os.umask(umask)
    assert (directory / "prompt").read_bytes() == prompt.encode()
    assert (mode(directory), mode(directory / "prompt")) == (0o755, 0o444)
    assert os.listdir(directory) == ["prompt"]


def test_secrets_are_for_one_reader_only(tmp_path: Path) -> None:
    store = SecretStore(tmp_path / "root")
    directory = store.place("n", {"KEY": b"\x00value\n"}, ME)
    assert (directory / "KEY").read_bytes() == b"\x00value\n"
    assert mode(tmp_path / "root") == 0o700
    assert (mode(directory), mode(directory / "KEY")) == (0o500, 0o400)
    store.discard("n")
    store.discard("n")
    assert os.listdir(tmp_path / "root") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_secrets_belong_to_the_container_s_user(tmp_path: Path) -> None:
    directory = SecretStore(tmp_path / "root").place("n", {"KEY": b"v"}, "1234:5678")
    status = (directory / "KEY").stat()
    assert (status.st_uid, status.st_gid, mode(directory / "KEY")) == (1234, 5678, 0o400)
    assert mode(directory) == 0o500


def test_a_user_that_only_the_image_knows_reads_them_too(tmp_path: Path) -> None:
    directory = SecretStore(tmp_path / "root").place("n", {"KEY": b"v"}, "node")
    assert (mode(tmp_path / "root"), mode(directory), mode(directory / "KEY")) == (0o700, 0o555, 0o444)


def test_placing_again_replaces(tmp_path: Path) -> None:
    store = SecretStore(tmp_path / "root")
    store.place("n", {"OLD": b"1"}, ME)
    assert os.listdir(store.place("n", {"NEW": b"2"}, ME)) == ["NEW"]


@pytest.mark.parametrize("name", ["../escape", "a/b", "", ".hidden", "new\nline"])
def test_a_secret_s_name_stays_in_its_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotStarted, match="name of a secret"):
        SecretStore(tmp_path / "root").place("n", {name: b"v"}, ME)


def test_a_place_that_others_prepared_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path)
    for root in ("open", "link"):
        with pytest.raises(NotStarted, match="ours alone"):
            SecretStore(tmp_path / root).place("n", {"KEY": b"v"}, ME)
