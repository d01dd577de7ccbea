"""What a plan is once it has been read and checked."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

from wavepool.errors import PlanError
from wavepool.model import Task, Wave


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveSlice:
    """Where one wave's tasks stand: ``tasks[first:end]``, and in the JSON at ``waves[position]``."""

    position: int
    first: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole wave plan, checked.

    Attributes:
        source: the file's name, for messages.
        digest: SHA-256 of the bytes, in hex.
        waves: by rising number.
        tasks: in wave order, within a wave as the plan has them; ids and keys are unique.
        layout: one slice for each of `waves`.
        root: the path of the list of waves in the JSON: ``waves`` or ``waves.waves``; of a task list its list's, which
            is empty where the file is that list itself.
        flat: the tasks stand in one list, and in no waves.
        warnings: one sentence each, bounded in number.
    """

    source: str
    digest: str
    waves: tuple[Wave, ...]
    tasks: tuple[Task, ...]
    layout: tuple[WaveSlice, ...]
    root: str = "waves"
    flat: bool = False
    warnings: tuple[str, ...] = ()

    def wave(self, number: int) -> Wave:
        """The wave of this number.

        Raises:
            PlanError: there is none; the message names those that there are.
        """
        return self.waves[self._index(number)]

    def tasks_of(self, number: int) -> tuple[Task, ...]:
        """The tasks of one wave, as the plan has them.

        Raises:
            PlanError: there is no such wave.
        """
        part = self.layout[self._index(number)]
        return self.tasks[part.first : part.end]

    def only(self, number: int) -> Plan:
        """This plan with one wave alone. Dependencies on other waves are taken as met, and a warning says so.

        Raises:
            PlanError: there is no such wave.
        """
        index = self._index(number)
        tasks = self.tasks_of(number)
        ids = {task.id for task in tasks}
        inside = tuple(_within(task, ids) for task in tasks)
        dropped = sum(len(task.depends_on) for task in tasks) - sum(len(task.depends_on) for task in inside)
        warning = f"wave {number}: {dropped} dependencies on batches of other waves are taken as met"
        return replace(
            self,
            waves=(self.waves[index],),
            tasks=inside,
            layout=(replace(self.layout[index], first=0, end=len(inside)),),
            warnings=(*self.warnings, warning) if dropped else self.warnings,
        )

    def path_of(self, task_index: int) -> str:
        """Where the file has ``tasks[task_index]``: at ``waves[0].batches[3]``, in a task list at ``tasks[3]``."""
        # Empty waves share their `first` with the next wave; the last of them is the one with tasks.
        part = self.layout[bisect_right(self.layout, task_index, key=lambda part: part.first) - 1]
        return self._path(part, task_index - part.first)

    def paths(self) -> Iterator[tuple[str, Task]]:
        """Each task with the path of its batch."""
        for part in self.layout:
            for place, task in enumerate(self.tasks[part.first : part.end]):
                yield self._path(part, place), task

    def _path(self, part: WaveSlice, place: int) -> str:
        return f"{self.root}[{place}]" if self.flat else f"{self.root}[{part.position}].batches[{place}]"

    def _index(self, number: int) -> int:
        for index, wave in enumerate(self.waves):
            if wave.number == number:
                return index
        raise PlanError("--wave-number", number, f"one of the waves in {self.source}: {self._numbers()}")

    def _numbers(self) -> str:
        numbers = [str(wave.number) for wave in self.waves[:20]]
        more = ["…"] if len(self.waves) > 20 else []
        return ", ".join(numbers + more) or "it has none"


def _within(task: Task, ids: set[str]) -> Task:
    inside = tuple(needed for needed in task.depends_on if needed in ids)
    return task if len(inside) == len(task.depends_on) else replace(task, depends_on=inside)
