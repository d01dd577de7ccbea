"""Sizes and durations, as people write them and as the machine counts them.

``"512m"`` <-> bytes, ``"1m36s"`` <-> seconds. Every memory unit is binary, as Docker counts: k, KB and KiB are 2^10,
m, MB and MiB are 2^20, g, GB and GiB are 2^30, t, TB and TiB are 2^40.
"""

from __future__ import annotations

import re
from decimal import Decimal

from wavepool.errors import InputError, SizeError

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40

MEMORY_MAX_BYTES = (1 << 63) - 1
"""The largest memory limit the kernel's 64-bit counters can hold."""

DOCKER_MEMORY_MIN_BYTES = 6 * MIB
"""The daemon refuses a memory limit below this (moby, daemon_unix.go: linuxMinMemory)."""

_SIZE = re.compile(r"(?P<number>\d{1,20}(?:\.\d{1,20})?) ?(?P<unit>[a-z]*)", re.ASCII)
_UNIT_BYTES = {"": 1, "b": 1}
for _letter, _bytes in (("k", KIB), ("m", MIB), ("g", GIB), ("t", TIB)):
    _UNIT_BYTES.update({_letter: _bytes, f"{_letter}b": _bytes, f"{_letter}ib": _bytes})

_SIZE_EXPECTED = "a positive size such as 512m, 1g, 1.5g, 14.5GB, 512MiB or plain bytes"

_DURATION = re.compile(
    r"(?:(?P<d>\d+(?:\.\d+)?)d)?(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m(?!s))?"
    r"(?:(?P<s>\d+(?:\.\d+)?)(?:s|\Z))?(?:(?P<ms>\d+(?:\.\d+)?)ms)?",
    re.ASCII,
)


def parse_size(text: str | int) -> int:
    """Bytes of a size such as ``512m``, ``1.5g``, ``14.5GB``, ``512MiB`` or ``100`` (no unit: bytes).

    Upper and lower case are the same. Fractions are rounded down to whole bytes. The result is at least 1
    and at most 2^63-1.

    Raises:
        SizeError: not a size, zero, negative, or above 2^63-1 bytes.
    """
    if isinstance(text, bool) or not isinstance(text, str | int):
        raise SizeError(text, _SIZE_EXPECTED)
    match = _SIZE.fullmatch(str(text).strip().lower())
    if match is None or match["unit"] not in _UNIT_BYTES:
        raise SizeError(text, _SIZE_EXPECTED)
    size = int(Decimal(match["number"]) * _UNIT_BYTES[match["unit"]])
    if size < 1:
        raise SizeError(text, "a size above zero")
    if size > MEMORY_MAX_BYTES:
        raise SizeError(text, "a size below 8 EiB")
    return size


def format_size(size_bytes: int) -> str:
    """The shortest exact text for `size_bytes`: ``512m``, ``1g``, ``1536m``; plain digits where no unit fits.

    `parse_size(format_size(n)) == n` for every n from 1 to 2^63-1.
    """
    for letter, unit in (("t", TIB), ("g", GIB), ("m", MIB), ("k", KIB)):
        if size_bytes >= unit and size_bytes % unit == 0:
            return f"{size_bytes // unit}{letter}"
    return str(size_bytes)


def human_size(size_bytes: float) -> str:
    """A rounded size for people and for the seed's totals: ``14.5GB``, ``512MB``, ``0MB``. Binary units."""
    if size_bytes >= TIB:
        return f"{size_bytes / TIB:.1f}TB"
    if size_bytes >= GIB:
        return f"{size_bytes / GIB:.1f}GB"
    return f"{size_bytes / MIB:.0f}MB"


def parse_duration(text: str | float) -> float:
    """Seconds of a duration such as ``90``, ``1.5``, ``1m36s``, ``12h`` or ``250ms``. Always above zero.

    Raises:
        InputError: not a duration, zero, negative, or not finite.
    """
    expected = "a duration above zero such as 90, 1m36s or 12h"
    if isinstance(text, bool):
        raise InputError(f"got {text!r}, expected {expected}")
    match = _DURATION.fullmatch(str(text).strip().lower())
    if match is None or not any(match.groups()):
        raise InputError(f"got {text!r}, expected {expected}")
    factors = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    seconds = sum(float(value) * factors[unit] for unit, value in match.groupdict().items() if value)
    if not 0 < seconds < 1e10:
        raise InputError(f"got {text!r}, expected {expected}")
    return seconds


def format_duration(seconds: float) -> str:
    """A duration for people: ``0.4s``, ``36s``, ``1m36s``, ``2h05m``."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def format_usd(amount: float) -> str:
    """US dollars for people: ``$12.40``; below one cent with what a short answer of a model costs: ``$0.0031``."""
    return f"${amount:,.4f}" if 0 < abs(amount) < 0.01 else f"${amount:,.2f}"
