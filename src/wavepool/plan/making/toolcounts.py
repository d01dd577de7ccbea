"""What was read of each tool, held against what the tool says that it has told."""

from __future__ import annotations

from dataclasses import dataclass, field

from wavepool.model.diagnostics import Diagnostic, Severity, Total

FILES_MAX = 100_000
"""How many files of one tool are told apart; where there are more, its number of files is not checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """A tool's own total that is not what was read of it.

    Attributes:
        tool: as in its diagnostics.
        what: ``errors``, ``warnings`` or ``files``.
        told: what the tool said, added up over all its totals.
        counted: what was read; duplicates count.
    """

    tool: str
    what: str
    told: int
    counted: int


@dataclass(slots=True)
class _Tool:
    errors: int = 0
    warnings: int = 0
    files: set[str] = field(default_factory=set)
    totals: int = 0
    said: dict[str, int] = field(default_factory=dict)


class ToolCounts:
    """Counts diagnostics as they are read, and adds up what the tools say."""

    def __init__(self) -> None:
        self._tools: dict[str, _Tool] = {}

    def read(self, diagnostic: Diagnostic) -> None:
        """One diagnostic was read, be it for the second time."""
        tool = self._tool(diagnostic.tool)
        if diagnostic.severity is not Severity.ERROR:
            tool.warnings += 1
            return
        tool.errors += 1
        if diagnostic.path is not None and len(tool.files) < FILES_MAX:
            tool.files.add(diagnostic.path)

    def said(self, total: Total) -> None:
        """A tool told a total. Those of several runs of one tool are added up."""
        tool = self._tool(total.tool)
        tool.totals += 1
        for what, number in (("errors", total.errors), ("warnings", total.warnings), ("files", total.files)):
            if number is not None:
                tool.said[what] = tool.said.get(what, 0) + number

    def disagreements(self) -> tuple[Disagreement, ...]:
        """Where a total is not what was read, by tool."""
        return tuple(each for name in sorted(self._tools) for each in _disagreements(name, self._tools[name]))

    def _tool(self, name: str) -> _Tool:
        tool = self._tools.get(name)
        if tool is None:
            tool = self._tools[name] = _Tool()
        return tool


def _disagreements(name: str, tool: _Tool) -> list[Disagreement]:
    counted = {"errors": tool.errors, "warnings": tool.warnings}
    if tool.totals == 1 and len(tool.files) < FILES_MAX:  # two totals may both have counted one file
        counted["files"] = len(tool.files)
    return [
        Disagreement(tool=name, what=what, told=tool.said[what], counted=number)
        for what, number in counted.items()
        if tool.said.get(what, number) != number
    ]
