"""Figures as a table for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from bench.harness import Figure

_HEADS = ("figure", "unit", "ours", "floor", "ratio", "goal", "", "rivals")


def as_json(figures: Sequence[Figure], machine: Mapping[str, object]) -> str:
    """One JSON document; `met` is null where nothing was asked."""
    rows = [{**asdict(figure), "met": figure.met} for figure in figures]
    return json.dumps({"machine": machine, "figures": rows}, indent=2)


def as_table(figures: Sequence[Figure]) -> str:
    """A table in Markdown, which reads well on a terminal too, with the notes below it."""
    rows = [_HEADS, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    notes = [f"- {figure.name}: {_runs(figure)}{figure.note}" for figure in figures]
    return "\n".join([*lines, "", *notes])


def number(value: float | None) -> str:
    """Three or so digits that matter: ``0.42``, ``12.3``, ``81,300``."""
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _row(figure: Figure) -> tuple[str, ...]:
    said = {True: "met", False: "MISSED", None: ""}[figure.met]
    rivals = "; ".join(f"{name} {number(value)}" for name, value in figure.rivals.items())
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    goal = ", ".join(figure.goals)
    return (figure.name, figure.unit, number(figure.ours), number(figure.floor), ratio, goal, said, rivals)


def _runs(figure: Figure) -> str:
    runs = ", ".join(f"{name} {count}" for name, count in figure.runs.items())
    missed = f" missed: {', '.join(figure.missed)}." if figure.missed else ""
    return f"runs {runs}.{missed} " if runs else missed


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
