"""Compose files: YAML as Compose reads it, variables, and what is refused where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wavepool.errors import PlanError
from wavepool.plan.interpolation import interpolated
from wavepool.plan.stackfile import StackFile, parse_stack

ROOT = Path(__file__).parents[2]


def parse(text: str, **environ: str) -> StackFile:
    return parse_stack(text.encode(), source="compose.yaml", environ=environ)


def test_a_compose_file_is_a_stack() -> None:
    found = parse(
        """
        x-limits: &limits
          mem_limit: 64m
        name: shop
        services:
          web:
            <<: *limits
            image: web:${TAG:-1}
            ports: [22:22, "8080:80"]
            depends_on: {db: {condition: service_healthy}}
            environment: {ON: yes, N: 010, EMPTY: ""}
          db: {image: db}
        volumes: {pg: }
        networks: {front: }
        """
    )
    assert (found.name, [each.name for each in found.services]) == ("shop", ["db", "web"])
    web = found.services[1]
    assert (web.image, web.limits.memory_bytes) == ("web:1", 64 << 20)
    assert [(port.published, port.target) for port in web.ports] == [(22, 22), (8080, 80)]  # no sexagesimal number
    assert web.env == {"ON": "yes", "N": "10", "EMPTY": ""}
    assert found.warnings == ("networks: is left out: a stack has one network of its own",)


def test_json_is_read_too() -> None:
    assert parse('{"services": {"db": {"image": "db"}}}').services[0].image == "db"


@pytest.mark.parametrize(
    ("text", "environ", "value"),
    [
        ("$A ${A}", {"A": "x"}, "x x"),
        ("${A:-d}${B-d}", {"A": "", "B": ""}, "d"),
        ("${A:+set}${B:+set}", {"A": "x"}, "set"),
        ("$$A $${B}", {"A": "x"}, "$A ${B}"),
        ("$A", {"A": "$B: {x: y}"}, "$B: {x: y}"),
    ],
)
def test_variables_are_put_into_texts(text: str, environ: dict[str, str], value: str) -> None:
    assert interpolated({"a": [text, 5]}, environ, "") == {"a": [value, 5]}


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("${A}", "a[0]", "the variable A to be set"),
        ("${A:?give A}", "a[0]", "(give A)"),
        ("cost: $5", "a[0]", "$$ for a dollar sign"),
        ("${A", "a[0]", "$$ for a dollar sign"),
    ],
)
def test_a_variable_that_is_missing_or_none_is_refused(text: str, path: str, words: str) -> None:
    with pytest.raises(PlanError) as caught:
        interpolated({"a": [text]}, {}, "")
    assert caught.value.path == path
    assert words in caught.value.expected


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(8)
)


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("", "compose.yaml", "with services"),
        ("services: {}", "compose.yaml", "with services"),
        ("services: [a]", "compose.yaml", "with services"),
        ("services: {a: {image: i}}\nsecrets: {}", "secrets", "one of name"),
        ("services: {a: {image: i}}\nvolumes: {v: {external: true}}", "volumes.v", "no options"),
        ("services: {a: {image: i}}\nname: A B", "name", "lower case"),
        ("services: {a: {build: .}}", "services.a.build", "build it first"),
        ("services: {a: {image: i}, a: {image: j}}", "compose.yaml", "stands twice"),
        ("services: [", "compose.yaml", "valid YAML"),
        ("services: !!python/object/apply:os.system [x]", "compose.yaml", "valid YAML"),
        ("\ta: b", "compose.yaml", "valid YAML"),
        (BOMB, "compose.yaml", "aliases included"),
        ("a: &a [*a]", "compose.yaml", "aliases included"),
        (f"services: {'9' * 5000}", "compose.yaml", "valid YAML"),
        ("[" * 3000, "compose.yaml", ""),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(text: str, path: str, words: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse(text)
    assert caught.value.path == path
    assert words in caught.value.expected


def test_the_example_is_a_stack() -> None:
    example: Any = parse((ROOT / "examples" / "stack.yaml").read_text())
    assert [each.name for each in example.services] == ["redis", "worker"]
    assert example.warnings == ()
