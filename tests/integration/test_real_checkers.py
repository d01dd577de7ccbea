"""The real tools on failing projects: what is read is what the tool counts, and what its JSON says, in every form."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from real_truths import (
    cargo_itself,
    eslint_itself,
    gcc_itself,
    go_places,
    mypy_itself,
    pyright_itself,
    pytest_itself,
    ruff_itself,
    rust_faults,
    shellcheck_itself,
    typescript_itself,
)

from checkers import Checkers
from real_checks import (
    CARGO,
    CLIPPY,
    COLOURS,
    ESLINT,
    GROUP,
    MYPY,
    RUFF,
    RUSTC,
    SHELLCHECK,
    TEMPLATES,
    WARNED,
    Fault,
    Reading,
    RealChecks,
    places,
    without_columns,
)
from wavepool.fixing.files import WorkspaceFiles
from wavepool.model.diagnostics import Severity
from wavepool.plan.making.findings import Findings


@pytest.fixture(scope="module")
def checks(checkers: Checkers, tmp_path_factory: pytest.TempPathFactory) -> RealChecks:
    return RealChecks(checkers, tmp_path_factory.mktemp("checks"))


# --- tsc ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "argv",
    [
        ("tsc", "-p", "."),
        ("tsc", "-p", ".", "--pretty"),
        ("tsc", "--build", "--pretty"),
        ("tsc", "-p", "tsconfig.fileless.json"),
        ("tsc", "-p", "tsconfig.fileless.json", "--pretty"),
    ],
    ids=" ".join,
)
def test_tsc(checks: RealChecks, argv: tuple[str, ...]) -> None:
    reading = checks.reading("typescript", *argv)
    reading.agrees()
    assert bool(reading.totals) == ("--pretty" in argv)
    config = "tsconfig.fileless.json" if "tsconfig.fileless.json" in argv else "tsconfig.json"
    assert reading.faults == typescript_itself(checks, config)


@pytest.mark.parametrize("config", ["tsconfig.json", "tsconfig.fileless.json"])
def test_the_tsc_of_typescript_7(checks: RealChecks, config: str) -> None:
    plain = checks.reading("typescript", "tsc-7", "-p", config)
    pretty = checks.reading("typescript", "tsc-7", "-p", config, "--pretty")
    pretty.agrees()
    assert pretty.totals
    assert plain.faults == pretty.faults
    assert {fault.path for fault in plain.faults} == {fault.path for fault in typescript_itself(checks, config)}


# --- eslint ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--color",), ("--format", "json"), ("--format", "json-with-metadata")])
def test_eslint(checks: RealChecks, options: tuple[str, ...]) -> None:
    reading = checks.reading("javascript", *ESLINT, *options)
    reading.agrees()
    assert reading.totals
    assert reading.faults == eslint_itself(checks)


def test_an_eslint_that_fails_for_its_warnings(checks: RealChecks) -> None:
    reading = checks.reading("javascript", "eslint", "--max-warnings", "0", "--rule", "max-len: off", "with space")
    reading.agrees()
    assert reading.warnings == 2


# --- mypy --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--pretty",),
        ("--show-column-numbers",),
        ("--show-error-end",),
        ("--show-absolute-path",),
        ("--show-error-context",),
        ("--no-error-summary",),
        ("--output", "json"),
    ],
    ids=" ".join,
)
def test_mypy(checks: RealChecks, options: tuple[str, ...]) -> None:
    reading = checks.reading("python", *MYPY, *options)
    reading.agrees()
    assert bool(reading.totals) == (options not in [("--no-error-summary",), ("--output", "json")])
    itself = mypy_itself(checks)
    with_columns = options in [("--show-column-numbers",), ("--show-error-end",), ("--output", "json")]
    assert reading.faults == (itself if with_columns else without_columns(itself))


def test_mypy_that_cannot_go_on(checks: RealChecks) -> None:
    for argv in [("odd",), ("nowhere",)]:
        reading = checks.reading("python", "mypy", "--cache-dir", "../mypy-cache", *argv)
        reading.agrees()
        assert reading.errors >= 1


# --- pyright -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--outputjson",), ("--stats",)])
def test_pyright(checks: RealChecks, options: tuple[str, ...]) -> None:
    reading = checks.reading("python", "pyright", *options, ".")
    reading.agrees()
    assert reading.totals
    assert reading.warnings > 0
    assert reading.faults == pyright_itself(checks)


# --- ruff --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["concise", "full", "grouped", "json", "json-lines", "sarif"])
def test_ruff(checks: RealChecks, form: str) -> None:
    reading = checks.reading("python", *RUFF, "--output-format", form)
    reading.agrees()
    assert bool(reading.totals) == (form in ("concise", "full", "grouped"))
    assert reading.faults == ruff_itself(checks)


def test_ruff_with_colours(checks: RealChecks) -> None:
    for form in ("full", "grouped", "concise"):
        printed = checks.run("python", *RUFF, "--output-format", form, env=COLOURS)
        assert b"\x1b[" in printed.stdout
        assert checks.read("python", printed.stdout, printed.stderr).faults == ruff_itself(checks)


def test_ruff_without_the_file(checks: RealChecks) -> None:
    reading = checks.reading("python", "ruff", "check", "--no-cache", "--isolated", "nothing.py")
    reading.agrees()
    assert [fault.code for fault in reading.faults] == ["E902"]


# --- pytest ------------------------------------------------------------------------------------------------------


PYTEST_FORMS = ("", "-q", "--tb=short", "--tb=native", "-rA")
FURTHER_FORMS = ("-v --color=yes", "-vv --showlocals", "--tb=line", "--tb=no")


@pytest.mark.parametrize(
    ("project", "options"),
    [
        *(("pytest", options) for options in PYTEST_FORMS),
        ("pytest-collection", ""),
        *(pytest.param("pytest", options, marks=pytest.mark.slow) for options in FURTHER_FORMS),
        *(pytest.param("pytest-collection", options, marks=pytest.mark.slow) for options in ("-q -rN", "--tb=native")),
    ],
)
def test_pytest(checks: RealChecks, project: str, options: str) -> None:
    reading = checks.reading(project, "pytest", *options.split())
    reading.agrees()
    assert reading.totals
    assert reading.errors == pytest_itself(checks, project)
    assert not [fault for fault in reading.faults if fault.path and "never" in fault.path]


def test_where_pytest_failed(checks: RealChecks) -> None:
    assert {fault.path for fault in checks.reading("pytest", "pytest").faults} == {
        "(group)/test_totals.py",
        "naïve 日本/test_größe.py",
    }
    assert {fault.path for fault in checks.reading("pytest-collection", "pytest").faults} == {
        "test_imports.py",
        "test_syntax.py",
    }


# --- cargo and rustc ---------------------------------------------------------------------------------------------


def test_cargo(checks: RealChecks) -> None:
    itself = cargo_itself(checks, CARGO)
    for options in [(), ("--message-format=short",), ("--color=always",), ("--message-format=json",)]:
        reading = checks.reading("rust", *CARGO, *options)
        reading.agrees()
        assert reading.totals, options
        assert places(reading.faults) == places(itself), options


def test_the_codes_of_rust(checks: RealChecks) -> None:
    wanted = {fault.code for fault in cargo_itself(checks, CARGO) if fault.severity is Severity.ERROR}
    for options in [(), ("--message-format=short",), ("--message-format=json",)]:
        faults = checks.reading("rust", *CARGO, *options).faults
        assert {fault.code for fault in faults if fault.severity is Severity.ERROR} == wanted


def test_clippy(checks: RealChecks) -> None:
    reading = checks.reading("rust-clippy", *CLIPPY)
    reading.agrees()
    lines = checks.run("rust-clippy", *CLIPPY, "--message-format=json").stdout.splitlines()
    told = [one["message"] for one in map(json.loads, lines) if one["reason"] == "compiler-message"]
    assert places(reading.faults) == places(rust_faults(told))


def test_rustc(checks: RealChecks) -> None:
    printed = checks.run("rust", *RUSTC, "--error-format=json")
    itself = rust_faults([json.loads(line) for line in printed.stderr.splitlines()])
    for options in [(), ("--error-format=short",), ("--color=always",), ("--error-format=json",)]:
        reading = checks.reading("rust", *RUSTC, *options)
        reading.agrees()
        assert places(reading.faults) == places(itself), options


# --- go ----------------------------------------------------------------------------------------------------------


def test_go_vet(checks: RealChecks) -> None:
    reading = checks.reading("go", "go", "vet", "./vetted")
    document = checks.run("go", "go", "vet", "-json", "./vetted")
    told = json.loads(document.stderr.decode().partition("\n")[2])
    faults = [fault["posn"] for found in told.values() for by_check in found.values() for fault in by_check]
    itself = Counter(
        (checks.seen_from("go", path), int(line), int(column), Severity.ERROR)
        for path, line, column in (posn.rsplit(":", 2) for posn in faults)
    )
    assert places(reading.faults) == itself


@pytest.mark.parametrize(
    "argv",
    [
        ("go", "build", "./built", "./many"),
        ("go", "build", "-gcflags=-e", "./many"),
        ("go", "test", "./tested", "./many"),
        ("go", "vet", "./vetted", "./built", "./tested"),
        ("go", "build", "./..."),
    ],
    ids=" ".join,
)
def test_go(checks: RealChecks, argv: tuple[str, ...]) -> None:
    reading = checks.reading("go", *argv)
    reading.agrees()
    printed = checks.run("go", *argv)
    assert go_places(printed.stderr)
    assert places(reading.faults) == go_places(printed.stderr)


# --- gcc and clang -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("argv", [("gcc", *GROUP), ("gcc", *WARNED), ("g++", *TEMPLATES)], ids=" ".join)
def test_gcc(checks: RealChecks, argv: tuple[str, ...]) -> None:
    itself = gcc_itself(checks.run("c", *argv, "-fdiagnostics-format=json").stderr)
    assert itself
    for options in [
        (),
        ("-fdiagnostics-color=always",),
        ("-fno-diagnostics-show-caret",),
        ("-fdiagnostics-format=json",),
    ]:
        reading = checks.reading("c", *argv, *options)
        reading.agrees()
        in_full = options == ("-fdiagnostics-format=json",)
        wanted, read = itself, reading.faults
        if not in_full:
            wanted, read = outside_macros(wanted), outside_macros(read)
        assert places(read) == places(wanted), options
        assert sum(reading.faults.values()) == sum(itself.values()), options


def outside_macros(faults: Counter[Fault]) -> Counter[Fault]:
    """Without the fault in a macro: for people gcc places it in the macro, for machines where the macro is used."""
    in_macro = {("include/shapes.h", 9), ("(group)/[id] größe.c", 10)}
    return Counter({fault: count for fault, count in faults.items() if (fault.path, fault.line) not in in_macro})


def test_gcc_in_another_language_s_quotes(checks: RealChecks) -> None:
    plain = checks.reading("c", "gcc", *GROUP, env={"LC_ALL": "C"})
    assert places(plain.faults) == places(checks.reading("c", "gcc", *GROUP).faults)


@pytest.mark.parametrize("argv", [("clang", *GROUP), ("clang", *WARNED), ("clang++", *TEMPLATES)], ids=" ".join)
def test_clang(checks: RealChecks, argv: tuple[str, ...]) -> None:
    for options in [(), ("-fcolor-diagnostics",), ("-fno-caret-diagnostics",)]:
        reading = checks.reading("c", *argv, *options)
        reading.agrees()
        assert bool(reading.totals) == (options != ("-fno-caret-diagnostics",))  # without carets clang tells none
        assert reading.faults == checks.reading("c", *argv).faults
        assert reading.errors


def test_what_does_not_link(checks: RealChecks) -> None:
    for compiler in ("gcc", "clang"):
        reading = checks.reading("c", compiler, "linked.c", "-o", "linked")
        assert reading.errors == 2, reading.diagnostics


def test_a_source_that_is_not_there(checks: RealChecks) -> None:
    for compiler in ("gcc", "clang"):
        reading = checks.reading("c", compiler, "-c", "nothere.c")
        assert reading.errors >= 1
        assert any("o such file" in one.message for one in reading.diagnostics)


# --- shellcheck --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("-f", "gcc"), ("-f", "json1"), ("-f", "json"), ("--color=always",)])
def test_shellcheck(checks: RealChecks, options: tuple[str, ...]) -> None:
    reading = checks.reading("shell", *SHELLCHECK, *options)
    reading.agrees()
    assert reading.faults == shellcheck_itself(checks)


# --- several tools in one output, and other encodings --------------------------------------------------------------


def by_tool(reading: Reading) -> Counter[str]:
    return Counter(one.tool for one in reading.diagnostics)


def web(checks: RealChecks) -> Counter[str]:
    return by_tool(checks.reading("javascript", *ESLINT)) + by_tool(checks.reading("typescript", "tsc", "-p", "."))


def python(checks: RealChecks) -> Counter[str]:
    return by_tool(checks.reading("python", *RUFF)) + by_tool(checks.reading("python", *MYPY))


def test_make_runs_several_tools(checks: RealChecks) -> None:
    reading = checks.reading("mixed", "make", "-k", "web", "python")
    reading.agrees()
    assert by_tool(reading) == web(checks) + python(checks)


def test_make_in_directories_below(checks: RealChecks) -> None:
    """Each has a file of the same name, and gcc names it alike."""
    top = checks.root / "recursive"
    for directory in ("", "lib/", "lib/[deep] größe/", "tool/"):
        (top / directory).mkdir(parents=True, exist_ok=True)
        (top / directory / "main.c").write_text(f"int of = not_{len(directory)};\n")
    rule = "all:\n\t-gcc -c main.c -o /dev/null\n"
    (top / "Makefile").write_text(f"{rule}\t-$(MAKE) -C lib\n\t-$(MAKE) -C tool\n\tfalse\n")
    (top / "lib" / "Makefile").write_text(f'{rule}\t-$(MAKE) -C "[deep] größe"\n')
    (top / "lib" / "[deep] größe" / "Makefile").write_text(rule)
    (top / "tool" / "Makefile").write_text(rule)
    printed = checks.run("recursive", "sh", "-c", "make 2>&1")
    findings = Findings(WorkspaceFiles(top).place)
    for one in checks.read("recursive", printed.stdout).diagnostics:
        findings.add(one)
    told = {each.path: [one.message.split("’")[0] for one in each.diagnostics] for each in findings.files}
    assert told == {
        "main.c": ["‘not_0"],
        "lib/main.c": ["‘not_4"],
        "lib/[deep] größe/main.c": ["‘not_17"],
        "tool/main.c": ["‘not_5"],
    }
    assert findings.unplaced.errors == 0


def test_npm_runs_several_tools(checks: RealChecks) -> None:
    reading = checks.reading("mixed", "npm", "run", "check", env={"npm_config_update_notifier": "false"})
    reading.agrees()
    assert by_tool(reading) == web(checks)


def test_everything_in_one_stream(checks: RealChecks) -> None:
    """Documents and lines of all tools one after the other, as a log of CI has them."""
    parts = checks.every_output()
    reading = checks.read("mixed", b"".join(part + b"\n" for _, part in parts))
    assert reading.problems == []
    assert by_tool(reading) == sum((by_tool(checks.read("mixed", part)) for _, part in parts), Counter())


ENCODINGS = {
    "with a BOM": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "with CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "UTF-16": lambda text: b"\xff\xfe" + text.replace("\n", "\r\n").encode("utf-16-le"),
    "UTF-16, big-endian": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "UTF-16, no BOM": lambda text: text.encode("utf-16-le"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_in_other_encodings(checks: RealChecks, encoding: str) -> None:
    for project, output in checks.every_output():
        again = checks.read(project, ENCODINGS[encoding](output.decode()))
        plain = checks.read(project, output)
        assert again.problems == []
        assert again.faults == plain.faults, output[:300]
        assert again.totals == plain.totals


@pytest.mark.parametrize("piece_bytes", [1, 7, 1 << 20])
def test_in_pieces_of_any_size(checks: RealChecks, piece_bytes: int) -> None:
    for project, output in checks.every_output():
        assert checks.read(project, output, piece_bytes=piece_bytes) == checks.read(project, output)
