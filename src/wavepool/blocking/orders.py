"""Tasks as users of the seed write them (mappings), and what they come to: tasks of a plan, with prompts read."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from wavepool.blocking.config import ContainerConfig, for_complexity
from wavepool.engine.attempts.egress import EGRESS_BYTES
from wavepool.errors import InputError, SettingError
from wavepool.inputs import check_workspace
from wavepool.labels import task_key
from wavepool.model import Limits, Task, Wave
from wavepool.plan import Plan
from wavepool.plan.dependencies import find_circle
from wavepool.plan.limits import DEFAULT_PIDS
from wavepool.plan.schema import WaveSlice
from wavepool.units import parse_duration

ID_MAX_CHARACTERS = 256
BESIDE_BYTES = EGRESS_BYTES
"""The proxy beside a sealed agent."""
_TEXTS = ("name", "complexity")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOrder:
    """One task as it was given, with its fields checked.

    Attributes:
        id, name: `name` is the id where none was given.
        prompt_file: relative to the task's directory, else to the working directory.
        max_turns, timeout_s: None for the config's.
        dependencies: ids of tasks that must succeed first.
        target_files: told to the task in `files`.
        config: what its container gets.
    """

    id: str
    name: str
    prompt_file: str
    max_turns: int | None
    timeout_s: float | None
    dependencies: tuple[str, ...]
    target_files: tuple[str, ...]
    config: ContainerConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRoom:
    """What tasks can be given here: cores, memory in all, and what of that is free now, as ``--budget auto`` has it."""

    cpus: float
    memory_bytes: int
    free_bytes: int

    def budget_bytes(self, tasks: Sequence[Task]) -> int:
        """What is free; at least what the largest task needs with a proxy beside it, or nothing could start at all."""
        largest = max((task.limits.memory_bytes for task in tasks), default=0)
        return min(self.memory_bytes, max(self.free_bytes, largest + BESIDE_BYTES))

    @property
    def largest_bytes(self) -> int:
        """The most that one task can have."""
        return self.memory_bytes - BESIDE_BYTES


def read_order(given: object, usual: ContainerConfig, where: str) -> TaskOrder:
    """One task of the seed: a mapping with `id`, and what else it says.

    Args:
        usual: the config of tasks that have none of their own in `container_config`, and no `complexity`.
        where: names it in messages, as ``tasks[2]``.

    Raises:
        InputError: naming the field, what it is and what was expected.
    """
    if not isinstance(given, Mapping):
        raise SettingError(where, given, "a mapping with at least `id`")
    task_id = given.get("id")
    if not isinstance(task_id, str) or not 1 <= len(task_id) <= ID_MAX_CHARACTERS or "\0" in task_id:
        raise SettingError(f"{where}.id", task_id, f"text of 1 to {ID_MAX_CHARACTERS} characters")
    for field in _TEXTS:
        if not isinstance(given.get(field, ""), str | None):
            raise SettingError(f"{where}.{field}", given[field], "text")
    return TaskOrder(
        id=task_id,
        name=given.get("name") or task_id,
        prompt_file=_path(given, where, f"prompts/{task_id}.md"),
        max_turns=_turns(given.get("max_turns"), f"{where}.max_turns"),
        timeout_s=_seconds(given.get("timeout_seconds"), f"{where}.timeout_seconds"),
        dependencies=_names(given.get("dependencies"), f"{where}.dependencies"),
        target_files=_names(given.get("target_files"), f"{where}.target_files"),
        config=_config(given, usual, where),
    )


def check_orders(orders: Sequence[TaskOrder]) -> None:
    """See that ids are unique, dependencies are there, and none waits for itself.

    Raises:
        InputError: naming what is wrong.
    """
    known = Counter(order.id for order in orders)
    for task_id, times in known.items():
        if times > 1:
            raise SettingError("tasks", task_id, f"ids that differ: {times} tasks have this one")
    for order in orders:
        for needed in order.dependencies:
            if needed not in known:
                raise SettingError(f"the dependencies of task {order.id!r}", needed, "the id of one of the tasks")
    limits = Limits(memory_bytes=1)
    circle = find_circle(
        {
            order.id: Task(id=order.id, key="x", wave=1, tier=1, limits=limits, depends_on=order.dependencies)
            for order in orders
        }
    )
    if circle is not None:
        raise SettingError("dependencies", " -> ".join(circle), "no circle: each of these tasks waits for the next")


def checked_most(most: object, name: str = "max_parallel") -> int | None:
    """How many at once; None for no bound of the user's.

    Raises:
        SettingError: it is no whole number from 1.
    """
    if most is not None and (type(most) is not int or most < 1):
        raise SettingError(name, most, "a whole number from 1, or None")
    return most


def task_of(order: TaskOrder, directory: str | os.PathLike[str], room: HostRoom) -> Task:
    """The task, with its prompt read; what it asks for beyond what the host has is taken for all of it.

    Raises:
        InputError: its directory or its prompt is not there, or its config is wrong.
    """
    config = order.config
    config.check()
    workspace = check_workspace(Path(directory), option=f"the directory of task {order.id!r}")
    return Task(
        id=order.id,
        key=task_key(order.id),
        wave=1,
        tier=1,
        limits=Limits(
            memory_bytes=min(config.memory_bytes, room.largest_bytes),
            cpus=min(config.cpus, room.cpus),
            pids=DEFAULT_PIDS,
        ),
        image=config.image,
        prompt=read_prompt(order.prompt_file, workspace, order.id),
        files=order.target_files,
        env=dict(config.env),
        timeout_s=config.timeout_s if order.timeout_s is None else order.timeout_s,
        depends_on=order.dependencies,
        agent=config.order(order.max_turns),
        workspace=str(workspace),
        extra={"name": order.name},
    )


def read_prompt(name: str, workspace: Path, task_id: str) -> str:
    """The prompt's text: of a file in the task's directory, else in the working directory.

    Raises:
        InputError: it is in neither, cannot be read, is no UTF-8, or is empty.
    """
    places = list(dict.fromkeys((workspace / name, Path.cwd() / name)))
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        looked = " and ".join(str(place) for place in places)
        raise InputError(f"the prompt of task {task_id!r} is not there: {looked}", advice="Give it in `prompt_file`.")
    try:
        text = found.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the prompt of task {task_id!r}, {found}, cannot be read: {error}") from None
    if not text.strip():
        raise InputError(f"the prompt of task {task_id!r}, {found}, is empty")
    return text


def plan_of(tasks: Sequence[Task], at_once: int | None) -> Plan:
    """One wave of them, of which `at_once` run together at most; None for as many as fit."""
    return Plan(
        source="tasks",
        digest=_digest(tasks),
        waves=(Wave(number=1, parallelism=at_once),),
        tasks=tuple(tasks),
        layout=(WaveSlice(position=0, first=0, end=len(tasks)),),
        root="tasks",
        flat=True,
    )


def without_dependents(tasks: Iterable[Task], failed: Iterable[str]) -> tuple[list[Task], dict[str, str]]:
    """(the tasks that can run, those that cannot because of one in `failed`: id -> which it waits for)."""
    gone = dict.fromkeys(failed, "")
    left = list(tasks)
    while True:
        lost = {task.id: needed for task in left for needed in task.depends_on if needed in gone}
        if not lost:
            return left, {task_id: needed for task_id, needed in gone.items() if needed}
        gone |= lost
        left = [task for task in left if task.id not in lost]


def _digest(tasks: Iterable[Task]) -> str:
    found = hashlib.sha256()
    for task in tasks:
        found.update(json.dumps(asdict(task), sort_keys=True, default=str).encode())
    return found.hexdigest()


def _config(given: Mapping[str, Any], usual: ContainerConfig, where: str) -> ContainerConfig:
    own = given.get("container_config")
    if own is not None and not isinstance(own, ContainerConfig):
        raise SettingError(f"{where}.container_config", own, "a ContainerConfig")
    if own is not None:
        return replace(own)
    complexity = given.get("complexity")
    return replace(usual) if complexity is None else for_complexity(usual, complexity)


def _path(given: Mapping[str, Any], where: str, default: str) -> str:
    value = given.get("prompt_file")
    if value is None:
        return default
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise SettingError(f"{where}.prompt_file", value, "the name of a file")
    return str(os.fspath(value))


def _turns(value: object, where: str) -> int | None:
    if value is None:
        return None
    if type(value) is not int or value < 1:
        raise SettingError(where, value, "a whole number from 1")
    return value


def _seconds(value: Any, where: str) -> float | None:
    if value is None:
        return None
    try:
        return parse_duration(value)
    except InputError as error:
        raise SettingError(where, value, "seconds above zero, or text such as 30m") from error


def _names(value: object, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise SettingError(where, value, "a list of texts")
    names = tuple(value)
    wrong = next((name for name in names if not isinstance(name, str)), None)
    if wrong is not None:
        raise SettingError(where, wrong, "a list of texts")
    return names
