"""Docker's multiplexed log, asked for with ``timestamps=1``: messages back into the bytes that were written.

A message is an 8-byte header (stream, three zeros, length big-endian), its time, a blank, and at most 16,384 bytes.
The engine splits a longer line into messages of that size; its `local` log driver then drops the newline at the
line's end (API 1.41; newer engines keep it). It is put back here: a shorter message without a newline is a line's end
if another one of its stream follows, and so is one that is empty, which shows only with its time. At the very end of
the output a short piece may or may not have had a newline; none is made up there.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from wavepool.drivers.base import LogChunk

PIECE_BYTES = 16_384
"""Of a line that goes on: the engine's buffer for one line."""
_HEADER_BYTES = 8
_TIME_MAX_BYTES = 40
"""RFC 3339 with nanoseconds and an offset has 35, and the blank is one more."""
_AROUND_BYTES, _AROUND_PIECE_BYTES = 48, 160
"""What the `local` log driver writes around a message at most: lengths, stream and time; around the pieces of a long
line their id and number too (those of the last, shorter piece are counted with the first)."""
_STREAMS = {0: "stdout", 1: "stdout", 2: "stderr"}
_KINDS = {"stdout": 1 << 24, "stderr": 2 << 24}
"""The first four bytes of a header as a number."""
_HEADER = struct.Struct(">II").unpack_from
_TROUBLE = 3
_NEWLINE = 10


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a stream was read: the time of its last message, and how many of that very time there were.

    The pieces of one line share the time of the first.
    """

    time: bytes
    count: int


class FrameDecoder:
    """Takes bytes as they arrive and gives chunks; keeps at most one header, whatever a frame's length claims.

    Args:
        after: marks of an earlier reading of the same log, by stream: what that gave is left out. Where what follows
            it is not there any more (the engine keeps the newest output only), the next chunk has `gap` set.

        keeps_bytes: what the engine keeps of a log at least; None for all. Where there is so much, the start of it may
            have been dropped, and a chunk has `gap` set.

    Attributes:
        trouble: the engine has said in the log itself that it cannot read on, as at times while a log is rotated. What
            comes after that is left out.
    """

    def __init__(self, after: Mapping[str, Mark] | None = None, keeps_bytes: int | None = None) -> None:
        self.marks: dict[str, Mark] = {}
        self._keeps_bytes = keeps_bytes
        self._kept_bytes = 0
        self.trouble = False
        self._after = dict(after or {})
        self._head = b""
        self._stream = "stdout"
        self._left = 0
        self._size = 0
        self._skip = False
        self._gap = False
        self._unended: set[str] = set()  # streams whose last message was a piece shorter than others, without newline
        self._parts: list[bytes] = []

    @property
    def inside(self) -> bool:
        """True where a frame has begun and not ended: a stream that ends here was cut."""
        return self._left > 0 or len(self._head) > 0

    def feed(self, data: bytes) -> list[LogChunk]:
        """The chunks that `data` completes or carries on: one for each change of the stream, none empty.

        Raises:
        ValueError: this is no multiplexed stream with times.
        """
        chunks: list[LogChunk] = []
        position = 0
        while position < len(data) and not self.trouble:
            if self._left == 0:
                if not self._head:
                    position = self._take_lines(data, position)
                    if position == len(data):
                        break
                position += self._take_head(data[position : position + _HEADER_BYTES + _TIME_MAX_BYTES], chunks)
                continue
            piece = data[position : position + self._left]
            position += len(piece)
            self._left -= len(piece)
            self._give(piece)
            if self._left == 0 and piece[-1] != _NEWLINE and self._size < PIECE_BYTES:
                self._unended.add(self._stream)
        self._flush(chunks)
        return chunks

    def _take_lines(self, data: bytes, position: int) -> int:
        """Take what whole lines of the same stream follow one another from `position` on; where what follows them is.

        Nearly all of a log is that, and of short lines there are many: what is told from message to message elsewhere
        is told once here, for all of them. Whatever is special about a message is left to `_take_head`.
        """
        stream = self._stream
        if stream in self._after or stream in self._unended:
            return position
        mark = self.marks.get(stream)
        time, count = (b"", 0) if mark is None else (mark.time, mark.count)
        kind, find, parts = _KINDS[stream], data.find, self._parts
        before, given, size = len(data), len(parts), 0
        while position + _HEADER_BYTES < before:
            is_kind, length = _HEADER(data, position)
            begin = position + _HEADER_BYTES
            end = begin + length
            if is_kind != kind or end > before or data[end - 1] != _NEWLINE:
                break
            blank = find(b" ", begin, begin + _TIME_MAX_BYTES)
            if blank < 0 or blank > end - 2 or end - blank > PIECE_BYTES:
                break
            new = data[begin:blank]
            if new == time:
                count += 1
            elif new > time:
                time, count = new, 1
            else:
                break
            parts.append(data[blank + 1 : end])
            size += end - blank - 1
            position = end
        if len(parts) > given:
            self.marks[stream] = Mark(time, count)
            self._skip = False
            self._note_kept(size + (len(parts) - given) * _AROUND_BYTES)
        return position

    def _take_head(self, new: bytes, chunks: list[LogChunk]) -> int:
        """Take header and time from what is `new`, as far as they are there; how many bytes of it they were."""
        head = self._head + new
        length = int.from_bytes(head[4:_HEADER_BYTES], "big")
        if head[0] == _TROUBLE and not any(head[1:4]):
            self.trouble = True
            return len(new)
        if len(head) >= _HEADER_BYTES and (head[0] not in _STREAMS or any(head[1:4])):
            raise ValueError(f"not a frame header: {head[:_HEADER_BYTES]!r}")
        end = _HEADER_BYTES + min(length, _TIME_MAX_BYTES)
        blank = head.find(b" ", _HEADER_BYTES, end)
        if blank < 0 or len(head) < _HEADER_BYTES:
            if len(head) >= end:
                raise ValueError(f"a frame without its time: {head[:end]!r}")
            self._head = head
            return len(new)
        taken = blank + 1 - len(self._head)
        self._head = b""
        self._begin(_STREAMS[head[0]], head[_HEADER_BYTES:blank], _HEADER_BYTES + length - blank - 1, chunks)
        return taken

    def _begin(self, stream: str, time: bytes, size: int, chunks: list[LogChunk]) -> None:
        """A message of `size` bytes of its own begins."""
        if stream != self._stream:
            self._flush(chunks)
        self._stream, self._left, self._size = stream, size, size
        self._note_kept(size + (_AROUND_BYTES if size < PIECE_BYTES else _AROUND_PIECE_BYTES))
        mark = self.marks.get(stream)
        if mark is not None and time < mark.time and _instant(time) < _instant(mark.time):
            self._after.setdefault(stream, mark)  # it starts over, as a follower of a rotated log does at times
        self.marks[stream] = Mark(time, mark.count + 1 if mark is not None and mark.time == time else 1)
        self._skip = self._was_given(stream, before=mark)
        if size == 0 or stream in self._unended:
            self._give(b"\n")
        self._unended.discard(stream)

    def _note_kept(self, size: int) -> None:
        """So much more was written to the engine's files at most, with what it writes around each message."""
        self._kept_bytes += size
        if self._keeps_bytes is not None and self._kept_bytes >= self._keeps_bytes:
            self._gap, self._keeps_bytes = True, None

    def _was_given(self, stream: str, *, before: Mark | None) -> bool:
        """Whether the earlier reading gave the message that begins; `before` is the mark of the one before it."""
        end = self._after.get(stream)
        if end is None:
            return False
        now = self.marks[stream]
        if now.time == end.time and now.count <= end.count:
            return True
        if _instant(now.time) < _instant(end.time):
            return True
        self._gap = self._gap or before is None or before.time != end.time
        del self._after[stream]
        return False

    def _give(self, data: bytes) -> None:
        if not self._skip:
            self._parts.append(data)

    def _flush(self, chunks: list[LogChunk]) -> None:
        if self._parts:
            chunks.append(LogChunk(stream=self._stream, data=b"".join(self._parts), gap=self._gap))
            self._parts.clear()
            self._gap = False


def _instant(time: bytes) -> datetime:
    """A time of the daemon's, whose offset may change while it runs; to the microsecond."""
    return datetime.fromisoformat(time.decode()).astimezone(UTC)
