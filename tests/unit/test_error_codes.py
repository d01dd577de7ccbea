"""What failed is told to programs by a code: each is documented, with exit code and status, and arrives as it was."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from wavepool.cli.failing import say_why, wants_json
from wavepool.engine.control import protocol as runs
from wavepool.engine.control.pools import protocol as pools
from wavepool.engine.history.runs import UnknownRun
from wavepool.errors import (
    ERRORS_AS_JSON,
    BadTask,
    DriverUnavailable,
    InfrastructureError,
    InputError,
    PlanError,
    PoolDrained,
    RunOver,
    SettingError,
    WavepoolError,
)
from wavepool.monitoring.verbs import Ended
from wavepool.web.api.errors import told

ROOT = Path(__file__).parents[2]
TABLE = re.findall(r"^\| `(\w+)` \| (\d+)\D.*?\| (\d+) \|", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE)
IN_CODE = re.compile(r'\bcode="(\w+)"|^    code = "(\w+)"|_cut_off\("(\w+)"', re.MULTILINE)
OF_CHECKS = ROOT / "src" / "wavepool" / "plan" / "diagnostics"


def test_every_code_is_documented() -> None:
    sources = [path for path in (ROOT / "src" / "wavepool").rglob("*.py") if OF_CHECKS not in path.parents]
    found = {code for path in sources for codes in IN_CODE.findall(path.read_text()) for code in codes if code}
    documented = [code for code, _, _ in TABLE]
    assert len(found) >= 40
    assert found == set(documented)
    assert len(set(documented)) == len(documented)


@pytest.mark.parametrize(("code", "exit_code", "status"), TABLE)
def test_its_status_is_the_documented_one(code: str, exit_code: str, status: str) -> None:
    error = (InputError if exit_code == "2" else InfrastructureError)("no", code=code)
    assert told(error).status_code == int(status)


@pytest.mark.parametrize(
    "error",
    [
        PlanError("waves[0]", 1, "a wave"),
        SettingError("--size", -1, "more"),
        DriverUnavailable("no Docker", advice="Start it."),
        RunOver("r1", "run r1 is over"),
        UnknownRun("there is no run 'x'", advice="Is it y?"),
    ],
)
def test_what_a_command_ended_with_arrives_as_it_was(error: WavepoolError, capsys: pytest.CaptureFixture[str]) -> None:
    error.add_note("and a note")
    exit_code = say_why(error, as_json=True)
    out, said = capsys.readouterr()
    assert (out, exit_code) == ("", error.exit_code)
    arrived = Ended(exit_code=exit_code, stdout=b"", stderr=f"progress\n{said}2026 a late line of the log\n").error()
    assert arrived.described() == error.described()
    assert arrived.exit_code == error.exit_code
    assert isinstance(arrived, InputError) == isinstance(error, InputError)


def test_what_ends_without_a_word_is_told_with_its_last_ones() -> None:
    found = Ended(exit_code=-9, stdout=b"", stderr='{"error": [\npulling\n').error()
    assert (found.code, found.advice) == ("verb_failed", '{"error": [\npulling')


def test_a_bug_is_told_with_its_place_and_as_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert say_why(ExceptionGroup("", [ZeroDivisionError("of nothing")]), as_json=True) == 3
    *place, last = capsys.readouterr().err.splitlines()
    assert "ZeroDivisionError: of nothing" in "".join(place)
    assert json.loads(last)["error"]["code"] == "bug"


def test_a_person_gets_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    assert say_why(InputError("It is wrong.", advice="Mend it."), as_json=False) == 2
    assert say_why(KeyboardInterrupt(), as_json=False) == 130
    assert capsys.readouterr().err == "error: It is wrong.\nMend it.\ninterrupted\n"


def test_a_command_is_asked_for_json_by_an_option_of_its_own_or_by_a_variable_that_goes() -> None:
    assert wants_json(["runs", "--json"], {})
    assert not wants_json(["pool", "run", "coder", "--", "ls", "--json"], {})
    environ = dict([ERRORS_AS_JSON])
    assert wants_json(["report", "x"], environ)
    assert environ == {}
    assert not wants_json(["report", "x"], environ)


@pytest.mark.parametrize("error", [BadTask("no"), DriverUnavailable("no"), InputError("no", code="unknown_agent_type")])
def test_refusals_of_both_sockets_have_the_code(error: WavepoolError) -> None:
    with pytest.raises(WavepoolError) as caught:
        pools.raise_refusal(json.loads(pools.refusal(error)), InfrastructureError)
    of_run = runs.refused(json.loads(runs.refusal(error)), "r1")
    assert of_run is not None
    assert caught.value.code == of_run.code == error.code
    assert isinstance(of_run, InputError) == isinstance(error, InputError)


def test_names_of_earlier_releases_stay() -> None:
    assert json.loads(pools.refusal(PoolDrained("no")))["kind"] == "drained"
    assert json.loads(runs.refusal(RunOver("r1", "over")))["kind"] == "over"
    old = {"ok": False, "error": "no", "code": 2, "kind": "input"}
    found = runs.refused(old, "r1")
    assert found is not None
    assert found.code == "bad_input"
