"""A batch's limits: `cpus`, `pids`, `lifetime`, `watchdog`, beside the memory that its tier or itself names.

Errors here name the field alone, as all errors of a batch do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite

from wavepool.errors import InputError, PlanError
from wavepool.inputs.softlimits import SoftLimit, expected_soft_limit, parse_soft_limit
from wavepool.model import Limits, Watchdog, WatchdogRule
from wavepool.plan.limits import FIELD_OF, LimitPolicy, not_below, with_soft_limits
from wavepool.units import parse_duration

CPUS_MIN, CPUS_MAX = 0.01, 10_000
PIDS_MAX = 4_194_304
"""The kernel's own bound of pid_max."""
_Key = tuple[int, float | None, int | None, float | None]
RULE_NAMES = {str(rule): rule for rule in FIELD_OF}
"""The soft limits; what agents use up has its bounds elsewhere."""
_OFF = Watchdog()


class LimitReader:
    """Reads the limits of the batches of one plan; equal ones become one object."""

    def __init__(self, policy: LimitPolicy) -> None:
        self.policy = policy
        self._limits: dict[_Key, Limits] = {}
        self._fits: set[_Key] = set()
        """Hard limits that the run's soft ones were found to be below."""
        self._watchdogs: dict[Watchdog, Watchdog] = {}

    def read(
        self,
        memory_bytes: int,
        *,
        own_memory: bool,
        cpus: object,
        pids: object,
        lifetime: object,
        watchdog: object,
        timeout_s: float | None,
    ) -> tuple[Limits, Watchdog | None]:
        """Hard limits, and soft ones where they are not just the run's; `None` among the fields is "not given".

        Raises:
            PlanError: a value that is none, or a soft limit that is not below its hard one.
        """
        policy = self.policy
        lifetime_s = self._lifetime_s(lifetime, timeout_s)
        key = (
            memory_bytes,
            policy.cpus if cpus is None else _cpus(cpus),
            policy.pids if pids is None else _pids(pids),
            lifetime_s,
        )
        limits = self._limits.get(key)
        if limits is None:
            limits = Limits(memory_bytes=key[0], cpus=key[1], pids=key[2], lifetime_s=key[3])
            self._limits[key] = limits
        if watchdog is None and key not in self._fits:
            _check_common(policy.watchdog, limits)
            self._fits.add(key)
        return limits, self._watchdog(watchdog, limits, own_memory=own_memory)

    def _lifetime_s(self, given: object, timeout_s: float | None) -> float | None:
        policy = self.policy
        if given is not None:
            return _duration("lifetime", given)
        if policy.lifetime_yields and policy.lifetime_s is not None and timeout_s is not None:
            return max(policy.lifetime_s, timeout_s)
        return policy.lifetime_s

    def _watchdog(self, given: object, limits: Limits, *, own_memory: bool) -> Watchdog | None:
        rules = self.policy.watchdog
        act = self.policy.own_memory_act if own_memory else None
        if act is not None and rules.memory is not None:
            rules = replace(rules, memory=replace(rules.memory, act=act))
        if given is not None:
            soft = _soft_limits(given)
            rules = _OFF if given is False else with_soft_limits(rules, soft)
            for rule, expected in not_below(rules, limits):
                if isinstance(given, dict) and given.get(str(rule)) is not None:
                    raise PlanError(f"watchdog.{rule}", given[str(rule)], f"a soft limit {expected}")
            _check_common(rules, limits)
        elif rules == self.policy.watchdog:
            return None
        return self._watchdogs.setdefault(rules, rules)


def _check_common(rules: Watchdog, limits: Limits) -> None:
    """The run's soft limits hold for this batch too: a hard limit that is not above one is refused."""
    hard = {"pids": limits.pids, "memory": limits.memory_bytes, "lifetime": limits.lifetime_s}
    for rule, _ in not_below(rules, limits):
        soft = getattr(rules, FIELD_OF[rule]).threshold
        expected = f"more than the run's soft limit of {soft:.0f}, or a `watchdog` of its own with another {rule}"
        raise PlanError(str(rule), hard[str(rule)], expected)


def _soft_limits(given: object) -> Mapping[WatchdogRule, SoftLimit | None]:
    if given is False:
        return {}
    if not isinstance(given, dict):
        raise PlanError("watchdog", given, "an object of soft limits, or false for none")
    found: dict[WatchdogRule, SoftLimit | None] = {}
    for name, value in given.items():
        rule = RULE_NAMES.get(name)
        if rule is None:
            raise PlanError(f"watchdog.{name:.80}", value, f"one of the soft limits: {', '.join(RULE_NAMES)}")
        try:
            found[rule] = None if value is None else parse_soft_limit(rule, value)
        except InputError:
            raise PlanError(f"watchdog.{rule}", value, expected_soft_limit(rule)) from None
    return found


def _cpus(given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not isfinite(given):
        raise PlanError("cpus", given, "a number of cores, such as 0.5 or 2")
    if not CPUS_MIN <= given <= CPUS_MAX:
        raise PlanError("cpus", given, f"a number of cores from {CPUS_MIN} to {CPUS_MAX}")
    return float(given)


def _pids(given: object) -> int:
    if type(given) is not int or not 1 <= given <= PIDS_MAX:
        raise PlanError("pids", given, f"a whole number from 1 to {PIDS_MAX}")
    return given


def _duration(name: str, given: object) -> float:
    expected = "a duration above zero: seconds, or text such as 12h"
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise PlanError(name, given, expected)
    try:
        return parse_duration(given)
    except InputError:
        raise PlanError(name, given, expected) from None
