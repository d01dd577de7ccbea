"""One fact with its number as a line of JSON, for other processes; the fact itself as the journal has it."""

from __future__ import annotations

import json
from datetime import datetime

from wavepool.core.facts import Stamped
from wavepool.journal import codec

BEGINS = b'{"seq":'
"""What every such line begins with."""

_MIDDLE = b',"fact":'


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
    head, _, fact = data.partition(_MIDDLE)  # apart, as a fact may hold text that no strict parser takes
    try:
        read = json.loads(head + b"}")
        stamped = Stamped(float(read["boot_s"]), datetime.fromisoformat(read["utc"]), codec.decode(fact[:-1]))
        return int(read["seq"]), stamped
    except (ValueError, KeyError, TypeError) as error:
        raise codec.Undecodable(f"not a fact with its number: {error}") from error
