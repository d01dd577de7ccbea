"""Options that several verbs have in common: declared once as a dataclass, and given to each verb as one value."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import fields
from typing import Any, get_type_hints


def with_options(
    verb: Callable[..., None], groups: dict[str, type], *, without: Collection[str] = ()
) -> Callable[..., None]:
    """A verb for Typer that has the options of these groups beside its own parameters.

    Args:
        verb: gets each group as one value.
        groups: parameter of the verb -> dataclass whose fields are options, with names of their own.
        without: fields that this verb does not offer; they have their defaults.
    """

    def called(**given: Any) -> None:
        values = {
            parameter: kind(**{name: given.pop(name) for name in offered[parameter]})
            for parameter, kind in groups.items()
        }
        verb(**given, **values)

    offered = {
        parameter: [each.name for each in fields(kind) if each.name not in without]
        for parameter, kind in groups.items()
    }
    own = inspect.signature(verb, eval_str=True)
    parameters = [each for each in own.parameters.values() if each.name not in groups]
    for parameter, kind in groups.items():
        hints = get_type_hints(kind, include_extras=True)
        parameters += [
            inspect.Parameter(
                each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=hints[each.name]
            )
            for each in fields(kind)
            if each.name in offered[parameter]
        ]
    called.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]  # what Typer reads
    called.__annotations__ = {each.name: each.annotation for each in parameters}
    called.__name__, called.__doc__ = verb.__name__, verb.__doc__
    return called
