"""What the command says of itself."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version

import pytest
import typer.main
from typer.testing import CliRunner

from wavepool.cli import MODULES, app, app_of, modules_for

NARROW = 80


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_is_that_of_the_package(option: str) -> None:
    told = CliRunner().invoke(app, [option])
    assert (told.exit_code, told.stdout) == (0, f"wavepool {version('wavepool')}\n")


def test_every_verb_has_a_line_of_its_own_with_its_whole_purpose() -> None:
    text = CliRunner().invoke(app, ["--help"], env={"COLUMNS": str(NARROW)}).stdout
    listed = re.findall(r"^  (\w+) +([A-Z].+)$", text.partition("Commands:")[2], re.MULTILINE)
    assert [verb for verb, _ in listed] == list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    for verb, purpose in listed:
        assert re.search(r"[a-z]\.$", purpose), f"{verb} is cut: {purpose}"


def test_one_verb_brings_in_no_other_and_is_the_same_as_among_all() -> None:
    whole = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for verb, command in whole.items():
        (name,) = modules_for([verb, "--help"])
        alone = typer.main.get_command(app_of([name])).commands[verb]  # type: ignore[attr-defined]
        assert (alone.help, len(alone.params)) == (command.help, len(command.params))
    for arguments in ([], ["--help"], ["--version"], ["no-such-verb"]):
        assert modules_for(arguments) == MODULES


def test_a_task_for_a_pool_loads_no_engine() -> None:
    code = "import sys, wavepool.cli.pool; sys.exit('aiodocker' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
