"""shellcheck 0.9, as it wrote it."""

from __future__ import annotations

import json

import pytest
from recorded_checks import RECORDED, brief, messages, read, recorded

from wavepool.plan.diagnostics.shellcheck import column_of


def of_the_document() -> list[str]:
    """What its document for machines has, of which it is the tool's own word."""
    comments = json.loads((RECORDED / "shellcheck" / "json1.json").read_text())["comments"]
    return sorted(f"E {one['file']}:{one['line']}:{one['column']} SC{one['code']}" for one in comments)


@pytest.mark.parametrize("name", ["terminal.txt", "gcc.txt"])
def test_each_form_tells_what_the_document_has_and_the_file_that_is_gone(name: str) -> None:
    found = recorded(f"shellcheck/{name}")
    assert brief(found)[0] == "E gone.sh"
    assert sorted(brief(found)[1:]) == of_the_document()
    assert len(found) == 32


@pytest.mark.parametrize("name", ["json1.json", "json.json"])
def test_each_document(name: str) -> None:
    found = recorded(f"shellcheck/{name}")
    assert len(found) == 31
    assert name == "json.json" or sorted(brief(found)) == of_the_document()


def test_several_faults_of_one_line() -> None:
    found = recorded("shellcheck/terminal.txt")
    assert brief(found)[1:4] == [
        "E (group)/dep loy.sh:2:6 SC2086",
        "E (group)/dep loy.sh:2:9 SC2086",
        "E (group)/dep loy.sh:3:2 SC2034",
    ]
    assert messages(found)[3] == "foo appears unused. Verify use (or export if used externally)."


def test_source_that_looks_like_output_is_source() -> None:
    text = "\nIn a.sh line 3:\nIn b.sh line 4:\n^-- SC2086 (info): Quote it.\n\nDid you mean: \nIn c.sh line 5:\n\n"
    assert brief(read(text)) == ["E a.sh:3:1 SC2086"]


@pytest.mark.parametrize(
    ("source", "width", "column"), [("\tfoo", 8, 2), ("a\tb", 8, 3), ("foo", 1, 2), ("", 0, 1), ("x", 5, 6)]
)
def test_a_pointer_counts_cells_and_a_column_characters(source: str, width: int, column: int) -> None:
    assert column_of(source, width) == column
