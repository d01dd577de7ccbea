"""A pool without Docker: every task starts cold, as a process of this host, and that is said once."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from wavepool import AgentType, ContainerPool, Limits
from wavepool.engine.pools import Where
from wavepool.errors import InputError
from wavepool.model import VerdictKind
from wavepool.statedir import StateDir

pytestmark = pytest.mark.anyio


async def test_every_task_of_processes_starts_cold_and_that_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    coder = AgentType(name="coder", image="none", limits=Limits(memory_bytes=64 << 20), env={"MODE": "plain"})
    with anyio.fail_after(120):
        async with ContainerPool([coder], driver="process", state_dir=tmp_path, notice=said.append) as pool:
            await pool.warm()
            for number in range(2):
                done = await pool.execute("coder", ("/bin/sh", "-c", f"echo $MODE {number}; pwd; exit 3"))
                assert (done.where, done.exit_code) == (Where.COLD, 3)
                assert done.stdout.splitlines()[0] == f"plain {number}".encode()
            late = await pool.execute("coder", ("sleep", "600"), timeout_s=0.2, grace_s=1.0)
            assert late.verdict.kind is VerdictKind.TIMEOUT
            with anyio.move_on_after(0.2):
                await pool.execute("coder", ("sleep", "600"))
    assert pool.left_behind == []
    assert StateDir(tmp_path).runs() == []
    assert len(said) == 1
    assert "cold" in said[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's processes can become somebody else")
async def test_a_user_by_name_is_refused_once_and_before_anything_runs(tmp_path: Path) -> None:
    swarm = AgentType(name="swarm", image="none", limits=Limits(memory_bytes=64 << 20), user="swarm:swarm")
    with anyio.fail_after(120):
        with pytest.raises(InputError, match="expected uid or uid:gid in numbers"):
            async with ContainerPool([swarm], driver="process", state_dir=tmp_path):
                pass
        async with ContainerPool([replace(swarm, user="1000")], driver="process", state_dir=tmp_path) as pool:
            done = await pool.execute("swarm", ("/bin/sh", "-c", "id -u; id -g; pwd"), directory="/")
            assert done.stdout == b"1000\n1000\n/\n"
    assert StateDir(tmp_path).runs() == []
