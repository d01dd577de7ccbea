"""Files that a command is given, and standard input: read whole, up to a bound."""

from __future__ import annotations

import sys
from pathlib import Path

from wavepool.errors import UnreadableFile

STDIN = "-"

GIVEN_BYTES = 256 << 20
"""Of one, at most: a plan of 100,000 batches has a tenth of it. `/dev/zero` would take all memory of the host."""


def read_given(path: str, option: str, *, advice: str = "", stdin: bool = True, most: int = GIVEN_BYTES) -> bytes:
    """What is in a file, or comes from standard input for ``-`` if it may be.

    Raises:
        UnreadableFile: it cannot be read, or has more than `most` bytes.
    """
    try:
        if stdin and path == STDIN:
            found = sys.stdin.buffer.read(most + 1)
        else:
            with Path(path).open("rb") as file:
                found = file.read(most + 1)
    except (OSError, ValueError) as error:  # a NUL in the path is a ValueError
        raise UnreadableFile(option, path, error, advice=advice) from None
    if len(found) > most:
        raise UnreadableFile(option, path, ValueError(f"it has more than {most} bytes"), advice=advice)
    return found
