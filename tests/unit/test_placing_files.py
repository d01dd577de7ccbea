"""Where a path leads that a tool wrote, seen from a workspace."""

from __future__ import annotations

from pathlib import Path

import pytest

from wavepool.fixing.files import TEXT_MAX_BYTES, WorkspaceFiles
from wavepool.plan.making.findings import Place

INSIDE, VENDORED, OUTSIDE, NOWHERE = Place.INSIDE, Place.VENDORED, Place.OUTSIDE, Place.NOWHERE
FILES = (
    "src/app.ts",
    "src/[id]/(group)/a b.tsx",
    "src/Größe.py",
    "packages/one/src/index.ts",
    "packages/two/src/index.ts",
    "packages/two/src/only.ts",
    "node_modules/left-pad/index.js",
    "packages/one/node_modules/x/y.ts",
    "target/app.py",
    "target/debug/build/x/out/made.rs",
    "back\\slash.py",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    for name in FILES:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (tmp_path / "beyond.py").write_text("")
    (root / "link.ts").symlink_to("src/app.ts")
    (root / "out.py").symlink_to("../beyond.py")
    (tmp_path / "alias").symlink_to("work")
    return root


@pytest.mark.parametrize(
    ("written", "place", "path"),
    [
        ("src/app.ts", INSIDE, "src/app.ts"),
        ("./src/app.ts", INSIDE, "src/app.ts"),
        ("src/../src//app.ts", INSIDE, "src/app.ts"),
        ("src\\app.ts", INSIDE, "src/app.ts"),
        ("SRC/App.ts", INSIDE, "src/app.ts"),
        ("src/[id]/(group)/a b.tsx", INSIDE, "src/[id]/(group)/a b.tsx"),
        ("src/Größe.py", INSIDE, "src/Größe.py"),
        ("back\\slash.py", INSIDE, "back\\slash.py"),
        ("/workspace/src/app.ts", INSIDE, "src/app.ts"),
        ("{root}/src/app.ts", INSIDE, "src/app.ts"),
        ("file://{root}/src/app.ts", INSIDE, "src/app.ts"),
        ("{root}/../alias/src/app.ts", INSIDE, "src/app.ts"),
        ("link.ts", INSIDE, "src/app.ts"),
        ("src/only.ts", INSIDE, "packages/two/src/only.ts"),  # a tool that was started in packages/two
        ("target/app.py", INSIDE, "target/app.py"),  # a common word, and not where cargo puts anything
        ("src/index.ts", NOWHERE, "src/index.ts"),  # of one or of two?
        ("src/gone.ts", NOWHERE, "src/gone.ts"),
        ("<string>", NOWHERE, "<string>"),
        ("src", NOWHERE, "src"),
        ("", NOWHERE, ""),
        ("a\0b", NOWHERE, "a\0b"),
        ("file:///a%00b", NOWHERE, "file:///a%00b"),
        ("/x/\ud800.py", NOWHERE, "/x/\ufffd.py"),
        ("src/\udcff.ts", NOWHERE, "src/\ufffd.ts"),
        ("/" + "x" * 300_000, OUTSIDE, "/" + "x" * 300_000),
        ("node_modules/left-pad/index.js", VENDORED, "node_modules/left-pad/index.js"),
        ("packages/one/node_modules/x/y.ts", VENDORED, "packages/one/node_modules/x/y.ts"),
        ("node_modules/gone/x.d.ts", VENDORED, "node_modules/gone/x.d.ts"),
        ("target/debug/build/x/out/made.rs", VENDORED, "target/debug/build/x/out/made.rs"),
        ("../beyond.py", OUTSIDE, "../beyond.py"),
        ("out.py", OUTSIDE, "out.py"),
        ("/usr/include/stdio.h", OUTSIDE, "/usr/include/stdio.h"),
        ("C:\\other\\x.ts", OUTSIDE, "C:\\other\\x.ts"),
    ],
)
def test_where_a_path_leads(root: Path, written: str, place: Place, path: str) -> None:
    found = WorkspaceFiles(root, contained=True).place(written.replace("{root}", str(root)))
    assert (found.place, found.path) == (place, path)


def test_go_names_files_by_modules(root: Path) -> None:
    for name in ("cart/x_test.go", "x_test.go", "tools/gen/x_test.go"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "go.mod").write_text("// ours\nmodule example.com/shop // v1\n\ngo 1.19\n")
    (root / "tools" / "go.mod").write_text('module "example.com/shop/tools"\n')
    files = WorkspaceFiles(root)
    for name in ("cart/x_test.go", "x_test.go", "tools/gen/x_test.go"):
        assert files.place(f"example.com/shop/{name}").path == name
    for name in ("example.com/shop/gone/x_test.go", "example.com/shopping/x_test.go", "shop/x_test.go"):
        assert files.place(name).place is NOWHERE


def test_a_name_of_the_workspace_with_links_in_it_leads_inside(root: Path) -> None:
    alias = root.parent / "alias"
    assert WorkspaceFiles(root, alias).place(f"{alias}/src/app.ts").path == "src/app.ts"


def test_what_two_files_could_be_in_another_case_is_neither(root: Path) -> None:
    (root / "src" / "APP.ts").write_text("")
    assert WorkspaceFiles(root).place("src/aPP.ts").place is NOWHERE


def test_a_loop_of_links_leads_nowhere_and_ends(root: Path) -> None:
    (root / "loop").symlink_to("loop")
    assert WorkspaceFiles(root).place("loop").place in (NOWHERE, OUTSIDE)


def test_texts_are_read_of_files_of_the_workspace_alone(root: Path) -> None:
    files = WorkspaceFiles(root)
    (root / "bom.py").write_bytes(b"\xef\xbb\xbfimport a\n")
    (root / "odd.py").write_bytes(b"# \xff\n")
    (root / "large.py").write_bytes(b"x" * (TEXT_MAX_BYTES + 1))
    (root.parent / "dir").mkdir()
    (root.parent / "dir" / "secret.py").write_text("secret")
    (root / "linked").symlink_to("../dir")
    assert files.read("bom.py") == "import a\n"
    assert files.read("odd.py") == "# \ufffd\n"
    for name in ("large.py", "out.py", "linked/secret.py", "../beyond.py", "src", "gone.py", "a\0b"):
        assert files.read(name) is None, name


def test_sources_are_all_files_but_vendored_ones(root: Path) -> None:
    found = WorkspaceFiles(root).sources()
    assert "src/app.ts" in found.files
    assert not [each for each in found.files if "node_modules" in each or "target/debug" in each]
