"""A plan that was made, as the seed's JSON: what was found, how it was packed, and the waves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from wavepool.model import AgentOrder
from wavepool.model.diagnostics import Diagnostic
from wavepool.plan.grouping import Contested, Strategy
from wavepool.plan.making.filewords import command_for
from wavepool.plan.making.findings import FileFindings, Findings
from wavepool.plan.making.planned import PlannedBatch
from wavepool.plan.packing import LENGTH_UNIT, Comparison, Packed, PackedWave, PackingFigures
from wavepool.units import format_size, human_size

EXAMPLES_MAX = 20
"""Errors that no batch gets are written out up to this many; the rest are counted."""
CODES_MAX = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a plan was made of.

    Attributes:
        command: the check as it was typed; None where its output was handed in.
        findings: what it told.
        strategy: by which files were grouped.
        budget_bytes, parallel: what a wave may hold.
        contested: what two batches could fight over; None where nobody knows.
    """

    command: str | None
    findings: Findings
    strategy: Strategy
    budget_bytes: int
    parallel: int
    contested: Contested | None = None


def plan_document(
    packed: Packed, origin: Origin, *, agent: AgentOrder | None = None, words: Sequence[str] = ()
) -> dict[str, object]:
    """The plan as a JSON object that `parse_plan` reads without a warning; ``waves`` is its last field.

    Args:
        packed: the batches in their waves.
        origin: of what.
        agent: who works on the batches; None where the run says it.
        words: the command of each batch, ``{files}`` in it standing for its files; empty for none.
    """
    files = origin.findings.files
    return {
        "check": None if origin.command is None else _text(origin.command),
        "errors": origin.findings.errors,
        "warnings": origin.findings.warnings,
        "files": len(files),
        "codes": _codes(files),
        **_not_planned(origin.findings),
        "disagreements": [asdict(each) for each in origin.findings.disagreements()],
        "strategy": origin.strategy.value,
        "contested": None if origin.contested is None else _contested(origin.contested),
        "budget": format_size(origin.budget_bytes),
        "max_parallel": origin.parallel,
        "packing": _comparison(packed.comparison),
        "waves": [_wave(wave, agent, words) for wave in packed.waves],
    }


def _codes(files: Iterable[FileFindings]) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for each in files:
        counted.update(each.codes)
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return {_text(code): number for code, number in ordered[:CODES_MAX]}


def _not_planned(findings: Findings) -> dict[str, object]:
    """Errors that no batch can be made of."""
    apart = [
        {"place": each.place.value, "errors": each.errors, "examples": [_error(one) for one in each.examples]}
        for each in findings.set_apart
    ]
    unplaced = findings.unplaced
    examples = [_error(one) for one in unplaced.diagnostics[:EXAMPLES_MAX]]
    return {
        "set_apart": apart,
        "unplaced": {"errors": unplaced.errors, "examples": examples},
        "beyond": findings.beyond,
    }


def _error(diagnostic: Diagnostic) -> dict[str, object]:
    return {
        "tool": _text(diagnostic.tool),
        "path": None if diagnostic.path is None else _text(diagnostic.path),
        "line": diagnostic.line,
        "column": diagnostic.column,
        "code": None if diagnostic.code is None else _text(diagnostic.code),
        "message": _text(diagnostic.message),
        "severity": diagnostic.severity.value,
    }


def _contested(contested: Contested) -> dict[str, object]:
    modules = contested.modules
    return {
        "modules": len(modules),
        "imports": contested.imports,
        "examples": [_text(path) for path in modules[:EXAMPLES_MAX]],
    }


def _comparison(compared: Comparison) -> dict[str, object]:
    return {
        "chosen": compared.chosen.value,
        "length_unit": LENGTH_UNIT,
        "batches": compared.batches,
        **{way.value.replace("-", "_"): _figures(figures) for way, figures in compared.figures.items()},
        "waves_at_least": compared.waves_at_least,
        "length_at_least": round(compared.length_at_least, 3),
    }


def _figures(figures: PackingFigures) -> dict[str, object]:
    return {
        "waves": figures.waves,
        "length": round(figures.length, 3),
        "memory_peak": human_size(figures.memory_peak_bytes),
        "memory_held_percent": round(100 * figures.memory_share, 1),
    }


def _wave(wave: PackedWave, agent: AgentOrder | None, words: Sequence[str]) -> dict[str, object]:
    return {
        "wave_number": wave.number,
        "batch_count": len(wave.batches),
        "memory_needed": human_size(wave.memory_bytes),
        "parallelism": len(wave.batches),
        "batches": [_batch(batch, agent, words) for batch in wave.batches],
    }


def _batch(batch: PlannedBatch, agent: AgentOrder | None, words: Sequence[str]) -> dict[str, object]:
    files = [_text(path) for path in batch.files]
    written: dict[str, object] = {
        "batch_id": batch.batch_id,
        "tier": batch.tier,
        "memory": format_size(batch.memory_bytes),
        "files": files,
        "error_count": batch.errors,
        "coordination_note": _text(batch.note),
    }
    if agent is not None:
        written["agent"] = _agent(agent)
    if words:
        written["command"] = [_text(word) for word in command_for(words, files)]
    return written | {"task_prompt": _text(batch.prompt)}


def _agent(agent: AgentOrder) -> str | dict[str, object]:
    """Its name, or all that differs from what an agent of that name is asked anyway."""
    usual: Mapping[str, object] = asdict(AgentOrder(name=agent.name))
    own = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(agent).items()
        if value != usual[name]
    }
    return {"name": agent.name, **own} if own else agent.name


def _text(text: str) -> str:
    """JSON cannot hold half a surrogate pair, which a name on disk that is no text brings."""
    return text.encode(errors="replace").decode()
