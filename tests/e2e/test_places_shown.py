"""Where work is done and by whom, as it is shown beside a real run: workspaces with what git says, and processes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from user_git import git
from wavepool_cli import World, batch, eventually, plan_of, wave

from wavepool.monitoring.runs.stories import Stories
from wavepool.monitoring.sources.processes import ProcessesSource
from wavepool.monitoring.sources.workspaces import WorkspacesSource
from wavepool.statedir import StateDir
from wavepool.workspace.named import WorktreeManager

RUN = "placed"
KEY = "sk-ant-0123456789abcdef0123456789abcdef"


@pytest.fixture
def repo(process_world: World) -> Path:
    repo = process_world.workspace
    git(repo, "init", "-q", "-b", "main")
    for name, text in (("README", "hello\n"), ("gone", "bye\n"), (".gitignore", "ignored\n")):
        (repo / name).write_text(text)
    git(repo, "add", "-A")
    git(repo, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "-q", "-m", "first")
    return repo


def workspaces(world: World, *places: Path) -> Mapping[str, Any]:
    state_dir = StateDir(world.state)
    return anyio.run(WorkspacesSource(state_dir, Stories(state_dir), places=places).read)


@pytest.mark.parametrize("kind", ["worktree", "clone"])
def test_a_workspace_is_shown_with_its_changes_and_nothing_in_it_is_executed(
    process_world: World, repo: Path, tmp_path: Path, kind: str
) -> None:
    """The task makes a repository of its own there, with all that could start a program."""
    world, sprung = process_world, tmp_path / "sprung"
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\necho ran >>{sprung}\ncat\n")
    trap.chmod(0o755)
    plant = (
        f"rm -rf .git; git init -q .; git config core.fsmonitor {trap}; git config filter.evil.clean {trap}; "
        f"cp {trap} .git/hooks/post-index-change; printf '* filter=evil\\n' >.gitattributes"
    )
    work = f"echo more >>README; rm gone; mkdir new; echo x >new/file; echo x >ignored; touch 'odd\nname'; {plant}"
    go = tmp_path / "go"
    command = f"{work}; touch {tmp_path}/ready; while [ ! -e {go} ]; do sleep 0.05; done"
    options = ("--run-id", RUN, "--workspace-kind", kind, "--json")
    running = world.start(plan_of(wave(1, batch("Works Here", command))), *options)
    eventually((tmp_path / "ready").exists, "the task has done its work")
    named = WorktreeManager(repo).create_worktree("by-hand", "By hand")
    found = workspaces(world, repo)
    by_task = {entry.get("task_id"): entry for entry in found.values()}
    entry = by_task["Works Here"]
    assert "problem" not in entry
    assert (entry["kind"], entry["run_id"], entry["phase"]) == (kind, RUN, "running")
    assert sorted(entry["git_status"]["changes"]) == sorted(
        [" M README", " D gone", "?? .gitattributes", "?? new/", "?? odd\nname"]
    )
    assert (entry["git_status"]["clean"], entry["git_status"]["changes_count"]) == (False, 5)
    assert entry["branch"].startswith("feature/parallel-")
    by_hand = by_task["by-hand"]
    assert by_hand["git_status"] == {"clean": True, "changes_count": 0, "changes": []}
    assert (by_hand["task_name"], by_hand["phase"], by_hand["path"]) == ("By hand", "created", str(named.worktree_path))
    assert not sprung.exists()
    git(Path(entry["path"]), "status", check=False)
    assert sprung.exists(), "plain git steps into it"
    go.touch()
    running.finish()
    assert [entry["task_id"] for entry in workspaces(world, repo).values()] == ["by-hand"]
    WorktreeManager(repo).cleanup_all_worktrees(force=True)


def test_processes_are_shown_by_what_they_are_to_us_and_without_keys(process_world: World, tmp_path: Path) -> None:
    world = process_world
    agent = tmp_path / "bin" / "claude"
    agent.parent.mkdir()
    agent.write_text("#!/bin/sh\nread line\n")
    agent.chmod(0o755)
    argv = [str(agent), "-p", "--api-key", KEY, f"--token={KEY}", "x" * 5000, f"https://user:{KEY}@example.org/"]
    running = world.start(plan_of(wave(1, batch("waits", "while [ ! -e go ]; do sleep 0.05; done"))), "--run-id", RUN)
    source = ProcessesSource(StateDir(world.state))
    with subprocess.Popen(argv, stdin=subprocess.PIPE, env={**os.environ, "ANTHROPIC_API_KEY": KEY}) as process:
        eventually(lambda: bool((world.state / "runs" / RUN / "control.sock").exists()), "the run listens")
        found = anyio.run(source.read)
        shown = found[str(process.pid)]
        assert (shown["role"], shown["name"]) == ("agent", "claude")
        assert shown["memory_bytes"] > 0
        assert shown["cmdline"].split()[1:5] == [str(agent), "-p", "--api-key", "***"]
        assert KEY not in str(found)
        assert len(shown["cmdline"]) <= 1000
        orchestrator = found[str(running.process.pid)]
        assert (orchestrator["role"], orchestrator["run_id"]) == ("orchestrator", RUN)
        assert str(os.getpid()) not in found, "a process that is nothing to us is not shown"
        again = anyio.run(source.read)
        assert set(again) >= {str(process.pid), str(running.process.pid)}
        process.communicate(b"end\n")
    assert str(process.pid) not in anyio.run(source.read)
    world.touch("go")
    assert running.finish().exit_code == 0
