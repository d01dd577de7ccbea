"""Each setting of warm pools: its name, the seed's name for it, how it is read, and what a right value looks like.

The seed counts durations in milliseconds: a plain number under one of its names is that many. Under ours it is seconds;
text with a unit is what it says under either.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from wavepool.errors import InputError, shorten
from wavepool.inputs.environment import value_problem, variable_problem
from wavepool.inputs.names import image_problem, network_problem
from wavepool.units import DOCKER_MEMORY_MIN_BYTES, parse_duration, parse_size

AGENT_TYPE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,47}", re.ASCII)
AGENT_TYPE_EXPECTED = "an agent type: 1 to 48 lower case letters, digits, _, . and -, beginning with a letter or digit"
CONTAINERS_MAX = 1000
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,31})?", re.ASCII)
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
_ON, _OFF = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


class Wrong(Exception):
    """A value is none for its setting; the text is what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolField:
    """One setting.

    Attributes:
        expected: what a right value is; ends the message about a wrong one, unless the reader says it better.
        read: the value from what people write; raises `Wrong`.
        seed: the seed's name, if it has one.
        unit_s: what a plain number under the seed's name counts, in seconds; None where it is no duration.
        common: True for one that is said of all pools only.
    """

    expected: str
    read: Callable[[object], object]
    seed: str | None = None
    unit_s: float | None = None
    common: bool = False


class Meant(NamedTuple):
    """A setting that was named, and whether by the seed's name."""

    name: str
    by_seed: bool


def field_named(written: str) -> Meant | None:
    """The setting that `written` names: by our name, with ``-`` or ``_``, or by the seed's; None if none."""
    name = written.replace("-", "_")
    if name in FIELDS:
        return Meant(name, by_seed=False)
    found = _BY_SEED.get(written)
    return None if found is None else Meant(found, by_seed=True)


def read_field(meant: Meant, value: object) -> object:
    """The value of a setting.

    Raises:
        Wrong: it is none.
    """
    field = FIELDS[meant.name]
    number = _number(value) if field.unit_s is not None and meant.by_seed else None
    try:
        return field.read(value if number is None or field.unit_s is None else number * field.unit_s)
    except Wrong as error:
        raise Wrong(str(error) or field.expected) from None


def _number(value: object) -> float | None:
    """A plain number, as such or as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Wrong
    try:
        return parse_duration(value)
    except InputError:
        raise Wrong from None


def _pause(value: object) -> float:
    return 0.0 if _number(value) == 0 else _seconds(value)


def _count(least: int, most: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
        if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
            raise Wrong
        return int(text)

    return read


def _within(least: float, most: float, suffix: str = "") -> Callable[[object], float]:
    def read(value: object) -> float:
        number = _number(value.strip().removesuffix(suffix) if isinstance(value, str) else value)
        if number is None or not least <= number <= most:
            raise Wrong
        return number

    return read


def _switch(value: object) -> bool:
    text = str(value).strip().lower() if isinstance(value, bool | int | str) else ""
    if text not in _ON + _OFF:
        raise Wrong
    return text in _ON


def _always(why: str) -> Callable[[object], bool]:
    """A switch of the seed that cannot be turned off here."""

    def read(value: object) -> bool:
        if not _switch(value):
            raise Wrong(f"true, or nothing: {why}")
        return True

    return read


def _text(problem: Callable[[str], str | None]) -> Callable[[object], str]:
    def read(value: object) -> str:
        found = problem(value) if isinstance(value, str) else ""
        if found is not None:
            raise Wrong(found)
        return str(value)

    return read


def _memory(value: object) -> int:
    try:
        size_bytes = parse_size(value)  # type: ignore[arg-type]  # it refuses other types itself
    except InputError:
        raise Wrong from None
    if size_bytes < DOCKER_MEMORY_MIN_BYTES:
        raise Wrong
    return size_bytes


def _variables(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise Wrong
    found: dict[str, str] = {}
    for name, given in value.items():
        if not isinstance(name, str) or not isinstance(given, str | int | float):
            raise Wrong(f"texts by name, for {shorten(name)} too")
        text = str(given).lower() if isinstance(given, bool) else str(given)
        problem = variable_problem(name) or value_problem(name, text)
        if problem is not None:
            raise Wrong(f"for {shorten(name)} {problem}")
        found[name] = text
    return found


def _types(value: object) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple):
        raise Wrong
    found = [name.strip() if isinstance(name, str) else "" for name in names if name != ""]
    wrong = next((name for name in found if not AGENT_TYPE.fullmatch(name)), None)
    if wrong is not None:
        raise Wrong(AGENT_TYPE_EXPECTED)
    return tuple(dict.fromkeys(found))


def _level(value: object) -> str:
    text = value.strip().lower() if isinstance(value, str) else ""
    text = "warn" if text == "warning" else text
    if text not in ("debug", "info", "warn", "error"):
        raise Wrong
    return text


def _choice(*words: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise Wrong
        return value

    return read


def _user(text: str) -> str | None:
    return None if _USER.fullmatch(text) else ""


def _network(text: str) -> str | None:
    return None if text == "none" else network_problem(text)


def _directory(text: str) -> str | None:
    return None if text and "\0" not in text else ""


def _or_off(read: Callable[[object], object]) -> Callable[[object], object]:
    return lambda value: None if value is False or value == "off" else read(value)


_SECONDS = "a duration above zero such as 90, 30m or 1m36s"
_SWITCH = "true or false"
_PERCENT = "a percentage from 0 to 100"
_SIZE = f"a whole number from 0 to {CONTAINERS_MAX}"
_IMAGE = "an image reference such as name:tag"

FIELDS: Mapping[str, PoolField] = {
    # What its containers are.
    "image": PoolField(expected=_IMAGE, read=_text(image_problem), seed="dockerImage"),
    "memory": PoolField(expected="a size of at least 6m, such as 512m or 1g", read=_memory),
    "cpus": PoolField(expected="cores, from 0.01", read=_within(0.01, 10_000)),
    "pids": PoolField(expected="a whole number from 1", read=_count(1, 4_194_304)),
    "lifetime": PoolField(expected=_SECONDS, read=_seconds),
    "environment": PoolField(expected="texts by name", read=_variables),
    "user": PoolField(expected="uid:gid, or a name that the image knows", read=_text(_user), seed="user"),
    "network": PoolField(expected="a network's name, or none", read=_text(_network)),
    "workspace": PoolField(expected="a directory", read=_text(_directory)),
    "read_only": PoolField(expected=_SWITCH, read=_switch, seed="readOnlyRootFs"),
    # How many there are.
    "size": PoolField(expected=_SIZE, read=_count(0, CONTAINERS_MAX), seed="poolSize"),
    "min_size": PoolField(expected=_SIZE, read=_count(0, CONTAINERS_MAX), seed="minPoolSize"),
    "max_size": PoolField(
        expected=f"a whole number from 1 to {CONTAINERS_MAX}", read=_count(1, CONTAINERS_MAX), seed="maxPoolSize"
    ),
    "auto_scaling": PoolField(expected=_SWITCH, read=_switch, seed="autoScaling"),
    "learning": PoolField(expected=_SWITCH, read=_switch),
    "scale_up": PoolField(expected=_PERCENT, read=_within(0, 100, "%"), seed="scaleUpThreshold"),
    "scale_down": PoolField(expected=_PERCENT, read=_within(0, 100, "%"), seed="scaleDownThreshold"),
    "scale_interval": PoolField(expected=_SECONDS, read=_seconds),
    "refill_pause": PoolField(expected="0, or a duration such as 90, 30m or 250ms", read=_pause),
    "parked_memory": PoolField(expected="a size of at least 6m, such as 32m", read=_memory),
    # How long one lives.
    "max_age": PoolField(expected=_SECONDS, read=_seconds, seed="maxContainerAge", unit_s=0.001),
    "idle_timeout": PoolField(expected=_SECONDS, read=_seconds, seed="containerIdleTimeout", unit_s=0.001),
    "auto_cleanup": PoolField(expected=_SWITCH, read=_switch, seed="autoCleanup"),
    "health_interval": PoolField(expected=_SECONDS, read=_seconds, seed="healthCheckInterval", unit_s=0.001),
    "reuse": PoolField(expected=_SWITCH, read=_switch, seed="enableContainerReuse"),
    "max_uses": PoolField(expected="a whole number from 1", read=_count(1, 1_000_000)),
    # What holds for all pools together.
    "preset": PoolField(expected="default or production", read=_choice("default", "production"), common=True),
    "warm": PoolField(
        expected="agent types, as a list or with commas between", read=_types, seed="warmupAgentTypes", common=True
    ),
    "timeout": PoolField(expected=_SECONDS, read=_seconds, seed="timeoutMs", unit_s=0.001, common=True),
    "preload_images": PoolField(expected=_SWITCH, read=_switch, seed="preloadCommonImages", common=True),
    "log_level": PoolField(expected="debug, info, warn or error", read=_level, seed="logLevel", common=True),
    "alert_utilization": PoolField(expected=f"{_PERCENT}, or off", read=_or_off(_within(0, 100, "%")), common=True),
    "alert_hit_rate": PoolField(expected=f"{_PERCENT}, or off", read=_or_off(_within(0, 100, "%")), common=True),
    "alert_healthy": PoolField(expected="a part from 0 to 1, or off", read=_or_off(_within(0, 1)), common=True),
    "alert_arrivals": PoolField(expected="a whole number from 1", read=_count(1, 1_000_000_000), common=True),
    # What the seed has switches for, and cannot be had otherwise.
    "cleanup_between_tasks": PoolField(
        expected=_SWITCH,
        read=_always("a container is never handed on without a wipe"),
        seed="cleanupBetweenTasks",
        common=True,
    ),
    "optimize_networking": PoolField(
        expected=_SWITCH,
        read=_always("the network of a type is made once, not for each container"),
        seed="optimizeNetworking",
        common=True,
    ),
    "no_new_privileges": PoolField(
        expected=_SWITCH,
        read=_always("no task ever gets new privileges"),
        seed="noNewPrivileges",
        common=True,
    ),
}
"""By our name. Percentages may have a ``%``; switches are ``true``, ``yes``, ``on``, ``1`` or their opposites."""

_BY_SEED = {field.seed: name for name, field in FIELDS.items() if field.seed is not None}
NAMES = (*FIELDS, *(seed for seed in _BY_SEED if seed not in FIELDS))
"""All that can be written."""
