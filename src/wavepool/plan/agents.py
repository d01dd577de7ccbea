"""What a batch or a task says of its agent: ``"claude"``, or an object with the fields of an `AgentOrder`.

Errors here name the field alone, as all errors of a batch do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

from wavepool.errors import PlanError
from wavepool.inputs.environment import string_problem
from wavepool.model import AgentOrder
from wavepool.plan.misspelt import near_fields

NUMBER_MAX = (1 << 53) - 1
"""The bound of counts of turns and tokens: JSON's own of whole numbers."""
TEXT_MAX_CHARACTERS = 256
FLAGS_MAX = 200
OUTPUT_FORMATS = ("stream-json", "json")


def read_agent(given: object, usual: AgentOrder | None = None) -> AgentOrder | None:
    """The order of a batch's `agent`; None where there is none.

    Args:
        given: a name, or an object whose `name` may be missing where `usual` has one.
        usual: what holds where it says nothing; flags and model only for the same agent.

    Raises:
        PlanError: of a field ``agent``, or ``agent.max_turns``.
    """
    if given is None:
        return None
    fields = {"name": given} if isinstance(given, str) else given
    if not isinstance(fields, dict):
        raise PlanError("agent", given, "the name of an agent, or an object with its `name`")
    for name, best in near_fields(fields, FIELDS):
        raise PlanError(f"agent.{name}", fields[name], f"a field of an agent; did you mean {best}?")
    unknown = next((name for name in fields if name not in FIELDS), None)
    if unknown is not None:
        raise PlanError(f"agent.{unknown:.80}", fields[unknown], f"a field of an agent: {', '.join(FIELDS)}")
    try:
        return order_of(fields, usual)
    except PlanError as error:
        raise PlanError(f"agent.{error.path}", error.value, error.expected) from None


def order_of(fields: Mapping[str, object], usual: AgentOrder | None = None) -> AgentOrder:
    """The order that these fields of `FIELDS` amount to; None among them is "not given".

    Raises:
        PlanError: a value is wrong, or there is no name.
    """
    given: dict[str, Any] = {name: FIELDS[name](name, value) for name, value in fields.items() if value is not None}
    name = given.get("name", None if usual is None else usual.name)
    if not isinstance(name, str):
        raise PlanError("name", None, "the name of an agent")
    if usual is None:
        base = AgentOrder(name=name)
    elif usual.name == name:
        base = usual
    else:  # another agent than the usual one has other models, flags and accounts
        base = replace(usual, name=name, model=None, flags=(), account="")
    return replace(base, **given)


def _name(field: str, given: object) -> str:
    text = _text(field, given)
    if not text.isprintable() or text.strip() != text:
        raise PlanError(field, given, "the name of an agent, such as claude")
    return text


def _text(field: str, given: object) -> str:
    if not isinstance(given, str) or not 1 <= len(given) <= TEXT_MAX_CHARACTERS:
        raise PlanError(field, given, f"text of 1 to {TEXT_MAX_CHARACTERS} characters")
    if (problem := string_problem(given)) is not None:
        raise PlanError(field, given, problem)
    return given


def _whole(field: str, given: object) -> int:
    if type(given) is not int or not 1 <= given <= NUMBER_MAX:
        raise PlanError(field, given, "a whole number from 1")
    return given


def _cost(field: str, given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not isfinite(given) or given <= 0:
        raise PlanError(field, given, "an amount of US dollars above zero, such as 2.50")
    return float(given)


def _flags(field: str, given: object) -> tuple[str, ...]:
    if not isinstance(given, list) or len(given) > FLAGS_MAX:
        raise PlanError(field, given, f"a list of up to {FLAGS_MAX} arguments")
    for index, flag in enumerate(given):
        if not isinstance(flag, str):
            raise PlanError(f"{field}[{index}]", flag, "an argument as text")
        if (problem := string_problem(flag)) is not None:
            raise PlanError(f"{field}[{index}]", flag, problem)
    return tuple(given)


def _output_format(field: str, given: object) -> str:
    if given not in OUTPUT_FORMATS:
        raise PlanError(field, given, " or ".join(OUTPUT_FORMATS))
    return str(given)


FIELDS: Mapping[str, Callable[[str, object], object]] = {
    "name": _name,
    "model": _text,
    "max_turns": _whole,
    "max_cost_usd": _cost,
    "max_tokens": _whole,
    "flags": _flags,
    "output_format": _output_format,
    "account": _text,
}
"""Each field of an agent, and what reads it."""
