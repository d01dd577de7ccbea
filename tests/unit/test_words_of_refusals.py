"""What a refusal says of what is not there: never `got` and a sentence, never `got` what nobody gave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from wavepool.cli import app
from wavepool.cli.request import RawOptions, build_surroundings
from wavepool.config import Settings
from wavepool.errors import InputError, NotStarted, PlanError, SettingError, Words, in_one_line
from wavepool.plan import TierMap, parse_plan

PLAN = {"waves": [{"wave_number": 1, "batches": [{"batch_id": "a", "command": "true"}]}]}


def refused(*words: str) -> str:
    """What `wavepool WORDS` says."""
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, InputError), done.exception
    return str(done.exception)


def refused_plan(raw: bytes) -> str:
    with pytest.raises(PlanError) as caught:
        parse_plan(raw, source="plan.json", tiers=TierMap())
    return str(caught.value)


def test_a_value_is_quoted_words_of_ours_are_not_and_none_is_nothing() -> None:
    assert str(SettingError("--x", "5", "a size")) == "--x: got '5', expected a size"
    assert str(SettingError("--x", Words("an empty file"), "a size")) == "--x: got an empty file, expected a size"
    assert str(PlanError("a.b", None, "text")) == "a.b: got nothing, expected text"


def test_a_plan_that_lacks_something() -> None:
    assert refused_plan(b"") == "plan.json: got an empty file, expected a wave plan as JSON"
    assert refused_plan(b'{"waves": [').startswith("plan.json, line 1, column 12: got the end of the file inside")
    assert refused_plan(b'{"a": 1}') == "waves: got nothing, expected a list of waves in plan.json"
    lacking = json.dumps({"waves": [{"wave_number": 1, "batches": [{"command": "true"}]}]}).encode()
    assert refused_plan(lacking).startswith("waves[0].batches[0].batch_id: got nothing, expected text of")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("run", "MISSING"), "PLAN"),
        (("run", "PLAN", "--workspace", "DIR", "--env-file", "MISSING"), "--env-file"),
        (("monitor", "--containers", "MISSING"), "--containers"),
        (("stack", "up", "MISSING"), "the stack"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, words: tuple[str, ...], what: str) -> None:
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))
    paths = {"MISSING": tmp_path / "missing", "PLAN": tmp_path / "plan.json", "DIR": tmp_path}
    said = refused(*(str(paths.get(word, word)) for word in words), "--state-dir", str(tmp_path / "state"))
    assert said.splitlines()[0] == f"{what}: cannot read {tmp_path / 'missing'}: No such file or directory"
    assert not (tmp_path / "state").exists()


def test_a_workspace_that_was_not_given(tmp_path: Path) -> None:
    """The seed's default is looked for, but nobody is told that they gave it."""
    settings = Settings.model_construct({"state_dir"}, state_dir=tmp_path, workspace=tmp_path / "none")
    with pytest.raises(InputError) as caught:
        build_surroundings(settings, RawOptions())
    assert caught.value.message == f"--workspace is not given, and its default, {tmp_path / 'none'}, is not there"
    assert "`--workspace .`" in caught.value.advice
    given = Settings.model_construct({"state_dir", "workspace"}, state_dir=tmp_path, workspace=tmp_path / "none")
    with pytest.raises(SettingError, match=r"--workspace: got '.*', expected a path that exists"):
        build_surroundings(given, RawOptions())


def test_a_message_and_its_advice_make_one_line() -> None:
    error = NotStarted("the directory belongs to root", advice="Give it to another user.\n  Or a clone.")
    assert in_one_line(str(error)) == "the directory belongs to root. Give it to another user. Or a clone"
    assert in_one_line("It said:\n  no\n") == "It said: no"
    assert in_one_line("Is it there?\nSee.") == "Is it there? See"
