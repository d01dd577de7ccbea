"""What is answered to who changes something, and what a verb of the command line told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, cast

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict


class Nothing(BaseModel):
    """An operation that needs no more than its address: `{}`, or nothing at all."""

    model_config = ConfigDict(extra="forbid")


class RunAnswer(TypedDict):
    """What came of an action on a run.

    `pid` is the process that works on it, `log` what a process that was started now (`detached`) has to say. `taken` is
    false where the run did not take the action in time: ask again. `ended` and `status` tell of a run that ended by it.
    `changed` is false where it was paused (or not) before, `running` how many tasks run meanwhile. `tasks` are the ids
    of those that are tried again, `waiting` of those that follow them.
    """

    run_id: str
    taken: NotRequired[bool]
    paused: NotRequired[bool]
    changed: NotRequired[bool]
    running: NotRequired[int]
    pid: NotRequired[int]
    log: NotRequired[str]
    detached: NotRequired[bool]
    ended: NotRequired[bool]
    status: NotRequired[str]
    tasks: NotRequired[list[str]]
    waiting: NotRequired[list[str]]


def run_answer(run_id: str, found: Mapping[str, Any]) -> RunAnswer:
    """Of what an action returned: all that has a value and a name here."""
    told = {name: value for name, value in found.items() if name in RunAnswer.__annotations__ and value is not None}
    return cast(RunAnswer, {"run_id": run_id, **told})


class CancelledTasks(TypedDict):
    """Ids of tasks that ran and are `stopped`, that had not begun and are `skipped`, of `dependents` that are skipped
    with them, and of those that had `ended` before."""

    run_id: str
    stopped: list[str]
    skipped: list[str]
    dependents: list[str]
    ended: list[str]


def cancelled_tasks(run_id: str, found: Mapping[str, Any]) -> CancelledTasks:
    """Of what the run answered."""
    ids = {name: list(found[name]) for name in ("stopped", "skipped", "dependents", "ended")}
    return cast(CancelledTasks, {"run_id": run_id, **ids})


class VerbResult(TypedDict):
    """What a verb of the command line had to say with `--json`, and its exit code."""

    exit_code: int
    result: dict[str, Any]
