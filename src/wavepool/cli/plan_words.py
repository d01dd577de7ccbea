"""What `wavepool plan` says to a person: what the check has told, what was made of it, and the plan as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from wavepool.cli.columns import aligned
from wavepool.fixing.planning import Planned, PlanOrder
from wavepool.fixing.reading import quoted
from wavepool.listeners.wording import printable
from wavepool.model.diagnostics import Diagnostic
from wavepool.plan.findings import Place
from wavepool.plan.packing import PackingWay
from wavepool.units import format_duration, format_size, human_size

EXAMPLES_MAX = 5
"""Errors of a kind that no batch gets are shown up to this many; --verbose shows all that are kept."""
FILES_SHOWN = 3
MESSAGE_MAX = 160
_HEADINGS = ("wave", "batch", "tier", "memory", "errors", "files")
_PLACES = {Place.VENDORED: "in what others wrote or a build makes", Place.OUTSIDE: "outside of the workspace"}


def check_words(planned: Planned, order: PlanOrder, *, verbose: bool) -> Iterator[str]:
    """What the check has told."""
    found, ended = planned.findings, planned.ended
    if ended.exit_code is None:
        how = f"read {ended.where}"
    else:
        where = "" if order.container is None else f" in {ended.where} (run {ended.run_id})"
        how = f"`{quoted(order.check.shown)}`{where} ended with exit code {ended.exit_code}"
    errors = f"{_many(found.errors, 'error')} and {_many(found.warnings, 'warning')}"
    yield f"{how} after {format_duration(ended.took_s)}: {errors}, {_many(len(found.files), 'file')} to mend"
    if verbose and (codes := _codes(planned)):
        yield f"most frequent: {codes}"
    most = None if verbose else EXAMPLES_MAX
    for apart in found.set_apart:
        yield f"set apart: {_many(apart.errors, 'error')} {_PLACES[apart.place]}"
        yield from _examples(apart.examples, apart.errors, most)
    if found.unplaced.errors:
        yield f"without a file here: {_many(found.unplaced.errors, 'error')}"
        yield from _examples(found.unplaced.diagnostics, found.unplaced.errors, most)
    if found.beyond:
        yield f"warning: {_many(found.beyond, 'error')} in files beyond the first {len(found.files)} are in no batch"


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
        other = PackingWay.IN_ORDER if packed.comparison.chosen is PackingWay.BEST else PackingWay.BEST
        figures = {PackingWay.IN_ORDER: packed.comparison.in_order, PackingWay.BEST: packed.comparison.best}
        peak = human_size(figures[packed.comparison.chosen].memory_peak_bytes)
        yield (
            f"planned {_many(len(planned.batches), 'batch')} in {_many(planned.waves, 'wave')} by {order.strategy}, at "
            f"most {peak} at once; packed {packed.comparison.chosen} ({other}: {_many(figures[other].waves, 'wave')})"
        )


def plan_text(planned: Planned) -> str:
    """The plan as a table."""
    if planned.packed is None:
        return "nothing to do\n"
    rows: list[tuple[str, ...]] = []
    for wave in planned.packed.waves:
        for each in wave.batches:
            shown = ", ".join(each.files[:FILES_SHOWN])
            more = f" and {len(each.files) - FILES_SHOWN} more" if len(each.files) > FILES_SHOWN else ""
            size = format_size(each.memory_bytes)
            rows.append((str(wave.number), each.batch_id, str(each.tier), size, str(each.errors), shown + more))
    return "".join(f"{line}\n" for line in aligned(_HEADINGS, rows, right=("wave", "tier", "memory", "errors")))


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


def _many(number: int, what: str) -> str:
    if number == 1:
        return f"1 {what}"
    return f"{number} {what}es" if what.endswith("ch") else f"{number} {what}s"
