"""What holds of limits where a batch says nothing: presets, defaults, and how they give way to one another.

A batch's own value comes first, then options and variables, then the preset, then the default (docs/limits.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from wavepool.inputs.softlimits import SoftLimit
from wavepool.model import Act, Bound, Limits, Watchdog, WatchdogRule
from wavepool.units import GIB, format_duration, format_size

DEFAULT_PIDS = 2048
"""Podman's default. A run of 15 such tasks stays within the kernel's usual pid_max of 32768, and no fork bomb leaves
its container."""
DEFAULT_LIFETIME_S = 12 * 3600.0
DEFAULT_WATCHDOG = Watchdog(pids=Bound(threshold=0.8, act=Act.WARN), memory=Bound(threshold=0.9, act=Act.WARN))

FIELD_OF = {
    WatchdogRule.LIFETIME: "lifetime_s",
    WatchdogRule.PIDS: "pids",
    WatchdogRule.MEMORY: "memory",
    WatchdogRule.NO_PROGRESS: "no_progress_s",
}
"""Where a `Watchdog` keeps each rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitPolicy:
    """Limits of batches that say nothing of their own.

    Attributes:
        memory_bytes: of a batch with neither memory nor tier; None for the tier that fits its files.
        cpus: in cores; None for all.
        pids: processes and threads; None for no limit.
        lifetime_s: hard lifetime; None for none.
        lifetime_yields: it is only the default: a longer timeout of a batch raises it.
        watchdog: the run's soft limits.
        own_memory_act: what the memory rule does to a task whose memory limit is its own; None for the rule's own act.
    """

    memory_bytes: int | None = None
    cpus: float | None = None
    pids: int | None = DEFAULT_PIDS
    lifetime_s: float | None = DEFAULT_LIFETIME_S
    lifetime_yields: bool = True
    watchdog: Watchdog = DEFAULT_WATCHDOG
    own_memory_act: Act | None = None


DEFAULT_LIMITS = LimitPolicy()
GUARDED = LimitPolicy(
    memory_bytes=8 * GIB,
    cpus=2.0,
    pids=256,
    lifetime_s=12 * 3600.0,
    lifetime_yields=False,
    watchdog=Watchdog(pids=Bound(threshold=200 / 256), memory=Bound(threshold=0.8)),
    own_memory_act=Act.WARN,
)
"""Seed 003: the soft limit of 200 processes is a part of 256, so that it follows a batch's own number."""

PRESETS: Mapping[str, LimitPolicy] = {"none": DEFAULT_LIMITS, "guarded": GUARDED}


def limit_policy(
    preset: str = "none",
    *,
    cpus: float | None = None,
    pids: int | None = None,
    lifetime_s: float | None = None,
    timeout_s: float = 0.0,
    soft: Mapping[WatchdogRule, SoftLimit | None] | None = None,
) -> LimitPolicy:
    """The preset with what options and variables say over it; None is "not given".

    `timeout_s` is the longest that the run itself allows: a default lifetime is never shorter.
    """
    base = PRESETS[preset]
    if base.lifetime_yields and base.lifetime_s is not None:
        base = replace(base, lifetime_s=max(base.lifetime_s, timeout_s))
    return replace(
        base,
        cpus=base.cpus if cpus is None else cpus,
        pids=base.pids if pids is None else pids,
        lifetime_s=base.lifetime_s if lifetime_s is None else lifetime_s,
        lifetime_yields=base.lifetime_yields and lifetime_s is None,
        watchdog=with_soft_limits(base.watchdog, soft or {}),
        own_memory_act=None if (soft or {}).get(WatchdogRule.MEMORY) is not None else base.own_memory_act,
    )


def with_soft_limits(rules: Watchdog, soft: Mapping[WatchdogRule, SoftLimit | None]) -> Watchdog:
    """`rules` with those of `soft` that are given in their place."""
    given = {FIELD_OF[rule]: limit for rule, limit in soft.items() if limit is not None}
    return replace(rules, **{name: None if limit == "off" else limit for name, limit in given.items()})


def not_below(rules: Watchdog, limits: Limits) -> Iterator[tuple[WatchdogRule, str]]:
    """Each soft limit that is not below its hard one, with what was expected of it."""
    if rules.pids is not None and limits.pids is not None and _reaches(rules.pids, limits.pids):
        yield WatchdogRule.PIDS, f"below the hard limit of {limits.pids} processes"
    if rules.memory is not None and _reaches(rules.memory, limits.memory_bytes):
        yield WatchdogRule.MEMORY, f"below the hard limit of {format_size(limits.memory_bytes)}"
    lifetime, hard_s = rules.lifetime_s, limits.lifetime_s
    if lifetime is not None and hard_s is not None and lifetime.threshold >= hard_s:
        yield WatchdogRule.LIFETIME, f"below the hard limit of {format_duration(hard_s)}"


def _reaches(bound: Bound, hard: int) -> bool:
    return bound.threshold >= (1 if bound.threshold <= 1 else hard)
