"""Facts as JSON lines, for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import IO, Any, Self

import msgspec

from wavepool.core.facts import Fact, RunOpened, Stamped, TasksAdded
from wavepool.engine.listener import Listener
from wavepool.listeners.lines import BOUND, LineWriter, swallow_rest
from wavepool.model import AgentEvent, AttemptId

MASK = "***"

FLUSH_S = 5.0

Item = tuple[int, Stamped] | tuple[AttemptId, AgentEvent] | bytes
"""A fact with its number, what the agent of an attempt said, or a line."""


class JsonLinesListener(Listener):
    """Writes each fact as one line: ``{"seq": 1, "at": "...Z", "kind": "RunOpened", ...its fields}``.

    What agents say while they work stands between them, without a number: ``{"kind": "AgentSpoke", "attempt": [...],
    "said": {...}}``. These are no facts: a resume tells them again, and a slow reader may miss some.

    `seq` counts the facts of this process from 1; a gap in it means that lines were dropped, as its reader was slower
    than the run for `bound` lines. Values of environment variables are masked, their names are kept. Lines are ASCII.
    A reader that goes away ends the writing quietly.

    Args:
        stream: binary, as ``sys.stdout.buffer``; nobody else writes to it meanwhile.
        bound: lines that may wait for the reader.
    """

    def __init__(self, stream: IO[bytes], *, bound: int = BOUND) -> None:
        self._stream = stream
        self._seq = 0
        self._writer: LineWriter[Item] = LineWriter(self._write, self._flush, bound=bound)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def dropped(self) -> int:
        """Facts that were not written."""
        return self._writer.dropped

    def on_facts(self, facts: Sequence[Stamped]) -> None:
        for stamped in facts:
            self._seq += 1
            self._writer.put((self._seq, stamped))

    def on_agent(self, attempt: AttemptId, event: AgentEvent) -> None:
        self._writer.put((attempt, event))

    def say(self, value: Mapping[str, object]) -> None:
        """One more line, which is no fact and has no number."""
        self._writer.put(_line(value))

    def finish(self, result: Mapping[str, object], *, flush_s: float = FLUSH_S) -> int:
        """Write `result` as the last line; blocks until it is written, or its reader is gone.

        Facts that wait longer than `flush_s` before it are dropped. Returns how many facts were dropped altogether.
        """
        return self._writer.finish(_line(result), flush_s)

    def close(self, *, flush_s: float = FLUSH_S) -> int:
        """Without a result: write what waits, for at most `flush_s` seconds, and say how many facts were dropped."""
        return self._writer.close(flush_s)

    def _write(self, item: Item) -> None:
        line = item if isinstance(item, bytes) else _line(_item_json(*item))
        try:
            self._stream.write(line)
        except BrokenPipeError:
            swallow_rest(self._stream)
            raise

    def _flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            swallow_rest(self._stream)
            raise


def _item_json(what: int | AttemptId, said: Stamped | AgentEvent) -> dict[str, Any]:
    if isinstance(said, AgentEvent):
        return {"kind": "AgentSpoke", "attempt": what, "said": msgspec.to_builtins(said)}
    assert isinstance(what, int)
    return fact_json(what, said)


def fact_json(seq: int, stamped: Stamped) -> dict[str, Any]:
    """One fact as JSON-able values, without the value of any environment variable."""
    at = stamped.utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields = msgspec.to_builtins(masked(stamped.fact), enc_hook=_plain)
    fields.pop("at", None)  # the same moment
    return {"seq": seq, "at": at, "kind": type(stamped.fact).__name__, **fields}


def masked(fact: Fact) -> Fact:
    """The same fact with the values of environment variables replaced, for those who may not see them."""
    if isinstance(fact, RunOpened):
        return replace(fact, surroundings=replace(fact.surroundings, env=_masked(fact.surroundings.env)))
    if isinstance(fact, TasksAdded):
        return replace(fact, tasks=tuple(replace(task, env=_masked(task.env)) for task in fact.tasks))
    return fact


def _masked(env: Mapping[str, str]) -> dict[str, str]:
    return dict.fromkeys(env, MASK)


def _line(value: Mapping[str, object]) -> bytes:
    try:
        text = json.dumps(value, separators=(",", ":"), default=str, allow_nan=False)
    except ValueError:  # a plan may bring 1e999 in a field that we only pass on
        text = json.dumps(_finite(value), separators=(",", ":"), default=str)
    return text.encode("ascii") + b"\n"


def _finite(value: object) -> object:
    """JSON knows no NaN and no infinity: null in their place."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


def _plain(value: object) -> object:
    """For msgspec, which knows dict but no other mapping."""
    if isinstance(value, Mapping):
        return dict(value)
    raise NotImplementedError(f"no JSON for {type(value).__name__}")
