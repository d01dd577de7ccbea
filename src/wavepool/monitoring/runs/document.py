"""The document of one run, and its changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from wavepool.core.events import Now
from wavepool.engine.clock import Clock
from wavepool.engine.usage.figures import used_of
from wavepool.engine.usage.record import UsageRecord
from wavepool.model import AttemptId
from wavepool.monitoring.channels import Channel, merge_patch
from wavepool.monitoring.documents.runs import FailureGroup, RunDocument, TaskEntry
from wavepool.monitoring.runs.causes import GROUPS_SHOWN
from wavepool.monitoring.runs.entries import iso, wave_entry
from wavepool.monitoring.runs.folds import TaskFold
from wavepool.monitoring.runs.followed import FollowedRun
from wavepool.monitoring.usage.readings import SHOWN as READINGS_SHOWN
from wavepool.monitoring.usage.readings import SHOWN_ENDED as READINGS_SHOWN_ENDED
from wavepool.monitoring.usage.readings import RunUsage

SHOWN = 500
"""Tasks in a document."""

LEFT_SHOWN = 100
"""Of what was left behind, so many sentences."""

VOLATILE_S = 1.0
"""What changes by time alone is told so often, while a run is under way."""


_Json = Mapping[str, Any]


class RunChannel(Channel):
    """The document is made anew where something has changed, and only there: a patch costs what it tells.

    Args:
        run: followed by somebody else; here it is only looked at.
        usage: of its attempts.
        clock: for what changes by time alone.
        shown: tasks in the document.
    """

    def __init__(self, run: FollowedRun[TaskFold], usage: RunUsage, clock: Clock, *, shown: int = SHOWN) -> None:
        self.name = f"run:{run.id}"
        self.run = run
        self.usage = usage
        self._clock = clock
        self._most = shown
        self._fold: TaskFold | None = None
        self._told: dict[str, Any] = {}
        self._waves: dict[str, Any] = {}
        self._tasks: dict[str, Any] = {}
        self._groups: Mapping[str, FailureGroup] = {}
        self._counted: tuple[object, ...] = ()
        self._seen: tuple[object, ...] = ()
        self._volatile_s = 0.0
        self.take_patch()

    def take_patch(self) -> Mapping[str, Any] | None:
        now, run = self._clock.now(), self.run
        seen = (run.fold, run.fold.facts, run.fold.heard, run.standing, run.problem, run.pid, self.usage.record)
        due = run.is_under_way and now.boot_s - self._volatile_s >= VOLATILE_S
        if seen == self._seen and not self.usage.changed and not due:
            return None
        self._seen, self._volatile_s = seen, now.boot_s
        patch = self._change_of_run(now)
        for name, change in (("waves", self._change_of_waves()), ("tasks", self._change_of_tasks())):
            if change:
                patch[name] = change
        self._fold = run.fold
        if patch:
            patch["as_of"] = self._told["as_of"] = iso(now.utc)
        return patch or None

    def document(self) -> RunDocument:
        return self._with_histories(self._told, self._waves, self._tasks)

    def whole(self) -> RunDocument:
        """The document as it is now, whatever was told. The patches go on from `document`."""
        now, fold = self._clock.now(), self.run.fold
        told = {**self._of_run(now), "as_of": iso(now.utc)}
        waves = {str(number): wave_entry(wave) for number, wave in fold.progress.waves.items()}
        tasks = {fold.key(task_id): self.entry(task_id) for task_id in fold.shown(self._most)}
        return self._with_histories(told, waves, tasks)

    def entry(self, task_id: str) -> TaskEntry:
        """One task as it is now, whether the document has it or not."""
        entry = self.run.fold.entry(task_id)
        usage = self.usage.now(task_id)
        if usage is not None:
            entry["usage"] = usage
        if self._usage_is_told:
            for number, attempt in entry.get("attempts", {}).items():
                used = self.usage.used(AttemptId(task_id, int(number)))
                if used is not None:
                    attempt["used"] = used
        return entry

    # -- inside --

    @property
    def _usage_is_told(self) -> bool:
        """Whether what was written down is all: nobody works on the run any more."""
        return self.usage.record is not None and not self.run.is_under_way

    def _with_histories(
        self, told: Mapping[str, Any], waves: Mapping[str, Any], tasks: Mapping[str, Any]
    ) -> RunDocument:
        found: dict[str, Any] = {**told, "waves": dict(waves), "tasks": dict(tasks)}
        fold = self.run.fold
        for task_id in self.usage.tasks():
            key = fold.key(task_id) if task_id in fold.chronicle.tasks else ""
            if key in tasks:
                most = READINGS_SHOWN if task_id in fold.under_way else READINGS_SHOWN_ENDED
                found["tasks"][key] = {**tasks[key], "history": self.usage.history(task_id, most)}
        together = self.usage.together()
        if together is not None:
            found["usage"] = together
        return cast(RunDocument, found)

    def _of_run(self, now: Now) -> dict[str, Any]:
        fold = self.run.fold
        found: dict[str, Any] = {"run": self.run.line(now)}
        if fold.progress.run is not None:
            found["efficiency"] = fold.efficiency(now if self.run.is_under_way else None)
        spans = fold.spans.all()
        if spans:
            found["spans"] = spans
        now_used = self.usage.together_now() if self.run.is_under_way else None
        if now_used is not None:
            found["usage_now"] = now_used
        if self._usage_is_told and self.usage.record is not None:
            _add_used(found, self.usage.record)
        if fold.causes:
            found["failures"] = self._failures(fold)
            if len(fold.causes) > GROUPS_SHOWN:
                found["failures_left_out"] = len(fold.causes) - GROUPS_SHOWN
        if fold.left_behind:
            found["left_behind"] = fold.left_behind[:LEFT_SHOWN]
        if len(fold) > self._most:
            found["tasks_left_out"] = len(fold) - self._most
        return found

    def _failures(self, fold: TaskFold) -> Mapping[str, FailureGroup]:
        """Counted anew only where something failed since, or is tried again."""
        seen = (fold, fold.causes.changes)
        if seen != self._counted:
            self._counted, self._groups = seen, fold.causes.largest(fold.key)
        return self._groups

    def _change_of_run(self, now: Now) -> dict[str, Any]:
        new = self._of_run(now)
        as_of = self._told.pop("as_of", iso(now.utc))
        patch, self._told = merge_patch(self._told, new), {**new, "as_of": as_of}
        return patch

    def _change_of_waves(self) -> dict[str, Any]:
        fold = self.run.fold
        touched, fold.touched_waves = fold.touched_waves, {}
        patch: dict[str, Any] = {}
        if self._fold is not fold:
            patch = _dropped(self._waves, [str(number) for number in fold.progress.waves])
        for number in touched:
            _change(self._waves, str(number), wave_entry(fold.progress.waves[number]), patch)
        return patch

    def _change_of_tasks(self) -> dict[str, Any]:
        fold = self.run.fold
        touched, fold.touched = fold.touched, {}
        heard, self.usage.changed = self.usage.changed, {}
        patch: dict[str, Any] = {}
        anew = self._fold is not fold
        shown: dict[str, str] | None  # by key; None for all
        if anew or (touched and len(fold) > self._most):
            shown = {fold.key(task_id): task_id for task_id in fold.shown(self._most)}
            patch = _dropped(self._tasks, shown)
            changed = touched | {task_id: None for key, task_id in shown.items() if anew or key not in self._tasks}
        else:
            changed = touched
            shown = None if len(fold) <= self._most else dict.fromkeys(self._tasks, "")
        for task_id in changed | {each: None for each in heard if each in fold.chronicle.tasks}:
            key = fold.key(task_id)
            if shown is None or key in shown:
                _change(self._tasks, key, self.entry(task_id), patch)
        return patch


def _add_used(found: dict[str, Any], record: UsageRecord) -> None:
    used = used_of(record.together)
    if used is not None:
        found["used"] = used
    if record.problem:
        found["usage_problem"] = record.problem


def _dropped(told: dict[str, Any], kept: Any) -> dict[str, Any]:
    """Take out of `told` what is not kept; returns the patch that does the same."""
    gone = [name for name in told if name not in kept]
    for name in gone:
        del told[name]
    return dict.fromkeys(gone)


def _change(told: dict[str, Any], name: str, entry: Any, patch: dict[str, Any]) -> None:
    change = merge_patch(told.get(name, {}), entry)
    if change:
        patch[name] = change
    told[name] = entry
