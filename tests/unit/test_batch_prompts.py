"""What a batch is told: whole where it fits, and where it does not, what is left out."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from wavepool.model.diagnostics import Diagnostic, Severity
from wavepool.plan.grouping import Bounds, Foreign, Group, Strategy, group
from wavepool.plan.making.findings import Findings, Place, Placed
from wavepool.plan.making.prompts import BYTES_MAX, prompt_of


def findings_of(*told: Diagnostic, warnings: bool = False) -> Findings:
    findings = Findings(lambda path: Placed(place=Place.INSIDE, path=path), warnings=warnings)
    for each in told:
        findings.add(each)
    return findings


def one_group(*told: Diagnostic, warnings: bool = False) -> Group:
    (only,) = group(
        findings_of(*told, warnings=warnings),
        Strategy.DIRECTORY,
        bounds=Bounds(max_files=10_000, max_errors=1_000_000),
    )
    return only


def wrong(path: str, line: int, code: str = "TS2322", message: str = "Not assignable.", **more: object) -> Diagnostic:
    return Diagnostic(tool="tsc", path=path, line=line, column=5, code=code, message=message, **more)


def test_a_whole_prompt() -> None:
    told = (
        wrong("src/a.ts", 12, message="Type 'string' is not assignable to type 'number'.\n  The types differ."),
        wrong("src/a.ts", 3, "TS7006", "Parameter 'x' implicitly has an 'any' type."),
        wrong("src/b.ts", 1),
    )
    mine = replace(one_group(*told), owns=("src/util.ts",), foreign=(Foreign(path="src/types.ts", owner=1),))
    unplaced = findings_of(Diagnostic(tool="tsc", code="TS18003", message="No inputs were found."))
    assert prompt_of(
        mine, ["iter1-batch-1", "iter1-batch-3"], check="npx tsc --noEmit", unplaced=unplaced.unplaced
    ) == (
        """\
Fix 3 errors in 2 files. Paths are relative to the workspace.
Most frequent: TS2322 (2), TS7006 (1).

Files to mend:
- src/a.ts (2)
- src/b.ts (1)

What is wrong (line:column code: message):
src/a.ts
  3:5 TS7006: Parameter 'x' implicitly has an 'any' type.
  12:5 TS2322: Type 'string' is not assignable to type 'number'.
      The types differ.
src/b.ts
  1:5 TS2322: Not assignable.

Files without errors that these import. Only you may edit them, where an error can only be mended there:
- src/util.ts

Files that these import and other batches own. Do not edit them; if an error above forces a change
there, say so at the end:
- src/types.ts belongs to iter1-batch-3

Errors without a file; they may come from the same causes:
  tsc TS18003: No inputs were found.

Check your work with this command. It also tells errors of files that are not yours: leave those.
    npx tsc --noEmit

Mend the causes: do not switch a check off, and do not loosen its settings. Change no other file.
"""
    )


def test_tools_are_named_where_there_are_several_and_warnings_where_they_are_planned() -> None:
    told = (wrong("a.ts", 1), Diagnostic(tool="eslint", path="a.ts", message="no", severity=Severity.WARNING))
    prompt = prompt_of(one_group(*told, warnings=True), ["b"], check=None)
    assert "Fix 2 errors and warnings in 1 file." in prompt
    assert "\n  1:5 tsc TS2322: Not assignable." in prompt
    assert "\n  warning eslint: no" in prompt
    assert "Check your work" not in prompt


def test_what_does_not_fit_is_counted_and_every_file_tells_its_first() -> None:
    told = [wrong(f"src/{file}.ts", line) for file in range(4) for line in range(1, 101)]
    prompt = prompt_of(one_group(*told), ["b"], check="tsc")
    assert "200 more are not shown here: the check below lists them." in prompt
    assert all(f"src/{file}.ts\n  1:5 " in prompt and f"- src/{file}.ts (100)" in prompt for file in range(4))


def test_long_messages_are_cut_before_a_file_tells_nothing() -> None:
    told = [wrong(f"src/{file}.ts", line, message="long " * 190) for file in range(60) for line in (1, 2)]
    prompt = prompt_of(one_group(*told), ["b"], check="tsc")
    assert len(prompt.encode()) <= BYTES_MAX
    assert all(f"src/{file}.ts\n  1:5 TS2322: long " in prompt for file in range(60))
    assert "…\n" in prompt


def test_a_long_check_takes_no_error_away() -> None:
    prompt = prompt_of(one_group(wrong("a.ts", 1)), ["b"], check="tsc # " + "x" * 40_000)
    assert "  1:5 TS2322: Not assignable." in prompt


def test_what_others_own_is_bounded() -> None:
    many = tuple(Foreign(path=f"lib/{number}.ts", owner=0) for number in range(100))
    prompt = prompt_of(replace(one_group(wrong("a.ts", 1)), foreign=many), ["b"], check="tsc")
    assert prompt.count("belongs to b") == 40
    assert "- and 60 more\n" in prompt


def test_a_name_that_would_break_its_line_is_quoted_and_one_that_is_no_text_has_bytes() -> None:
    prompt = prompt_of(one_group(wrong("a\nb.ts", 1), wrong("c\udcff.ts", 1)), ["b"], check="tsc")
    assert "- 'a\\nb.ts' (1)\n" in prompt
    assert prompt.encode()


@given(
    st.lists(
        st.builds(
            wrong, st.text(min_size=1, max_size=20), st.integers(1, 99), st.text(max_size=9), st.text(max_size=999)
        ),
        min_size=1,
        max_size=40,
    )
)
@settings(max_examples=25)
def test_it_is_bounded_and_names_every_file(told: list[Diagnostic]) -> None:
    mine = one_group(
        *(msgspec.structs.replace(each, path=f"d/{each.path.replace('/', '_')}") for each in told if each.path)
    )
    prompt = prompt_of(mine, ["b"], check="tsc")
    assert len(prompt.encode()) <= BYTES_MAX
    assert prompt.count("\n- ") == len(mine.files)
    assert prompt == prompt_of(mine, ["b"], check="tsc")
