"""A Compose file, read as a development stack. Pure: the bytes and the variables are given.

YAML 1.2's scalars, as Compose reads them: only ``true`` and ``false`` are switches, ``22:22`` is a text, a key stands
once. JSON is YAML, so a file of the plan's own kind is read too.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from wavepool.errors import PlanError, Words
from wavepool.model import Sidecar
from wavepool.plan.interpolation import interpolated
from wavepool.plan.sidecars import read_services, together

STACK_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
_BYTES_MAX = 1 << 20
_NODES_MAX = 20_000
"""Aliases may make a small file mean a huge one."""


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
    if len(raw) > _BYTES_MAX:
        raise PlanError(source, Words(f"{len(raw)} bytes"), f"at most {_BYTES_MAX} bytes")
    try:
        loader = _Loader(raw)
        node = loader.get_single_node()
        _count(node)
        return None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, ValueError) as error:  # also what is no Unicode, and a number of too many digits
        raise PlanError(source, Words(_where(error)), f"valid YAML ({_what(error)})") from None
    except RecursionError:
        raise PlanError(source, Words("YAML nested too deeply"), "a Compose file of a few levels") from None


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark is not None else str(error)[:80]


def _what(error: Exception) -> str:
    return " ".join(str(getattr(error, "problem", None) or error).split())[:120]


def _count(node: yaml.Node | None) -> None:
    """Raise where the document has too many nodes, each alias counted as what it stands for."""
    left, stack = _NODES_MAX, [node]
    while stack:
        each = stack.pop()
        left -= 1
        if left < 0:
            raise yaml.YAMLError(f"more than {_NODES_MAX} values, aliases included")
        if isinstance(each, yaml.MappingNode):
            stack.extend(part for pair in each.value for part in pair)
        elif isinstance(each, yaml.SequenceNode):
            stack.extend(each.value)


class _Loader(yaml.SafeLoader):
    """Plain data only, YAML 1.2's scalars, each key once."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as the library has it

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key_node.tag != "tag:yaml.org,2002:merge" and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """``010`` is ten; the library's own takes it for eight."""
        text = str(node.value).lower()
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text, 10)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("merge", r"<<", "<"),
):
    _characters = [*_first, ""] if _tag == "null" else list(_first)
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _characters)
