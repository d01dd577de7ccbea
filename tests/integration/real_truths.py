"""What the tools themselves say of the projects of `tests/real_checks`: by their JSON, or by their own interface.

Read with the plain `json` of Python, and by nothing of ours.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import Any

from real_checks import ESLINT, MYPY, RUFF, SHELLCHECK, Fault, RealChecks
from wavepool.model.diagnostics import Severity

ASK_TYPESCRIPT = """
const ts = require(process.argv[1]);
const file = ts.readConfigFile(process.argv[2], ts.sys.readFile);
const project = ts.parseJsonConfigFileContent(file.config, ts.sys, ".");
const program = ts.createProgram(project.fileNames, project.options);
const ofTheProject = program.getOptionsDiagnostics();
const found = ofTheProject.length ? ofTheProject : ts.getPreEmitDiagnostics(program);
console.log(JSON.stringify(found.map((one) => {
  const at = one.file && one.file.getLineAndCharacterOfPosition(one.start);
  return [one.file ? one.file.fileName : null, at ? at.line + 1 : null, at ? at.character + 1 : null, "TS" + one.code];
})));
"""


def severity(is_error: bool) -> Severity:
    return Severity.ERROR if is_error else Severity.WARNING


def typescript_itself(checks: RealChecks, config: str) -> Counter[Fault]:
    """What TypeScript 5 finds in the project, asked by its own interface."""
    library = Path(checks.checkers.path.split(":")[0]).parent / "typescript"
    printed = checks.run("typescript", "node", "-e", ASK_TYPESCRIPT, str(library), config)
    return Counter(
        Fault(path=checks.seen_from("typescript", path), line=line, column=column, code=code)
        for path, line, column, code in json.loads(printed.stdout)
    )


def eslint_itself(checks: RealChecks) -> Counter[Fault]:
    document = json.loads(checks.run("javascript", *ESLINT, "--format", "json").stdout)
    return Counter(
        Fault(
            path=checks.seen_from("javascript", file["filePath"]),
            line=one.get("line") or None,
            column=one.get("column") or None,
            code=one["ruleId"],
            severity=severity(one["severity"] == 2),
        )
        for file in document
        for one in file["messages"]
    )


def mypy_itself(checks: RealChecks) -> Counter[Fault]:
    lines = checks.run("python", *MYPY, "--output", "json").stdout.splitlines()
    return Counter(
        Fault(path=one["file"], line=one["line"], column=one["column"] + 1, code=one["code"])
        for one in map(json.loads, lines)
        if one["severity"] == "error"
    )


def pyright_itself(checks: RealChecks) -> Counter[Fault]:
    document = json.loads(checks.run("python", "pyright", "--outputjson", ".").stdout)
    return Counter(
        Fault(
            path=checks.seen_from("python", one["file"]),
            line=one["range"]["start"]["line"] + 1,
            column=one["range"]["start"]["character"] + 1,
            code=one.get("rule"),
            severity=severity(one["severity"] == "error"),
        )
        for one in document["generalDiagnostics"]
        if one["severity"] != "information"
    )


def ruff_itself(checks: RealChecks) -> Counter[Fault]:
    document = json.loads(checks.run("python", *RUFF, "--output-format", "json").stdout)
    return Counter(
        Fault(
            path=checks.seen_from("python", one["filename"]),
            line=one["location"]["row"],
            column=one["location"]["column"],
            code=one["code"],
        )
        for one in document
    )


def pytest_itself(checks: RealChecks, project: str) -> int:
    """How many failures and errors its own report for machines has."""
    report = checks.root / f"{project}.xml"
    checks.run(project, "pytest", "-q", f"--junitxml={report}")
    tree = ElementTree.parse(report)
    return len(tree.findall(".//failure")) + len(tree.findall(".//error"))


def rust_faults(messages: list[dict[str, Any]]) -> Counter[Fault]:
    """Those of a compiler's messages that are about the code: errors and warnings with a place, or with a code."""
    faults: Counter[Fault] = Counter()
    for one in messages:
        place = next((span for span in one["spans"] if span["is_primary"]), None)
        if place is None and one["code"] is None:
            continue
        fault = Fault(
            path=place and place["file_name"],
            line=place and place["line_start"],
            column=place and place["column_start"],
            code=one["code"] and one["code"]["code"],
            severity=severity(one["level"] == "error"),
        )
        faults[fault] += 1
    return faults


def cargo_itself(checks: RealChecks, argv: tuple[str, ...]) -> Counter[Fault]:
    lines = checks.run("rust", *argv, "--message-format=json").stdout.splitlines()
    told = [one["message"] for one in map(json.loads, lines) if one["reason"] == "compiler-message"]
    return rust_faults(told)


GO_PLACE = re.compile(r"^(?:vet: )?(\S.*\.go):(\d+):(\d+): (?!too many errors)", re.MULTILINE)


def go_places(text: bytes) -> Counter[tuple[object, ...]]:
    found = GO_PLACE.findall(text.decode())
    return Counter((path, int(line), int(column), Severity.ERROR) for path, line, column in found)


def gcc_itself(document: bytes) -> Counter[Fault]:
    told = [one for line in document.splitlines() if line.startswith(b"[") for one in json.loads(line)]
    return Counter(
        Fault(
            path=one["locations"][0]["caret"]["file"],
            line=one["locations"][0]["caret"]["line"],
            column=one["locations"][0]["caret"]["column"],
            code=one.get("option"),
            severity=severity("error" in one["kind"]),
        )
        for one in told
        if one["kind"] != "note" and one["locations"]
    )


def shellcheck_itself(checks: RealChecks) -> Counter[Fault]:
    comments = json.loads(checks.run("shell", *SHELLCHECK, "-f", "json1").stdout)["comments"]
    return Counter(
        Fault(path=one["file"], line=one["line"], column=one["column"], code=f"SC{one['code']}") for one in comments
    )
