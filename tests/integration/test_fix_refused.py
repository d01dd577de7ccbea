"""What `wavepool fix` refuses before anything is checked or made, and what it decides on its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from git_ground import Ground
from typer.testing import CliRunner, Result

from wavepool.cli import app
from wavepool.cli.fix_setting import labour_of, told_which_image, whereabouts_of
from wavepool.config import Settings
from wavepool.errors import InputError, PrepareError, SettingError, WavepoolError
from wavepool.model import AgentOrder, WorkspaceKind

CLAUDE = AgentOrder(name="claude")
Call = Callable[..., Result]


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


@pytest.fixture
def call(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Call:
    """`wavepool fix` in the repository; nothing of it may be left there, whatever is refused."""
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(ground.root))
    monkeypatch.chdir(ground.repo)

    def called(*words: str) -> Result:
        result = CliRunner().invoke(app, ["fix", "--state-dir", str(ground.root / "state"), *words])
        assert ground.branches() == {"main"}
        assert not list((ground.root / "state").glob("fixes/*"))
        return result

    return called


def refused(result: Result) -> WavepoolError:
    assert isinstance(result.exception, InputError), result.output
    return result.exception


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--", "true"), "--command"),
        (("--command", "", "--", "true"), "--command"),
        (("--command", "false", "-n", "0", "--", "true"), "--iterations"),
        (("--command", "false", "-n", "1001", "--", "true"), "--iterations"),
        (("--command", "false", "--workspace-kind", "worktree", "--", "true"), "clone"),
        (("--command", "false", "--", "sh", "-c", "mend {files}"), "{files}"),
        (("--command", "false", "--driver", "process", "--", "true"), "--allow-host"),
        (("--command", "false", "--agent", "nobody"), "nobody"),
        (("--command", "false"), "ANTHROPIC_API_KEY is not set"),
        (("--command", "false", "--allow-host", "--driver", "docker"), "ANTHROPIC_API_KEY is not set"),
        (("--command", "false", "--strategy", "random", "--", "true"), "--strategy"),
        (("--command", "false", "--output", "/nonexistent/out.json", "--", "true"), "--output"),
        (("--command", "false", "--mount", "/nonexistent:/x", "--", "true"), "--mount"),
        (("--command", "false", "--workspace", "/nonexistent", "--", "true"), "--workspace"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_checked(call: Call, words: tuple[str, ...], told: str) -> None:
    assert told in str(refused(call(*words)))


def test_a_part_of_a_repository_is_no_place_for_clones(call: Call, ground: Ground) -> None:
    error = refused(call("--command", "false", "--workspace", str(ground.repo / "src"), "--", "true"))
    assert "is not the top of its git repository" in error.message
    assert "--workspace-kind shared" in error.advice


def settings(**given: object) -> Settings:
    return Settings.model_validate({"state_dir": Path("/nonexistent"), **given})


def test_a_repository_with_a_commit_is_worked_on_in_clones_and_all_else_as_it_is(
    ground: Ground, tmp_path: Path
) -> None:
    where = whereabouts_of(settings(workspace=ground.repo))
    assert (where.kind, where.repository and where.repository.top) == (WorkspaceKind.CLONE, ground.repo)
    assert whereabouts_of(settings(workspace=ground.repo, workspace_kind="shared")).kind is WorkspaceKind.SHARED
    plain = tmp_path / "plain"
    plain.mkdir()
    assert whereabouts_of(settings(workspace=plain)).kind is WorkspaceKind.SHARED
    with pytest.raises(InputError, match="in no git repository"):
        whereabouts_of(settings(workspace=plain, workspace_kind="clone"))
    ground.git("init", "-q", str(plain))
    for kind in ({}, {"workspace_kind": "clone"}):
        with pytest.raises(InputError, match="no commit yet") as refusal:
            whereabouts_of(settings(workspace=plain, **kind))
        assert "Commit something first. Or --workspace-kind shared" in refusal.value.advice
    assert whereabouts_of(settings(workspace=plain, workspace_kind="shared")).kind is WorkspaceKind.SHARED


def test_the_image_of_a_command_that_cannot_be_had_is_answered_with_the_options_that_help() -> None:
    plain = labour_of(settings(), CLAUDE, ("mend",), agent_named=False)
    with pytest.raises(PrepareError) as caught, told_which_image(plain):
        raise PrepareError(plain.image, "cannot be pulled")
    assert "--image IMAGE" in caught.value.advice
    assert "--allow-host" in caught.value.advice
    with pytest.raises(PrepareError) as other, told_which_image(plain):
        raise PrepareError("another", "cannot be pulled", advice="as it was")
    assert other.value.advice == "as it was"


def test_words_alone_are_a_command_and_with_a_named_agent_that_agents() -> None:
    words = ("mend", "{files}")
    plain = labour_of(settings(base_image="tools:1"), CLAUDE, words, agent_named=False)
    assert (plain.words, plain.order, plain.image) == (words, None, "tools:1")
    agent = labour_of(settings(base_image="tools:1"), CLAUDE, ("--verbose",), agent_named=True)
    assert (agent.words, agent.order, agent.image) == (None, CLAUDE, "claude-orchestrator:latest")
    assert labour_of(settings(), CLAUDE, (), agent_named=False).order == CLAUDE
    assert labour_of(settings(agent_image="own:2"), CLAUDE, words, agent_named=False).image == "own:2"
    with pytest.raises(SettingError, match="files"):
        labour_of(settings(), CLAUDE, ("mend=--x={files}",), agent_named=False)


def test_agents_are_kept_from_a_directory_of_root_before_anything_is_checked(call: Call, ground: Ground) -> None:
    if ground.repo.stat().st_uid != 0:
        pytest.skip("only root has directories of root")
    for more in ((), ("--dry-run",)):
        words = ("--command", "touch checked", "--workspace-kind", "shared", "--no-key", *more)
        assert "agents never work as root" in refused(call(*words)).message
    assert not (ground.repo / "checked").exists()
