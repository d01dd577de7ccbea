"""Which agents there are: ours, and those of installed packages (entry points of the group ``wavepool.agents``)."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from wavepool.agents.base import AgentAdapter
from wavepool.agents.claude import Claude
from wavepool.agents.codex import Codex
from wavepool.agents.command import Command
from wavepool.errors import InputError
from wavepool.model import Task

GROUP = "wavepool.agents"

ADAPTERS: Mapping[str, AgentAdapter] = MappingProxyType({each.name: each for each in (Claude(), Codex(), Command())})
"""Ours, by their names. Packages cannot take these names."""


def names() -> list[str]:
    """All names that `adapter` knows, ours first. Loads nothing."""
    return [*ADAPTERS, *sorted({point.name for point in _installed()} - set(ADAPTERS))]


def adapter(name: str) -> AgentAdapter:
    """The adapter of that name.

    Raises:
        InputError: there is none, with the names that there are; or the package that brings it cannot be used.
    """
    ours = ADAPTERS.get(name)
    if ours is not None:
        return ours
    for point in _installed():
        if point.name == name:
            return _loaded(point)
    near = get_close_matches(name, names(), n=1, cutoff=0.5)
    raise InputError(
        f"there is no agent {name!r}" + (f"; did you mean {near[0]}?" if near else ""),
        advice=f"There are: {', '.join(names())}.",
    )


def argv(task: Task) -> tuple[str, ...] | None:
    """What runs a task: its own command, else what its agent's adapter makes of its order; None for the image's own.

    A task may have both: then the agent's adapter only reads the output (`commands` are not looked at here).

    Raises:
        InputError: there is no such agent, or it cannot be run like that.
    """
    if task.command is not None or task.agent is None:
        return task.command
    return adapter(task.agent.name).command(task.agent)


def _installed() -> list[EntryPoint]:
    return sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value))


def _loaded(point: EntryPoint) -> AgentAdapter:
    try:
        found = point.load()
        made = found() if isinstance(found, type) else found
    except Exception as error:  # whatever code of others raises as it is imported
        raise InputError(
            f"the agent {point.name!r} cannot be loaded from {point.value}: {error}",
            advice="Repair or remove the package that brings it.",
        ) from error
    if not isinstance(made, AgentAdapter):
        raise InputError(
            f"the agent {point.name!r} is no adapter: {point.value} is {type(made).__name__}",
            advice="It must be an AgentAdapter of wavepool.agents, or a class of them without arguments.",
        )
    return made
