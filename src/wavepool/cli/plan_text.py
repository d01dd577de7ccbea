"""A plan that was made, for a person: its waves and batches, what was found, and what no batch gets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wavepool.cli.columns import aligned
from wavepool.listeners.wording import count, printable
from wavepool.plan.packing import PackingWay
from wavepool.units import human_size, parse_size

BATCHES_SHOWN = 200
CODES_SHOWN = 12
FILES_SHOWN = 3
MESSAGE_MAX = 100
_APART = {"vendored": "in what others wrote or a build makes", "outside": "outside of the workspace"}
_LENGTH_MEANS = (
    "length: each wave as long as its longest batch, one wave after another; no durations are known, so a batch "
    "counts as its errors"
)


def plan_text(document: Mapping[str, Any]) -> str:
    """The whole of `plan_document` as lines; what could act on a terminal is escaped."""
    lines = [*_found(document), *_waves(document), *_batches(document), *_packing(document), *_not_planned(document)]
    return "".join(f"{line}\n" for line in lines)


def _found(document: Mapping[str, Any]) -> Iterator[str]:
    if document["check"] is not None:
        yield f"check: {printable(document['check'])}"
    warnings = f", {count(document['warnings'], 'warning')}" if document["warnings"] else ""
    yield f"found: {count(document['errors'], 'error')}{warnings}; to be mended in {count(document['files'], 'file')}"
    codes = [f"{printable(code)} ({number})" for code, number in document["codes"].items()]
    if codes:
        more = f" and {len(codes) - CODES_SHOWN} more kinds" if len(codes) > CODES_SHOWN else ""
        yield f"codes: {', '.join(codes[:CODES_SHOWN])}{more}"
    for each in document["disagreements"]:
        was = "was" if each["counted"] == 1 else "were"
        yield f"doubtful: {printable(each['tool'])} says {each['told']} {each['what']}, {each['counted']} {was} read"


def _waves(document: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    if not document["waves"]:
        yield "no waves: there is nothing that a batch could be made of"
        return
    rows = [
        (
            str(wave["wave_number"]),
            str(wave["batch_count"]),
            wave["memory_needed"],
            str(sum(batch["error_count"] for batch in wave["batches"])),
            str(sum(len(batch["files"]) for batch in wave["batches"])),
        )
        for wave in document["waves"]
    ]
    headings = ("wave", "batches", "memory", "errors", "files")
    yield from aligned(headings, rows, right=headings)


def _batches(document: Mapping[str, Any]) -> Iterator[str]:
    every = [(wave["wave_number"], batch) for wave in document["waves"] for batch in wave["batches"]]
    if not every:
        return
    yield ""
    rows = [
        (
            str(number),
            batch["batch_id"],
            str(batch["tier"]),
            batch["memory"],
            str(batch["error_count"]),
            _files(batch["files"]),
        )
        for number, batch in every[:BATCHES_SHOWN]
    ]
    headings = ("wave", "batch", "tier", "memory", "errors", "files")
    yield from aligned(headings, rows, right=("wave", "tier", "memory", "errors"))
    if len(every) > BATCHES_SHOWN:
        yield f"… and {len(every) - BATCHES_SHOWN} more, which --format json has"


def _files(files: list[str]) -> str:
    more = f" and {len(files) - FILES_SHOWN} more" if len(files) > FILES_SHOWN else ""
    return ", ".join(files[:FILES_SHOWN]) + more


def _packing(document: Mapping[str, Any]) -> Iterator[str]:
    if not document["waves"]:
        return
    packing = document["packing"]
    yield ""
    bounds = f"{human_size(parse_size(document['budget']))} and {count(document['max_parallel'], 'batch', 'batches')}"
    yield f"grouped by {document['strategy']}; a wave holds {bounds} at most"
    figures = [packing[way.value.replace("-", "_")] for way in PackingWay]
    if all(each == figures[0] for each in figures):
        same = figures[0]
        waves, length = count(same["waves"], "wave"), f"{same['length']:g}"
        yield f"every packing comes to the same: {waves}, length {length}, at most {same['memory_peak']} at once"
        yield _LENGTH_MEANS
        return
    rows = [_way(way, packing) for way in PackingWay]
    rows.append(("at least", str(packing["waves_at_least"]), f"{packing['length_at_least']:g}", "", ""))
    headings = ("packing", "waves", "length", "most memory", "mean memory")
    yield from aligned(headings, rows, right=headings[1:])
    yield _LENGTH_MEANS


def _way(way: PackingWay, packing: Mapping[str, Any]) -> tuple[str, ...]:
    figures = packing[way.value.replace("-", "_")]
    chosen = " (this plan)" if way.value == packing["chosen"] else ""
    mean = f"{figures['memory_held_percent']:g}%"
    return f"{way.value}{chosen}", str(figures["waves"]), f"{figures['length']:g}", figures["memory_peak"], mean


def _not_planned(document: Mapping[str, Any]) -> Iterator[str]:
    for apart in document["set_apart"]:
        yield ""
        yield f"set apart: {count(apart['errors'], 'error')} {_APART[apart['place']]}"
        yield from _examples(apart)
    if document["unplaced"]["errors"]:
        yield ""
        yield f"without a file: {count(document['unplaced']['errors'], 'error')}"
        yield from _examples(document["unplaced"])
    if document["beyond"]:
        yield ""
        yield f"not planned: {count(document['beyond'], 'error')} in files beyond the most that are told apart"


def _examples(holder: Mapping[str, Any]) -> Iterator[str]:
    for each in holder["examples"]:
        yield f"  {_error(each)}"
    left = holder["errors"] - len(holder["examples"])
    if left > 0:
        yield f"  … and {left} more"


def _error(each: Mapping[str, Any]) -> str:
    where = ":".join(str(part) for part in (each["path"], each["line"], each["column"]) if part is not None)
    message = " ".join(each["message"].split())
    return printable(" ".join(part for part in (where, each["tool"], each["code"] or "") if part)) + (
        f": {printable(message, MESSAGE_MAX)}" if message else ""
    )
