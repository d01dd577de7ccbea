"""What reaches a task: environment, prompt, secrets."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from wavepool.drivers.base import AttemptSpec
from wavepool.drivers.process.slot import VARIABLE_MAX_BYTES, SecretStore, User, environment_of, write_prompt
from wavepool.errors import NotStarted
from wavepool.model import AttemptId, Limits


@pytest.fixture
def spec(tmp_path: Path) -> AttemptSpec:
    return AttemptSpec(
        attempt=AttemptId("a", 1),
        owner="me",
        run_id="run",
        wave=1,
        name="cfn-wave1-a-1",
        image="",
        command=("true",),
        env={"GREETING": "hello"},
        prompt="do it",
        limits=Limits(memory_bytes=1 << 20),
        workspace=tmp_path,
        slot=tmp_path,
    )


def env_of(spec: AttemptSpec, user: User | None = None, **inherited: str) -> dict[str, str]:
    return environment_of(
        spec, inherited=inherited, prompt_file=Path("/slot/prompt"), secrets_dir=Path("/shm/a"), user=user
    )


def test_a_task_sees_a_few_of_our_variables_and_no_others(spec: AttemptSpec) -> None:
    env = env_of(spec, PATH="/my/bin", HOME="/home/me", ANTHROPIC_API_KEY="secret", LD_PRELOAD="x")
    assert (env["PATH"], env["HOME"], env["GREETING"]) == ("/my/bin", "/home/me", "hello")
    assert "ANTHROPIC_API_KEY" not in env
    assert "LD_PRELOAD" not in env


def test_the_drivers_own_variables_are_there_and_come_last(spec: AttemptSpec, tmp_path: Path) -> None:
    env = env_of(replace(spec, env={"TASK_PROMPT_FILE": "/etc/passwd", "PATH": "/task/bin"}), PATH="/my/bin")
    assert env["TASK_PROMPT"] == "do it"
    assert env["TASK_PROMPT_FILE"] == "/slot/prompt"
    assert env["WAVEPOOL_WORKSPACE"] == str(tmp_path)
    assert env["WAVEPOOL_SECRETS_DIR"] == "/shm/a"
    assert env["PATH"] == "/task/bin"


@pytest.mark.parametrize(
    ("prompt", "fits"),
    [
        ("", True),
        ("x" * (VARIABLE_MAX_BYTES - len("TASK_PROMPT=") - 1), True),
        ("x" * (VARIABLE_MAX_BYTES - len("TASK_PROMPT=")), False),
        ("é" * (VARIABLE_MAX_BYTES // 2), False),
        ("a\0b", False),
    ],
)
def test_the_prompt_is_a_variable_where_the_kernel_takes_it(spec: AttemptSpec, prompt: str, fits: bool) -> None:
    assert ("TASK_PROMPT" in env_of(replace(spec, prompt=prompt))) is fits


def test_another_user_has_another_home(spec: AttemptSpec) -> None:
    assert env_of(spec, User(uid=4_000_000, gid=1), HOME="/root")["HOME"] == "/tmp"


@pytest.mark.parametrize("prompt", ["", "a\0b\r\n\n", "漢字 🎉", "\ud800", "x" * 300_000])
def test_the_prompt_file_is_exact(spec: AttemptSpec, prompt: str) -> None:
    spec = replace(spec, prompt=prompt)
    for _ in range(2):
        assert write_prompt(spec, None).read_bytes() == prompt.encode("utf-8", "surrogatepass")


def test_secrets_are_private_files_and_go_away(tmp_path: Path) -> None:
    store = SecretStore(tmp_path / "root")
    for _ in range(2):
        store.put("a", {"TOKEN": b"\x00\xff"}, None)
    place = store.place("a")
    assert place is not None
    assert (place / "TOKEN").read_bytes() == b"\x00\xff"
    assert stat.S_IMODE((place / "TOKEN").stat().st_mode) == 0o400
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    store.remove("a")
    store.remove("a")
    store.prune()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc/x", "-x", ".hidden", "a\nb"])
def test_a_secret_with_a_hostile_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotStarted):
        SecretStore(tmp_path).check({name: b""})


def test_a_root_that_somebody_else_laid_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "real")
    with pytest.raises(NotStarted, match="belongs to someone else"):
        SecretStore(tmp_path / "root").put("a", {"TOKEN": b"x"}, None)


@pytest.mark.parametrize("text", ["", "root", "1000:", "-1:0", "1000:1000:1", "\u0661", "1000:swarm"])
def test_a_user_is_numbers(text: str) -> None:
    with pytest.raises(NotStarted):
        User.parse(text)


def test_a_user_without_a_group_has_the_group_of_the_same_number() -> None:
    assert User.parse("1000") == User(uid=1000, gid=1000)
    assert User.parse("1000:7") == User(uid=1000, gid=7)
