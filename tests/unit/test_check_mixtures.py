"""Whatever tools write one after another, each is read as if it wrote alone."""

from __future__ import annotations

import random
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from recorded_checks import RECORDED

from wavepool.model.diagnostics import Diagnostic
from wavepool.plan.diagnostics.reading import OutputReader

FILES = tuple(
    sorted(
        path for path in RECORDED.rglob("*") if path.is_file() and not path.relative_to(RECORDED).match("*pytest*/*")
    )
)
"""Without pytest's, of which some are cut off before the summary that ends a run."""


def faults(data: bytes) -> Counter[tuple[object, ...]]:
    """All but the words: how mypy wraps them is learned from what it wrote before."""
    reader = OutputReader()
    told = [one for one in [*reader.feed(data), *reader.end()] if isinstance(one, Diagnostic)]
    return Counter((one.tool, one.path, one.line, one.column, one.code, one.severity) for one in told)


@cache
def alone(path: Path) -> tuple[bytes, Counter[tuple[object, ...]]]:
    data = path.read_bytes()
    data = data if data.endswith(b"\n") else data + b"\n"
    return data, faults(data)


@pytest.mark.parametrize("seed", range(3))
def test_recorded_outputs_in_any_order(seed: int) -> None:
    order = [path for path in FILES if not path.read_bytes().startswith((b"\xff\xfe", b"\xfe\xff"))]
    random.Random(seed).shuffle(order)
    expected = Counter[tuple[object, ...]]()
    for path in order:
        expected.update(alone(path)[1])
    assert faults(b"".join(alone(path)[0] for path in order)) == expected
