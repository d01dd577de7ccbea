"""Where agents may connect to: the hosts of `--egress`, and the network of `--network`. Pure.

Hosts are written ``example.com``, ``.example.com`` (and all below it), ``10.0.0.5:8080``, ``private:models.example``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from wavepool.errors import SettingError
from wavepool.inputs.names import network_problem

ANY = "any"
"""Instead of hosts: agents are not sealed off at all."""
NO_NETWORK = "none"
EGRESS_EXPECTED = "names of hosts such as docs.example.org, with :PORT unless it is 443, or any for no bounds"

DEFAULT_PORT = 443
HOST_ITSELF = "host.docker.internal"
"""The Docker host; never a public address."""

_EXPECTED = (
    "a host that may be reached: NAME, .NAME (and all below it) or an IPv4 address, with :PORT unless it is 443; "
    "before a name that leads into a private network stands private:"
)
_NAME = re.compile(r"\.?(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_PRIVATE = "private:"


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressHost:
    """One host and port. `host` in lower case; with a dot before it, all below it too.

    `private`: its name may lead into a private network.
    """

    host: str
    port: int = DEFAULT_PORT
    private: bool = False

    def __str__(self) -> str:
        """As a person would write it."""
        return self.rule.removesuffix(f":{DEFAULT_PORT}")

    @property
    def rule(self) -> str:
        """As the proxy is told it."""
        return f"{_PRIVATE if self.private else ''}{self.host}:{self.port}"


def parse_egress(items: Sequence[object], *, option: str = "--egress") -> tuple[str, ...]:
    """The hosts, each once, in the order given, as `EgressHost` writes them; or ``any`` alone.

    Raises:
        SettingError: one of them is no host, or stands beside ``any``.
    """
    hosts: dict[str, None] = {}
    for item in items:
        if not isinstance(item, str):
            raise SettingError(option, item, EGRESS_EXPECTED)
        is_any = item.strip().lower() == ANY
        hosts[ANY if is_any else str(parse_egress_host(item, option=option))] = None
    if ANY in hosts and len(hosts) > 1:
        raise SettingError(option, ",".join(hosts), f"either hosts or {ANY}, not both")
    return tuple(hosts)


def mode_problem(name: str) -> str | None:
    """None if agents may have this network: one of that name, or ``none``."""
    return None if name == NO_NETWORK else network_problem(name)


def parse_egress_host(text: str, *, option: str = "--egress") -> EgressHost:
    """Read one host; an address in a private network, and the Docker host's own name, are private as they stand.

    Raises:
        SettingError: it is none, or one that means the container itself.
    """
    rest = text.strip().lower()
    private = rest.startswith(_PRIVATE)
    host, colon, port = rest.removeprefix(_PRIVATE).partition(":")
    host = host.removeprefix("*") if host.startswith("*.") else host
    host = host.rstrip(".")
    if not _NAME.fullmatch(host) or (colon and (not _PORT.fullmatch(port) or int(port) > 65535)):
        raise SettingError(option, text, _EXPECTED)
    address = _address(host, option, text)
    if host.strip(".") == "localhost" or (address is not None and (address.is_loopback or address.is_unspecified)):
        raise SettingError(
            option, text, f"another host: this one means the proxy itself (the Docker host is {HOST_ITSELF})"
        )
    if host == HOST_ITSELF or (address is not None and not address.is_global):
        private = True
    return EgressHost(host=host, port=int(port or DEFAULT_PORT), private=private)


def _address(host: str, option: str, text: str) -> IPv4Address | None:
    """The address that `host` is, None for a name; a name that ends in a number is an address oddly written."""
    try:
        return IPv4Address(host)
    except AddressValueError:
        if _NUMBER.fullmatch(host.rpartition(".")[2]):
            raise SettingError(option, text, _EXPECTED) from None
        return None
