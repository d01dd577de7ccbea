"""YAML as plain values, and back: 1.2's scalars, no code, no surprises in size. Pure.

Only ``true`` and ``false`` are switches, ``22:22`` is a text, a key stands once. JSON is YAML.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlBounds:
    """How large a document may be, in bytes and in values: aliases may make a small file mean a huge one."""

    bytes_max: int = 1 << 20
    nodes_max: int = 20_000


USUAL_BOUNDS = YamlBounds()


class NotYaml(Exception):
    """What was read is none. `got` is what stands there, or where; `expected` is what would be right."""

    def __init__(self, got: str, expected: str) -> None:
        super().__init__(f"{got}, expected {expected}")
        self.got = got
        self.expected = expected


def load_yaml(raw: bytes, bounds: YamlBounds = USUAL_BOUNDS) -> object:
    """The document that `raw` holds; None of an empty one.

    Raises:
        NotYaml: no YAML, a key that stands twice, or more than `bounds` allow.
    """
    if len(raw) > bounds.bytes_max:
        raise NotYaml(f"{len(raw)} bytes", f"at most {bounds.bytes_max} bytes")
    try:
        loader = _Loader(raw)
        node = loader.get_single_node()
        _count(node, bounds.nodes_max)
        return None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, ValueError) as error:  # also what is no Unicode, and a number of too many digits
        raise NotYaml(_where(error), f"valid YAML ({_what(error)})") from None
    except RecursionError:
        raise NotYaml("YAML nested too deeply", "YAML of a few levels") from None


def dump_yaml(value: object) -> str:
    """`value`, of what JSON can hold, as YAML that `load_yaml` and readers of YAML 1.1 take for the same."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31)


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark is not None else str(error)[:80]


def _what(error: Exception) -> str:
    return " ".join(str(getattr(error, "problem", None) or error).split())[:120]


def _count(node: yaml.Node | None, most: int) -> None:
    """Raise where the document has too many nodes, each alias counted as what it stands for."""
    left, stack = most, [node]
    while stack:
        each = stack.pop()
        left -= 1
        if left < 0:
            raise yaml.YAMLError(f"more than {most} values, aliases included")
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


_ODD_BREAK = re.compile("[\r\x85\u2028\u2029]")
"""These end a line in YAML 1.1 and would come back as another break; between double quotes they are escapes."""


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks; no text that 1.1 or 1.2 would take for anything else without quotes."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_text(self, data: str) -> yaml.ScalarNode:
        style = '"' if _ODD_BREAK.search(data) else "|" if "\n" in data else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("merge", r"<<", "<"),
):
    _characters = [*_first, ""] if _tag == "null" else list(_first)
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _characters)
