"""Results to stdout and to files, progress to stderr."""

from __future__ import annotations

import json
import os
import secrets
import stat
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from wavepool.errors import InputError, SettingError
from wavepool.listeners.lines import swallow_rest
from wavepool.listeners.wording import printable


def print_result(value: Mapping[str, object]) -> None:
    """One JSON object on stdout, for a person and for jq."""
    sys.stdout.write(json_text(value))
    sys.stdout.flush()


def progress_line(text: str) -> None:
    """Lines of progress on stderr, each with the time in UTC; control characters are shown as escapes."""
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    for line in text.split("\n"):
        sys.stderr.write(f"{now} {printable(line)}\n")
    sys.stderr.flush()


def remark(text: str) -> None:
    """A line of progress of what goes on also where nobody reads any more what it says."""
    try:
        progress_line(text)
    except BrokenPipeError:
        swallow_rest(sys.stderr)


def check_output(path: Path | None, *, option: str = "--output") -> None:
    """See, before anything starts, that a file can be written at `path`. Creates nothing.

    Raises:
        SettingError: it is a directory, or its directory is missing or not writable.
    """
    if path is None:
        return
    if path.is_dir():
        raise SettingError(option, str(path), "a file, and this is a directory")
    target = path if path.exists() else path.parent
    if not target.exists():
        raise SettingError(option, str(path), f"a file in a directory that exists ({target} does not)")
    if not os.access(target, os.W_OK):
        raise SettingError(option, str(path), "a file that you may write")


def check_directory(path: Path | None, *, option: str) -> None:
    """See, before anything starts, that files can be kept in `path`, which may be made later. Creates nothing.

    Raises:
        SettingError: it, or what stands where it would be made, is no directory or not writable.
    """
    if path is None:
        return
    place = path.absolute()
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        raise SettingError(option, str(path), f"a directory ({place} is none)")
    if not os.access(place, os.W_OK | os.X_OK):
        raise SettingError(option, str(path), f"a directory that you may write to ({place} is not)")


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write one JSON object to `path`; nobody ever reads half of it.

    What exists and is no plain file (a pipe, /dev/stdout, a process substitution) is written into as it is. A link
    is followed.

    Raises:
        InputError: it cannot be written.
    """
    write_text(path, json_text(value))


def write_text(path: Path, pieces: Iterable[str]) -> None:
    """Write a text, whole or in pieces, to `path` as `write_json` does. Raises InputError: it cannot be written."""
    pieces = [pieces] if isinstance(pieces, str) else pieces
    try:
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            with path.open("w", encoding="utf-8") as file:
                file.writelines(pieces)
            return
        _replace(Path(os.path.realpath(path)), pieces)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror or error}", advice="Give another --output; the result is on stdout."
        ) from error


def _replace(path: Path, pieces: Iterable[str]) -> None:
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        with open(
            os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "w", encoding="utf-8"
        ) as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def json_text(value: Mapping[str, object]) -> str:
    """One JSON object as a text that ends with a newline."""
    # Escaped to ASCII: batch ids may hold anything, and a terminal or a pipe of any locale must take it.
    # Indented by msgspec, as json itself does that in Python alone: 8 s for the 60 MB of 100,000 tasks, not 1 s.
    try:
        return msgspec.json.format(json.dumps(value), indent=2) + "\n"
    except msgspec.DecodeError:  # a plan may bring half of a surrogate pair, which msgspec does not take
        return json.dumps(value, indent=2) + "\n"
