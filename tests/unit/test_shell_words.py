"""What only a shell would understand is told before it becomes a file name that is not there."""

from __future__ import annotations

import pytest

from wavepool.errors import SettingError
from wavepool.fixing.checks import argv_of, only_for_shells
from wavepool.plan.making.filewords import notice_of

SHELLS = {
    "ruff check *.py": "*.py",
    "ls src/?.py": "src/?.py",
    "echo $PWD": "$PWD",
    "echo ${HOME}": "${HOME}",
    "cat ~/x": "~/x",
    "cat `pwd`": "`pwd`",
    "A=b tool": "A=b",
    'x "a b"c*': "c*",
    "a | b": "|",
}
NOBODYS = (
    "eslint 'src/**/*.ts'",
    "sh -c 'a $x; b'",
    'sh -c "echo $x | cat"',
    "pytest t.py::case[one]",
    r"grep a\*b x",
    "awk '{print $1}' x",
    "env A=b tool",
    "tool --price 3$",
)


@pytest.mark.parametrize(("command", "told"), SHELLS.items())
def test_what_only_a_shell_knows_is_refused_with_advice(command: str, told: str) -> None:
    assert only_for_shells(command) == told
    with pytest.raises(SettingError, match="is a shell's") as caught:
        argv_of(command, shell=False)
    assert "--shell" in caught.value.advice
    assert argv_of(command, shell=True)[-1] == command


@pytest.mark.parametrize("command", NOBODYS)
def test_what_is_quoted_is_the_commands_own(command: str) -> None:
    assert only_for_shells(command) == ""
    assert argv_of(command, shell=False)


def test_words_without_a_place_for_files_are_told_of() -> None:
    assert "{files}" in (notice_of(("ruff", "check", "--fix")) or "")
    assert notice_of(("ruff", "check", "--fix", "{files}")) is None
    assert notice_of(()) is None
