"""Facts as bytes, and back: JSON that a person can read in the database.

Usually ``[kind, version, {fields}]``. Text that is no valid Unicode (a path with odd bytes, a lone surrogate from a
plan) and floats that are not finite have no place in strict JSON; facts that carry them are written by the slower
standard library as ``{"kind": ..., "version": ..., "fields": {...}}``. Why msgspec: docs/decisions/0001.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any, get_args, get_type_hints

import msgspec

from wavepool.core.facts import VERSION, Fact, TasksAdded
from wavepool.errors import InvariantBroken


class Undecodable(ValueError):
    """These bytes are no fact that this release knows. The message is a sentence for a person."""


def encode(fact: Fact) -> bytes:
    """UTF-8 JSON of `fact`; `decode` gives back an equal value of the same type.

    Values in `extra` must be what a JSON parser yields; a tuple there would come back as a list. Limits, rules and
    timeouts of tasks are finite (the plan and the options are checked before), and so is what a fix measures.

    Raises:
        InvariantBroken: it is no fact, or holds a value that JSON cannot.
    """
    kind = type(fact)
    floats = _FLOATS.get(kind)
    if floats is None:
        raise InvariantBroken(f"{kind.__name__} is not a kind of fact")
    try:
        for name in floats:
            value = getattr(fact, name)
            if value is not None and not isfinite(value):
                return _encode_odd(fact)
        if kind is TasksAdded and not _extras_are_finite(fact):
            return _encode_odd(fact)
        return _ENCODER.encode((kind.__name__, VERSION, fact))
    except UnicodeEncodeError:
        return _encode_odd(fact)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvariantBroken(f"a fact {kind.__name__} cannot be written: {error}") from error


def decode(data: bytes, kind: str = "") -> Fact:
    """The fact that `encode` was given. Where its `kind` is known this is faster by a quarter, and nothing else.

    Raises:
        Undecodable: not ours, damaged, of an unknown kind, or of a newer version.
    """
    known = _KNOWN.get(kind)
    try:
        if known is not None and data.startswith(known[0]) and data[-1] == _END:
            return known[1](data[len(known[0]) : -1])
        if data[:1] == b"{":
            return _decode_odd(data)
        kind, version, fields = _ENVELOPE.decode(data)
        return _decoder(kind, version).decode(fields)
    except (msgspec.MsgspecError, KeyError, TypeError, RecursionError, UnicodeError, json.JSONDecodeError) as error:
        raise Undecodable(f"not a fact: {error}") from error


def _decoder(kind: str, version: int) -> msgspec.json.Decoder[Fact]:
    decoder = _DECODERS.get(kind)
    if version > VERSION:
        raise Undecodable(f"a fact {kind} of version {version}; this release knows versions up to {VERSION}")
    if decoder is None:
        raise Undecodable(f"a fact of the unknown kind {kind}")
    return decoder


def _encode_odd(fact: Fact) -> bytes:
    fields = msgspec.to_builtins(fact, enc_hook=_plain)
    return json.dumps({"kind": type(fact).__name__, "version": VERSION, "fields": fields}).encode("ascii")


def _decode_odd(data: bytes) -> Fact:
    whole = json.loads(data)
    kind, version = whole["kind"], whole["version"]
    fact: Fact = msgspec.convert(whole["fields"], _decoder(str(kind), int(version)).type)
    return fact


def _extras_are_finite(fact: Any) -> bool:
    return all(_is_finite(task.extra) for task in fact.tasks if task.extra)


def _is_finite(value: object) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    return True


def _plain(value: object) -> object:
    """For msgspec, which knows dict but no other mapping."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def _float_fields(kind: type) -> tuple[str, ...]:
    hints = get_type_hints(kind)
    return tuple(name for name, hint in hints.items() if hint is float or float in get_args(hint))


_KINDS: tuple[type[Fact], ...] = get_args(Fact)
_FLOATS = {kind: _float_fields(kind) for kind in _KINDS}
_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
_ENVELOPE = msgspec.json.Decoder(tuple[str, int, msgspec.Raw])
_DECODERS: Mapping[str, msgspec.json.Decoder[Fact]] = {kind.__name__: msgspec.json.Decoder(kind) for kind in _KINDS}
_KNOWN = {kind: (f'["{kind}",{VERSION},'.encode("ascii"), decoder.decode) for kind, decoder in _DECODERS.items()}
"""What a fact of this kind and version begins with, and what reads its fields."""
_END = ord("]")
