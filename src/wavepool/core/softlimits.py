"""What the watchdog's rules mean for one attempt, and what a reading says about them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from wavepool.model import Act, Bound, Finding, Limits, Task, Watchdog, WatchdogRule
from wavepool.units import format_duration, format_usd, human_size

REARM = 0.9
"""A rule that has warned warns again only after its reading was below this part of its threshold."""


class Reading(NamedTuple):
    """What was read of an attempt.

    `memory_bytes` is usage less inactive file cache. `quiet_s` is how long it had neither output nor CPU time, None
    where that is not known.
    """

    memory_bytes: int
    pids: int
    quiet_s: float | None = None


class Crossing(NamedTuple):
    """A finding and what its rule says to do about it."""

    finding: Finding
    act: Act


def rules_of(task: Task, common: Watchdog) -> Watchdog:
    """The soft limits of `task`: its own, else those of the run."""
    return common if task.watchdog is None else task.watchdog


def memory_threshold_bytes(bound: Bound, limits: Limits) -> float:
    """Where the working set crosses: a threshold of up to 1 is a part of the limit."""
    return round(bound.threshold * limits.memory_bytes) if bound.threshold <= 1 else bound.threshold


def pids_threshold(bound: Bound, limits: Limits) -> float | None:
    """Where the count crosses, None where a part is asked for of a limit that is not there."""
    if bound.threshold > 1:
        return bound.threshold
    return None if limits.pids is None else round(bound.threshold * limits.pids)


def crossings(rules: Watchdog, limits: Limits, reading: Reading) -> Iterator[Crossing]:
    """Every rule but the lifetime (a timer of the core) that `reading` has reached."""
    if rules.pids is not None:
        threshold = pids_threshold(rules.pids, limits)
        if threshold is not None and reading.pids >= threshold:
            yield Crossing(Finding(rule=WatchdogRule.PIDS, reading=reading.pids, threshold=threshold), rules.pids.act)
    if rules.memory is not None:
        threshold = memory_threshold_bytes(rules.memory, limits)
        if reading.memory_bytes >= threshold:
            finding = Finding(rule=WatchdogRule.MEMORY, reading=reading.memory_bytes, threshold=threshold)
            yield Crossing(finding, rules.memory.act)
    quiet = rules.no_progress_s
    if quiet is not None and reading.quiet_s is not None and reading.quiet_s >= quiet.threshold:
        finding = Finding(rule=WatchdogRule.NO_PROGRESS, reading=reading.quiet_s, threshold=quiet.threshold)
        yield Crossing(finding, quiet.act)


def calm(rule: WatchdogRule, rules: Watchdog, limits: Limits, reading: Reading) -> bool:
    """True where a rule that has warned may warn again: its reading is well below its threshold."""
    if rule is WatchdogRule.PIDS and rules.pids is not None:
        threshold = pids_threshold(rules.pids, limits)
        return threshold is None or reading.pids < REARM * threshold
    if rule is WatchdogRule.MEMORY and rules.memory is not None:
        return reading.memory_bytes < REARM * memory_threshold_bytes(rules.memory, limits)
    if rule is WatchdogRule.NO_PROGRESS and rules.no_progress_s is not None:
        return reading.quiet_s is not None and reading.quiet_s < REARM * rules.no_progress_s.threshold
    return False


def next_lifetime(task: Task, common: Watchdog, *, warned: bool) -> tuple[float, Act] | None:
    """The age in seconds at which something must be done, and what: first the soft lifetime, then the hard one."""
    soft = rules_of(task, common).lifetime_s
    if soft is not None and not warned:
        return soft.threshold, soft.act
    hard_s = task.limits.lifetime_s
    return None if hard_s is None else (hard_s, Act.STOP)


def measured(finding: Finding) -> str:
    """The reading beside its threshold, for a person: ``210 processes, 200 allowed``."""
    reading, threshold = finding.reading, finding.threshold
    match finding.rule:
        case WatchdogRule.LIFETIME:
            return f"it has run for {format_duration(reading)}, {format_duration(threshold)} allowed"
        case WatchdogRule.PIDS:
            return f"it has {reading:.0f} processes and threads, {threshold:.0f} allowed"
        case WatchdogRule.MEMORY:
            return f"it holds {human_size(int(reading))} of memory, {human_size(int(threshold))} allowed"
        case WatchdogRule.NO_PROGRESS:
            allowed = format_duration(threshold)
            return f"no output and no CPU time for {format_duration(reading)}, {allowed} allowed"
        case WatchdogRule.COST:
            who = "the agents of the run have" if finding.whole_run else "its agent has"
            told, allowed = format_usd(reading), format_usd(threshold)
            if told == allowed:  # a reading is above its threshold, and shall look so
                told, allowed = f"${reading:,.4f}", f"${threshold:,.4f}"
            return f"{who} cost {told}, {allowed} allowed"
        case WatchdogRule.TOKENS:
            who = "the agents of the run have" if finding.whole_run else "its agent has"
            return f"{who} used {reading:,.0f} tokens, {threshold:,.0f} allowed"


def advice(finding: Finding) -> str:
    """What to do about a stop for it: the end of a sentence."""
    return (_ADVICE_OF_RUN if finding.whole_run else _ADVICE)[finding.rule]


_ADVICE = {
    WatchdogRule.LIFETIME: "raise its `lifetime`, or give it less to do",
    WatchdogRule.PIDS: "see its log for what starts them, or raise `pids`",
    WatchdogRule.MEMORY: "give it more `memory`, or let the rule only warn",
    WatchdogRule.NO_PROGRESS: "see its log for what it waits for, or raise `no_progress`",
    WatchdogRule.COST: "raise its `max_cost`, or give it less to do",
    WatchdogRule.TOKENS: "raise its `max_tokens`, or give it less to do",
}
_ADVICE_OF_RUN = {
    WatchdogRule.COST: "raise `run_max_cost`, or give the run less to do",
    WatchdogRule.TOKENS: "raise `run_max_tokens`, or give the run less to do",
}
