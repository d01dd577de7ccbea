"""How `wavepool fix` ends where a check cannot be trusted, or the machine resists: on this host, with real git."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from git_ground import Ground
from typer.testing import CliRunner, Result

from wavepool.cli import app
from wavepool.cli.fix_checks import FixChecks
from wavepool.core.fixes.values import Checked
from wavepool.workspace.repository import LOCK_FILE

ERROR = 'echo "src/app.py:1:1: F401 nothing"; exit 1'
Call = Callable[..., Result]


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


@pytest.fixture
def call(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Call:
    """`wavepool fix` in the repository, on this host; each batch is the command `true` unless another is given."""
    monkeypatch.setenv("HOME", str(ground.root))
    monkeypatch.chdir(ground.repo)

    def called(command: str, *then: str) -> Result:
        where = ["--state-dir", str(ground.root / "state"), "--driver", "process", "--allow-host", "--budget", "1g"]
        words = ["fix", "--shell", "--command", command, *where, "--", *(then or ("true",))]
        return CliRunner().invoke(app, words)

    return called


def told(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_what_a_check_has_left_in_a_repository_of_its_own_does_not_mend_it(call: Call, ground: Ground) -> None:
    done = call(f"test -e gen/ok && exit 0; git init -q gen; touch gen/ok; {ERROR}")
    assert (done.exit_code, told(done)["status"]) == (1, "no_progress"), done.stderr
    assert told(done)["errors_after"] == 1
    assert ground.branches() == {"main"}


def test_a_check_that_passes_by_itself_is_called_unstable(call: Call, ground: Ground) -> None:
    done = call(f"test -e {ground.root}/seen && exit 0; touch {ground.root}/seen; {ERROR}")
    assert (done.exit_code, told(done)["status"]) == (1, "unstable"), done.stderr
    assert "the check passed without any change" in done.stderr
    assert told(done)["branch"] is None
    assert ground.branches() == {"main"}


@pytest.fixture
def resisting(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After the second check no worktree can be taken away: somebody else has the repository."""
    monkeypatch.setattr("wavepool.workspace.repository.LOCK_PATIENCE_S", 0.0)
    with (ground.repo / ".git" / LOCK_FILE).open("w") as lock:

        class Checks(FixChecks):
            def __call__(self, number: int, directory: Path, run_id: str | None = None) -> Checked:
                checked = super().__call__(number, directory, run_id)
                if number == 2:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                return checked

        monkeypatch.setattr("wavepool.cli.fix_course.FixChecks", Checks)
        yield


def test_a_worktree_that_cannot_be_removed_is_a_notice_behind_the_outcome(
    call: Call, ground: Ground, resisting: None
) -> None:
    done = call(f"test -e mended && exit 0; {ERROR}", "touch", "mended")
    assert (done.exit_code, told(done)["status"]) == (0, "fixed"), done.stderr
    branch = told(done)["branch"]
    assert ground.branches() == {"main", branch}
    *_, outcome, notice = done.stderr.splitlines()
    assert outcome.endswith(f"next: git merge {branch}")
    assert "the worktree of this fix is still there" in notice
    assert "`wavepool recover` removes it" in notice
