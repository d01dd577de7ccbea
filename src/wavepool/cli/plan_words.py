"""What `wavepool plan` says on stderr: what the check has told, and what was made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from wavepool.fixing.planning import Planned, PlanOrder
from wavepool.fixing.reading import quoted
from wavepool.listeners.wording import count, printable
from wavepool.model.diagnostics import Diagnostic
from wavepool.plan.making.findings import Place
from wavepool.plan.packing import PackingWay
from wavepool.units import format_duration, human_size

EXAMPLES_MAX = 5
"""Errors of a kind that no batch gets are shown up to this many; --verbose shows all that are kept."""
MESSAGE_MAX = 160
_PLACES = {Place.VENDORED: "in what others wrote or a build makes", Place.OUTSIDE: "outside of the workspace"}


def check_words(planned: Planned, order: PlanOrder, *, verbose: bool) -> Iterator[str]:
    """What the check has told."""
    found, ended = planned.findings, planned.ended
    if ended.exit_code is None:
        how = f"read {ended.where}"
    else:
        where = "" if order.container is None else f" in {ended.where} (run {ended.run_id})"
        how = f"`{quoted(order.check.shown)}`{where} ended with exit code {ended.exit_code}"
    errors = f"{count(found.errors, 'error')} and {count(found.warnings, 'warning')}"
    yield f"{how} after {format_duration(ended.took_s)}: {errors}, {count(len(found.files), 'file')} to mend"
    if verbose and (codes := _codes(planned)):
        yield f"most frequent: {codes}"
    most = None if verbose else EXAMPLES_MAX
    for apart in found.set_apart:
        yield f"set apart: {count(apart.errors, 'error')} {_PLACES[apart.place]}"
        yield from _examples(apart.examples, apart.errors, most)
    if found.unplaced.errors:
        yield f"without a file here: {count(found.unplaced.errors, 'error')}"
        yield from _examples(found.unplaced.diagnostics, found.unplaced.errors, most)
    if found.beyond:
        yield f"warning: {count(found.beyond, 'error')} in files beyond the first {len(found.files)} are in no batch"


def result_words(planned: Planned, order: PlanOrder) -> Iterator[str]:
    """What was made of it."""
    packed = planned.packed
    if planned.passed:
        yield "nothing to do: the plan is empty"
    elif packed is None:
        yield (
            "error: there are errors, and none that a batch could be made of: they are in no file of "
            f"{order.check.workspace} that may be mended. Is --workspace right?"
        )
    else:
        figures = packed.comparison.figures
        other = PackingWay.BEST if packed.comparison.chosen is PackingWay.IN_ORDER else PackingWay.IN_ORDER
        chosen = figures[packed.comparison.chosen]
        longer = figures[other].length / chosen.length
        batches = count(len(planned.batches), "batch", "batches")
        yield (
            f"planned {batches} in {count(planned.waves, 'wave')} by {order.strategy}, at "
            f"most {human_size(chosen.memory_peak_bytes)} at once; packed {packed.comparison.chosen} ({other}: "
            f"{count(figures[other].waves, 'wave')}, {longer:.2f} times as long by estimate)"
        )


def _codes(planned: Planned) -> str:
    counted: Counter[str] = Counter()
    for each in planned.findings.files:
        counted.update(each.codes)
    return ", ".join(f"{code} ({number})" for code, number in counted.most_common(10))


def _examples(diagnostics: Iterable[Diagnostic], number: int, most: int | None) -> Iterator[str]:
    shown = list(diagnostics)[:most]
    for each in shown:
        place = ":".join(str(part) for part in (each.path, each.line, each.column) if part is not None)
        first = (each.message.splitlines() or [""])[0]
        words = " ".join(part for part in (f"{place}:" if place else "", each.code or "", first) if part)
        yield printable(f"  {each.tool}: {words}", MESSAGE_MAX)
    if number > len(shown):
        yield f"  and {number - len(shown)} more"
