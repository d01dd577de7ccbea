"""`wavepool task --pool TYPE`: prompts go to containers that are parked already, each with a clone of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from test_agents_at_work import commit, git, image
from wavepool_cli import Finished, Running, World, eventually

from wavepool.engine.usage.record import read_record
from wavepool.monitoring.logs import Logs
from wavepool.monitoring.monitor import Monitor
from wavepool.monitoring.runs.stories import Stories
from wavepool.statedir import StateDir
from wavepool.testing.fake_cli import install, prompt

DEADLINE_S = 300.0
INSIDE = ("--environment", "PATH=/workspace/bin:/usr/bin:/bin")


@pytest.fixture
def repo(docker_world: World) -> Path:
    """A repository that brings the fake CLI along, as nothing can be mounted into a parked container."""
    made = docker_world.workspace
    git(made, "init", "-q", "-b", "main")
    (made / "bin").mkdir()
    install(made / "bin")
    (made / "README.txt").write_text("A project\n")
    git(made, "add", "-A")
    git(made, "commit", "-qm", "Begin")
    return made


@contextmanager
def serving(world: World, **pool: object) -> Iterator[Running]:
    settings = {
        "image": image(),
        "size": 2,
        "auto_scaling": False,
        "pools": {"coder": {"memory": "64m", "max_size": 3, **pool}},
    }
    path = world.root / "pools.json"
    path.write_text(json.dumps(settings))
    server = world.command("serve", "--config", str(path), "--state-dir", str(world.state), "--json", "--pull", "never")
    server.wait_for("ready")
    yield server
    server.interrupt()
    assert server.finish(DEADLINE_S).exit_code == 0


def looked_at_while_it_works(world: World, state: tuple[str, str]) -> None:
    """Its output and what it uses are there for others while it runs, and what it used when it is over."""
    options = ("--repo", str(world.workspace), *state, *INSIDE, "--run-id", "seen", "--pool", "coder")
    words = prompt("say I am at work", "hang")
    agents = world.command("task", words, *options, env={"ANTHROPIC_API_KEY": "dummy"})
    files = StateDir(world.state).run("seen")
    eventually(files.journal.exists, "the journal of the run")
    logs = world.command("logs", "seen", "task-1", "--follow", *state)
    eventually(lambda: b"I am at work" in logs.printed(), "what it says")
    eventually(lambda: len(read_record(files.usage).attempts) == 1, "a reading of what it uses")
    anyio.run(seen_by_a_page, world.state)
    assert world.command("cancel", "seen", "--force", *state).finish().exit_code == 0
    assert agents.finish(DEADLINE_S).exit_code == 130
    assert logs.finish(DEADLINE_S).exit_code == 0
    shown = world.command("show", "seen", "task-1", *state).finish()
    assert "of memory at most" in shown.stdout.decode()


async def seen_by_a_page(state: Path) -> None:
    """As a server's page reads it, which may be another process than the one that holds the pools."""
    async with Monitor(state) as monitor, Logs(Stories(StateDir(state)), monitor.driver) as logs:
        piece = await logs.read("seen", "task-1", None, limit=1 << 20)
        assert piece.live
        assert b"I am at work" in piece.data
        with anyio.fail_after(DEADLINE_S):
            while "usage" not in (await monitor.task("seen", "task-1")):  # noqa: ASYNC110 - another process's doing
                await anyio.sleep(0.2)


def task(world: World, *words: str) -> Finished:
    options = ("--repo", str(world.workspace), "--state-dir", str(world.state), *INSIDE)
    return world.command("task", *words, *options, env={"ANTHROPIC_API_KEY": "dummy"}).finish(DEADLINE_S)


@pytest.mark.docker
def test_prompts_are_claims_of_parked_containers_and_come_back_as_branches(docker_world: World, repo: Path) -> None:
    with serving(docker_world) as server:
        parked = set(docker_world.containers())
        odd = "two.txt \"$HOME\" `id` 'ß'"
        text = prompt("write one.txt Erstes", commit("Mine"), f"write {odd}", "say I did it")
        stuck = prompt("result error_during_execution I am stuck")
        done = task(docker_world, text, stuck, "--pool", "coder")
        assert done.exit_code == 1, done.stderr
        told = server.wait_for("task_ended", count=2)
        assert {each["where"] for each in told} == {"warm"}
        eventually(lambda: parked.isdisjoint(docker_world.containers()), "each was for one task")
        entries = done.entries()
        assert done.verdicts() == {"task-1": "success", "task-2": "failed"}
        assert entries["task-1"]["agent"]["turns"] == 4
        assert entries["task-1"]["changes"]["committed_by"] == "host"
        assert "I did it" in done.stderr
        assert "I am stuck" in done.stderr
        run_id, branch = done.result["run_id"], entries["task-1"]["changes"]["branch"]
        assert git(repo, "show", f"{branch}:one.txt") == "Erstes"
        assert git(repo, "show", f"{branch}:two.txt") == "\"$HOME\" `id` 'ß'"
        state = ("--state-dir", str(docker_world.state))
        said = docker_world.command("logs", run_id, "task-1", *state).finish()
        assert '"type":"result"' in said.stdout.decode()
        merged = docker_world.command("merge", run_id, *state).finish()
        assert merged.exit_code == 0, merged.stderr
        looked_at_while_it_works(docker_world, state)
    assert git(repo, "status", "--porcelain") == ""
    assert not list((docker_world.state / "runs" / run_id / "work").glob("*/tree"))


@pytest.mark.slow
@pytest.mark.docker
def test_more_prompts_than_containers_wait_their_turn_and_a_timeout_stops_its_own(
    docker_world: World, repo: Path
) -> None:
    with serving(docker_world) as server:
        done = task(
            docker_world, prompt("write a.txt A"), prompt("hang"), "-n", "2", "--timeout", "8", "--pool", "coder"
        )
        assert done.exit_code == 1, done.stderr
        verdicts = done.verdicts()
        assert [verdicts[name] for name in ("task-1-1", "task-1-2")] == ["success", "success"]
        assert [verdicts[name] for name in ("task-2-1", "task-2-2")] == ["timeout", "timeout"]
        assert len(server.wait_for("task_ended", count=4)) == 4


@pytest.mark.docker
@pytest.mark.parametrize(
    ("pool", "words", "said"),
    [
        ({"workspace": "/tmp"}, (), "its containers share the workspace /tmp"),
        ({"reuse": True}, (), "got secrets ['anthropic_api_key'], expected none"),
    ],
)
def test_a_pool_that_cannot_take_agents_says_so(
    docker_world: World, repo: Path, pool: dict[str, object], words: tuple[str, ...], said: str
) -> None:
    with serving(docker_world, **pool):
        done = task(docker_world, prompt("write a.txt A"), "--pool", "coder", *words)
        assert done.exit_code == 1
        assert done.verdicts() == {"task-1": "start_error"}
        assert said in done.stderr


def test_without_a_server_nothing_begins(process_world: World) -> None:
    git(process_world.workspace, "init", "-q")
    done = task(process_world, "x", "--pool", "coder")
    assert done.exit_code == 3
    assert "no `wavepool serve` works with" in done.stderr
    assert "Start one: `wavepool serve`" in done.stderr
    assert process_world.run_dirs() == []


def test_a_server_on_the_bare_host_lets_no_agent_loose(process_world: World) -> None:
    git(process_world.workspace, "init", "-q")
    state = ("--state-dir", str(process_world.state))
    server = process_world.command("serve", "--driver", "process", "--json", *state)
    server.wait_for("serving")
    done = task(process_world, "x", "--pool", "coder")
    assert done.exit_code == 2, done.stderr
    assert "--allow-host" in done.stderr
    server.interrupt()
    assert server.finish().exit_code == 0
