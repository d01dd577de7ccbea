"""Cut what hangs together into parts within the bounds, so that few nets are cut.

This is hypergraph partitioning by its cut-net metric, in the shape that multilevel partitioners have: clusters grow
together by heavy edges, where a net of n clusters counts 1/(n-1) and large clusters are rated down, so that they grow
evenly (Karypis, Aggarwal, Kumar, Shekhar: Multilevel hypergraph partitioning, IEEE Transactions on VLSI Systems 7(1),
1999; the rating is that of KaHyPar: Schlag et al., ALENEX 2016); then single files move where that leaves fewer nets
cut (Fiduccia and Mattheyses, Design Automation Conference 1982, without its hill climbing). Clusters stop at the bounds
of a group, so there is no second level to come back through.

Without randomness, and in the order of paths: the same files give the same parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from wavepool.plan.grouping.group import Bounds
from wavepool.plan.grouping.hypergraph import Hypergraph

ROUNDS_MAX = 12
"""Of moves; each round costs one look at every net, and the later ones bring little."""

Assignment = dict[int, int]
"""The part of each node."""


def divide(graph: Hypergraph, bounds: Bounds, directories: Sequence[Sequence[int]]) -> list[list[int]]:
    """All nodes in parts within the bounds; nodes that nothing ties together are in different parts.

    It never cuts more nets than `directories` does: where these are better than what has grown together, they are what
    the moves begin with.

    Args:
        graph: the nodes and what ties them together.
        bounds: how large a part may be.
        directories: all nodes in parts within the bounds, as another way divides them.
    """
    directory_of = {node: number for number, part in enumerate(directories) for node in part}
    parts: list[list[int]] = []
    for component in graph.components():
        if bounds.allow(len(component), sum(graph.errors[node] for node in component)):
            parts.append(component)
        else:
            cutting = _Cutting(graph, bounds, component)
            parts += cutting.best(cutting.grown(), {node: directory_of[node] for node in component})
    return sorted(parts)


class _Cutting:
    """Cuts one component."""

    def __init__(self, graph: Hypergraph, bounds: Bounds, nodes: Sequence[int]) -> None:
        self._graph = graph
        self._bounds = bounds
        self._nodes = nodes
        self._nets = sorted({net for node in nodes for net in graph.nets_of[node]})

    def best(self, *starts: Assignment) -> list[list[int]]:
        """The parts that cut the fewest nets, after moves and merges, from any of these beginnings; the first wins."""
        return min((self._finished(start) for start in starts), key=self._cost)

    def grown(self) -> Assignment:
        """Clusters that grew together from single nodes until no two that share a net fit together."""
        part_of = {node: node for node in self._nodes}
        while self._grow(part_of):
            pass
        return part_of

    def _grow(self, part_of: Assignment) -> bool:
        """One round, in which each cluster takes part in one merge at most. Whether there was any."""
        clusters = _members(part_of)
        errors = {part: self._errors(nodes) for part, nodes in clusters.items()}
        around = {net: {part_of[node] for node in self._graph.nets[net]} for net in self._nets}
        merged: set[int] = set()
        for part in sorted(clusters, key=lambda part: (len(clusters[part]), part)):
            if part in merged:
                continue
            ratings = self._ratings(part, clusters, around)
            fitting = (
                (rating / (len(clusters[part]) * len(clusters[other])), -other)
                for other, rating in ratings.items()
                if other not in merged
                and self._bounds.allow(len(clusters[part]) + len(clusters[other]), errors[part] + errors[other])
            )
            best = max(fitting, default=None)
            if best is not None:
                other = -best[1]
                merged |= {part, other}
                part_of.update(dict.fromkeys(clusters[part], other))
        return bool(merged)

    def _ratings(self, part: int, clusters: dict[int, list[int]], around: dict[int, set[int]]) -> dict[int, float]:
        """How strongly a cluster is tied to each other one."""
        ratings: dict[int, float] = {}
        nets = {net for node in clusters[part] for net in self._graph.nets_of[node]}
        for net in sorted(nets):
            others = around[net]
            for other in others:
                if other != part:
                    ratings[other] = ratings.get(other, 0.0) + 1 / (len(others) - 1)
        return ratings

    def _finished(self, part_of: Assignment) -> list[list[int]]:
        part_of = dict(part_of)
        _Moves(self._graph, self._bounds, self._nets, part_of).make()
        return self._merged(sorted(_members(part_of).values()))

    def _merged(self, parts: list[list[int]]) -> list[list[int]]:
        """Merge until no two parts fit together, the largest first: a cut component has no small rests."""
        whole: list[list[int]] = []
        room: dict[int, list[list[int]]] = {}
        for part in sorted(parts, key=lambda part: (-len(part), part)):
            lengths = range(self._bounds.max_files - len(part), 0, -1)
            roomy = (other for length in lengths for other in room.get(length, ()))
            errors = self._errors(part)
            fitting = (other for other in roomy if errors + self._errors(other) <= self._bounds.max_errors)
            into = next(fitting, None)
            if into is None:
                whole.append(part)
            else:
                room[len(into)].remove(into)
                into += part
            kept = part if into is None else into
            room.setdefault(len(kept), []).append(kept)
        return sorted(sorted(part) for part in whole)

    def _errors(self, nodes: Iterable[int]) -> int:
        return sum(self._graph.errors[node] for node in nodes)

    def _cost(self, parts: list[list[int]]) -> tuple[int, int]:
        """How many nets are cut, and over how many parts all nets are spread."""
        part_of = {node: number for number, part in enumerate(parts) for node in part}
        spread = [len({part_of[node] for node in self._graph.nets[net]}) for net in self._nets]
        return sum(each > 1 for each in spread), sum(spread)


class _Moves:
    """Moves single nodes to parts where they leave fewer nets cut, or as many, in fewer parts each."""

    def __init__(self, graph: Hypergraph, bounds: Bounds, nets: Sequence[int], part_of: Assignment) -> None:
        self._graph = graph
        self._bounds = bounds
        self._part_of = part_of
        self._pins = {net: Counter(part_of[node] for node in graph.nets[net]) for net in nets}
        members = _members(part_of)
        self._files = {part: len(nodes) for part, nodes in members.items()}
        self._errors = {part: sum(graph.errors[node] for node in nodes) for part, nodes in members.items()}

    def make(self) -> None:
        """Round after round until no node moves; after the first one, over the neighbours of those that have moved.

        Each move brings down how many nets are cut, or leaves that as it is and brings down over how many parts all
        nets are spread.
        """
        nodes = sorted(self._part_of)
        for _ in range(ROUNDS_MAX):
            moved = [node for node in nodes if self._move(node)]
            nets = {net for node in moved for net in self._graph.nets_of[node]}
            nodes = sorted({node for net in nets for node in self._graph.nets[net]})

    def _move(self, node: int) -> bool:
        here = self._part_of[node]
        gains = self._gains(node, here)
        fitting = ((*gain, -part) for part, gain in gains.items() if gain > (0, 0) and self._has_room(part, node))
        best = max(fitting, default=None)
        if best is not None:
            self._put(node, here, -best[2])
        return best is not None

    def _has_room(self, part: int, node: int) -> bool:
        return self._bounds.allow(self._files[part] + 1, self._errors[part] + self._graph.errors[node])

    def _gains(self, node: int, here: int) -> dict[int, tuple[int, int]]:
        """For each other part that a net of the node reaches: how many nets fewer are cut after a move to it, and over
        how many parts fewer all nets are spread.
        """
        nets = self._graph.nets_of[node]
        reached: Counter[int] = Counter()
        mended: Counter[int] = Counter()
        torn = left = 0
        for net in nets:
            pins = self._pins[net]
            if len(pins) == 1:
                torn += 1
                continue
            alone = pins[here] == 1
            left += alone
            reached.update(pins.keys())
            if alone and len(pins) == 2:
                mended.update(pins.keys())
        del reached[here]
        return {part: (mended[part] - torn, left - len(nets) + number) for part, number in reached.items()}

    def _put(self, node: int, here: int, there: int) -> None:
        for net in self._graph.nets_of[node]:
            pins = self._pins[net]
            pins[there] += 1
            pins[here] -= 1
            if not pins[here]:
                del pins[here]
        for part, step in ((here, -1), (there, 1)):
            self._files[part] += step
            self._errors[part] += step * self._graph.errors[node]
        self._part_of[node] = there


def _members(part_of: Assignment) -> dict[int, list[int]]:
    """The nodes of each part, rising."""
    members: dict[int, list[int]] = {}
    for node in sorted(part_of):
        members.setdefault(part_of[node], []).append(node)
    return members
