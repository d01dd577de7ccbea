"""`wavepool show RUN [TASK]`: a run's waves and tasks, or a task's attempts, each with its verdict and evidence."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from wavepool.cli import options
from wavepool.cli.agent_lines import agent_lines, run_words
from wavepool.cli.columns import disk_size, print_columns, say
from wavepool.cli.fix_stories import print_story, show_json
from wavepool.cli.output import print_result
from wavepool.cli.runs import summary_json
from wavepool.cli.settings import settings_of
from wavepool.engine.history.chronicle import AttemptStory, Chronicle, TaskStory
from wavepool.engine.history.fixes import story_named
from wavepool.engine.history.runs import RunHistory, RunSummary, find_run, summary_of
from wavepool.engine.pools.session import SESSION_PREFIX
from wavepool.engine.report import RunReport
from wavepool.engine.usage.figures import Used, used_of, used_words
from wavepool.engine.usage.record import MISSING, UsageRecord, read_record
from wavepool.errors import InfrastructureError, InputError
from wavepool.listeners.evidence import evidence_words
from wavepool.listeners.wording import count, stamp, took
from wavepool.statedir import StateDir
from wavepool.units import format_duration, format_size

HEADINGS = ("task", "wave", "state", "attempts", "exit", "took", "why")


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="show", short_help="Show a run's waves and tasks, or all attempts of a task.")(show)


def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's or a fix's id, the start of one, or latest.")],
    task: Annotated[str | None, typer.Argument(metavar="[TASK]", help="A task's id, or the start of one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All of it as JSON.")] = False,
    state_dir: options.StateDirectory = None,
) -> None:
    """Show RUN, live or ended, as its journal tells it; with TASK all attempts of that task. Changes nothing.

    Of a fix: its rounds, with what each check counted, and their runs.
    """
    settings = settings_of(state_dir=state_dir)
    fix = None if task is not None else story_named(StateDir(settings.state_dir), run)
    if fix is not None:
        if as_json:
            print_result(show_json(fix))
        else:
            print_story(fix)
        return
    history = find_run(StateDir(settings.state_dir), run)
    if not history.has_journal():
        raise InputError(f"run {history.id} has no journal", advice=_without_journal(history))
    summary = summary_of(history)
    if summary.problem is not None:
        raise InfrastructureError(summary.problem, advice=f"Its files are in {history.files.path}.")
    facts = list(history.facts())
    chronicle, usage = Chronicle.of(facts), read_record(history.files.usage)
    if task is not None:
        story = chronicle.task(task)
        if as_json:
            print_result(task_json(history, story, usage))
        else:
            _print_task(history, story, usage)
    elif as_json:
        print_result(run_json(history, summary, RunReport.of(facts), chronicle, usage))
    else:
        _print_run(history, summary, RunReport.of(facts).result(), chronicle, usage)


def run_json(
    history: RunHistory, summary: RunSummary, report: RunReport, chronicle: Chronicle, usage: UsageRecord
) -> dict[str, Any]:
    """The results as they are now, where the run stands, what it used, and the attempts of every task."""
    result = report.result()
    for wave in result["waves"]:
        for entry in wave["containers"]:
            attempts = chronicle.tasks[entry["batch_id"]].attempts
            entry["history"] = [attempt_json(each, usage) for each in attempts]
    result["used"] = used_of(usage.together)
    if usage.problem:
        result["usage_problem"] = usage.problem
    beside = {name: value for name, value in summary_json(summary).items() if name not in result}
    return {**result, **beside, "path": str(history.files.path)}


def attempt_json(attempt: AttemptStory, usage: UsageRecord) -> dict[str, Any]:
    """One attempt, and what it used where that is known."""
    return {**attempt.result(), "used": _used(attempt, usage)}


def task_json(history: RunHistory, story: TaskStory, usage: UsageRecord) -> dict[str, Any]:
    """One task with all its attempts."""
    task = story.task
    return {
        "run_id": history.id,
        "task_id": task.id,
        "wave_number": task.wave,
        "state": story.state,
        "skipped_because": story.skipped,
        "command": task.command,
        "agent": None if task.agent is None else task.agent.name,
        "image": task.image,
        "memory_limit": format_size(task.limits.memory_bytes),
        "depends_on": task.depends_on,
        "path": str(history.files.path),
        "attempts": [attempt_json(each, usage) for each in story.attempts],
    }


def _used(attempt: AttemptStory, usage: UsageRecord) -> Used | None:
    recorded = usage.attempts.get(attempt.id)
    return None if recorded is None else used_of(recorded.series)


def _print_run(
    history: RunHistory, summary: RunSummary, result: Mapping[str, Any], chronicle: Chronicle, usage: UsageRecord
) -> None:
    say(_headline(summary, result))
    say(f"files {history.files.path} ({disk_size(summary.size_bytes)})")
    used = used_of(usage.together)
    if used is not None:
        say(f"used {used_words(used)}")
    if usage.problem and usage.problem != MISSING:
        say(f"usage: {usage.problem}")
    if result.get("agents"):
        say(f"agents used {run_words(result['agents'])}")
    if result.get("stopped_because"):
        say(f"stopped because {result['stopped_because']}")
    if summary.paused_at is not None:
        say(f"paused since {stamp(summary.paused_at)}, nothing new starts: wavepool unpause {summary.run_id}")
    if summary.resume is not None:
        say(f"go on with it: {summary.resume}")
        if any(entry["verdict"] == "cancelled" for wave in result["waves"] for entry in wave["containers"]):
            say(f"what was cancelled stays so, but for: wavepool retry {summary.run_id} --failed")
    for problem in result.get("left_behind", ()):
        say(f"left behind: {problem}")
    for wave in result["waves"]:
        metrics = dict(wave["metrics"])
        metrics["pending"] -= metrics["running"]  # which have no verdict yet either
        counts = ", ".join(f"{metrics[name]} {name}" for name in _COUNTED if metrics[name])
        took = "" if wave["duration_s"] is None else f", {format_duration(wave['duration_s'])}"
        say(f"wave {wave['wave_number']}: {count(metrics['total'], 'task')}: {counts}{took}")
    say()
    print_columns(HEADINGS, map(_row, chronicle.tasks.values()), right=("wave", "attempts", "exit", "took"))


_COUNTED = ("success", "failed", "timeout", "running", "pending")


def _headline(summary: RunSummary, result: Mapping[str, Any]) -> str:
    parts = [f"run {summary.run_id}: {summary.standing.value}"]
    if summary.started_at is not None:
        parts.append(f"began {stamp(summary.started_at)}")
    if summary.took_s is not None:
        parts.append(f"took {took(summary.took_s, summary.since_start_s)}" if summary.standing.is_over else "")
    if summary.driver:
        parts += [summary.driver, str(result["schedule"])]
        parts.append(f"{summary.done} of {summary.total} tasks done, {summary.failed} failed")
    return ", ".join(part for part in parts if part)


def _row(story: TaskStory) -> tuple[str, ...]:
    last = story.last
    verdict = None if last is None else last.verdict
    exit_code = None if verdict is None else verdict.exit_code
    reason = story.skipped or ("" if verdict is None else verdict.evidence.reason)
    return (
        story.task.id,
        str(story.task.wave),
        story.state,
        str(len(story.attempts)),
        "-" if exit_code is None else str(exit_code),
        "-" if last is None or last.took_s is None else format_duration(last.took_s),
        reason,
    )


def _print_task(history: RunHistory, story: TaskStory, usage: UsageRecord) -> None:
    task = story.task
    say(f"task {task.id} of run {history.id}, wave {task.wave}: {story.state}")
    if story.skipped is not None:
        say(f"no further attempt: {story.skipped}")
    command = "the image's own" if task.command is None else shlex.join(task.command)
    if task.agent is not None:
        command = (
            f"of the agent {task.agent.name}" if task.command is None else f"{command}, read as {task.agent.name}'s"
        )
    say(f"command {command}; memory {format_size(task.limits.memory_bytes)}; image {task.image or 'of the run'}")
    for attempt in story.attempts:
        _print_attempt(history, story, attempt, _used(attempt, usage))


def _print_attempt(history: RunHistory, story: TaskStory, attempt: AttemptStory, used: Used | None) -> None:
    verdict, log = attempt.verdict, attempt.log
    took = "" if attempt.took_s is None else f", took {format_duration(attempt.took_s)}"
    started = attempt.started_at or attempt.intended_at
    say()
    say(f"attempt {attempt.id.number}: {attempt.state}, began {stamp(started)}{took}")
    if attempt.handle is not None:
        say(f"  container {attempt.handle.name} {attempt.handle.id[:12]}".rstrip())
    if verdict is not None:
        if verdict.evidence.reason:
            say(f"  because   {verdict.evidence.reason}")
        if told := "; ".join(evidence_words(verdict)):
            say(f"  evidence  {told}")
    if used is not None:
        say(f"  used      {used_words(used)}")
    for label, words in agent_lines(attempt, history.files.path):
        say(f"  {label:<8}  {words}")
    for warning in attempt.warnings:
        say(f"  warning   {warning}")
    if log is not None:
        place = "none" if log.path is None else f"{history.files.path / log.path} ({log.size_bytes} bytes)"
        say(f"  log       {place}{'' if log.problem is None else f'; {log.problem}'}")
    if attempt.kept is not None:
        look = shlex.join(["wavepool", "exec", history.id, story.task.id, "--attempt", str(attempt.id.number)])
        say(f"  kept      {attempt.kept}: {look}")
    if attempt.not_kept is not None:
        say(f"  not kept  {attempt.not_kept}")
    if attempt.problem is not None:
        say(f"  left      {attempt.problem}")
    if attempt.because is not None:
        say(f"  then      another attempt: {attempt.because}")


def _without_journal(history: RunHistory) -> str:
    if history.id.startswith(SESSION_PREFIX):
        return "It is a session of warm pools: `wavepool pool status` shows those."
    if history.is_live():
        return "It has only just begun: try again in a moment."
    return f"`wavepool spawn` keeps none. Its files are in {history.files.path}."
