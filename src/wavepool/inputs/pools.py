"""What people say of warm pools, turned into `PoolsConfig`: by our names or the seed's, for all types or for one.

::

    preset: production          # for all types
    image: my-agent:1
    poolSize: 3                 # the seed's names, and its milliseconds
    pools:                      # or `types`, or each type right here
      coder: {memory: 1g, environment: {LANG: C}}

What is nearest to a type wins: an override, what was said of the type, what was said of all, what the type has by
itself, the preset, the default. Variables are put together name by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from wavepool.errors import SettingError, Words
from wavepool.inputs.poolfields import (
    AGENT_TYPE,
    AGENT_TYPE_EXPECTED,
    FIELDS,
    NAMES,
    Meant,
    Wrong,
    field_named,
    read_field,
)
from wavepool.inputs.poolpresets import AGENT_TYPES, PRESETS
from wavepool.model import AgentType, AlertRules, Limits, PoolsConfig, PoolSettings, PoolSpec

_TYPES = ("pools", "types", "agentConfigs")
"""Names under which agent types may stand."""
FALLBACK = "default"
"""The name that the made-up type has until it gets another."""


@dataclass(slots=True, kw_only=True)
class _Said:
    """Settings that were said in one place: their values, of the types that `FIELDS` reads, and where each stands as
    the user knows it."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)

    def over(self, other: _Said) -> _Said:
        """Both, where these win."""
        merged = _Said(values=other.values | self.values, places=other.places | self.places)
        variables = [each.values["environment"] for each in (other, self) if "environment" in each.values]
        if len(variables) > 1:
            merged.values["environment"] = {**variables[0], **variables[1]}
        return merged


def parse_pools(
    document: Mapping[str, object],
    *,
    source: str = "",
    overrides: Mapping[str, object] | None = None,
    image: str | None = None,
) -> PoolsConfig:
    """All pools that `document` describes, checked as a whole. An empty one is the seed's defaults.

    Args:
        document: settings by name, and types with settings of their own, as above.
        source: its name, for messages.
        overrides: settings from the command line, over everything, by option name; None is not given.
        image: what types have whose image nobody named; None: the preset's.

    Raises:
        SettingError: naming the place, what stands there and what was expected.
    """
    common = _Said()
    types: dict[str, _Said] = {}
    _read(document, f"{source}: " if source else "", common, types)
    top = _Said()
    for name, value in (overrides or {}).items():
        if value is not None:
            _say(top, name, value, f"--{name.replace('_', '-')}", of_type=False)
    everywhere = top.over(common)
    preset = _Said(values=dict(PRESETS[str(everywhere.values.get("preset", "default"))]))
    if image is not None:
        preset.values["image"] = image
    names = [*AGENT_TYPES, *(name for name in types if name not in AGENT_TYPES)]
    specs = {
        name: _spec(name, preset, AGENT_TYPES.get(name, {}), top.over(types.get(name, _Said()).over(common)))
        for name in names
    }
    fallback = _spec(FALLBACK, preset, {}, everywhere)
    return _config(specs, fallback, everywhere.over(preset), own=tuple(types))


def agent_type_problem(name: str) -> str | None:
    """None if an agent type may have this name, else what was expected instead."""
    return None if AGENT_TYPE.fullmatch(name) else AGENT_TYPE_EXPECTED


# -- reading --


def _read(document: Mapping[str, object], path: str, common: _Said, types: dict[str, _Said]) -> None:
    for name, value in _items(document, path):
        if name in _TYPES:
            if not isinstance(value, Mapping):
                raise SettingError(f"{path}{name}", value, "settings by agent type")
            _read(value, f"{path}{name}.", common, types)
        elif field_named(name) is None and isinstance(value, Mapping):
            _read_type(name, value, path, types)
        else:
            _say(common, name, value, f"{path}{name}", of_type=False)


def _read_type(name: str, value: Mapping[str, object], path: str, types: dict[str, _Said]) -> None:
    near = get_close_matches(name, ("environment", *_TYPES), n=1, cutoff=0.8)
    if near:
        raise SettingError(f"{path}{name}", value, "a setting or an agent type", advice=f"Did you mean {near[0]}?")
    if not AGENT_TYPE.fullmatch(name):
        raise SettingError(f"{path}{name}", Words("this name"), AGENT_TYPE_EXPECTED)
    if name in types:
        raise SettingError(f"{path}{name}", value, "each agent type once")
    said = types[name] = _Said()
    for inner, given in _items(value, f"{path}{name}."):
        _say(said, inner, given, f"{path}{name}.{inner}", of_type=True)


def _items(document: Mapping[str, object], path: str) -> Iterator[tuple[str, object]]:
    for name, value in document.items():
        if not isinstance(name, str):
            raise SettingError(f"{path}{name}", Words("a name that is no text"), "the name of a setting")
        yield name, value


def _say(said: _Said, name: str, value: object, where: str, *, of_type: bool) -> None:
    meant = field_named(name)
    if meant is None:
        near = get_close_matches(name, NAMES, n=1)
        advice = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(FIELDS)}."
        raise SettingError(where, value, "the name of a setting before it", advice=advice)
    if of_type and FIELDS[meant.name].common:
        raise SettingError(where, value, f"{name} beside the types: it is said of all of them")
    if meant.name in said.values:
        raise SettingError(where, value, f"each setting once, and {said.places[meant.name]} says it too")
    said.values[meant.name] = _value(meant, value, where)
    said.places[meant.name] = where


def _value(meant: Meant, value: object, where: str) -> object:
    try:
        return read_field(meant, value)
    except Wrong as error:
        shown = Words("variables") if meant.name == "environment" else value  # their values may be private
        raise SettingError(where, shown, str(error)) from None


# -- putting together --


def _spec(name: str, preset: _Said, by_itself: Mapping[str, object], said: _Said) -> PoolSpec:
    merged = said.over(_Said(values=dict(by_itself)).over(preset))
    _check_reuse(said, merged.values)
    sizes = _sizes(said, merged.values)
    _check_thresholds(said, merged.values)
    return PoolSpec(agent=_agent(name, merged.values), settings=_settings(merged.values | sizes))


def _sizes(said: _Said, values: Mapping[str, object]) -> dict[str, int]:
    """The size and its bounds. What was said must fit together; what was not follows what was."""
    size, low, high = (int(str(values[name])) for name in ("size", "min_size", "max_size"))
    given = said.places
    if "max_size" not in given:
        high = max(high, size if "size" in given else 0, low if "min_size" in given else 0)
    if "min_size" not in given:
        low = min(low, high, size if "size" in given else high)
    if "size" not in given:
        size = min(max(size, low), high)
    if low > high:
        raise SettingError(given["min_size"], low, f"at most max_size, which is {high}")
    if size > high:
        raise SettingError(given["size"], size, f"at most max_size, which is {high}")
    if size < low:
        raise SettingError(given["size"], size, f"at least min_size, which is {low}")
    return {"size": size, "min_size": low, "max_size": high}


def _check_reuse(said: _Said, values: Mapping[str, object]) -> None:
    if values.get("reuse", PoolSettings().reuse) and not values.get("read_only", PoolSettings().read_only):
        where = said.places.get("reuse") or said.places["read_only"]
        raise SettingError(where, Words("reuse without read_only"), "both, or no reuse")


def _check_thresholds(said: _Said, values: Mapping[str, object]) -> None:
    defaults = PoolSettings()
    up = float(str(values.get("scale_up", defaults.scale_up_percent)))
    down = float(str(values.get("scale_down", defaults.scale_down_percent)))
    if down < up:
        return
    if "scale_down" in said.places:
        raise SettingError(said.places["scale_down"], Words(f"{down:g}"), f"less than scale_up, which is {up:g}")
    raise SettingError(said.places["scale_up"], Words(f"{up:g}"), f"more than scale_down, which is {down:g}")


LIMIT_FIELDS = {"memory": "memory_bytes", "cpus": "cpus", "pids": "pids", "lifetime": "lifetime_s"}
AGENT_FIELDS = {"image": "image", "user": "user", "network": "network", "workspace": "workspace", "environment": "env"}
SETTING_FIELDS = {
    "size": "size",
    "min_size": "min_size",
    "max_size": "max_size",
    "auto_scaling": "auto_scaling",
    "learning": "learning",
    "scale_up": "scale_up_percent",
    "scale_down": "scale_down_percent",
    "scale_interval": "scale_interval_s",
    "max_age": "max_age_s",
    "idle_timeout": "idle_timeout_s",
    "auto_cleanup": "auto_cleanup",
    "health_interval": "health_interval_s",
    "refill_pause": "refill_pause_s",
    "reuse": "reuse",
    "max_uses": "max_uses",
    "read_only": "read_only",
    "parked_memory": "parked_bytes",
}
ALERT_FIELDS = {
    "alert_utilization": "utilization_percent",
    "alert_hit_rate": "hit_rate_percent",
    "alert_healthy": "healthy_ratio",
    "alert_arrivals": "arrivals_min",
}


def _named(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {inside: values[name] for name, inside in names.items() if name in values}


def _agent(name: str, values: Mapping[str, object]) -> AgentType:
    limits = Limits(**_named(values, LIMIT_FIELDS))
    return AgentType(name=name, limits=limits, **_named(values, AGENT_FIELDS))


def _settings(values: Mapping[str, object]) -> PoolSettings:
    return PoolSettings(**_named(values, SETTING_FIELDS))


def _config(specs: Mapping[str, PoolSpec], fallback: PoolSpec, said: _Said, own: tuple[str, ...]) -> PoolsConfig:
    """`own` are the types that were named with settings: they are warm unless it was said which are."""
    values = said.values
    warm = values["warm"] if "warm" in said.places or not own else own
    assert isinstance(warm, tuple)
    types = dict(specs)
    for name in warm:
        if name not in types:
            types[name] = PoolsConfig(types={}, fallback=fallback).of(name)
    return PoolsConfig(
        types=types,
        fallback=fallback,
        warm=warm,
        timeout_s=values.get("timeout"),
        preload=bool(values.get("preload_images", False)),
        log_level=values.get("log_level"),
        alerts=AlertRules(**_named(values, ALERT_FIELDS)),
    )
