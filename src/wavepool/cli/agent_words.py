"""What stands after ``--``: words for the agent, and no prompts of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

_KEY = "wavepool.agent_words"


class AgentCommand(TyperCommand):
    """A command whose arguments after ``--`` are the agent's: for ``command`` its argv, for others further flags."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # its type is private to Typer
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[_KEY] = tuple(args[end + 1 :])
        return super().parse_args(ctx, args[:end])


def agent_words(context: Any) -> Sequence[str]:
    """The words of one call."""
    words: Sequence[str] = context.meta.get(_KEY, ())
    return words
