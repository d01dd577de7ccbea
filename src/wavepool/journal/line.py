"""One fact with its number as a line of JSON, for other processes; the fact itself as the journal has it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from wavepool.core.facts import Stamped
from wavepool.journal import codec

BEGINS = b'{"seq":'
"""What every such line begins with."""


def to_line(seq: int, stamped: Stamped) -> bytes:
    """``{"seq": 1, "boot_s": ..., "utc": ..., "fact": ...}`` without blanks, with the end of the line.

    Raises:
        InvariantBroken: the fact cannot be encoded.
    """
    head = f'{{"seq":{seq},"boot_s":{float(stamped.boot_s)!r},"utc":"{stamped.utc.isoformat()}","fact":'
    return head.encode("ascii") + codec.encode(stamped.fact) + b"}\n"


def from_line(data: bytes) -> tuple[int, Stamped]:
    """(its number, the fact).

    Raises:
        Undecodable: it is no such line, or the fact is not one of this release.
    """
    try:
        read = _LINE.decode(data)
    except msgspec.MsgspecError as error:
        raise codec.Undecodable(f"not a fact: {error}") from error
    return read.seq, Stamped(read.boot_s, read.utc, codec.decode(bytes(read.fact)))


class _Line(msgspec.Struct):
    seq: int
    boot_s: float
    utc: datetime
    fact: msgspec.Raw


_LINE = msgspec.json.Decoder(_Line)
