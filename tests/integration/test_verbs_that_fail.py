"""Verbs in processes of their own that do not end, or are told nonsense: what whoever asked for them hears."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wavepool.errors import InfrastructureError, InputError
from wavepool.monitoring.verbs import run_verb
from wavepool.web.api.upkeep import prune
from wavepool.web.jobs import open_jobs

pytestmark = pytest.mark.anyio


async def test_one_that_waits_for_a_pipe_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    pipe = tmp_path / "plan.json"
    os.mkfifo(pipe)
    with pytest.raises(InfrastructureError) as caught:
        await run_verb(["run", "--state-dir", str(tmp_path), str(pipe)], patience_s=0.2)
    assert (caught.value.code, caught.value.message) == (
        "verb_failed",
        "`wavepool run` has not ended within 0.2 s, and was killed",
    )


async def test_what_a_verb_refuses_names_the_option_and_the_command(tmp_path: Path) -> None:
    error = (await run_verb(["prune", "--state-dir", str(tmp_path), "--keep-last=-1", "--json"])).error()
    assert isinstance(error, InputError)
    assert (error.code, error.about) == ("usage", {"name": "--keep-last"})
    assert error.advice == "`wavepool prune --help` tells what it takes."


async def test_a_file_without_an_end_is_not_read_to_it(tmp_path: Path) -> None:
    words = ["run", "--state-dir", str(tmp_path), "--workspace", str(tmp_path), "--driver", "process", "/dev/zero"]
    error = (await run_verb(words, patience_s=120)).error()
    assert (error.code, error.about) == ("unreadable_file", {"what": "PLAN", "path": "/dev/zero"})
    assert "it has more than 268435456 bytes" in error.message


async def test_what_is_too_long_to_be_answered_is_said_to_be_done(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "print('x' * 5_000_000)")
    async with open_jobs(tmp_path, command=command) as jobs:
        serving: Any = SimpleNamespace(jobs=jobs)
        with pytest.raises(
            InfrastructureError, match="`wavepool prune` has ended, with exit code 0, and told too much"
        ):
            await prune(serving)
