"""What ties files with errors to one another: nets, of which each is cut where its files are in several groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wavepool.plan.grouping.group import Bounds
from wavepool.plan.grouping.imports import ImportGraph
from wavepool.plan.making.findings import FileFindings

COMMON = 2
"""What more than this many times the files of a group import is common ground, and no reason to be together."""

Net = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypergraph:
    """Files with errors as nodes, 0 to n-1; a net for each thing that two batches could fight over.

    Attributes:
        errors: of each node.
        nets: the nodes of each net, rising, at least two. Those of more than `COMMON` times as many nodes as a group
            may have are left out: they are cut however the files are divided, and tie all to all.
        nets_of: the nets of each node.
    """

    errors: tuple[int, ...]
    nets: tuple[Net, ...]
    nets_of: tuple[tuple[int, ...], ...]

    def components(self) -> list[list[int]]:
        """Nodes that nets tie together, directly or through others; each rising, by their first node."""
        root = list(range(len(self.errors)))
        for net in self.nets:
            first = _find(root, net[0])
            for node in net[1:]:
                root[_find(root, node)] = first
        found: dict[int, list[int]] = {}
        for node in range(len(root)):
            found.setdefault(_find(root, node), []).append(node)
        return sorted(found.values())


def _find(root: list[int], node: int) -> int:
    while root[node] != node:
        root[node] = root[root[node]]
        node = root[node]
    return node


def hypergraph(files: Sequence[FileFindings], graph: ImportGraph, bounds: Bounds) -> Hypergraph:
    """One net for each file without errors and those that import it, and one for each import of a file with errors."""
    index = {each.path: number for number, each in enumerate(files)}
    importers: dict[str, list[int]] = {}
    pairs: list[Net] = []
    for path, node in index.items():
        for target in graph.imports.get(path, ()):
            other = index.get(target)
            if other is None:
                importers.setdefault(target, []).append(node)
            elif other != node:
                pairs.append((min(node, other), max(node, other)))
    shared = (tuple(sorted(nodes)) for _, nodes in sorted(importers.items()) if len(nodes) > 1)
    nets = tuple(net for net in (*shared, *sorted(pairs)) if len(net) <= COMMON * bounds.max_files)
    return Hypergraph(errors=tuple(each.errors for each in files), nets=nets, nets_of=_nets_of(nets, len(files)))


def _nets_of(nets: Iterable[Net], nodes: int) -> tuple[tuple[int, ...], ...]:
    found: list[list[int]] = [[] for _ in range(nodes)]
    for number, net in enumerate(nets):
        for node in net:
            found[node].append(number)
    return tuple(tuple(each) for each in found)
