"""`wavepool pool` and `wavepool serve` before anybody answers: options, exit codes, words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wavepool.cli.pool_order import RawOrder, build_order
from wavepool.cli.pool_run import _said, exit_code_of
from wavepool.engine.control.pools import NoServer, open_client
from wavepool.engine.recover.dead_pools import dead_pool_lines
from wavepool.errors import InfrastructureError, SettingError, UnreadableFile
from wavepool.statedir import StateDir


def raw(**given: Any) -> RawOrder:
    names = ("command", "environment", "env_files", "secrets", "prompt_file", "directory", "memory", "cpus", "timeout")
    return RawOrder(**{"agent_type": "coder", "stream": True, **dict.fromkeys(names), **given})


def test_an_order_has_what_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "env").write_text("A=1\nB=2\n")
    (tmp_path / "prompt").write_bytes(b"\xef\xbb\xbfdo it\r\n")
    monkeypatch.setenv("MY_KEY", "s3cret")
    order = build_order(
        raw(
            command=["ls", "-l"],
            environment=["B=3"],
            env_files=[str(tmp_path / "env")],
            secrets=["MY_KEY"],
            prompt_file=str(tmp_path / "prompt"),
            memory="64m",
            cpus=0.5,
            timeout="1m",
        ),
        7.0,
    )
    assert (order.command, order.env, order.secrets) == (("ls", "-l"), {"A": "1", "B": "3"}, {"MY_KEY": b"s3cret"})
    assert order.prompt.encode() == b"\xef\xbb\xbfdo it\r\n"
    assert (order.limits, order.timeout_s, order.grace_s) == ({"memory_bytes": 64 << 20, "cpus": 0.5}, 60.0, 7.0)
    assert build_order(raw(), 1.0).command is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"environment": ["A"]}, "--env: got 'A', expected NAME=VALUE"),
        ({"environment": ["LD_PRELOAD=x"]}, "--env: got 'LD_PRELOAD'"),
        ({"secrets": ["NO_SUCH_VARIABLE"]}, "--secret NO_SUCH_VARIABLE: got 'env:NO_SUCH_VARIABLE'"),
        ({"memory": "1m"}, "--memory: got '1m', expected a size of at least 6m"),
        ({"memory": "much"}, "--memory: got 'much'"),
        ({"timeout": "0"}, "--timeout: got '0', expected a duration above zero"),
        ({"timeout": "-1"}, "--timeout: got '-1'"),
    ],
)
def test_what_is_wrong_is_said_by_its_option(given: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError) as caught:
        build_order(raw(**given), 1.0)
    assert str(caught.value).startswith(words)


def test_a_prompt_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xe9")
    with pytest.raises(SettingError, match="expected a file in UTF-8"):
        build_order(raw(prompt_file=str(tmp_path / "latin")), 1.0)
    with pytest.raises(UnreadableFile, match="--prompt-file: cannot read /no/such/file"):
        build_order(raw(prompt_file="/no/such/file"), 1.0)


def result(verdict: str, exit_code: int | None, **evidence: object) -> dict[str, Any]:
    return {"verdict": verdict, "exit_code": exit_code, "evidence": evidence, "gap": ""}


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (result("success", 0), 0),
        (result("failed", 7), 7),
        (result("failed", None), 1),
        (result("timeout", 124), 124),
        (result("oom", 137), 137),
        (result("cancelled", 143), 130),
        (result("lost", None), 125),
        (result("start_error", None), 125),
    ],
)
def test_the_exit_code_is_the_tasks_as_docker_run_has_it(found: dict[str, Any], code: int) -> None:
    assert exit_code_of(found) == code


def test_only_what_an_exit_code_does_not_say_is_said() -> None:
    assert _said(result("failed", 7, reason="exit code 7", oom_flag=False), {}) == []
    assert _said(result("success", 0), {}) == []
    assert _said(result("timeout", 124, reason="it was slow"), {}) == ["timeout: it was slow"]
    assert _said(result("failed", 139, reason="it crashed", signal="SIGSEGV"), {}) == ["failed: it crashed"]
    assert _said(result("lost", None), {}) == ["lost: no reason is known"]
    cut = _said({**result("success", 0), "gap": "its log was cut"}, {"stdout": 3 << 20})
    assert cut == [
        "some of its output may be missing: its log was cut",
        "3.0m of its stdout are left out, as they were not read in time",
    ]


# -- who serves --


@pytest.mark.anyio
async def test_without_a_server_the_advice_is_to_start_one(tmp_path: Path) -> None:
    place = StateDir(tmp_path / "state").server()
    with pytest.raises(NoServer) as caught:
        async with open_client(place):
            pass
    assert "no `wavepool serve` works with" in str(caught.value)
    assert "`wavepool serve`, in another terminal" in caught.value.advice
    assert (caught.value.exit_code, caught.value.died) == (3, "")
    assert not (tmp_path / "state").exists()


@pytest.mark.anyio
async def test_a_server_that_was_killed_is_told_with_what_clears_up_after_it(tmp_path: Path) -> None:
    place = StateDir(tmp_path).server()
    (tmp_path / "serve.lock").write_text("4711 here\n")
    with pytest.raises(NoServer, match=r"process 4711 on here, was killed: `wavepool recover`"):
        async with open_client(place):
            pass


@pytest.mark.anyio
async def test_a_server_that_holds_the_lock_and_never_listens_is_named(tmp_path: Path) -> None:
    place = StateDir(tmp_path).server()
    with place.held(), pytest.raises(InfrastructureError, match="and does not listen on"):
        async with open_client(place, patience_s=0.1):
            pass
    assert place.holder() == ""


def test_there_is_one_server_for_each_state_directory(tmp_path: Path) -> None:
    place = StateDir(tmp_path / "state").server()
    with place.held():
        assert place.is_live()
        with pytest.raises(InfrastructureError, match=r"is served already, by process \d+ on ") as caught, place.held():
            pass
        assert "needs another --state-dir" in caught.value.advice
    assert not place.is_live()
    with pytest.raises(KeyError), place.held():
        raise KeyError
    assert (place.is_live(), place.holder()) == (False, "")  # only one that was killed leaves its name


def test_pools_that_died_are_told_and_runs_are_not(tmp_path: Path) -> None:
    state_dir = StateDir(tmp_path)
    assert dead_pool_lines(state_dir) == []
    for name in ("pool-1", "pool-2", "pool-3", "pool-4", "pool-run", "20261127-1"):
        state_dir.run(name).create()
        state_dir.run(name).slot("coder-1", 1)
    state_dir.run("pool-taken-up").create()  # `recover` was there
    state_dir.run("pool-run").journal.touch()
    with state_dir.run("pool-5").lock():
        state_dir.run("pool-5").slot("coder-1", 1)
        lines = dead_pool_lines(state_dir)
    assert [line.split(" ")[4] for line in lines[:3]] == ["pool-2", "pool-3", "pool-4"]
    assert "`wavepool recover --grace 0s --run-id pool-4` removes what it left" in lines[2]
    assert lines[3].startswith("1 more pools were killed")
