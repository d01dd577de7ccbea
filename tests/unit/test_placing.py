"""Where a path leads that a tool wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.plan.making.findings import Place
from wavepool.plan.making.placing import place

ROOTS = ("/home/me/link", "/data/project", "/workspace", "C:\\Users\\me\\project")


@pytest.mark.parametrize(
    ("written", "inside"),
    [
        ("src/a.ts", "src/a.ts"),
        ("./src//b/../a.ts", "src/a.ts"),
        ("src\\pages\\a.ts", "src/pages/a.ts"),
        (".\\a.ts", "a.ts"),
        ("src/odd\\name.ts", "src/odd\\name.ts"),
        ("/home/me/link/src/a.ts", "src/a.ts"),
        ("/data/project/src/../a.ts", "a.ts"),
        ("/workspace/src/a.ts", "src/a.ts"),
        ("c:\\Users\\me\\project\\src\\a.ts", "src/a.ts"),
        ("C:/Users/me/project/src/a.ts", "src/a.ts"),
        ("file:///workspace/src/with%20space.ts", "src/with space.ts"),
        ("app/(group)/[id]/page.tsx", "app/(group)/[id]/page.tsx"),
        ("src/target/mod.rs", "src/target/mod.rs"),
        ("vendor.py", "vendor.py"),
    ],
)
def test_inside(written: str, inside: str) -> None:
    placed = place(written, ROOTS)
    assert (placed.place, placed.path) == (Place.INSIDE, inside)


@pytest.mark.parametrize(
    "written",
    [
        "node_modules/x/index.d.ts",
        "packages/ui/node_modules/x/index.d.ts",
        "/workspace/.venv/lib/python3.11/site-packages/x.py",
        "vendor/github.com/x/y.go",
        "target/debug/build/x/out.rs",
        "crates/a/target/release/build/x/out.rs",
        "target/x86_64-unknown-linux-gnu/debug/x.rs",
        "build/CMakeFiles/x.c",
    ],
)
def test_vendored(written: str) -> None:
    assert place(written, ROOTS).place is Place.VENDORED


@pytest.mark.parametrize(
    "written",
    ["../other/a.ts", "/usr/include/stdio.h", "/workspaces/a.ts", "D:\\a.ts", "\\\\server\\share\\a.ts", "/data"],
)
def test_outside(written: str) -> None:
    placed = place(written, ROOTS)
    assert (placed.place, placed.path) == (Place.OUTSIDE, written)


@pytest.mark.parametrize(
    "written", ["", " ", "-", ".", "./", "/workspace", "/workspace/", "<stdin>", "<command line>", "a\0b"]
)
def test_nowhere(written: str) -> None:
    assert place(written, ROOTS).place is Place.NOWHERE


def test_relative_paths_begin_where_the_tool_ran() -> None:
    assert place("../a.py", ROOTS, directory="backend").path == "a.py"
    assert place("../../a.py", ROOTS, directory="backend").place is Place.OUTSIDE


def test_the_longest_root_counts() -> None:
    assert place("/workspace/deep/a.py", ("/workspace", "/workspace/deep")).path == "a.py"
    assert place("/etc/x", ("/",)).path == "etc/x"


@given(st.text(alphabet="/\\.:aC %<>-\n\0", max_size=20) | st.text(max_size=20))
def test_any_text_leads_somewhere_and_what_is_inside_is_normal(written: str) -> None:
    placed = place(written, ROOTS)
    if placed.place in {Place.INSIDE, Place.VENDORED}:
        parts = placed.path.split("/")
        assert placed.path
        assert not {"", ".", ".."} & set(parts)
