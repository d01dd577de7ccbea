"""Sealed tasks: on a network that leads nowhere, with a proxy beside them that lets out to named hosts alone.

The proxy is a sidecar like any other. What it refused it says in its own output, one line for each request; that is
evidence of the attempt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from wavepool.inputs.egress import parse_egress_host
from wavepool.model import Healthcheck, Limits, Sidecar, SidecarTrouble
from wavepool.units import MIB

EGRESS = "egress"
"""The proxy's name, for its task too."""
EGRESS_IMAGE = "wavepool-egress:latest"
"""What `wavepool image build` makes."""
EGRESS_PORT = 3128
EGRESS_BYTES = 64 * MIB
"""Squid without a cache holds 9 MiB when it begins; an open connection costs it about 0.1 MiB."""
EGRESS_PIDS = 64

READY = Healthcheck(test=("CMD", "egress-ready"), interval_s=0.2, timeout_s=65.0, retries=30)
"""Asked every 0.2 s until the proxy listens; after that the test answers once a minute only."""

TOLD_MOST = 10
"""Refused targets that are named; the others are counted."""
LINE_MAX_BYTES = 4096
TARGET_MAX_CHARACTERS = 200

_CURES = {
    "denied": "not among the hosts that this task may reach (--egress HOST[:PORT])",
    "private": "lead into a private network (--egress private:HOST[:PORT], if that is meant)",
}


def sealed_sidecar(hosts: Iterable[str], *, image: str = EGRESS_IMAGE) -> Sidecar:
    """The proxy that lets its task out to these hosts (`inputs.egress`), and to no others; none at all is allowed.

    Raises:
        SettingError: one is no host.
    """
    allowed = dict.fromkeys(parse_egress_host(host).rule for host in hosts)
    return Sidecar(
        name=EGRESS,
        image=image,
        limits=Limits(memory_bytes=EGRESS_BYTES, pids=EGRESS_PIDS),
        command=tuple(allowed),
        healthcheck=READY,
        expose=(EGRESS_PORT,),
        tmpfs=("/run/egress:size=1m,mode=1777",),
        stop_signal="SIGKILL",  # it keeps nothing, and would wait for open connections
        outside=True,
        read_only=True,
    )


def proxy_environment(beside: Iterable[str] = ()) -> Mapping[str, str]:
    """Variables that lead a task's programs to the proxy, but not to `beside`: the names of its other sidecars.

    Both spellings: curl and Python read the lower case, others the upper case. They open nothing: a program that
    ignores them reaches no one.
    """
    proxy = f"http://{EGRESS}:{EGRESS_PORT}"
    direct = ",".join(["localhost", "127.0.0.1", "::1", *(name for name in beside if name != EGRESS)])
    upper = {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy, "NO_PROXY": direct}
    return {**upper, **{name.lower(): value for name, value in upper.items()}, "NODE_USE_ENV_PROXY": "1"}


def refusals(log: Path) -> SidecarTrouble | None:
    """What the proxy refused, by its own output; None where that was nothing. Blocks; use a thread.

    Raises:
        OSError: the file cannot be read.
    """
    refused: dict[str, Counter[str]] = {verdict: Counter() for verdict in _CURES}
    with log.open("rb") as lines:
        while line := lines.readline(LINE_MAX_BYTES):
            words = line.decode("utf-8", "replace").split()
            if len(words) >= 3 and words[0] in refused:
                refused[words[0]][_target(words[1], words[2])] += 1
    told = [f"{_list(targets)}: {_CURES[verdict]}" for verdict, targets in refused.items() if targets]
    return SidecarTrouble(name=EGRESS, reason=f"it refused {'; and '.join(told)}") if told else None


def _target(method: str, target: str) -> str:
    """``host:port``, or a plain request's URL as far as its host."""
    if method != "CONNECT" and "://" in target:
        scheme, _, rest = target.partition("://")
        target = f"{scheme}://{rest.partition('/')[0]}"
    return target[:TARGET_MAX_CHARACTERS]


def _list(targets: Counter[str]) -> str:
    told = [f"{name} ({count} times)" if count > 1 else name for name, count in targets.most_common(TOLD_MOST)]
    if len(targets) > TOLD_MOST:
        told.append(f"{len(targets) - TOLD_MOST} more")
    return ", ".join(told)
