"""The short and long forms in which Compose writes ports, volumes, health checks and lists.

Pure. Errors name the path from the service on (``ports[0]``); the caller puts what stands before it.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Mapping, Sequence

from wavepool.errors import InputError, PlanError, SizeError
from wavepool.inputs.environment import string_problem, value_problem, variable_problem
from wavepool.model import Healthcheck, Port, Volume
from wavepool.units import parse_duration, parse_size

_PORT_MAX = 65535
_RETRIES_MAX = 1000
_PORT_EXPECTED = "a port such as 5432, 15432:5432 or 127.0.0.1:15432:5432 (one port, no range)"
_VOLUME_EXPECTED = "SOURCE:TARGET[:ro|rw] with an absolute target; SOURCE a path (/x, ./x) or a name"
_TEST_EXPECTED = 'text for the shell, or a list that begins with "CMD", "CMD-SHELL" or "NONE"'
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_TARGETS_TAKEN = frozenset({"/", "/proc", "/sys", "/dev"})


def read_text(path: str, given: object, expected: str = "text") -> str:
    """`given`, if it is text that a process can be given."""
    if not isinstance(given, str) or not given:
        raise PlanError(path, given, expected)
    if (problem := string_problem(given)) is not None:
        raise PlanError(path, given, problem)
    return given


def read_texts(path: str, given: object, expected: str) -> tuple[str, ...]:
    """A list of texts; a text alone is a list of one, nothing is an empty list."""
    if given is None:
        return ()
    if isinstance(given, str):
        return (read_text(path, given, expected),)
    if not isinstance(given, list):
        raise PlanError(path, given, expected)
    return tuple(read_text(f"{path}[{index}]", each, expected) for index, each in enumerate(given))


def read_argv(path: str, given: object) -> tuple[str, ...] | None:
    """A command: a list, or text that is split as a shell splits words (no shell runs it, as in Compose)."""
    if given is None:
        return None
    expected = "a list of texts, or text that is split into words (no shell runs it)"
    if isinstance(given, str):
        try:
            return tuple(shlex.split(given))
        except ValueError:
            raise PlanError(path, given, "text with its quotes closed") from None
    if not isinstance(given, list):
        raise PlanError(path, given, expected)
    for index, word in enumerate(given):
        if not isinstance(word, str) or string_problem(word) is not None:
            raise PlanError(f"{path}[{index}]", word, "text without NUL")
    return tuple(given)


def read_number(path: str, given: object, *, least: int, most: int) -> int:
    """A whole number, as such or as digits."""
    number = int(given) if isinstance(given, str) and re.fullmatch(r"\d{1,9}", given, re.ASCII) else given
    if type(number) is not int or not least <= number <= most:
        raise PlanError(path, given, f"a whole number from {least} to {most}")
    return number


def read_size(path: str, given: object) -> int:
    """Bytes of a size."""
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise PlanError(path, given, "a size such as 512m, or a number of bytes")
    try:
        return parse_size(given)
    except SizeError as error:
        raise PlanError(path, given, error.expected) from None


def read_seconds(path: str, given: object) -> float:
    """A duration above zero."""
    expected = "a duration above zero such as 5s or 1m30s"
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise PlanError(path, given, expected)
    try:
        return parse_duration(given)
    except InputError:
        raise PlanError(path, given, expected) from None


def read_environment(given: object) -> Mapping[str, str]:
    """Variables: an object, or a list of ``NAME=value``."""
    if given is None:
        return {}
    pairs: list[tuple[str, object]]
    if isinstance(given, dict):
        pairs = [(str(name), value) for name, value in given.items()]
    elif isinstance(given, list) and all(isinstance(each, str) for each in given):
        pairs = [(name, value if equals else None) for name, equals, value in (each.partition("=") for each in given)]
    else:
        raise PlanError("environment", given, "an object of names and values, or a list of NAME=value")
    return {name: _variable(name, value) for name, value in pairs}


def _variable(name: str, given: object) -> str:
    path = f"environment.{name:.80}"
    if isinstance(given, bool):
        value = "true" if given else "false"
    elif isinstance(given, str | int | float):
        value = str(given)
    else:
        raise PlanError(path, given, "text, a number, true or false (nothing is passed on from your own environment)")
    problem = variable_problem(name) or value_problem(name, value)
    if problem is not None:
        raise PlanError(path, given, problem)
    return value


def read_healthcheck(given: object) -> Healthcheck | None:
    """The object of Compose's field; ``disable: true`` is a test ``NONE``."""
    if given is None:
        return None
    if not isinstance(given, dict):
        raise PlanError("healthcheck", given, "an object with test, interval, timeout, retries, start_period")
    known = {"test", "interval", "timeout", "retries", "start_period", "start_interval", "disable"}
    for name in given:
        if name not in known:
            raise PlanError(f"healthcheck.{name:.80}", given[name], f"one of {', '.join(sorted(known))}")
    if given.get("disable"):
        return Healthcheck(test=("NONE",))
    return Healthcheck(
        test=_test(given.get("test")),
        interval_s=_seconds(given, "interval"),
        timeout_s=_seconds(given, "timeout"),
        retries=None
        if given.get("retries") is None
        else read_number("healthcheck.retries", given["retries"], least=1, most=_RETRIES_MAX),
        start_period_s=_seconds(given, "start_period"),
    )


def _seconds(given: Mapping[str, object], name: str) -> float | None:
    value = given.get(name)
    return None if value is None or value in (0, "0s") else read_seconds(f"healthcheck.{name}", value)


def _test(given: object) -> tuple[str, ...]:
    if given is None:
        return ()
    if isinstance(given, str) and given.strip():
        return ("CMD-SHELL", given)
    if not isinstance(given, list) or not given or not all(isinstance(each, str) for each in given):
        raise PlanError("healthcheck.test", given, _TEST_EXPECTED)
    words = {"NONE": len(given) == 1, "CMD": len(given) > 1, "CMD-SHELL": len(given) == 2}
    if not words.get(given[0], False):
        raise PlanError("healthcheck.test", given, _TEST_EXPECTED)
    return tuple(given)


def read_ports(given: object) -> tuple[Port, ...]:
    """Published ports, in the short and the long form. Without an address they are published on 127.0.0.1 alone."""
    return tuple(_port(f"ports[{index}]", each) for index, each in enumerate(_list("ports", given)))


def _port(path: str, given: object) -> Port:
    if isinstance(given, dict):
        return _long_port(path, given)
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise PlanError(path, given, _PORT_EXPECTED)
    text, _, protocol = str(given).partition("/")
    address, bracket, rest = text.rpartition("]:") if text.startswith("[") else ("", "", text)
    parts = [address + "]", *rest.split(":")] if bracket else rest.split(":")
    if not 1 <= len(parts) <= 3 or "-" in text or not all(parts):
        raise PlanError(path, given, _PORT_EXPECTED)
    target, published, host = [*reversed(parts), "", ""][:3]
    return _made_port(path, given, target, published or "0", host.strip("[]"), protocol or "tcp")


def _long_port(path: str, given: Mapping[str, object]) -> Port:
    for name in given:
        if name not in {"target", "published", "host_ip", "protocol", "mode", "name", "app_protocol"}:
            raise PlanError(f"{path}.{name:.80}", given[name], "one of target, published, host_ip, protocol")
    return _made_port(
        path,
        given,
        given.get("target"),
        given.get("published") or 0,
        given.get("host_ip") or "",
        given.get("protocol") or "tcp",
    )


def _made_port(path: str, given: object, target: object, published: object, address: object, protocol: object) -> Port:
    if protocol not in ("tcp", "udp"):
        raise PlanError(path, given, "a port of tcp or udp")
    try:
        ipaddress.ip_address(str(address or "127.0.0.1"))
    except ValueError:
        raise PlanError(path, given, _PORT_EXPECTED) from None
    try:
        return Port(
            target=read_number(path, target, least=1, most=_PORT_MAX),
            published=read_number(path, published, least=0, most=_PORT_MAX),
            address=str(address or "127.0.0.1"),
            protocol=str(protocol),
        )
    except PlanError:
        raise PlanError(path, given, _PORT_EXPECTED) from None


def read_volumes(given: object) -> tuple[Volume, ...]:
    """What it sees of the host or of its own directory, in the short and the long form; targets are unique."""
    volumes: dict[str, Volume] = {}
    for index, each in enumerate(_list("volumes", given)):
        path = f"volumes[{index}]"
        volume = _long_volume(path, each) if isinstance(each, dict) else _volume(path, each)
        if volume.target in volumes:
            raise PlanError(path, each, f"a target of its own: {volume.target} is mounted twice")
        volumes[volume.target] = volume
    return tuple(volumes.values())


def _volume(path: str, given: object) -> Volume:
    text = read_text(path, given, _VOLUME_EXPECTED)
    parts = text.split(":")
    read_only = False
    if len(parts) == 3:
        modes = parts.pop().split(",")
        if not set(modes) <= {"ro", "rw", "z", "Z", "cached", "delegated", "consistent"}:
            raise PlanError(path, given, _VOLUME_EXPECTED)
        read_only = "ro" in modes
    if len(parts) == 1:
        parts.insert(0, parts[0].strip("/").replace("/", "-") or ".")  # anonymous: named after its target
    if len(parts) != 2:
        raise PlanError(path, given, _VOLUME_EXPECTED)
    return _made_volume(path, given, parts[0], parts[1], read_only)


def _long_volume(path: str, given: Mapping[str, object]) -> Volume:
    for name in given:
        if name not in {"type", "source", "target", "read_only"}:
            raise PlanError(f"{path}.{name:.80}", given[name], "one of type, source, target, read_only")
    kind, source = given.get("type", "volume"), given.get("source")
    if kind not in ("bind", "volume"):
        raise PlanError(f"{path}.type", kind, "bind or volume (for tmpfs use the field tmpfs)")
    text = read_text(f"{path}.source", source, "a path or a name")
    if (kind == "volume") != bool(_NAME.fullmatch(text)):
        raise PlanError(f"{path}.source", source, "a path for a bind, a name for a volume")
    target = read_text(f"{path}.target", given.get("target"), "an absolute path")
    return _made_volume(path, given, text, target, given.get("read_only") is True)


def _made_volume(path: str, given: object, source: str, target: str, read_only: bool) -> Volume:
    if source.startswith("~"):
        raise PlanError(path, given, "a path without ~: nobody's home is meant in a plan")
    if not source.startswith(("/", ".")) and not _NAME.fullmatch(source):
        raise PlanError(path, given, _VOLUME_EXPECTED)
    if not target.startswith("/") or ".." in target.split("/") or (target.rstrip("/") or "/") in _TARGETS_TAKEN:
        raise PlanError(path, given, _VOLUME_EXPECTED)
    return Volume(source=source, target=target.rstrip("/"), read_only=read_only)


def _list(name: str, given: object) -> Sequence[object]:
    if given is None:
        return ()
    if not isinstance(given, list):
        raise PlanError(name, given, "a list")
    return given
