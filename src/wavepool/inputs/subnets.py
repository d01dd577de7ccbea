"""Private ranges that networks of our own take their addresses from."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Network, NetmaskValueError

DEFAULT_SUBNET_POOL = "10.213.0.0/16,172.16.192.0/18,192.168.240.0/20"
"""The later ones are for hosts whose routes (a VPN to all of 10.0.0.0/8) cover the first."""

SMALLEST_PREFIX = 28
"""16 addresses: network, gateway, broadcast, and 13 containers."""


def parse_subnet_pool(text: str) -> tuple[IPv4Network, ...]:
    """The ranges of a text such as ``10.213.0.0/16,192.168.240.0/20``, in the order in which they are used.

    Raises:
        ValueError: one is no IPv4 network, is smaller than /28, or is not private.
    """
    try:
        pools = tuple(IPv4Network(part.strip()) for part in text.split(","))
    except (AddressValueError, NetmaskValueError) as error:
        raise ValueError(str(error)) from None
    for pool in pools:
        if pool.prefixlen > SMALLEST_PREFIX or not pool.is_private:
            raise ValueError(f"{pool} is no private range of at least /{SMALLEST_PREFIX}")
    return pools


def subnet_pool_problem(text: str) -> str | None:
    """None if `text` is such a list, else what is wrong with it."""
    try:
        parse_subnet_pool(text)
    except ValueError as error:
        return str(error)
    return None
