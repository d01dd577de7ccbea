"""SIGKILL while agents work, then a resume: each worked once, what they said counts once, and their work is back."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from user_git import git
from wavepool_cli import TEST_IMAGE, World, batch, eventually, plan_of, wave

from wavepool.model import WorkspaceKind

INIT = {"type": "system", "subtype": "init", "session_id": "s", "model": "small"}
HALF = {
    "type": "assistant",
    "message": {
        "id": "m",
        "model": "small",
        "content": [{"type": "text", "text": "half"}],
        "usage": {"input_tokens": 7},
    },
}
DONE = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "result": "done",
    "num_turns": 1,
    "total_cost_usd": 0.25,
    "usage": {"input_tokens": 7, "output_tokens": 2},
}


def says(*lines: object) -> str:
    return f"printf '%s\\n' {' '.join(shlex.quote(json.dumps(line)) for line in lines)}"


@pytest.mark.parametrize("kind", [WorkspaceKind.CLONE, pytest.param(WorkspaceKind.WORKTREE, marks=pytest.mark.slow)])
def test_agents_whose_run_is_killed_are_gone_on_with(world: World, kind: WorkspaceKind) -> None:
    """One ends while nobody watches, one works on; the run's budget knows both afterwards."""
    meet = world.root / "meet"
    meet.mkdir()
    meet.chmod(0o777)
    git(world.workspace, "init", "-q", "-b", "main")
    git(world.workspace, "commit", "-q", "--allow-empty", "-m", "first")
    waits = f"echo $BATCH_ID >>{meet}/began; while [ ! -e {meet}/go.$BATCH_ID ]; do sleep 0.05; done"
    work = f"{says(INIT, HALF)}; {waits}; echo $BATCH_ID >work; {says(DONE)}; echo $BATCH_ID >>{meet}/ended"
    batches = [batch(name, work, agent="claude", image=TEST_IMAGE) for name in ("meanwhile", "later")]
    plan = plan_of(wave(1, *batches))
    options = (
        *("--run-id", "killed", "--json", "--no-key", "--workspace-kind", kind.value, "--egress", "any"),
        *("--mount", f"{meet}:{meet}:rw", "--run-max-cost", "5"),
    )
    killed = world.start(plan, *options)
    killed.wait_for("AgentSpoke", count=4)
    eventually(lambda: len(_lines(meet / "began")) == 2, "two at work")
    killed.wait_for("AttemptStarted", count=2)
    killed.kill()

    (meet / "go.meanwhile").touch()
    eventually(lambda: _lines(meet / "ended") == ["meanwhile"], "the end of one that nobody saw")
    run = world.command("resume", "killed", "--state-dir", str(world.state), "--json")
    again = run.wait_for("AgentSpoke", count=2)
    assert {tuple(line["attempt"]) for line in again} <= {("later", 1), ("meanwhile", 1)}
    (meet / "go.later").touch()
    done = run.finish()

    result = done.lines[-1]
    entries = {entry["batch_id"]: entry for entry in result["waves"][0]["containers"]}
    assert {name: (entry["verdict"], entry["attempts"]) for name, entry in entries.items()} == {
        "meanwhile": ("success", 1),
        "later": ("success", 1),
    }, done.stderr
    assert sorted(_lines(meet / "began")) == ["later", "meanwhile"], "each worked once"
    assert (result["agents"]["attempts"], result["agents"]["cost_usd"]) == (2, 0.5)
    for name, entry in entries.items():
        assert git(world.workspace, "show", f"{entry['changes']['branch']}:work") == name
    assert git(world.workspace, "worktree", "list").count("\n") == 0
    assert done.exit_code == 0


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
