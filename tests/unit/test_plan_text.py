"""What a person reads of a plan that was made."""

from __future__ import annotations

from wavepool.cli.plan_text import BATCHES_SHOWN, plan_text
from wavepool.model.diagnostics import Diagnostic, Severity, Total
from wavepool.plan import TierMap
from wavepool.plan.grouping import Strategy, group
from wavepool.plan.making.assigning import batches_of
from wavepool.plan.making.findings import Findings, Place, Placed
from wavepool.plan.making.writing import Origin, plan_document
from wavepool.plan.packing import pack
from wavepool.units import GIB


def place(path: str) -> Placed:
    return Placed(place=Place.VENDORED if path.startswith("node_modules/") else Place.INSIDE, path=path)


def fault(path: str | None, line: int = 1, code: str | None = "TS2322", message: str = "No such name.") -> Diagnostic:
    return Diagnostic(tool="tsc", path=path, line=line, column=4, code=code, message=message)


def text_of(*found: Diagnostic | Total) -> str:
    findings = Findings(place)
    for each in found:
        findings.add(each)
    batches = batches_of(group(findings, Strategy.DIRECTORY), TierMap())
    packed = pack(batches, GIB, 32)
    origin = Origin(command="npx tsc", findings=findings, strategy=Strategy.DIRECTORY, budget_bytes=GIB, parallel=32)
    return plan_text(plan_document(packed, origin))


def test_waves_and_batches_are_tables_and_what_no_batch_gets_is_told() -> None:
    mended = [fault(f"{name}.ts", line) for name in "abcd" for line in (1, 2)]
    single = [fault("x/one.ts"), fault("y/two.ts", code="TS7006"), fault("z/three.ts", code="TS7006")]
    others = [fault("node_modules/n.ts"), fault(None, code=None, message="No input.\nSee there.")]
    warning = Diagnostic(tool="tsc", path="a.ts", message="w", severity=Severity.WARNING)
    assert text_of(*mended, *single, *others, warning, Total(tool="tsc", errors=14)) == (
        "check: npx tsc\n"
        "found: 13 errors, 1 warning; to be mended in 7 files\n"
        "codes: TS2322 (9), TS7006 (2)\n"
        "doubtful: tsc says 14 errors, 13 were read\n"
        "\n"
        "wave  batches  memory  errors  files\n"
        "   1        2   1.0GB       2      2\n"
        "   2        1   512MB       1      1\n"
        "   3        1   800MB       8      4\n"
        "\n"
        "wave  batch          tier  memory  errors  files\n"
        "   1  iter1-batch-1     1    512m       1  x/one.ts\n"
        "   1  iter1-batch-2     1    512m       1  y/two.ts\n"
        "   2  iter1-batch-3     1    512m       1  z/three.ts\n"
        "   3  iter1-batch-4     3    800m       8  a.ts, b.ts, c.ts and 1 more\n"
        "\n"
        "grouped by directory; a wave holds 1.0GB and 32 batches at most\n"
        "every packing comes to the same: 3 waves, length 10, at most 1.0GB at once\n"
        "length: each wave as long as its longest batch, one wave after another; no durations are known, so a batch "
        "counts as its errors\n"
        "\n"
        "set apart: 1 error in what others wrote or a build makes\n"
        "  node_modules/n.ts:1:4 tsc TS2322: No such name.\n"
        "\n"
        "without a file: 1 error\n"
        "  1:4 tsc: No input. See there.\n"
    )


def test_where_packings_differ_each_has_a_row() -> None:
    lines = {"a": 5, "b": 9, "c": 1, "d": 5, "e": 9}
    text = text_of(*(fault(f"{name}/0.ts", line + 1) for name, most in lines.items() for line in range(most)))
    assert "best (this plan)      3      15" in text
    assert "in-order              3      23" in text


def test_nothing_acts_on_the_terminal() -> None:
    bad = "\x1b[2J\x07\u202e"
    text = text_of(
        Diagnostic(tool=f"t{bad}", path=f"src{bad}/a.py", code=f"c{bad}", message=f"m{bad}"),
        Diagnostic(tool=f"t{bad}", path=f"node_modules/{bad}", code=f"c{bad}", message=f"m{bad}\nn"),
        Diagnostic(tool=f"t{bad}", code=f"c{bad}", message=f"m{bad}"),
        Total(tool=f"t{bad}", errors=9),
    )
    assert "src\\x1b[2J" in text
    assert all(line.isprintable() for line in text.splitlines())


def test_nothing_to_plan_is_said() -> None:
    assert text_of(fault(None)).splitlines()[:6] == [
        "check: npx tsc",
        "found: 1 error; to be mended in 0 files",
        "",
        "no waves: there is nothing that a batch could be made of",
        "",
        "without a file: 1 error",
    ]


def test_of_very_many_batches_the_first_are_shown() -> None:
    text = text_of(*(fault(f"{number}/a.ts") for number in range(BATCHES_SHOWN + 3)))
    assert "… and 3 more, which --format json has\n" in text
    assert text.count("iter1-batch-") == BATCHES_SHOWN
