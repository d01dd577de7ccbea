"""What makes a tool's word doubtful where nobody knows the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from wavepool.errors import CheckError
from wavepool.fixing.checks import Check, Ended
from wavepool.fixing.doubts import DOCUMENTS, doubt_in
from wavepool.fixing.judging import judge
from wavepool.fixing.reading import CheckReading
from wavepool.plan.making.findings import Findings, Place, Placed

CLEAN = (
    "Success: no issues found in 3 source files\n",
    "All checks passed!\n",
    "> check\n> ruff check . && mypy .\n\nAll checks passed!\nSuccess: no issues found in 3 source files\n\n",
    "[\x1b[90m10:00:00 AM\x1b[0m] Found 0 errors. Watching for file changes.\n\n",
    "10:00:00 AM - Found 0 errors. Watching for file changes.\n",
    "0 errors, 2 warnings, 0 informations \n",
    "All checks passed!\n12 files already formatted\n",
    "src/error.py\nSuccess: no issues found in 1 source file\nnpm notice New version of npm\n\nreal\t0m1.2s\n",
    "tests/test_errors.py ..                 [100%]\n\n===== 2 passed, 1 skipped in 0.12s =====\n",
    "running 1 test\ntest it_fails ... ok\n\n"
    "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\n",
    '[{"filePath":"/w/src/error.js","messages":[],"errorCount":0,"warningCount":0}]',
    "["
    + ",".join(f'{{"filePath":"/w/{n}.js","messages":[],"errorCount":0,"warningCount":0}}' for n in range(2000))
    + "]\n",
)
AFTER_SUCCESS = (
    "make: *** [Makefile:3: test] Error 2",
    "npm ERR! code ELIFECYCLE",
    "npm error Lifecycle script `lint` failed",
    'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nValueError: x',
    "Segmentation fault",
    "Segmentation fault (core dumped)",
    "Killed",
    "BUILD FAILED",
    "sh: 1: eslint: not found",
    "bash: eslint: command not found",
    "Process exited with exit code 3",
    "exit status 1",
    "##[error]Process completed with exit code 1.",
    "Error: something odd",
    "fatal: not a git repository",
    "> eslint .",
    "an unknown word",
)


def passes(text: bytes) -> bool:
    reading = CheckReading(Findings(lambda path: Placed(place=Place.INSIDE, path=path)), None)
    reading.feed("stdout", text)
    reading.end()
    doubt = doubt_in(iter([text]), document=reading.spoke in DOCUMENTS) if reading.content else ""
    check = Check(argv=("tsc",), shown="tsc", shell=False, workspace=Path("/w"))
    ended = Ended(exit_code=None, took_s=1.0, output_bytes=len(text), last_words="", where="given", doubt=doubt)
    return judge(check, ended, reading, warnings=False).passed


@pytest.mark.parametrize("text", CLEAN, ids=range(len(CLEAN)))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_an_output_that_ends_with_a_tools_word_is_content(text: str, encoding: str) -> None:
    assert passes(text.encode(encoding))


@pytest.mark.parametrize("failure", AFTER_SUCCESS)
@pytest.mark.parametrize("success", [CLEAN[0], CLEAN[1], CLEAN[5], CLEAN[8], CLEAN[10] + "\n"], ids=range(5))
def test_what_follows_on_that_makes_it_doubtful(success: str, failure: str) -> None:
    with pytest.raises(
        CheckError, match="no error could be read in given; a tool says that there are none, but"
    ) as told:
        passes(f"{success}{failure}\n".encode())
    assert "--command" in str(told.value)


@pytest.mark.parametrize("failure", AFTER_SUCCESS[:-2])
def test_so_does_a_failure_before_it(failure: str) -> None:
    with pytest.raises(CheckError, match="tells of a failure"):
        passes(f"{failure}\n{CLEAN[0]}".encode())
