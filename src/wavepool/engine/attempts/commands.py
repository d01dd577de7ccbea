"""What the guard of a task with several commands says at the end of its output."""

from __future__ import annotations

import re
from pathlib import Path

TAIL_BYTES = 4096
_WORD = re.compile(rb"^wavepool: command (\d{1,9}) of \d{1,9} (?:failed with exit code|was stopped)", re.MULTILINE)


def failed_command(log: Path) -> int | None:
    """The number of the command that an archived output ends with as failed, or stopped; None where it names none.

    The task itself could write such a line: it is evidence for a person, nothing is decided by it.
    """
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            found = _WORD.findall(file.read())
    except OSError:
        return None
    return int(found[-1]) if found else None
