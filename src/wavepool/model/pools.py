"""Warm pools: what an agent type gets, and how many containers of it are kept ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from wavepool.model.limits import Limits

PARKED_BYTES = 32 * 1024 * 1024
"""What a parked container counts in a budget until it is claimed. Measured: about 13 MB of shim for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentType:
    """One kind of agent: its containers are alike, and kept apart from those of every other kind.

    Attributes:
        name: 1 to 48 of ``[a-z0-9_.-]``, beginning with a letter or digit.
        image: reference.
        limits: the hard limits of each container, from the claim on.
        env: variables of every task of this type.
        user: ``uid:gid`` or a name that the image knows; None for a user that is not root.
        network: None for a network of the type's own, without traffic between containers; ``none`` for none at all.
        workspace: a host directory that its containers share; None: each has an empty one of its own.
    """

    name: str
    image: str
    limits: Limits
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    network: str | None = None
    workspace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """How one type's pool is kept. Sizes count containers; durations are seconds; the defaults are the seed's.

    Attributes:
        size: how many are kept ready (idle) at the start, at least 0.
        min_size, max_size: bounds of how many there are, busy ones included; 0 <= min_size <= max_size.
        auto_scaling: whether the size follows the demand between those bounds.
        scale_up_percent, scale_down_percent: of containers in use, above and below which it grows and shrinks.
        scale_interval_s: over how long their use is averaged, and at least so long between two such steps.
        learning: whether, with auto-scaling, it also keeps as many as the arrivals so far would have needed.
        max_age_s: an idle container that is older is replaced.
        idle_timeout_s: one that was not used for so long goes, down to `min_size`.
        auto_cleanup: whether those two are heeded; what is ill goes in any case.
        health_interval_s: between two checks of the idle ones.
        refill_pause_s: at least so long between two containers that are made for one pool.
        reuse: whether a container runs several tasks, one after the other (one trust domain, no secrets).
        max_uses: of a reused container, at least 1.
        read_only: root file systems cannot be written to.
        parked_bytes: what a parked container counts in a budget.
    """

    size: int = 2
    min_size: int = 1
    max_size: int = 10
    auto_scaling: bool = True
    scale_up_percent: float = 80.0
    scale_down_percent: float = 20.0
    scale_interval_s: float = 10.0
    learning: bool = True
    max_age_s: float = 3600.0
    idle_timeout_s: float = 1800.0
    auto_cleanup: bool = True
    health_interval_s: float = 30.0
    refill_pause_s: float = 0.0
    reuse: bool = False
    max_uses: int = 100
    read_only: bool = True
    parked_bytes: int = PARKED_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpec:
    """One pool: what its containers are, and how many there are."""

    agent: AgentType
    settings: PoolSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRules:
    """Where warnings about pools begin; None switches one off. The defaults are the seed's.

    Attributes:
        utilization_percent: above it: more containers are wanted.
        hit_rate_percent: below it, once there were `arrivals_min` tasks: the wrong types or sizes are kept warm.
        healthy_ratio: below it, from 0 to 1: containers fall ill.
    """

    utilization_percent: float | None = 90.0
    hit_rate_percent: float | None = 50.0
    healthy_ratio: float | None = 0.8
    arrivals_min: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolsConfig:
    """All that was said of warm pools.

    Attributes:
        types: name -> pool, for each type that is known.
        fallback: what a type gets that is not, but for its name.
        warm: types whose pools are filled at the start; each is in `types`.
        timeout_s: of a task that has none of its own; None for none.
        preload: whether the images of all known types are there before the first pool is filled, not only of warm ones.
        log_level: debug, info, warn or error; None for what holds elsewhere.
        alerts: where warnings begin.
    """

    types: Mapping[str, PoolSpec]
    fallback: PoolSpec
    warm: tuple[str, ...] = ()
    timeout_s: float | None = None
    preload: bool = False
    log_level: str | None = None
    alerts: AlertRules = field(default_factory=AlertRules)

    def of(self, agent_type: str) -> PoolSpec:
        """The pool of this type; made up from the fallback where it is not known."""
        known = self.types.get(agent_type)
        if known is not None:
            return known
        return replace(self.fallback, agent=replace(self.fallback.agent, name=agent_type))
