"""Values that users type: what is taken, and what is refused before anything starts."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.errors import SettingError, UnreadableFile
from wavepool.inputs import (
    LATEST,
    check_workspace,
    hostpaths,
    parse_env_file,
    parse_environment,
    parse_mount,
    parse_mounts,
    parse_new_run_id,
    parse_pattern,
    parse_run_id,
    parse_secret,
    parse_secrets,
    parse_timeout,
    read_secret,
)
from wavepool.model import Mount, SecretSource

FORBIDDEN = [
    *("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_DEBUG", "DOCKER_HOST", "DOCKERHOST", "DOCKER_SOCKET", "DOCKER_CONFIG"),
    *("DOCKER_CERT_PATH", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_API_VERSION"),
]


def test_variables_are_split_at_the_first_equals_sign() -> None:
    items = ["A=1", "B=", "C=x=y z", "A=2", "npm_config.x-y=ä", "ld_preload=x", "LD_PRELOADS=x"]
    assert parse_environment(items) == {
        "A": "2",
        "B": "",
        "C": "x=y z",
        "npm_config.x-y": "ä",
        "ld_preload": "x",
        "LD_PRELOADS": "x",
    }


@pytest.mark.parametrize("item", ["A", "", "=x", " A=1", "A B=1", "1A=x", "Ä=1", "A=\0", "A\n=1", "A=" + "x" * 131_072])
def test_what_is_no_variable_is_refused(item: str) -> None:
    with pytest.raises(SettingError, match="--environment"):
        parse_environment(["OK=1", item])


@pytest.mark.parametrize("name", FORBIDDEN)
def test_variables_of_the_loader_and_of_docker_are_refused(name: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse_environment([f"{name}=private"])
    assert caught.value.value == name
    assert "private" not in str(caught.value)
    with pytest.raises(SettingError, match="line 2"):
        parse_env_file(f"A=1\n{name}=x", ".env")


def test_an_env_file_is_read_as_docker_reads_it() -> None:
    text = '\ufeff# a comment\r\n\r\nA=1\r\n  B="quoted" # kept\nC=a=b\u2028c\n\t# another\nA=2\n'
    assert parse_env_file(text, ".env") == {"A": "2", "B": '"quoted" # kept', "C": "a=b\u2028c"}


def test_an_env_file_never_shows_what_may_be_private() -> None:
    for text in ("A=1\nsk-12345", "A B=sk-12345", "A=sk-12345\0"):
        with pytest.raises(SettingError, match=r"\.env, line") as caught:
            parse_env_file(text, ".env")
        assert "sk-12345" not in str(caught.value)


def test_mounts_are_read_only_unless_told(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    expected = Mount(source=str(tmp_path), target="/data")
    writable = Mount(source=str(tmp_path), target="/data", read_only=False)
    for text in (
        "{}:/data",
        "{}:/data:ro",
        "{}/link:/data/",
        "source={},target=/data",
        "type=bind,src={},dst=/data,ro",
    ):
        assert parse_mount(text.format(tmp_path)) == expected
    for text in ("{}:/data:rw", "type=bind,source={},destination=/data,rw"):
        assert parse_mount(text.format(tmp_path)) == writable
    assert parse_mount(f"{tmp_path}:/workspace/extra").target == "/workspace/extra"
    assert len(parse_mounts([f"{tmp_path}:/a", f"{tmp_path}:/b"])) == 2
    with pytest.raises(SettingError, match="mounted twice"):
        parse_mounts([f"{tmp_path}:/a", f"{tmp_path}:/a/"])


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "{}", "{}:", ":/data", "{}:/data:", "{}:/data:rwx", "{}:/data:ro:rw", "\0:/data"),
        *("{}/missing:/data", "type=volume,source={},target=/data", "type=bind,source={}", "type=bind,target=/data"),
        *("source={},target=/d,z", "source={},source={},target=/data"),
        "source={},target=/data,bind-propagation=shared",
        *("{}:data", "{}:/", "{}://", "{}:/data/../..", "{}:/workspace", "{}:/workspace/", "{}:/run"),
        *("{}:/run/secrets", "{}:/run/secrets/x", "{}:/run/wavepool", "{}:/proc", "{}:/proc/1"),
        *("{}:/sys", "{}://run/secrets"),
    ],
)
def test_malformed_mounts_and_taken_targets_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingError, match="--mount"):
        parse_mount(text.format(tmp_path, tmp_path))


@pytest.mark.parametrize("source", ["/", "//", "/tmp/..", "/proc", "/proc/1", "/proc/self/root", "/sys", "/sys/kernel"])
def test_the_whole_host_and_the_kernels_trees_are_refused(source: str) -> None:
    with pytest.raises(SettingError, match="--mount"):
        parse_mount(f"{source}:/data")
    with pytest.raises(SettingError, match="--workspace"):
        check_workspace(source)


def test_a_docker_socket_is_refused_by_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = tmp_path / "run" / "engine.sock"
    engine.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(engine))
        monkeypatch.setattr(hostpaths, "ENGINE_SOCKETS", (str(tmp_path / "var" / "engine.sock"),))
        (tmp_path / "var").symlink_to(engine.parent)
        (tmp_path / "link").symlink_to(engine)
        os.link(engine, tmp_path / "hard")
        beside = tmp_path / "beside"
        beside.mkdir()
        for source in (engine, engine.parent, tmp_path, tmp_path / "var", tmp_path / "link", tmp_path / "hard"):
            with pytest.raises(SettingError, match="Docker socket"):
                parse_mount(f"{source}:/data")
        assert parse_mount(f"{beside}:/data").source == str(beside)
        (beside / "docker.sock").touch()
        with pytest.raises(SettingError, match="Docker socket"):
            check_workspace(beside)


@pytest.mark.parametrize("source", ["/run", "/var/run", "/var/run/docker.sock", "/run/docker.sock"])
def test_the_usual_places_of_the_socket_are_refused(source: str) -> None:
    with pytest.raises(SettingError, match="--mount"):
        parse_mount(f"{source}:/data")


def test_a_workspace_is_a_directory_followed_to_its_real_path(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert check_workspace(tmp_path / "link") == tmp_path
    for wrong in (tmp_path / "missing", tmp_path / "file", tmp_path / "loop", tmp_path / "file" / "x", "", "a\0b"):
        with pytest.raises(SettingError, match="--workspace"):
            check_workspace(wrong)


def test_a_secret_names_its_place(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_bytes(b"s3cret\n\xff")
    environ = {"KEY": "from KEY", "OTHER": "\udcff"}
    made = parse_secrets(["KEY", "A=env:OTHER", f"B=file:{token}", f"C={token}"])
    assert [source.kind for source in made] == ["env", "env", "file", "file"]
    assert [read_secret(source, environ) for source in made] == [b"from KEY", b"\xff", b"s3cret\n\xff", b"s3cret\n\xff"]
    assert made[0] == SecretSource(name="KEY", kind="env", source="KEY")


def test_a_secrets_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_secret("A=file:./t").source == str(tmp_path / "t")


@pytest.mark.parametrize("text", ["", "=x", "a b", "a/b", ".", "..", "x" * 65, "A=", "A=env:", "A=file:", "A=file:\0"])
def test_malformed_secrets_are_refused(text: str) -> None:
    with pytest.raises(SettingError, match="--secret"):
        parse_secret(text)


def test_a_secret_given_in_place_of_its_place_is_not_shown() -> None:
    with pytest.raises(SettingError) as caught:
        parse_secret("API_KEY=sk-12345")
    assert "sk-12345" not in str(caught.value)
    assert "never given on the command line" in caught.value.advice


def test_secrets_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(2**20 + 1))
    for text in ("MISSING", "A=env:MISSING", f"A={large}"):
        with pytest.raises(SettingError, match="--secret"):
            read_secret(parse_secret(text), {})
    for path, why in ((f"{tmp_path}/missing", "No such file or directory"), (str(tmp_path), "Is a directory")):
        with pytest.raises(UnreadableFile, match=f"^--secret A: cannot read {path}: {why}$"):
            read_secret(parse_secret(f"A=file:{path}"), {})
    with pytest.raises(SettingError, match="each secret once"):
        parse_secrets(["A", "A=env:B"])


@pytest.mark.parametrize("text", ["0", "-1", "", "soon", "NaN", "1e9", True])
def test_a_timeout_is_above_zero(text: str) -> None:
    with pytest.raises(SettingError, match="--timeout"):
        parse_timeout(text)
    assert parse_timeout("30m") == 1800


@pytest.mark.parametrize("text", ["cfn-wave1-*", "cfn-wave1*", "cfn-wave1-batch?", "cfn-wave1-a.b_c", "cfn-wave1"])
def test_patterns_that_name_their_wave_are_taken(text: str) -> None:
    assert parse_pattern(text, 1).text == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "cfn-*", "cfn-wave*", "cfn-wave?-*", "cfn-wave10-*", "cfn-wave2-*", "*cfn-wave1-*", "a;rm"),
        *("cfn-wave1-;x", "cfn-wave1-[a]*", "cfn-wave1-*\n", "cfn-wave1 *", "cfn-wave1-$(x)", "wave1-*", "CFN-wave1-*"),
        "cfn-wave1-" + "*" * 300,
    ],
)
def test_patterns_that_are_wide_or_odd_are_refused(text: str) -> None:
    with pytest.raises(SettingError, match="--pattern"):
        parse_pattern(text, 1)


def test_a_pattern_matches_whole_names_of_its_wave_and_prefix() -> None:
    pattern = parse_pattern("cfn-wave1-a*", 1)
    names = ["cfn-wave1-ab", "cfn-wave1-b", "cfn-wave10-a", "xcfn-wave1-a", "cfn-wave1-a\n", "CFN-wave1-a"]
    assert [name for name in names if pattern.matches(name)] == ["cfn-wave1-ab", "cfn-wave1-a\n"]
    assert parse_pattern("my-wave1-*", 1, prefix="my-").matches("my-wave1-x")
    with pytest.raises(SettingError):
        parse_pattern("cfn-wave1-*", 1, prefix="my-")


@given(st.text("cfn-wave1023*?", max_size=16), st.integers(0, 200))
def test_no_pattern_reaches_beyond_its_prefix(text: str, wave: int) -> None:
    try:
        pattern = parse_pattern(text, wave)
    except SettingError:
        return
    assert not pattern.matches("other-container")
    assert not pattern.matches(f"cfn-wave{wave + 1}00-x")


@pytest.mark.parametrize("text", ["", "A", "-a", ".a", "a/b", "a b", "a\n", "ä", "x" * 64])
def test_a_run_id_is_safe_as_a_directory(text: str) -> None:
    assert parse_run_id("20261120-231530-4f2a") == "20261120-231530-4f2a"
    with pytest.raises(SettingError, match="--run-id"):
        parse_run_id(text)


def test_no_run_is_given_the_word_for_the_newest_one() -> None:
    assert parse_new_run_id("latest-1") == "latest-1"
    with pytest.raises(SettingError, match="--run-id: got 'latest', expected an id of its own"):
        parse_new_run_id(LATEST)
