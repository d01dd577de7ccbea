"""What imports what, language by language: as programmers write it, and whatever else a file may hold."""

from __future__ import annotations

import json
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavepool.plan.grouping import Sources
from wavepool.plan.grouping.imports import read_imports
from wavepool.plan.grouping.imports.cfamily import includes_of
from wavepool.plan.grouping.imports.golang import packages_of
from wavepool.plan.grouping.imports.graph import EXTRACTORS
from wavepool.plan.grouping.imports.javascript import specifiers_of
from wavepool.plan.grouping.imports.python import Import, imports_of
from wavepool.plan.grouping.imports.rust import uses_of
from wavepool.plan.grouping.imports.shell import sourced_in


def imported(path: str, text: str, *others: str, **texts: str) -> list[str]:
    """What one file of a workspace imports; `texts` by name, with ``__`` for ``/`` and ``_`` before the ending."""
    return imported_in({path: text} | dict.fromkeys(others, "") | texts, path)


def imported_in(files: dict[str, str], path: str) -> list[str]:
    graph = read_imports([path], Sources(files=files, read=files.get))
    return sorted(graph.imports.get(path, ()))


# -- Python --

PACKAGE = (
    "src/app/__init__.py",
    "src/app/models.py",
    "src/app/db/__init__.py",
    "src/app/db/rows.py",
    "src/app/json.py",
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import app.models", ["src/app/models.py"]),
        ("import app.models as m, os", ["src/app/models.py"]),
        ("from app import models, VERSION", ["src/app/__init__.py", "src/app/models.py"]),
        ("from app.models import User", ["src/app/models.py"]),
        ("from . import models", ["src/app/models.py"]),
        ("from .db import rows", ["src/app/db/rows.py"]),
        ("from .db.rows import (\n    Row,  # one\n    Rows,\n)", ["src/app/db/rows.py"]),
        ("from .db import *", ["src/app/db/__init__.py"]),
        ("def f():\n    if x:\n        from app.db import rows as r", ["src/app/db/rows.py"]),
        ("import json, typing", []),
        ("from .... import models", []),
        ("'''\nimport app.models\n'''", []),
    ],
)
def test_python(text: str, expected: list[str]) -> None:
    assert imported("src/app/main.py", text, *PACKAGE) == expected
    broken = text + "\ndef broken(:\n"
    if "'''" not in text:
        assert imported("src/app/main.py", broken, *PACKAGE) == expected


def test_python_packages_are_found_from_tests_beside_the_sources_and_in_a_subproject() -> None:
    assert imported("tests/unit/test_x.py", "from app.db import rows", *PACKAGE) == ["src/app/db/rows.py"]
    inner = ("backend/src/app/__init__.py", "backend/src/app/models.py")
    assert imported("backend/tests/test_x.py", "import app.models", *PACKAGE, *inner) == ["backend/src/app/models.py"]


def test_python_modules_beside_a_script_and_stubs_are_found() -> None:
    assert imported("scripts/run", "#!/usr/bin/env python3\nimport shared", "scripts/shared.py") == [
        "scripts/shared.py"
    ]
    assert imported("a/x.py", "import fast", "a/fast.pyi") == ["a/fast.pyi"]


def test_an_odd_escape_in_python_warns_nobody() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert imports_of("x = '\\d'\nimport a") == [Import(0, "a", ())]


# -- JavaScript and TypeScript --


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import { a } from './types'", ["web/types.ts"]),
        ('import type { A } from "./types.js";', ["web/types.ts"]),
        ("import './types'; export * from '../lib'", ["lib/index.ts", "web/types.ts"]),
        ("import {\n  a, // './no'\n} from './types'", ["web/types.ts"]),
        ("const t = require('./types'), u = await import(`./ui/[id]/page`)", ["web/types.ts", "web/ui/[id]/page.tsx"]),
        ("import t = require('./types')", ["web/types.ts"]),
        ("jest.mock('./types')", ["web/types.ts"]),
        ('/// <reference path="./types.ts" />', ["web/types.ts"]),
        ("// import './types'\n/* import './types' */ const s = \"import './types'\"", []),
        ("import x from './gone'; import react from 'react'; import('./' + name)", []),
        ("import logo from './logo.svg?url'", ["web/logo.svg"]),
    ],
)
def test_javascript(text: str, expected: list[str]) -> None:
    others = ("web/types.ts", "lib/index.ts", "web/ui/[id]/page.tsx", "web/logo.svg")
    assert imported("web/main.ts", text, *others) == expected


def test_paths_of_a_tsconfig_are_followed_with_its_comments_and_what_it_extends() -> None:
    files = {
        "tsconfig.base.json": '{"compilerOptions": {"baseUrl": ".", // here\n'
        '"paths": {"@/*": ["src/*"], "#types": ["src/t.ts"],}}}',
        "app/tsconfig.json": '/* own */ {"extends": "../tsconfig.base.json", "compilerOptions": {"strict": true}}',
        "src/util/dates.ts": "",
        "src/t.ts": "",
        "shared/x.ts": "",
        "app/main.tsx": "import '@/util/dates'; import '#types'; import 'shared/x'; import '@other/y'",
    }
    assert imported_in(files, "app/main.tsx") == ["shared/x.ts", "src/t.ts", "src/util/dates.ts"]


def test_a_tsconfig_that_only_refers_to_others_leads_to_them() -> None:
    files = {
        "tsconfig.json": '{"files": [], "references": [{"path": "./tsconfig.app.json"}]}',
        "tsconfig.app.json": '{"compilerOptions": {"paths": {"@/*": ["./src/*"]}}}',
        "src/a.ts": "",
        "src/main.ts": "import '@/a'",
    }
    assert imported_in(files, "src/main.ts") == ["src/a.ts"]


def test_packages_of_the_workspace_are_found_by_name() -> None:
    files = {
        "packages/ui/package.json": json.dumps({"name": "@acme/ui"}),
        "packages/ui/src/index.ts": "",
        "packages/ui/src/button.tsx": "",
        "apps/web/main.ts": "import '@acme/ui'; import '@acme/ui/button'; import '@acme/gone'",
    }
    assert imported_in(files, "apps/web/main.ts") == ["packages/ui/src/button.tsx", "packages/ui/src/index.ts"]


@pytest.mark.parametrize(
    "config",
    ["", "[]", '{"extends": "./tsconfig.json"}', '{"compilerOptions": {"paths": {"@/*": [1], "x": 2}}}', "{" * 5000],
)
def test_an_odd_tsconfig_says_nothing(config: str) -> None:
    assert imported_in({"tsconfig.json": config, "a.ts": "import '@/b'", "b.ts": ""}, "a.ts") == []


# -- Rust --


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("src/lib.rs", "mod a; pub(crate) mod store;\n// mod gone;", ["src/a.rs", "src/store/mod.rs"]),
        ("src/a.rs", "mod inner;", ["src/a/inner.rs"]),
        ("src/a.rs", "use crate::store::{disk::Disk, Store as S};", ["src/store/disk.rs", "src/store/mod.rs"]),
        ("src/a.rs", "use crate::{store::disk, a::inner::{self, X}};", ["src/a/inner.rs", "src/store/disk.rs"]),
        (
            "src/store/disk.rs",
            "use super::Store; fn f() { crate::a::inner::g() }",
            ["src/a/inner.rs", "src/store/mod.rs"],
        ),
        ("src/a.rs", "const Q: char = '\"';\nuse crate::store::disk;", ["src/store/disk.rs"]),
        ("src/store/mod.rs", "use self::disk::Disk;", ["src/store/disk.rs"]),
        ("src/a.rs", "use std::io; use other_crate::deep::X;", ["crates/other/src/deep.rs"]),
        ("src/a.rs", "use other_crate::X;", ["crates/other/src/lib.rs"]),
        ("src/lib.rs", '#[path = "odd/b.rs"]\nmod b;', ["src/odd/b.rs"]),
    ],
)
def test_rust(path: str, text: str, expected: list[str]) -> None:
    files = dict.fromkeys(
        ("src/lib.rs", "src/a.rs", "src/a/inner.rs", "src/store/mod.rs", "src/store/disk.rs", "src/odd/b.rs"), ""
    )
    files |= dict.fromkeys(("crates/other/src/lib.rs", "crates/other/src/deep.rs"), "")
    files |= {"Cargo.toml": '[package]\nname = "top"\n', "crates/other/Cargo.toml": '[package]\nname = "other-crate"\n'}
    assert imported_in(files | {path: text}, path) == expected


# -- Go --


def test_go_imports_are_packages_and_those_of_one_package_need_none() -> None:
    files = {
        "go.mod": "module example.com/shop\n",
        "main.go": 'package main\n\nimport (\n\t"fmt"\n\tst "example.com/shop/store" // disk\n)\n',
        "flags.go": "package main",
        "store/disk.go": "package store",
        "store/disk_test.go": "package store",
        "store/one.go": 'package store\nimport "example.com/shop/units"',
        "units/units.go": "package units",
        "tools/go.mod": "module example.com/shop/tools",
        "tools/x/x.go": 'package x\n// import "example.com/shop/units"\nimport _ "example.com/shop/tools/y"',
        "tools/y/y.go": "package y",
    }
    assert imported_in(files, "main.go") == ["flags.go", "store/disk.go", "store/one.go"]
    assert imported_in(files, "store/one.go") == ["store/disk.go", "units/units.go"]
    assert imported_in(files, "store/disk_test.go") == ["store/disk.go", "store/one.go"]
    assert imported_in(files, "tools/x/x.go") == ["tools/y/y.go"]


# -- C and C++, shell --


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('#include "list.h"', ["src/list.h"]),
        ('  #  include  "../include/api.h"', ["include/api.h"]),
        ("#include <api.h>\n#include <stdio.h>", ["include/api.h"]),
        ('#include "deep.h"', ["vendorless/deep/deep.h"]),
        ("#include <deep/deep.h>", ["vendorless/deep/deep.h"]),
        ('#include "twice.h"', []),
        ("#include MACRO\n#include", []),
    ],
)
def test_c(text: str, expected: list[str]) -> None:
    others = ("src/list.h", "include/api.h", "vendorless/deep/deep.h", "x/twice.h", "y/twice.h", "lib/stdio.h")
    assert imported("src/main.c", text, *others) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (". ./lib.sh", ["bin/lib.sh"]),
        ("set -e; source lib.sh # all", ["bin/lib.sh"]),
        ('. "$(dirname "$0")/lib.sh"', ["bin/lib.sh"]),
        ('source "${BASH_SOURCE%/*}/../common/log.sh" || exit', ["common/log.sh"]),
        ('if x; then . "$HERE/log.sh"; fi', ["common/log.sh"]),
        ("# shellcheck source=common/log.sh\n. $LOG", ["common/log.sh"]),
        ("# shellcheck source=/dev/null\necho . ./lib.sh", []),
        ('. "$dir/$name.sh"', []),
    ],
)
@pytest.mark.parametrize("path", ["bin/run.sh", "bin/run"])
def test_shell(path: str, text: str, expected: list[str]) -> None:
    assert imported(path, f"#!/bin/bash\n{text}\n", "bin/lib.sh", "common/log.sh") == expected


# -- whatever a file holds --

WORDS = (
    r"""import |from |'|"|`|./b|a|::|{|}|use crate|;|(|)|//|/*|*/|\|mod b|#include |<|>|. |source |$(|${|require(|,|*"""
)
pieces = st.sampled_from([*WORDS.split("|"), "..", "\n", "\0", "é", "#!"])
texts = st.lists(pieces, max_size=60).map("".join) | st.text(max_size=200)
NAMES = [f"d/x{suffix}" for kind in EXTRACTORS for suffix in kind.suffixes[:2]] + ["d/tool"]


@settings(max_examples=150)
@given(texts, st.sampled_from(["", "#!/bin/sh\n", "#!/usr/bin/env python3\n"]))
def test_no_text_breaks_an_extractor_and_what_it_finds_is_in_the_workspace(text: str, first: str) -> None:
    files = dict.fromkeys(["d/b.py", "d/b.ts", "d/b.rs", "b.h", "a/__init__.py", "go.mod", "tsconfig.json"], text)
    files |= dict.fromkeys(NAMES, first + text)
    graph = read_imports(NAMES, Sources(files=files, read=files.get))
    for path, targets in graph.imports.items():
        assert targets <= files.keys() - {path}


@pytest.mark.parametrize(
    "piece",
    [
        "(",
        "import ",
        '"\\',
        "/*",
        "use a::{",
        "`",
        "from a import (",
        "$(",
        ". ",
        "mod a",
        "'\"",
        "-",
        " ",
        "import (",
        "'a",
        "use ",
        "use a",
        "from a import (\n",
        "source ",
        "\n",
        "# shellcheck ",
    ],
)
def test_long_odd_texts_are_read_in_one_pass(piece: str) -> None:
    text = piece * (100_000 // len(piece)) + "x"
    imports_of(text)
    for extract in (specifiers_of, uses_of, packages_of, sourced_in):
        assert len(list(extract(text))) <= 100_000
    assert includes_of(text) == []
