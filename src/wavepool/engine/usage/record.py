"""The file of what a run used: lines that each carry a checksum, written by the process that holds the run.

::

    1c291ca3 ["wavepool usage", 1, 1795802400]              its format, and the moment that times are counted from
    9f0be4d1 ["run", 12.5, 2.0, 2.0, 81920, 163840, 1.7, 3] a stretch of all: begin, length, and the rest of `Stretch`
    5a1be03c ["attempt", 0, "lint", 1, 524288]              who number 0 is, and its memory limit
    77d2c9e0 [0, 12.5, 2.0, 2.0, 40960, 81920, 0.9]         a stretch of it

Memory is in KiB, all else in seconds. A line is only ever appended; where the file has grown, the writer puts a shorter
one in its place, at once. So whoever reads finds whole lines to the last, and of a killed writer perhaps a piece more.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from wavepool.engine.usage.series import Series, Stretch
from wavepool.model import AttemptId

FORMAT = 1
_HEAD = "wavepool usage"

RUN_STRETCHES = 512
"""Of all attempts together; half as many where they were thinned just now."""

ATTEMPT_STRETCHES = 24
ATTEMPTS = 500
"""That are kept of a run; the one that was read longest ago makes room for a new one."""

GROWTH_BYTES = 512 * 1024
"""Beyond what is kept so much is appended before the file is written anew: it never has more than 1.5 MB."""

READ_BYTES = 8 * 1024 * 1024
"""No file that a run wrote is longer."""

MISSING = "nobody wrote down what it used"


class AttemptUsage:
    """Of one attempt.

    Attributes:
        limit_bytes: of its memory; 0 for none.
        series: what it used.
    """

    __slots__ = ("limit_bytes", "series")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.series = Series(ATTEMPT_STRETCHES)


class UsageRecord:
    """What a file tells.

    Attributes:
        together: of all attempts together.
        attempts: of each that is kept, the one that was read last at the end.
        problem: why it may not be all of it, in a sentence; empty where nothing is known to be missing.
    """

    def __init__(self, problem: str = "") -> None:
        self.together = Series(RUN_STRETCHES)
        self.attempts: dict[AttemptId, AttemptUsage] = {}
        self.problem = problem
        self._known: dict[int, tuple[AttemptId, int]] = {}

    def take(self, line: list[Any], since_s: float) -> None:
        """Take in one line. Raises ValueError, TypeError, IndexError where it is none."""
        if line[0] == "run":
            self.together.add(_stretch(since_s, *line[1:]))
        elif line[0] == "attempt":
            number, task_id, attempt, limit_kib = line[1:]
            self._known[int(number)] = AttemptId(str(task_id), int(attempt)), int(limit_kib) * 1024
        elif line[0] in self._known:
            attempt_id, limit_bytes = self._known[line[0]]
            found = self.attempts.pop(attempt_id, None) or AttemptUsage(limit_bytes)
            found.series.add(_stretch(since_s, *line[1:]))
            self.attempts[attempt_id] = found
            if len(self.attempts) > ATTEMPTS:
                del self.attempts[next(iter(self.attempts))]

    def lines(self, since_s: float) -> Iterator[bytes]:
        """All that is kept, as a file has it."""
        yield head_line(since_s)
        yield from (run_line(each, since_s) for each in self.together)
        for number, (attempt, usage) in enumerate(self.attempts.items()):
            yield name_line(number, attempt, usage.limit_bytes)
            yield from (attempt_line(number, each, since_s) for each in usage.series)


# -- lines --


def head_line(since_s: float) -> bytes:
    """The first one."""
    return _line([_HEAD, FORMAT, since_s])


def run_line(stretch: Stretch, since_s: float) -> bytes:
    """A stretch of all together."""
    return _line(["run", *_figures(stretch, since_s), stretch.attempts])


def name_line(number: int, attempt: AttemptId, limit_bytes: int) -> bytes:
    """Who a number is from here on."""
    return _line(["attempt", number, attempt.task_id, attempt.number, limit_bytes // 1024])


def attempt_line(number: int, stretch: Stretch, since_s: float) -> bytes:
    """A stretch of that one."""
    return _line([number, *_figures(stretch, since_s)])


def _line(values: list[Any]) -> bytes:
    text = json.dumps(values, separators=(",", ":")).encode("ascii")
    return b"%08x %b\n" % (zlib.crc32(text), text)


def _figures(stretch: Stretch, since_s: float) -> list[float]:
    begin = round(stretch.begin_s - since_s, 2)
    return [
        begin,
        round(stretch.end_s - since_s - begin, 2),
        round(stretch.read_s, 2),
        math.ceil(stretch.memory_peak_bytes / 1024),
        round(stretch.memory_byte_s / 1024),
        round(stretch.cpu_s, 3),
    ]


def _stretch(
    since_s: float,
    begin: float,
    length_s: float,
    read_s: float,
    peak_kib: float,
    kib_s: float,
    cpu_s: float,
    attempts: int = 1,
) -> Stretch:
    if not all(map(math.isfinite, (begin, length_s, read_s, peak_kib, kib_s, cpu_s, attempts))):
        raise ValueError("no stretch has such a figure")
    begin_s = since_s + begin
    return Stretch(begin_s, begin_s + length_s, read_s, int(peak_kib) * 1024, kib_s * 1024, cpu_s, int(attempts))


# -- files --


def read_record(path: Path) -> UsageRecord:
    """What is told, of a run that is written on too; blocks. Raises nothing."""
    try:
        with path.open("rb") as file:
            data = file.read(READ_BYTES)
    except FileNotFoundError:
        return UsageRecord(MISSING)
    except OSError as error:
        return UsageRecord(f"what it used cannot be read: {path}: {error.strerror or error}")
    return record_of(data)


def record_of(data: bytes) -> UsageRecord:
    """What the whole lines of a file tell, up to the first that is none."""
    record, since_s, at = UsageRecord(), None, 0
    while (end := data.find(b"\n", at)) >= 0:
        try:
            values = _values(data[at:end])
            if since_s is None:
                since_s = _since(values)
            else:
                record.take(values, since_s)
        except (ValueError, TypeError, IndexError, OverflowError):
            record.problem = f"what it used is damaged from byte {at} on: what came after that is not told"
            return record
        at = end + 1
    return record


def _values(line: bytes) -> list[Any]:
    checksum, _, text = line.partition(b" ")
    if int(checksum, 16) != zlib.crc32(text):
        raise ValueError("not what was written")
    values = json.loads(text)
    if not isinstance(values, list):
        raise TypeError("no line of ours")
    return values


def _since(values: list[Any]) -> float:
    name, form, since_s = values[:3]
    if name != _HEAD or form != FORMAT:
        raise ValueError("another format")
    return float(since_s)


class UsageFile:
    """The writer's side: of whoever holds the run, and nobody else. Begins by `write_anew`.

    All of it blocks; each method may raise OSError.

    Attributes:
        since_s: what times in it are counted from.
        since_anew: bytes that were appended since it was written anew.
    """

    def __init__(self, path: Path, since_s: float) -> None:
        self.since_s = float(round(since_s))
        self.since_anew = 0
        self._path = path

    def append(self, lines: Iterable[bytes]) -> None:
        """In one write. A part may be there where it fails: write it anew then."""
        data = memoryview(b"".join(lines))
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            while data:
                written = os.write(descriptor, data)
                self.since_anew += written
                data = data[written:]
        finally:
            os.close(descriptor)

    def write_anew(self) -> UsageRecord:
        """Take up what is there, and leave out what is beyond the bounds, or torn. Readers have the old or the new one.

        Who a number is must be told anew after that.
        """
        record = read_record(self._path)
        new = self._path.with_name(f".{self._path.name}.new")
        try:
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                file.writelines(record.lines(self.since_s))
                if len(record.together):  # else there is nothing to lose with the power
                    file.flush()
                    os.fsync(file.fileno())
            new.rename(self._path)
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            raise
        self.since_anew = 0
        return record
