"""Verbs of the command line in processes of their own, which outlive the one that started them where they detach."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from wavepool.errors import (
    ERRORS_AS_JSON,
    InfrastructureError,
    UnreadableFile,
    WavepoolError,
    error_described,
)

COMMAND = (sys.executable, "-P", "-c", "from wavepool.cli import main; main()")
"""`wavepool` of this very release, whatever lies in the working directory or comes first in PATH."""

_ERROR = '{"error": '
START_S = 600.0
"""A run that is not held by then never will be: what it is to read is a pipe that nobody writes to, say."""

_WORDS = 2000
"""Characters of what a command said last that are told at most."""

OURS_ALONE = ("WAVEPOOL_TOKEN",)
"""Variables that are of no use to a verb, and not for its tasks to see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One verb that has ended, with all that it wrote."""

    exit_code: int
    stdout: bytes
    stderr: str

    def result(self) -> dict[str, Any]:
        """The JSON object that it wrote on stdout.

        Raises:
            WavepoolError: as `check`, where it wrote none.
        """
        try:
            found = json.loads(self.stdout)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
        raise self.error()

    def error(self) -> WavepoolError:
        """The error that it ended with: InputError by its exit code, else InfrastructureError, with its own code."""
        lines = self.stderr.rstrip().splitlines()
        said = next((line for line in reversed(lines) if line.startswith(_ERROR)), "")
        try:
            return error_described(json.loads(said)["error"], self.exit_code)
        except (ValueError, TypeError, KeyError, AttributeError):  # it was killed, say: its last words are all there is
            words = f"the command ended with exit code {self.exit_code} and without saying why"
            return InfrastructureError(words, advice="\n".join(lines)[-_WORDS:], code="verb_failed")


async def run_verb(
    arguments: Sequence[str],
    *,
    given: bytes = b"",
    env: Mapping[str, str] | None = None,
    kept: Sequence[int] = (),
    directory: Path | None = None,
    stdout: int | None = None,
    patience_s: float | None = None,
) -> Ended:
    """Run `wavepool ARGUMENTS...` to its end, in a session of its own, so that no Ctrl-C of ours reaches it.

    Works in any event loop. Whoever is cancelled meanwhile leaves it running.

    Args:
        given: what it reads on stdin.
        env: its variables, in place of ours.
        kept: descriptors of ours that it has too, by the same numbers.
        directory: where it works; ours unless told.
        stdout: a descriptor that it writes to, in place of what `Ended` tells.
        patience_s: after which it is killed; None for never.

    Raises:
        InputError: it cannot work in that directory.
        InfrastructureError: no process can be started, or it did not end in time.
    """
    variables = {name: value for name, value in (os.environ if env is None else env).items() if name not in OURS_ALONE}
    variables |= dict([ERRORS_AS_JSON])

    def work() -> subprocess.CompletedProcess[bytes]:
        command = [*COMMAND, *arguments]
        return subprocess.run(
            command,
            input=given,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            env=variables,
            pass_fds=kept,
            start_new_session=True,
            check=False,
            cwd=directory,
            timeout=patience_s,
        )

    try:
        done = await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
    except OSError as error:
        if directory is not None and error.filename == str(directory):
            raise UnreadableFile("directory", str(directory), error) from error
        raise InfrastructureError(f"`wavepool {' '.join(arguments)}` cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise InfrastructureError(
            f"`wavepool {arguments[0]}` has not ended within {patience_s:g} s, and was killed",
            advice="Is one of its files a pipe that nobody writes to, or on a disk that does not answer?",
            code="verb_failed",
        ) from None
    return Ended(exit_code=done.returncode, stdout=done.stdout or b"", stderr=done.stderr.decode(errors="replace"))


async def start_detached(
    verb: str,
    arguments: Sequence[str],
    *,
    given: bytes = b"",
    env: Mapping[str, str] | None = None,
    kept: Sequence[int] = (),
    directory: Path | None = None,
) -> dict[str, Any]:
    """Start `wavepool VERB --detach ARGUMENTS...`; returns its `run_id`, `pid` and `log` when it holds the run.

    The arguments of `run_verb`.

    Raises:
        InputError, InfrastructureError: what it refused with; no run goes on then.
    """
    words = [verb, "--detach", *arguments]
    ended = await run_verb(words, given=given, env=env, kept=kept, directory=directory, patience_s=START_S)
    if ended.exit_code:
        raise ended.error()
    return ended.result()
