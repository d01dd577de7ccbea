"""What the run of a check in an image tells of its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wavepool.engine.attempts.saving import limited_words
from wavepool.errors import CheckError
from wavepool.fixing.checks import OUTPUT_LIMIT_BYTES, Check
from wavepool.fixing.contained import Container, exit_code_of

CHECK = Check(argv=("tsc",), shown="tsc", shell=False, workspace=Path("/w"))
CONTAINER = Container(image="tools:1", state_dir=Path("/s"))


def code(problem: str | None) -> int:
    entry: dict[str, Any] = {
        "verdict": "failed",
        "evidence": {"exit_code": 2},
        "log": "logs/check.log",
        "log_problem": problem,
    }
    return exit_code_of(CHECK, CONTAINER, entry, "")


def test_an_output_that_is_whole_has_its_exit_code() -> None:
    assert code(None) == 2


def test_only_an_output_at_its_limit_is_called_too_long() -> None:
    with pytest.raises(CheckError, match="wrote more than"):
        code(limited_words(OUTPUT_LIMIT_BYTES))


@pytest.mark.parametrize("problem", ["logs could not be read: no answer", "logs could not be written: disk full"])
def test_another_fault_of_the_log_is_told_as_what_it_is(problem: str) -> None:
    with pytest.raises(CheckError, match=f"is not whole: {problem}") as caught:
        code(problem)
    assert "wrote more" not in str(caught.value)
