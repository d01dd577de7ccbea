"""Tasks, attempts and waves as documents have them: what there is of each, and nothing that there is not."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from wavepool.engine.history.chronicle import AttemptStory, TaskStory
from wavepool.engine.report import stamp
from wavepool.listeners.evidence import evidence_words
from wavepool.listeners.figures import Figures, WaveProgress
from wavepool.listeners.saying import saying_words
from wavepool.listeners.wording import WAITED_FOR
from wavepool.model import AgentEvent, AgentReport, AttemptPhase, Task
from wavepool.monitoring.documents.runs import AttemptEntry, TaskCounts, TaskEntry, WaveEntry

COMMAND_SHOWN = 500
"""Characters of a command; the rest is in the plan."""

FINDINGS_SHOWN = 20
"""Warnings of one attempt, the newest."""


def counts_of(figures: Figures) -> TaskCounts:
    """Tasks by where they are."""
    return {
        "total": figures.total,
        "pending": figures.pending,
        "starting": figures.starting,
        "running": figures.running,
        "succeeded": figures.success,
        "failed": figures.failed + figures.timeout - figures.skipped,
        "skipped": figures.skipped,
    }


def wave_entry(wave: WaveProgress) -> WaveEntry:
    """One wave, as far as it is. What an open one takes is the time since `opened_at`; of one that was opened again it
    is `took_before_s`, and the time since `reopened_at`."""
    entry: WaveEntry = {"number": wave.number, "state": wave.state, "tasks": counts_of(wave)}
    _add(entry, opened_at=stamp(wave.opened_at), settled_at=stamp(wave.settled_at))
    if wave.settled_at is not None:
        _add(entry, took_s=_rounded(wave.duration_s))
    elif wave.duration_s is not None:
        _add(entry, took_before_s=_rounded(wave.duration_s), reopened_at=stamp(wave.since))
    _add(entry, parallelism=wave.room.parallelism)
    bound = wave.waits_for if wave.state == "open" else None
    if bound is not None:
        entry["waits_for"] = WAITED_FOR[bound.bound]
    return entry


def state_of(story: TaskStory, unreached: str | None) -> str:
    """A word of `TaskEntry`. `unreached`: the run is over, and this is why what it did not come to is skipped."""
    last = story.last
    if last is None:
        return "skipped" if story.skipped is not None or unreached is not None else "pending"
    if last.verdict is not None:
        waits = last.because is not None and story.skipped is None and unreached is None
        return "retrying" if waits else last.verdict.kind.value
    return "starting" if last.phase is AttemptPhase.INTENDED else last.phase.value


def task_entry(story: TaskStory, place: int, unreached: str | None, saying: AgentEvent | None = None) -> TaskEntry:
    """One task with all its attempts. `place`: in the plan's order, from 0; `saying`: the last word of its agent."""
    task, state = story.task, state_of(story, unreached)
    entry: TaskEntry = {"key": task.key, "id": task.id, "wave": task.wave, "place": place, "state": state}
    entry["tier"] = task.tier
    entry["memory_limit_bytes"] = task.limits.memory_bytes
    _add(entry, why=_why(story, state, unreached), image=task.image, command=_command(task))
    _add(entry, agent=None if task.agent is None else task.agent.name, files=len(task.files) or None)
    _add(entry, depends_on=list(task.depends_on) or None, variables=sorted(task.env) or None)
    if story.attempts:
        entry["attempts"] = {str(each.id.number): attempt_entry(each) for each in story.attempts}
        _add(entry, **_used(story, saying), says=None if saying is None else saying_words(saying))
    return entry


def attempt_entry(attempt: AttemptStory) -> AttemptEntry:
    """One attempt, as far as it is."""
    entry: AttemptEntry = {
        "number": attempt.id.number,
        "state": attempt.state,
        "intended_at": stamp(attempt.intended_at) or "",
        "held_bytes": attempt.held_bytes,
    }
    started_at = attempt.started_at or (attempt.known_at if attempt.is_running else None)
    _add(entry, started_at=stamp(started_at), ended_at=stamp(attempt.finished_at))
    _add(entry, duration_s=_rounded(attempt.took_s), warm=attempt.warm or None)
    if attempt.handle is not None:
        _add(entry, container_id=attempt.handle.id or None, container_name=attempt.handle.name or None)
    if attempt.verdict is not None:
        evidence = [attempt.verdict.evidence.reason, *evidence_words(attempt.verdict, peak=False)]
        _add(entry, exit_code=attempt.verdict.exit_code, evidence=[each for each in evidence if each] or None)
        _add(entry, memory_peak_bytes=attempt.verdict.evidence.memory_peak_bytes)
    if attempt.log is not None:
        _add(entry, log_bytes=attempt.log.size_bytes, log_problem=attempt.log.problem)
    _add(entry, warnings=attempt.warnings[-FINDINGS_SHOWN:] or None, kept=attempt.kept)
    _add(entry, left_behind=attempt.problem, retried_because=attempt.because)
    if attempt.agent is not None:
        agent = attempt.agent
        _add(entry, cost_usd=agent.cost_usd, tokens=agent.tokens.total, turns=agent.turns)
    if attempt.changes is not None:
        _add(entry, branch=attempt.changes.branch, changed_files=attempt.changes.files)
    return entry


def iso(at: datetime) -> str:
    """A time as all documents have it."""
    return stamp(at) or ""


def _why(story: TaskStory, state: str, unreached: str | None) -> str | None:
    last = story.last
    if state == "retrying":
        return None if last is None else last.because
    if story.skipped is not None:
        return story.skipped
    if last is None:
        return unreached
    return last.verdict.evidence.reason or None if last.verdict is not None else None


def _command(task: Task) -> str | None:
    parts = [task.command] if task.command is not None else list(task.commands)
    text = "; ".join(shlex.join(each) for each in parts)
    return (text if len(text) <= COMMAND_SHOWN else f"{text[: COMMAND_SHOWN - 1]}…") or None


def _used(story: TaskStory, saying: AgentEvent | None) -> Mapping[str, Any]:
    """By the agents of all its attempts together, up to now."""
    told = [each.agent for each in story.attempts if each.agent is not None]
    found: list[AgentReport | AgentEvent] = [*told, *([] if saying is None else [saying])]
    costs = [each.cost_usd for each in found if each.cost_usd is not None]
    tokens = sum(each.tokens.total for each in found)
    return {"cost_usd": round(sum(costs), 6) if costs else None, "tokens": tokens if found else None}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _add(entry: Any, **members: Any) -> None:
    """What is None has nothing to say, and is left out."""
    entry.update((name, value) for name, value in members.items() if value is not None)
