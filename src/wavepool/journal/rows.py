"""One fact as a row of the database, with a check sum over all of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from zlib import crc32

from wavepool.core.facts import Stamped
from wavepool.journal import codec


class Row(NamedTuple):
    """As in schema.sql."""

    seq: int
    boot_s: float
    utc: str
    kind: str
    body: bytes
    crc32: int


COLUMNS = Row._fields


class BadRow(ValueError):
    """What was read is not what was written. The message is a sentence for a person."""


def to_row(seq: int, stamped: Stamped) -> Row:
    """Raises InvariantBroken where the fact cannot be encoded."""
    body = codec.encode(stamped.fact)
    kind = type(stamped.fact).__name__
    utc = stamped.utc.astimezone(UTC).isoformat()
    boot_s = float(stamped.boot_s)
    return Row(seq, boot_s, utc, kind, body, checksum(seq, boot_s, utc, kind, body))


def from_row(expected_seq: int, row: Sequence[Any]) -> Stamped:
    """The fact in `row`, which must be number `expected_seq`.

    Raises:
        BadRow: another number, a wrong check sum, or a type that we never write.
        Undecodable: the row is sound, but the fact is not one of this release.
    """
    seq, boot_s, utc, kind, body, expected = row
    if seq != expected_seq:
        raise BadRow(f"fact {expected_seq} is missing; fact {seq} stands in its place")
    if not isinstance(body, bytes) or checksum(seq, boot_s, utc, kind, body) != expected:
        raise BadRow(f"fact {seq} does not match its check sum")
    return Stamped(boot_s, _instant(utc), codec.decode(body, kind))


@lru_cache(maxsize=16)
def _instant(utc: str) -> datetime:
    """Facts that were decided together share their time."""
    return datetime.fromisoformat(utc)


def checksum(seq: int, boot_s: float, utc: str, kind: str, body: bytes) -> int:
    """CRC-32 over the other five columns."""
    return crc32(body, crc32(f"{seq} {boot_s!r} {utc} {kind}".encode()))
