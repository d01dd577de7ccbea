"""The ways to divide files with errors among batches."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import groupby, pairwise
from math import ceil

from wavepool.plan.grouping.group import Bounds, Group, Sources
from wavepool.plan.grouping.hypergraph import hypergraph
from wavepool.plan.grouping.imports import ImportGraph, read_imports
from wavepool.plan.grouping.ownership import groups_of
from wavepool.plan.grouping.partition import divide
from wavepool.plan.making.findings import FileFindings, Findings

Part = list[FileFindings]


class Strategy(StrEnum):
    """`FILE`: each file alone. `DIRECTORY`: the files of one directory. `IMPORTS`: files that import one another."""

    FILE = "file"
    DIRECTORY = "directory"
    IMPORTS = "imports"


def group(
    findings: Findings,
    strategy: Strategy = Strategy.IMPORTS,
    *,
    bounds: Bounds | None = None,
    sources: Sources | None = None,
) -> tuple[Group, ...]:
    """Divide the files with errors: each is in exactly one group, and no group is beyond the bounds.

    The same findings give the same groups, in whatever order they came.

    Args:
        findings: only `Findings.files` is divided.
        strategy: what belongs together.
        bounds: how large a group may be; None for the usual.
        sources: what imports what is read there; None: nothing is known to import anything.
    """
    files, bounds = findings.files, bounds or Bounds()
    graph = ImportGraph() if sources is None else read_imports([each.path for each in files], sources)
    if strategy is Strategy.FILE:
        parts = by_file(files)
    elif strategy is Strategy.DIRECTORY:
        parts = by_directory(files, bounds)
    else:
        parts = by_imports(files, graph, bounds)
    return groups_of(parts, graph)


def by_file(files: Iterable[FileFindings]) -> list[Part]:
    """Each file alone."""
    return [[each] for each in files]


def by_directory(files: Iterable[FileFindings], bounds: Bounds) -> list[Part]:
    """The files of one directory together, in balanced parts where they are too many."""
    ordered = sorted(files, key=lambda each: (posixpath.dirname(each.path), each.path))
    directories = groupby(ordered, key=lambda each: posixpath.dirname(each.path))
    return [part for _, directory in directories for part in _balanced(list(directory), bounds)]


def by_imports(files: Sequence[FileFindings], graph: ImportGraph, bounds: Bounds) -> list[Part]:
    """Files that import one another, or the same file without errors, together; cut where they are too many."""
    node_of = {each.path: node for node, each in enumerate(files)}
    directories = [[node_of[each.path] for each in part] for part in by_directory(files, bounds)]
    parts = divide(hypergraph(files, graph, bounds), bounds, directories)
    return [[files[node] for node in part] for part in parts]


def _balanced(files: Part, bounds: Bounds) -> list[Part]:
    """Cut a list, kept in order, into parts of nearly equal length that the bounds allow."""
    pieces = max(1, ceil(len(files) / bounds.max_files))
    cuts = [round(index * len(files) / pieces) for index in range(pieces + 1)]
    equal = [files[first:end] for first, end in pairwise(cuts)]
    return [part for piece in equal for part in _within_errors(piece, bounds)]


def _within_errors(files: Sequence[FileFindings], bounds: Bounds) -> list[Part]:
    if bounds.allow(len(files), sum(each.errors for each in files)):
        return [list(files)]
    half = len(files) // 2
    return _within_errors(files[:half], bounds) + _within_errors(files[half:], bounds)
