"""Texts that are written to take long: finding their imports takes time by their length, and few lookups."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavepool.plan.grouping import Sources
from wavepool.plan.grouping.imports.base import ABOVE_MAX, PATH_MAX, SOUGHT_MAX, Extractor, ancestors, joined, sought
from wavepool.plan.grouping.imports.cfamily import CFamily
from wavepool.plan.grouping.imports.golang import Go
from wavepool.plan.grouping.imports.graph import EXTRACTORS
from wavepool.plan.grouping.imports.javascript import JavaScript
from wavepool.plan.grouping.imports.python import Python
from wavepool.plan.grouping.imports.rust import Rust
from wavepool.plan.grouping.imports.shell import Shell
from wavepool.plan.grouping.imports.tree import Tree

LENGTH = 200_000
HANG_S = 20.0
"""Of this process's own time, where it takes a second at most: what grows by the square takes minutes."""
DEEP = "/".join(f"d{number}" for number in range(100))
PLACES_MAX = 8 * (ABOVE_MAX + 2) + 64
"""In which one import is looked for."""

WORDS = {
    Python: (
        "import a,",
        "import a\n",
        "from a import (",
        "from .a import b\n",
        "from ",
        ".a",
        "a,",
        "(",
        " ",
        "\n",
        ";",
    ),
    JavaScript: (
        'import "a";',
        'from "./a";',
        "require(",
        "import(",
        "/*",
        "//",
        "///<reference path=",
        "`",
        "${",
        " ",
    ),
    Rust: (
        '#[path="a"] ',
        "pub(",
        "use a::{",
        "crate::",
        "super::",
        "mod a",
        "/*",
        '"',
        "as ",
        ";",
        ",",
        "}",
        "\n",
        " ",
    ),
    Go: ("import (", 'import "m/a"', "import `", "/*", "//", "\n", " ", ")", '"m/a"', "a."),
    CFamily: ('#include "a"\n', "#include <a/b>\n", '#include "', "%:", "#", "include", " ", "\n", "a/", '"'),
    Shell: (". a.sh\n", "source ", "${", "$(", "$((", "`", "then ", "# shellcheck source=", "a", ";", '"', " ", "\n"),
}
HEAVY = {
    Python: ["a.", "import a,", "import a,\n", "import a\n", "from a import b,c,d\n)"],
    JavaScript: ["import 'a';", "from 'p/a';\n"],
    Rust: ['#[path="a"] pub(', "use a::{", "super::"],
    Go: ['import "m/a"\n', "import ("],
    CFamily: ['#include "a"\n', "#include <a/b>\n"],
    Shell: ["source ${", "${", "`", "$(", ". a.sh\n", ". $a/b.sh\n"],
}
BEFORE = {Python: "import a.", Shell: "source ", Rust: "use ", JavaScript: "", Go: "", CFamily: '#include "'}


class Counted(frozenset[str]):
    """Files that know how often they were asked for."""

    asked = 0

    def __contains__(self, path: object) -> bool:
        type(self).asked += 1
        return super().__contains__(path)


def lookups(kind: type[Extractor], text: str, *, path: str | None = None) -> int:
    """How often a file is looked up for the imports of a text that lies deep."""
    path = path or f"{DEEP}/x{kind.suffixes[0]}"
    texts = {
        path: text,
        "go.mod": "module m",
        "p/package.json": '{"name": "p"}',
        "p/Cargo.toml": '[package]\nname="p"\n',
    }
    tree = Tree(Sources(files=texts, read=texts.get))
    tree.files = Counted(tree.files)
    Counted.asked = 0
    list(kind(tree).targets(path, text))
    return Counted.asked


@contextmanager
def no_hang() -> Iterator[None]:
    """AssertionError after so much of this process's time, whatever the machine does beside it."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"took more than {HANG_S} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, HANG_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def filled(piece: str, length: int) -> str:
    return (piece * (length // len(piece) + 1))[:length]


def test_every_extractor_is_among_these() -> None:
    assert set(WORDS) == set(HEAVY) == set(BEFORE) == set(EXTRACTORS)


@pytest.mark.parametrize(("kind", "piece"), [(kind, piece) for kind, pieces in HEAVY.items() for piece in pieces])
def test_a_megabyte_of_one_beginning_is_read_in_one_pass(kind: type[Extractor], piece: str) -> None:
    text = BEFORE[kind] + filled(piece, 5 * LENGTH)
    with no_hang():
        assert lookups(kind, text) <= 4 * PLACES_MAX


@pytest.mark.parametrize("kind", EXTRACTORS)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_any_beginnings_of_its_syntax_are_read_in_one_pass(kind: type[Extractor], data: st.DataObject) -> None:
    pieces = data.draw(st.lists(st.sampled_from(WORDS[kind]), min_size=1, max_size=4))
    with no_hang():
        few, many = (lookups(kind, filled("".join(pieces), length)) for length in (LENGTH // 2, LENGTH))
    assert many <= 2 * few + PLACES_MAX


@pytest.mark.parametrize(
    ("kind", "one"),
    [
        (Python, "import a{0}.b\n"),
        (Python, "from a import b{0}\n"),
        (JavaScript, 'import "./a{0}";\n'),
        (JavaScript, 'import "p/a{0}";\n'),
        (Rust, "use crate::a{0}::b;\n"),
        (Rust, "mod a{0};\n"),
        (Rust, '#[path="a{0}"] mod b;\n'),
        (Go, 'import "m/a{0}"\n'),
        (CFamily, '#include "a{0}"\n'),
        (Shell, ". $HERE/a{0}.sh\n"),
    ],
)
def test_different_imports_are_sought_up_to_a_number(kind: type[Extractor], one: str) -> None:
    few, many = (
        lookups(kind, "".join(one.format(number) for number in range(count)), path=f"d/x{kind.suffixes[0]}")
        for count in (SOUGHT_MAX, 2 * SOUGHT_MAX)
    )
    assert few == many <= SOUGHT_MAX * PLACES_MAX


def test_what_is_looked_for_has_bounds_and_is_what_it_was_within_them() -> None:
    assert list(sought("abracadabra")) == list("abrcd")
    assert len(list(sought(range(10 * SOUGHT_MAX)))) == SOUGHT_MAX
    assert ancestors("a/b/c") == ["a/b/c", "a/b", "a", ""]
    assert len(ancestors(DEEP)) == ABOVE_MAX + 2
    assert ancestors(DEEP)[-1] == ancestors("")[0] == ""
    assert joined("a", "../b") == "b"
    assert joined("a", "b/" * PATH_MAX) is None
