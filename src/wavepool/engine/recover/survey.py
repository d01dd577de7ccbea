"""A look over all that an owner may have left: engines, this host's memory, and the state directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import anyio.to_thread

from wavepool import labels
from wavepool.drivers.holdings import HeldContainer, HeldNetwork, HeldSecrets, Holdings
from wavepool.engine.recover.runs import RunLook, look_at
from wavepool.errors import DriverUnavailable
from wavepool.statedir import StateDir


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What was there at `at`.

    Attributes:
        runs: every run that has a directory here, or that something below belongs to.
        leased: names of networks that a live run holds.
        away: driver -> why its engine could not be asked; what it has is not known.
    """

    at: datetime
    runs: Mapping[str, RunLook]
    containers: tuple[HeldContainer, ...] = ()
    networks: tuple[HeldNetwork, ...] = ()
    secrets: tuple[HeldSecrets, ...] = ()
    leased: frozenset[str] = frozenset()
    away: Mapping[str, str] = field(default_factory=dict)


async def survey(
    *,
    owner: str,
    state_dir: StateDir,
    holdings: Sequence[Holdings],
    at: datetime,
    run_id: str | None = None,
    unasked: Mapping[str, str] | None = None,
) -> Snapshot:
    """Look. Engines that are away are in the result.

    Args:
        unasked: driver -> why its engine is not to be asked: as one that is away.
        run_id: look at this run only (None: at all, and at what belongs to none).

    Raises:
        InfrastructureError: the state directory cannot be read.
    """
    containers: list[HeldContainer] = []
    networks: list[HeldNetwork] = []
    secrets: list[HeldSecrets] = []
    away = dict(unasked or {})
    for each in holdings:
        secrets += await each.secrets(owner)
        try:
            containers += await each.containers(owner)
            networks += await each.networks(owner)
        except DriverUnavailable as error:
            away[each.driver] = str(error)
    if run_id is not None:
        containers = [each for each in containers if each.labels.get(labels.RUN) == run_id]
        networks = [each for each in networks if each.labels.get(labels.RUN) == run_id]
        secrets = [each for each in secrets if each.run_id == run_id]
    marks = [*(each.labels for each in containers), *(each.labels for each in networks)]
    named = {each[labels.RUN] for each in marks if labels.RUN in each} | {each.run_id for each in secrets}
    ids = {run_id} if run_id is not None else {*state_dir.runs(), *named}
    runs = await anyio.to_thread.run_sync(lambda: {each: look_at(state_dir, each) for each in sorted(ids) if each})
    return Snapshot(
        at=at,
        runs=runs,
        containers=tuple(containers),
        networks=tuple(networks),
        secrets=tuple(secrets),
        leased=await anyio.to_thread.run_sync(_leased, state_dir, [each.name for each in networks]),
        away=away,
    )


def _leased(state_dir: StateDir, names: Sequence[str]) -> frozenset[str]:
    held: set[str] = set()
    for name in names:
        with state_dir.try_exclusive(name) as alone:
            if not alone:
                held.add(name)
    return frozenset(held)
