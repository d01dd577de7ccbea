"""Fields that we do not know stay legal in a plan; one that is nearly the name of one that we do know is told. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

SHORT = 4
"""Names up to this long are near only where one letter differs: among them two make another word (team, tier)."""
NAME_MAX = 40
"""Longer names than this are near to none of ours."""


def near_fields(given: Iterable[str], known: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each of `given` that is none of `known` but near one, with that one.

    Near is: the same but for case and for ``-`` and ``_``, or else at most two letters put in, left out, changed or
    swapped with their neighbour (one in a name of up to 4 letters).
    """
    names = sorted(known)
    for name in given:
        if name not in names and len(name) <= NAME_MAX:
            distance, best = min((_distance(_bare(name), _bare(each)), each) for each in names)
            if distance <= (1 if min(len(name), len(best)) <= SHORT else 2):
                yield name, best


def meant(holder: str, best: str) -> str:
    """What follows the path of such a field; `holder` is what it is no field of."""
    return f"no field of {holder}, so it changes nothing; did you mean {best}?"


def _bare(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _distance(one: str, other: str) -> int:
    """Optimal string alignment: Levenshtein's distance, where two neighbours that are swapped count as one."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        earlier, before, row = before, row, [i]
        for j, b in enumerate(other, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, earlier[j - 2] + 1)
            row.append(best)
    return row[-1]
