"""What is taken out of facts before anything that is shown is made of them: it can then be in no document at all."""

from __future__ import annotations

from dataclasses import replace

from wavepool.core import facts
from wavepool.core.facts import Fact
from wavepool.model import Sidecar, Task

TELLING = frozenset({facts.TasksAdded, facts.RunOpened})
"""Kinds of facts that have anything that nobody is to see; `blanked` gives all others back as they are."""


def blanked(fact: Fact) -> Fact:
    """The fact without prompts, values of variables, and fields of a plan that we do not know.

    It is also the greater part of what a task needs in memory.
    """
    match fact:
        case facts.TasksAdded():
            return replace(fact, tasks=tuple(map(_task, fact.tasks)))
        case facts.RunOpened():
            return replace(fact, surroundings=replace(fact.surroundings, env=dict.fromkeys(fact.surroundings.env, "")))
        case _:
            return fact


def _task(task: Task) -> Task:
    if not (task.prompt or task.env or task.extra or task.sidecars):
        return task
    env = dict.fromkeys(task.env, "")
    return replace(task, prompt="", env=env, extra={}, sidecars=tuple(map(_sidecar, task.sidecars)))


def _sidecar(sidecar: Sidecar) -> Sidecar:
    return replace(sidecar, env=dict.fromkeys(sidecar.env, ""))
