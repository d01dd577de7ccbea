"""What callers ask for, checked before a container is taken."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wavepool.drivers.parking import Claim, OutputSink
from wavepool.engine.pools.stock import Stock
from wavepool.errors import BadTask, shorten
from wavepool.model import Limits

GRACE_S = 10.0
"""Default: how long a task that is stopped has to end by itself."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be done.

    Attributes:
        limits: other limits than the agent type's; None for these.
        timeout_s: from its start; None for no bound but the lifetime of its limits.
        grace_s: how long it has to end by itself where it is stopped.
        on_output: told each piece of its output.
    """

    claim: Claim
    limits: Limits | None = None
    timeout_s: float | None = None
    grace_s: float = GRACE_S
    on_output: OutputSink | None = None

    def bound_s(self, stock: Stock) -> float | None:
        """How long it may run."""
        lifetime_s = (self.limits or stock.book.agent.limits).lifetime_s
        bounds = [each for each in (self.timeout_s, lifetime_s) if each is not None]
        return min(bounds, default=None)


def order_of(
    stock: Stock,
    command: Sequence[str] | None,
    *,
    env: Mapping[str, str] | None,
    secrets: Mapping[str, bytes] | None,
    prompt: str,
    directory: str,
    limits: Limits | None,
    timeout_s: float | None,
    grace_s: float,
    on_output: OutputSink | None,
) -> Order:
    """The order.

    Raises:
        BadTask: it cannot be told to a shell; or secrets, or other limits, for a type whose containers are reused.
    """
    if secrets and stock.book.settings.reuse:
        raise BadTask(
            f"agent type {stock.name}: got secrets {sorted(secrets)}, expected none, as its containers are reused",
            advice="What one task learns it can leave for the next. Use a pool without reuse.",
        )
    other = limits if limits is not None and limits != stock.book.agent.limits else None
    if other is not None and stock.book.settings.reuse:
        raise BadTask(
            f"agent type {stock.name}: got other limits than its own, and its containers are reused",
            advice="Use an agent type with these limits, or a pool without reuse.",
        )
    claim = Claim(
        command=None if command is None else tuple(command),
        env=dict(env or {}),
        secrets=dict(secrets or {}),
        prompt=prompt,
        directory=directory,
    )
    _check(claim)
    if timeout_s is not None and not timeout_s > 0:
        raise BadTask(f"timeout_s: got {timeout_s!r}, expected a number of seconds above 0")
    return Order(claim=claim, limits=other, timeout_s=timeout_s, grace_s=grace_s, on_output=on_output)


def _check(claim: Claim) -> None:
    if claim.command is not None and not (claim.command and claim.command[0]):
        raise BadTask(f"command: got {claim.command!r}, expected the name of a program and its arguments")
    for name in claim.env:
        if not _NAME.fullmatch(name):
            raise BadTask(f"env: got the name {shorten(name)}, expected letters, digits and _, no digit first")
    for text in _texts(claim):
        if "\0" in text:
            raise BadTask(f"got {shorten(text)}, expected a text without NUL: no program can be told one")
    if claim.directory and not claim.directory.startswith("/"):
        raise BadTask(f"directory: got {claim.directory!r}, expected an absolute path inside the container")


def _texts(claim: Claim) -> Iterable[str]:
    yield from claim.command or ()
    yield from claim.env.values()
    yield claim.directory
