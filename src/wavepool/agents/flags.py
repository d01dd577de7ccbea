"""Options of ours, and those that the user gave to be passed on: a user's takes the place of the same one of ours."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


def option_name(argument: str) -> str:
    """``--max-turns`` of ``--max-turns=5``; the argument itself where it is no option."""
    return argument.split("=", 1)[0] if argument.startswith("--") else argument


def without_repeated(
    ours: Sequence[str], users: Collection[str], same: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Those of `ours` (each one argument, as ``--name=value``) that the user did not give as well.

    Args:
        same: another spelling, or an option that decides the same -> the name of ours.
    """
    given = {option_name(argument) for argument in users}
    given |= {ours_name for other, ours_name in (same or {}).items() if other in given}
    return tuple(argument for argument in ours if option_name(argument) not in given)


def value_of(name: str, arguments: Sequence[str]) -> str | None:
    """The value that `arguments` give to that option, the last one counting; None where they do not."""
    found = None
    for index, argument in enumerate(arguments):
        if argument.startswith(f"{name}="):
            found = argument[len(name) + 1 :]
        elif argument == name and index + 1 < len(arguments):
            found = arguments[index + 1]
    return found
