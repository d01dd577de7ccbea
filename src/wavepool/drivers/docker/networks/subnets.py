"""Addresses for networks of our own: a stock engine has them for about 30 networks only, so we choose the subnets.

Each network begins to look at a place derived from its name, so that many that are made at once, by whomever, seldom
ask for the same one. What the engine has given away it says itself; what the host routes elsewhere it does not see.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network
from pathlib import Path

from wavepool.inputs.subnets import SMALLEST_PREFIX

ROUTES = Path("/proc/net/route")


def prefix_for(containers: int) -> int:
    """The prefix of the smallest subnet for so many containers."""
    needed = containers + 3
    return min(SMALLEST_PREFIX, 32 - (needed - 1).bit_length())


def candidates(
    pools: Sequence[IPv4Network], name: str, containers: int, taken: Sequence[IPv4Network]
) -> Iterator[IPv4Network]:
    """Every subnet of the pools that fits and overlaps none of `taken`, once, in this name's own order."""
    prefix = prefix_for(containers)
    start = int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8])
    for pool in pools:
        if prefix < pool.prefixlen:
            continue
        count = 1 << (prefix - pool.prefixlen)
        size = 1 << (32 - prefix)
        nearby = [each for each in taken if each.overlaps(pool)]
        for step in range(count):
            first = int(pool.network_address) + (start + step) % count * size
            subnet = IPv4Network((first, prefix))
            if not any(each.overlaps(subnet) for each in nearby):
                yield subnet


def routed(path: Path = ROUTES) -> list[IPv4Network]:
    """What this host's IPv4 routes lead to, the default route left out; empty where they cannot be read."""
    try:
        lines = path.read_text("ascii").splitlines()[1:]
    except (OSError, UnicodeError):
        return []
    found: list[IPv4Network] = []
    for line in lines:
        fields = line.split()
        address, mask = (int.from_bytes(bytes.fromhex(fields[index]), "little") for index in (1, 7))
        if mask:
            found.append(IPv4Network((address & mask, bin(mask).count("1"))))
    return found
