"""What the end of a check means: content, or in want of a plan; or nothing that anybody could plan by.

A check that fails without an error that was read is never taken for one that found nothing.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

from wavepool.errors import CheckError, InputError
from wavepool.fixing.checks import Check, Ended
from wavepool.fixing.reading import CheckReading, quoted

_ENDED_BY = frozenset(
    {
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGILL,
        signal.SIGTRAP,
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGKILL,
        signal.SIGSEGV,
        signal.SIGPIPE,
        signal.SIGTERM,
    }
)
"""Signals that a shell, or npm, tells of as exit code 128 + n; no check has such a code of its own."""
NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""A shell's exit codes for a command that there is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Whether anything is to be done.

    Attributes:
        passed: the check is content.
        notices: what a person should be told, as that errors were read although it passed.
    """

    passed: bool
    notices: tuple[str, ...] = ()


def judge(check: Check, ended: Ended, reading: CheckReading, *, warnings: bool) -> Judgement:
    """What its end means.

    Args:
        warnings: they are planned as errors are, whatever the exit code says.

    Raises:
        InputError: its shell, or its image, has no such command.
        CheckError: it was ended from outside, or failed with no error that could be read.
    """
    _refuse_killed(check, ended)
    found = reading.findings
    anything = found.errors + found.warnings if warnings else found.errors
    if ended.exit_code is None:
        return _judge_text(ended, reading, anything)
    if ended.exit_code == 0:
        return _judge_success(check, reading, anything, warnings=warnings)
    if anything:
        return Judgement(passed=False)
    raise _unreadable(check, ended, reading)


def _judge_success(check: Check, reading: CheckReading, anything: int, *, warnings: bool) -> Judgement:
    found = reading.findings
    if warnings and anything:
        return Judgement(passed=False)
    if found.errors or reading.complaint:
        were = "1 error was" if found.errors == 1 else f"{found.errors} errors were"
        told = f"{were} read" if found.errors else "a tool told of errors"
        pipe = " If something hides its exit code (a pipe, `|| true`), let it through." if check.shell else ""
        return Judgement(
            passed=True,
            notices=(
                f"warning: `{quoted(check.shown)}` exits with 0, so it has passed, although {told}.{pipe} "
                "--warnings plans what was read whatever the exit code is",
            ),
        )
    return Judgement(passed=True)


def _judge_text(ended: Ended, reading: CheckReading, anything: int) -> Judgement:
    """Without an exit code only a tool's own word that all is well is good enough, and only where nothing is amiss."""
    if anything:
        return Judgement(passed=False)
    if reading.content and not (reading.complaint or reading.problems or ended.doubt):
        return Judgement(passed=True)
    if not ended.output_bytes:
        what = f"{ended.where} is empty: whether its command found nothing or never ran cannot be told"
    elif reading.complaint:
        what = f"a tool says in {ended.where} that there are errors, and none could be read"
    elif ended.doubt:
        what = f"no error could be read in {ended.where}; a tool says that there are none, but {ended.doubt}"
    else:
        what = f"no error could be read in {ended.where}, and no tool says in it that there are none"
    raise CheckError(
        f"{what}{_problems(reading)}",
        advice="Run the command here with --command, so that its exit code tells.",
        last_words=ended.last_words,
    )


def _refuse_killed(check: Check, ended: Ended) -> None:
    code = ended.exit_code
    if code is None:
        return
    number = -code if code < 0 else code - 128 if code - 128 in _ENDED_BY else 0
    if number:
        raise CheckError(
            f"the check `{quoted(check.shown)}` was ended by {_name(number)}: what it has told proves nothing",
            advice="If memory was short, have it use less. Then try again.",
            last_words=ended.last_words,
        )


def _name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def _unreadable(check: Check, ended: Ended, reading: CheckReading) -> InputError | CheckError:
    code, shown = ended.exit_code, quoted(check.shown)
    if (check.shell or ended.run_id is not None) and code in (NOT_FOUND, NOT_EXECUTABLE):
        who = "the shell, asked to run" if check.shell else f"{ended.where}, asked to run"
        why = "found no such command" if code == NOT_FOUND else "may not execute it"
        return InputError(
            f"--command: {who} `{shown}`, {why} (exit code {code})\n{ended.last_words}".rstrip(),
            advice="Install it, correct its name, or give its path.",
        )
    if reading.findings.warnings:
        return CheckError(
            f"the check `{shown}` failed with exit code {code}, and only warnings were read "
            f"({reading.findings.warnings})",
            advice="If it fails for warnings, plan these too: --warnings.",
            last_words=ended.last_words,
        )
    return CheckError(
        f"the check `{shown}` failed with exit code {code}, and no error could be read in what it wrote"
        f"{_problems(reading)}",
        advice="Its output must name files and lines; docs/reading-checks.md says which tools are read. --language "
        "narrows what is looked for, and may be wrong.",
        last_words=ended.last_words,
    )


def _problems(reading: CheckReading) -> str:
    return f" ({'; '.join(reading.problems)})" if reading.problems else ""
