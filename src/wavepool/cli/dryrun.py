"""`--dry-run` of a run: every action, and why."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from rich.console import Console

from wavepool.cli.learned import Lesson, lesson_json, print_lesson
from wavepool.cli.output import print_result, progress_line
from wavepool.cli.prediction import opening, predict, prediction_json, prediction_lines
from wavepool.cli.whereabouts import whereabouts, whereabouts_lines
from wavepool.core import actions
from wavepool.core.actions import Action
from wavepool.drivers.base import DriverFacts
from wavepool.engine.attempts.spec import SpecBuilder
from wavepool.engine.clock import SystemClock
from wavepool.engine.dryrun import Planned, cause_of, rehearse
from wavepool.engine.forecast import by_means
from wavepool.engine.session import BARE_HOST
from wavepool.learning import History
from wavepool.model import AttemptId, Rules, Task
from wavepool.plan import check_schedule
from wavepool.statedir import StateDir
from wavepool.units import format_duration, format_size, human_size
from wavepool.wiring import RunRequest, open_driver, refuse_work_as_root, with_budget, with_warmth, workspaces_of

DRY_RUN_ID = "dry-run"


def print_rehearsal(request: RunRequest, history: History, *, as_json: bool, lesson: Lesson | None = None) -> None:
    """Print on stdout what the run would do if every task succeeded, and how long that would take.

    Starts, makes and removes nothing. `lesson` is shown too, where there is one.

    Raises:
        InputError: as the run itself would, before anything has started.
        DriverUnavailable: as the run itself would.
    """
    for warning in request.plan.warnings:
        progress_line(f"warning: {warning}")
    check_schedule(request.plan, request.rules.schedule)
    rules, found = anyio.run(_ask_driver, request)
    run_id = request.run_id or DRY_RUN_ID
    place = whereabouts(request, found)
    now = SystemClock().now()
    prediction = predict(request, rules, found, history, now)
    opened = opening(request, rules, found, history, run_id)
    names = SpecBuilder(
        owner="dry-run", run_id=run_id, surroundings=request.surroundings, isolation=rules.isolation, secrets={}
    )
    tasks = {task.id: task for task in request.plan.tasks}
    planned = rehearse(opened, now, by_means(prediction.grounds.expected))
    steps = (_described(step, tasks, names) for step in planned)
    if as_json:
        result: dict[str, Any] = {
            "dry_run": True,
            "driver": found.driver,
            "execution_mode": found.execution_mode,
            "warm": rules.warm,
            "starts_at_once": rules.parallel,
            "starts_follow_pressure": rules.ramp,
            "warnings": list(request.plan.warnings),
            **place,
            "actions": list(steps),
            "prediction": prediction_json(prediction),
        }
        if lesson is not None:
            result["learned"] = lesson_json(lesson)
        print_result(result)
    else:
        _print_lines(steps, found, rules, whereabouts_lines(place))
        for line in prediction_lines(prediction):
            sys.stdout.write(f"{line}\n")
    if lesson is not None:
        print_lesson(lesson, Console(stderr=True, highlight=False))


async def _ask_driver(request: RunRequest) -> tuple[Rules, DriverFacts]:
    def notice(text: str) -> None:
        sys.stderr.write(f"{text}\n")

    async with AsyncExitStack() as stack:
        # A driver may keep records from the moment it is opened; a rehearsal leaves none behind.
        scratch = stack.enter_context(TemporaryDirectory(prefix="wavepool-dry-run-"))
        state_dir = StateDir(Path(scratch))
        driver, found = await open_driver(stack, request, state_dir, notice)
        refuse_work_as_root(request.plan, request.surroundings, found)
        await workspaces_of(request.surroundings, state_dir.run(DRY_RUN_ID), found, notice).check()
        return with_warmth(request, with_budget(request, found), driver, found, notice), found


def _described(step: Planned, tasks: dict[str, Task], names: SpecBuilder) -> dict[str, Any]:
    described: dict[str, Any] = {"action": _verb(step.action)}
    attempt: AttemptId | None = getattr(step.action, "attempt", None)
    if attempt is not None:
        task = tasks[attempt.task_id]
        described |= {
            "batch_id": task.id,
            "wave_number": task.wave,
            "container_name": names.name(task, attempt),
        }
        if isinstance(step.action, actions.StartAttempt):
            described |= {
                "image": task.image or names.surroundings.image,
                "memory_limit": format_size(task.limits.memory_bytes),
                "command": task.command,
            }
            if task.commands:
                described["commands"] = task.commands
            if task.agent is not None:
                described["agent"] = task.agent.name
    elif isinstance(step.action, actions.PrepareWave | actions.ReleaseWave):
        described |= {"wave_number": step.action.wave, "network": names.network(step.action.wave)}
    return described | {
        "cause": cause_of(step.cause),
        "memory_held": human_size(step.memory_held_bytes),
        "at_s": round(step.at_s, 3),
    }


def _verb(action: Action) -> str:
    return {
        actions.PrepareWave: "prepare wave",
        actions.ReleaseWave: "release wave",
        actions.StartAttempt: "start",
        actions.StopAttempt: "stop",
        actions.ArchiveLogs: "archive logs",
        actions.RemoveAttempt: "remove",
    }[type(action)]


def _print_lines(steps: Iterator[dict[str, Any]], found: DriverFacts, rules: Rules, place: Iterator[str]) -> None:
    total = sum(node.capacity.memory_bytes for node in rules.nodes)
    out = sys.stdout
    kept = f", of it {human_size(rules.warm * rules.parked_bytes)} for up to {rules.warm} parked containers"
    warm = kept if rules.warm else ""
    starts = f", up to {rules.parallel} starts at once" + (" as the pressure on this host allows" if rules.ramp else "")
    out.write(
        f"dry run on {found.driver}, {rules.schedule} schedule, budget {human_size(total)}{warm}{starts}: "
        "nothing is done\n"
    )
    for line in place:
        out.write(f"{line}\n")
    for step in steps:
        subject = repr(step["batch_id"]) if "batch_id" in step else f"wave {step['wave_number']}"
        limit = f" with {step['memory_limit']}" if "memory_limit" in step else ""
        limit += f" in {step['image']}" if "agent" in step and found.execution_mode != BARE_HOST else ""
        limit += f" for {step['agent']}" if "agent" in step else ""
        held, after = step["memory_held"], format_duration(step["at_s"])
        out.write(f"{step['action']:<13} {subject}{limit}, because {step['cause']} (held: {held}, after {after})\n")
