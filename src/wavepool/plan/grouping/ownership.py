"""Who owns what the groups import: each file has at most one group that may edit it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from wavepool.plan.grouping.group import Foreign, Group
from wavepool.plan.grouping.imports import ImportGraph
from wavepool.plan.making.findings import FileFindings


@dataclass(frozen=True, slots=True, kw_only=True)
class Contested:
    """What two batches could fight over.

    Attributes:
        modules: files without errors that files of several groups import, by path.
        imports: how many imports lead from a file of one group to a file with errors of another.
    """

    modules: tuple[str, ...]
    imports: int

    @property
    def number(self) -> int:
        """Both together: the less, the better the files are divided."""
        return len(self.modules) + self.imports


def groups_of(parts: Sequence[Sequence[FileFindings]], graph: ImportGraph) -> tuple[Group, ...]:
    """The groups that have these files, with what each owns beside them and what others own.

    A file without errors belongs to the group with the most files that import it, the first of these.
    """
    group_of = {each.path: number for number, part in enumerate(parts) for each in part}
    importers: dict[str, Counter[int]] = {}
    for path, number in group_of.items():
        for target in graph.imports.get(path, ()):
            importers.setdefault(target, Counter())[number] += 1
    owner_of = {
        target: group_of[target] if target in group_of else min(numbers, key=lambda number: (-numbers[number], number))
        for target, numbers in importers.items()
    }
    return tuple(_group(number, part, graph, owner_of, group_of) for number, part in enumerate(parts))


def _group(
    number: int,
    part: Sequence[FileFindings],
    graph: ImportGraph,
    owner_of: dict[str, int],
    group_of: dict[str, int],
) -> Group:
    findings = tuple(sorted(part, key=lambda each: each.path))
    targets = [target for each in findings for target in graph.imports.get(each.path, ())]
    imported = sorted(set(targets))
    return Group(
        files=tuple(each.path for each in findings),
        findings=findings,
        owns=tuple(path for path in imported if owner_of[path] == number and path not in group_of),
        foreign=tuple(Foreign(path=path, owner=owner_of[path]) for path in imported if owner_of[path] != number),
        crossing=sum(target in group_of and group_of[target] != number for target in targets),
    )


def contested(groups: Sequence[Group]) -> Contested:
    """What the batches of these groups could fight over."""
    with_errors = {path for group in groups for path in group.files}
    foreign = {each.path for group in groups for each in group.foreign}
    return Contested(modules=tuple(sorted(foreign - with_errors)), imports=sum(group.crossing for group in groups))
