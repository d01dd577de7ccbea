"""The failing projects of `tests/real_checks`, the real tools on them, and what our reader makes of their output."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from checkers import Checkers, Printed
from wavepool.model.diagnostics import Diagnostic, Found, Severity, Total
from wavepool.plan.diagnostics.reading import OutputReader

PROJECTS = Path(__file__).parents[1] / "real_checks"
PIECE_BYTES = 4093
"""So that pieces end inside of lines, characters and documents."""


COLOURS = {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "MYPY_FORCE_COLOR": "1", "TERM": "xterm-256color"}
ESLINT = ("eslint", ".", "generated/built.js")
MYPY = ("mypy", "--cache-dir", "../mypy-cache", "pkg", "naïve 日本/[id].py")
RUFF = ("ruff", "check", "--no-cache", "--isolated", "--select", "ALL", ".")
CARGO = ("cargo", "check", "--offline", "--keep-going")
CLIPPY = ("cargo", "clippy", "--offline")
RUSTC = ("rustc", "--crate-type", "bin", "--emit", "metadata", "-o", "../single", "single.rs")
GO = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
GROUP = ("-Wall", "-Iinclude", "-c", "(group)/[id] größe.c", "-o", "/dev/null")
WARNED = ("-Wall", "-Wextra", "-Werror", "-c", "warned.c", "-o", "/dev/null")
TEMPLATES = ("-c", "templates.cpp", "-o", "/dev/null")
SHELLCHECK = ("shellcheck", "broken.sh", "posix.sh", "with space/[id] größe.sh")

RUNS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "tsc-plain": ("typescript", ("tsc", "-p", ".")),
    "tsc-pretty": ("typescript", ("tsc", "-p", ".", "--pretty")),
    "eslint-stylish": ("javascript", ESLINT),
    "eslint-json": ("javascript", (*ESLINT, "--format", "json")),
    "mypy-plain": ("python", MYPY),
    "mypy-pretty": ("python", (*MYPY, "--pretty")),
    "mypy-json": ("python", (*MYPY, "--output", "json")),
    "pyright-plain": ("python", ("pyright", ".")),
    "pyright-json": ("python", ("pyright", "--outputjson", ".")),
    "ruff-concise": ("python", (*RUFF, "--output-format", "concise")),
    "ruff-full": ("python", (*RUFF, "--output-format", "full")),
    "ruff-grouped": ("python", (*RUFF, "--output-format", "grouped")),
    "ruff-json": ("python", (*RUFF, "--output-format", "json")),
    "ruff-json-lines": ("python", (*RUFF, "--output-format", "json-lines")),
    "ruff-sarif": ("python", (*RUFF, "--output-format", "sarif")),
    "pytest": ("pytest", ("pytest",)),
    "pytest-collection": ("pytest-collection", ("pytest",)),
    "cargo": ("rust", CARGO),
    "cargo-json": ("rust", (*CARGO, "--message-format=json")),
    "go-build": ("go", ("go", "build", "./built", "./many")),
    "go-vet": ("go", ("go", "vet", "./vetted")),
    "gcc": ("c", ("gcc", *GROUP)),
    "gcc-json": ("c", ("gcc", *GROUP, "-fdiagnostics-format=json")),
    "clang": ("c", ("clang", *GROUP)),
    "shellcheck-tty": ("shell", SHELLCHECK),
    "shellcheck-gcc": ("shell", (*SHELLCHECK, "-f", "gcc")),
    "shellcheck-json": ("shell", (*SHELLCHECK, "-f", "json1")),
}
"""Each tool in its most usual forms: the project, the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What can be compared of one diagnostic: the path as seen from the project, the place, the code, the severity."""

    path: str | None
    line: int | None
    column: int | None
    code: str | None
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read of both streams of one run."""

    faults: Counter[Fault]
    diagnostics: Sequence[Diagnostic]
    totals: Sequence[Total]
    problems: Sequence[str]

    @property
    def errors(self) -> int:
        return sum(one.severity is Severity.ERROR for one in self.diagnostics)

    @property
    def warnings(self) -> int:
        return len(self.diagnostics) - self.errors

    @property
    def tools(self) -> set[str]:
        return {one.tool for one in self.diagnostics}

    def without_columns(self) -> Counter[Fault]:
        return without_columns(self.faults)

    def agrees(self) -> None:
        """Everything was read, and each total that the tools tell is what was counted, summed up by tool."""
        assert self.problems == []
        for tool in {total.tool for total in self.totals}:
            self._agrees_on(tool)

    def _agrees_on(self, tool: str) -> None:
        told = [total for total in self.totals if total.tool == tool]
        mine = [one for one in self.diagnostics if one.tool == tool]
        for severity, numbers in (
            (Severity.ERROR, [total.errors for total in told if total.errors is not None]),
            (Severity.WARNING, [total.warnings for total in told if total.warnings is not None]),
        ):
            if numbers:
                counted = sum(one.severity is severity for one in mine)
                assert counted == sum(numbers), (tool, severity, counted, told, mine)


class RealChecks:
    """The projects, copied to `root`, and the tools; a run that was made once isn't made again."""

    def __init__(self, checkers: Checkers, root: Path) -> None:
        self.checkers = checkers
        self.root = root
        shutil.copytree(PROJECTS, root, dirs_exist_ok=True)
        self._printed: dict[tuple[str, ...], Printed] = {}

    def run(self, project: str, *argv: str, env: dict[str, str] | None = None) -> Printed:
        key = (project, *argv, str(env))
        if key not in self._printed:
            own = {**GO, "CARGO_TARGET_DIR": str(self.root / "target"), "GOCACHE": str(self.root / "go-build")}
            self._printed[key] = self.checkers.run(argv, self.root / project, {**own, **(env or {})})
        return self._printed[key]

    def reading(self, project: str, *argv: str, env: dict[str, str] | None = None) -> Reading:
        """The run's output, read, with paths as seen from the project. The tool must have failed."""
        printed = self.run(project, *argv, env=env)
        assert printed.exit_code != 0, printed
        return self.read(project, printed.stdout, printed.stderr)

    def read(self, project: str, *streams: bytes, piece_bytes: int = PIECE_BYTES) -> Reading:
        found: list[Found] = []
        problems: list[str] = []
        for stream in streams:
            reader = OutputReader()
            for start in range(0, len(stream), piece_bytes):
                found += reader.feed(stream[start : start + piece_bytes])
            found += reader.end()
            problems += reader.problems
        diagnostics = [one for one in found if isinstance(one, Diagnostic)]
        return Reading(
            faults=Counter(self._fault(project, one) for one in diagnostics),
            diagnostics=diagnostics,
            totals=[one for one in found if isinstance(one, Total)],
            problems=problems,
        )

    def every_output(self) -> list[tuple[str, bytes]]:
        """Of each of the `RUNS`, the project and a stream that is not empty."""
        printed = [(project, self.run(project, *argv)) for project, argv in RUNS.values()]
        return [(project, stream) for project, one in printed for stream in (one.stdout, one.stderr) if stream]

    def _fault(self, project: str, one: Diagnostic) -> Fault:
        return Fault(
            path=self.seen_from(project, one.path),
            line=one.line,
            column=one.column,
            code=one.code,
            severity=one.severity,
        )

    def seen_from(self, project: str, path: str | None) -> str | None:
        return path and path.removeprefix("file://").removeprefix(f"{self.root / project}/").removeprefix("./")


def without_columns(faults: Iterable[Fault]) -> Counter[Fault]:
    """The same faults, where a form does not tell the column."""
    counted = faults.items() if isinstance(faults, Counter) else Counter(faults).items()
    bare: Counter[Fault] = Counter()
    for fault, count in counted:
        bare[Fault(path=fault.path, line=fault.line, column=None, code=fault.code, severity=fault.severity)] += count
    return bare


def places(faults: Counter[Fault]) -> Counter[tuple[object, ...]]:
    """Without codes: rustc tells those of its warnings (lints) in notes only."""
    counted: Counter[tuple[object, ...]] = Counter()
    for fault, count in faults.items():
        counted[fault.path, fault.line, fault.column, fault.severity] += count
    return counted
