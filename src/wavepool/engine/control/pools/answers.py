"""What a server of pools says: results, usage and output as JSON; and what it refuses before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from wavepool.drivers.base import LogChunk, Usage
from wavepool.engine.control.pools.protocol import TaskOrder, packed
from wavepool.engine.control.protocol import line
from wavepool.engine.pools import TaskExecution
from wavepool.engine.report import stamp
from wavepool.errors import InputError, shorten
from wavepool.inputs.environment import value_problem, variable_problem
from wavepool.inputs.secrets import secret_name_problem

PIECE_BYTES = 256 * 1024
"""Of output, in one line."""


def check_order(order: TaskOrder) -> None:
    """Raises InputError: a name or a value that no task may have."""
    for name, value in order.env.items():
        problem = variable_problem(name) or value_problem(name, value)
        if problem is not None:
            raise InputError(f"env: got {shorten(name)}, expected {problem}")
    for name in order.secrets:
        if (problem := secret_name_problem(name)) is not None:
            raise InputError(f"secrets: got {shorten(name)}, expected {problem}")


def result_of(done: TaskExecution, cut: Mapping[str, int], *, with_output: bool) -> dict[str, Any]:
    """What became of a task, ready for JSON.

    `cut_bytes` did not reach who asked; `dropped_bytes` are those that `stdout` and `stderr` (base64) do not have.
    """
    evidence = {name: value for name, value in asdict(done.verdict.evidence).items() if value not in (None, (), "")}
    output = {"stdout": packed(done.stdout), "stderr": packed(done.stderr), "dropped_bytes": done.dropped_bytes}
    return {
        "agent_type": done.agent_type,
        "attempt": done.attempt.task_id,
        "container": done.container,
        "where": done.where.value,
        "warm": done.warm,
        "verdict": done.verdict.kind.value,
        "exit_code": done.exit_code,
        "evidence": evidence,
        "dispatch_s": done.dispatch_s,
        "timings": asdict(done.timings),
        "started_at": stamp(done.started_at),
        "finished_at": stamp(done.finished_at),
        "tries": done.tries,
        "gap": done.gap,
        "cut_bytes": dict(cut),
        **(output if with_output else {}),
    }


def logged(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of it stands in the server's log."""
    kept = ("attempt", "where", "verdict", "exit_code", "dispatch_s", "cut_bytes", "gap")
    return {**{name: result[name] for name in kept}, "took_s": result["timings"]["total_s"]}


def usage_reply(found: Mapping[str, Usage]) -> Mapping[str, Any]:
    """Readings by the names of tasks."""
    return {"usage": {name: asdict(usage) for name, usage in found.items()}}


def chunk_lines(chunk: LogChunk) -> list[bytes]:
    """A piece of output as lines; one that stands for a gap says so first."""
    gap = [line({"gap": chunk.gap_reason, "of": chunk.stream})] if chunk.gap else []
    starts = range(0, len(chunk.data), PIECE_BYTES)
    return [*gap, *(line({chunk.stream: packed(chunk.data[start : start + PIECE_BYTES])}) for start in starts)]
