"""A stand-in for the Claude and the Codex CLI: one shell script, for the output that real ones write seldom or never.

It needs nothing but a POSIX shell with sed, awk and cat, so that it runs in a busybox container too. Named ``codex``
(or called as ``codex exec``) it writes as Codex does. Its prompt tells it what to do, in lines that begin with
``fake: ``; others are not looked at. A prompt without any makes it write its first line into the file ``answer.txt``,
and say that it is done.

=============================== ================================================================================
``say TEXT``                    one turn: a text
``write PATH TEXT``             one turn: a text, and a file that is really written
``run COMMAND``                 one turn: a text, and a command that is really run
``usage IN OUT``                tokens of each turn from here on (100 and 10)
``price USD``                   of each turn from here on (0.01)
``sleep SECONDS``               silence; signals are answered at once
``hang``                        silence for ever; on SIGINT it ends with 0 and without a result, on SIGTERM with 143
``retry STATUS KIND MS``        a call to the model that it repeats
``limit [EPOCH]``               the account's limit, with its reset; ends with 1
``error STATUS KIND TEXT``      an error of the API, told with the subtype ``success``; ends with 1
``result SUBTYPE TEXT``         ends so, and with 1
``no-result [CODE]``            ends with that exit code (0), without a result
``cut``                         ends in the middle of its result, with 0
``exit CODE``                   the exit code after a success
``garbage``                     lines that are no JSON, and no UTF-8
``stderr TEXT``                 a line on stderr
``flood LINES``                 so many lines at once
``big BYTES``                   one line of that size
=============================== ================================================================================

It honours ``--max-turns=N`` and ``--output-format=json``, and adds its arguments to the file that FAKE_CLI_CALLS names.
"""

from __future__ import annotations

from pathlib import Path

SOURCE = Path(__file__).with_name("fake_cli.sh")


def install(directory: Path, name: str = "claude") -> Path:
    """Put it into `directory` as an executable of that name; its path. For PATH, or to be mounted."""
    path = directory / name
    path.write_bytes(SOURCE.read_bytes())
    path.chmod(0o755)
    return path


def prompt(*acts: str) -> str:
    """A prompt that makes it do these things, one after the other."""
    return "".join(f"fake: {act}\n" for act in acts)
