"""Where agents may connect to: the hosts of `--egress`, and the network of `--network`. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wavepool.errors import SettingError
from wavepool.inputs.names import network_problem

ANY = "any"
"""Instead of hosts: agents are not sealed off at all."""
NO_NETWORK = "none"
EGRESS_EXPECTED = "names of hosts such as pypi.org, or any for no bounds"

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
HOST_MAX_CHARACTERS = 253


def host_problem(name: str) -> str | None:
    """None if `name` can be a host that is let through, else what was expected instead."""
    if len(name) <= HOST_MAX_CHARACTERS and _HOST.fullmatch(name):
        return None
    if "://" in name or "/" in name:
        return "the name of a host alone, without a scheme and a path"
    return "the name of a host, such as pypi.org: letters, digits, - and ."


def parse_egress(items: Sequence[object], *, option: str = "--egress") -> tuple[str, ...]:
    """The hosts, in lower case, each once, in the order given; or ``any`` alone.

    Raises:
        SettingError: one of them is no host, or stands beside ``any``.
    """
    hosts: dict[str, None] = {}
    for item in items:
        if not isinstance(item, str):
            raise SettingError(option, item, EGRESS_EXPECTED)
        name = item.strip().lower()
        if (problem := host_problem(name)) is not None:
            raise SettingError(option, item, problem)
        hosts[name] = None
    if ANY in hosts and len(hosts) > 1:
        raise SettingError(option, ",".join(hosts), f"either hosts or {ANY}, not both")
    return tuple(hosts)


def mode_problem(name: str) -> str | None:
    """None if agents may have this network: one of that name, or ``none``."""
    return None if name == NO_NETWORK else network_problem(name)
