"""`--warm [N]`: an option whose value may be left out, before whatever comes next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

OPTION = "--warm"
UNTOLD = "auto"


class WarmCommand(TyperCommand):
    """A command with `--warm`. Of `--warm plan.json` the file is the plan: only a number, or auto, is N."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # its type is private to Typer
        return super().parse_args(ctx, spelled_out(args))


def spelled_out(args: Sequence[str]) -> list[str]:
    """The same arguments, where `--warm` always has a value of its own."""
    end = args.index("--") if "--" in args else len(args)
    told: list[str] = []
    for place, word in enumerate(args):
        following = args[place + 1] if place + 1 < end else ""
        if word == OPTION and place < end and not _is_value(following):
            told.append(f"{OPTION}={UNTOLD}")
        else:
            told.append(word)
    return told


def _is_value(word: str) -> bool:
    return word == UNTOLD or word.lstrip("+-").isdigit()
