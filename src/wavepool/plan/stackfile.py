"""A Compose file, read as a development stack. Pure: the bytes and the variables are given.

JSON is YAML, so a file of the plan's own kind is read too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from wavepool.errors import PlanError, Words
from wavepool.inputs.yamltext import NotYaml, load_yaml
from wavepool.model import Sidecar
from wavepool.plan.interpolation import interpolated
from wavepool.plan.sidecars import read_services, together

STACK_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFile:
    """What a file asks for. `name` is its own, None where it has none; dependencies come first in `services`."""

    name: str | None
    services: tuple[Sidecar, ...]
    warnings: tuple[str, ...]


def parse_stack(raw: bytes, *, source: str, environ: Mapping[str, str]) -> StackFile:
    """The stack that `raw` describes.

    Args:
        source: the file's name, for messages.
        environ: variables that it may use.

    Raises:
        PlanError: naming the path in the file, or its line, the value there and what was expected.
    """
    document = interpolated(_load(raw, source), environ, "")
    if not isinstance(document, dict) or not isinstance(document.get("services"), dict) or not document["services"]:
        raise PlanError(source, document, "a Compose file with services")
    warnings: list[str] = []
    _check_top(document, warnings)
    services = read_services(document["services"], "services", warnings.append)
    name = document.get("name")
    if name is not None and (not isinstance(name, str) or not STACK_NAME.fullmatch(name)):
        raise PlanError("name", name, "1 to 40 lower case letters, digits, _ and -")
    return StackFile(name=name, services=together({}, services, "services"), warnings=tuple(warnings))


def _check_top(document: Mapping[str, object], warnings: list[str]) -> None:
    for key, value in document.items():
        if key in ("name", "version", "services") or str(key).startswith("x-"):
            continue
        if key == "networks":
            warnings.append("networks: is left out: a stack has one network of its own")
        elif key == "volumes":
            _check_volumes(value)
        else:
            raise PlanError(str(key), value, "one of name, services, volumes, networks, version")


def _check_volumes(given: object) -> None:
    """Named volumes are directories of the stack; whoever wants another kind would not get it."""
    if given is None:
        return
    if not isinstance(given, dict):
        raise PlanError("volumes", given, "an object of names")
    for name, options in given.items():
        if options not in (None, {}):
            raise PlanError(f"volumes.{name:.80}", options, "no options: a named volume is a directory of the stack")


def _load(raw: bytes, source: str) -> object:
    try:
        return load_yaml(raw)
    except NotYaml as error:
        raise PlanError(source, Words(error.got), error.expected) from None
