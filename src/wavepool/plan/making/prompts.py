"""What a batch is told: which files it mends, what is wrong in them, what others own, and how to check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from wavepool.model.diagnostics import Diagnostic, Severity
from wavepool.plan.grouping import Group
from wavepool.plan.making.findings import FileFindings

ERRORS_MAX = 200
"""How many errors one prompt tells; the rest are counted."""
BYTES_MAX = 32 * 1024
"""How long a prompt is at most, where its check and one short error of each file alone are not longer."""
CODES_MAX = 10
OTHERS_MAX = 40
"""How many files of others, and of its own without errors, a prompt names."""
UNPLACED_MAX = 10
UNPLACED_CHARACTERS = 300

_STEPS = ((ERRORS_MAX, 1000), (100, 1000), (50, 1000), (25, 1000), (12, 500), (6, 300), (3, 200), (1, 80))
"""How many errors each file tells at most, and how many characters of a message: less, until all of it fits."""
_MESSAGE_LINES = 6


def prompt_of(group: Group, names: Sequence[str], *, check: str | None, unplaced: FileFindings | None = None) -> str:
    """The prompt of one group, as plain text that ends with a newline. The same group gives the same prompt.

    Each file tells its first errors; where they would be more than `ERRORS_MAX` or `BYTES_MAX`, every file tells
    fewer, and the prompt says how many it leaves out and how they are listed.

    Args:
        group: what the batch gets.
        names: the batch of each group, by its place in the tuple of groups.
        check: the command that told the errors; None where there is none to run.
        unplaced: errors without a file, as context for all.
    """
    for per_file, characters in _STEPS:
        told = _Told(group, per_file, characters)
        text = "\n".join(_lines(group, names, told, check, unplaced)) + "\n"
        raw = text.encode(errors="replace")  # a name on disk that is no text has no bytes in a plan
        if told.errors <= ERRORS_MAX and len(raw) <= BYTES_MAX:
            break
    return raw.decode()


class _Told:
    """Which errors a prompt tells where each file tells at most `per_file`, and how much of each message."""

    def __init__(self, group: Group, per_file: int, characters: int) -> None:
        self.characters = characters
        self.by_file = [(each, each.diagnostics[:per_file]) for each in group.findings]
        self.errors = sum(len(told) for _, told in self.by_file)
        self.tools = {each.tool for _, told in self.by_file for each in told}


def _lines(
    group: Group, names: Sequence[str], told: _Told, check: str | None, unplaced: FileFindings | None
) -> Iterator[str]:
    files = len(group.files)
    what = "errors" if _all_errors(group) else "errors and warnings"
    yield f"Fix {_many(group.errors, what)} in {_many(files, 'files')}. Paths are relative to the workspace."
    yield from _most_frequent(group)
    yield ""
    yield "Files to mend:"
    yield from (f"- {_shown(each.path)} ({each.errors})" for each in group.findings)
    yield ""
    yield "What is wrong (line:column code: message):"
    yield from _errors(told)
    if told.errors < group.errors:
        yield ""
        listed = "the check below lists them" if check else "the tool that told these lists them"
        yield f"{group.errors - told.errors} more are not shown here: {listed}."
    yield from _owned(group)
    yield from _foreign(group, names)
    yield from _unplaced(unplaced)
    yield from _ending(check)


def _most_frequent(group: Group) -> Iterator[str]:
    codes: Counter[str] = Counter()
    for each in group.findings:
        codes.update(each.codes)
    ordered = sorted(codes.items(), key=lambda item: (-item[1], item[0]))[:CODES_MAX]
    if ordered:
        yield "Most frequent: " + ", ".join(f"{code} ({number})" for code, number in ordered) + "."


def _errors(told: _Told) -> Iterator[str]:
    for each, diagnostics in told.by_file:
        if diagnostics:
            yield _shown(each.path)
        for diagnostic in diagnostics:
            yield from _error(diagnostic, told.characters, with_tool=len(told.tools) > 1)


def _error(diagnostic: Diagnostic, characters: int, *, with_tool: bool) -> Iterator[str]:
    where = ":".join(str(number) for number in (diagnostic.line, diagnostic.column) if number is not None)
    marks = (
        where,
        "warning" if diagnostic.severity is Severity.WARNING else "",
        diagnostic.tool if with_tool else "",
        diagnostic.code or "",
    )
    head = " ".join(mark for mark in marks if mark)
    message = diagnostic.message
    short = message if len(message) <= characters else message[: characters - 1] + "…"
    first, *rest = short.splitlines() or [""]
    yield f"  {head}: {first}" if head else f"  {first}"
    yield from (f"      {line.strip()}" for line in rest[: _MESSAGE_LINES - 1] if line.strip())


def _owned(group: Group) -> Iterator[str]:
    if group.owns:
        yield ""
        yield "Files without errors that these import. Only you may edit them, where an error can only be mended there:"
        yield from _bounded(f"- {_shown(path)}" for path in group.owns)


def _foreign(group: Group, names: Sequence[str]) -> Iterator[str]:
    if group.foreign:
        yield ""
        yield "Files that these import and other batches own. Do not edit them; if an error above forces a change"
        yield "there, say so at the end:"
        yield from _bounded(f"- {_shown(each.path)} belongs to {names[each.owner]}" for each in group.foreign)


def _unplaced(unplaced: FileFindings | None) -> Iterator[str]:
    if unplaced is None or not unplaced.errors:
        return
    yield ""
    yield "Errors without a file; they may come from the same causes:"
    shown = unplaced.diagnostics[:UNPLACED_MAX]
    for diagnostic in shown:
        yield from _error(diagnostic, UNPLACED_CHARACTERS, with_tool=True)
    if len(shown) < unplaced.errors:
        yield f"  and {unplaced.errors - len(shown)} more"


def _ending(check: str | None) -> Iterator[str]:
    yield ""
    if check:
        yield "Check your work with this command. It also tells errors of files that are not yours: leave those."
        yield from (f"    {line}" for line in check.splitlines())
        yield ""
    yield "Mend the causes: do not switch a check off, and do not loosen its settings. Change no other file."


def _bounded(lines: Iterable[str]) -> Iterator[str]:
    every = list(lines)
    yield from every[:OTHERS_MAX]
    if len(every) > OTHERS_MAX:
        yield f"- and {len(every) - OTHERS_MAX} more"


def _all_errors(group: Group) -> bool:
    return all(each.severity is Severity.ERROR for each in group.diagnostics)


def _many(number: int, what: str) -> str:
    if number != 1:
        return f"{number} {what}"
    return "1 error or warning" if " " in what else f"1 {what.removesuffix('s')}"


def _shown(path: str) -> str:
    """A path as it is, or quoted where it has characters that would break its line."""
    return path if path.isprintable() else repr(path)
