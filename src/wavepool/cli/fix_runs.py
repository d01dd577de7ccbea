"""The runs of a fix: each the batches of one plan, with what agents need, on the screen and in the state directory."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from wavepool.cli.agent_options import AgentOptions
from wavepool.cli.agent_request import as_run_settings, furnish
from wavepool.cli.delivery import on_screen
from wavepool.cli.fix_setting import Labour, told_which_image
from wavepool.cli.output import remark, write_json
from wavepool.cli.request import RawOptions, build_request
from wavepool.cli.screen import Screen, open_screen
from wavepool.config import Settings
from wavepool.core.facts import Outcome, RunInterrupted, RunResumed, Stamped
from wavepool.core.fixes.course import Work
from wavepool.core.fixes.facts import RoundIntended
from wavepool.engine.history.runs import open_history
from wavepool.engine.listener import Listener
from wavepool.engine.report import RunReport
from wavepool.errors import first_of_ours
from wavepool.fixing.contained import has_begun
from wavepool.fixing.ground import Purse
from wavepool.inputs import parse_secrets, read_secret
from wavepool.model import Schedule, Task, WorkspaceKind
from wavepool.plan import Plan, TierMap, parse_plan
from wavepool.statedir import StateDir, new_run_id
from wavepool.wiring import GoingOn, Hooks, RunRequest, resume_run, run_plan
from wavepool.workspace import refuse_roots_own


class _Ears(Listener):
    """Hears of a Ctrl-C, which a run whose last batches were waited for does not tell in its result.

    One that an earlier process of the run heard is over.
    """

    def __init__(self) -> None:
        self.interrupted = False

    def on_facts(self, facts: Sequence[Stamped]) -> None:
        for each in facts:
            if isinstance(each.fact, RunInterrupted | RunResumed):
                self.interrupted = isinstance(each.fact, RunInterrupted)


_ANY = b'{"waves": [{"wave_number": 1, "batches": [{"batch_id": "any", "files": ["any"]}]}]}'


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRuns:
    """Runs the batches of one plan after the other.

    Attributes:
        settings: of the fix.
        shared: its options.
        labour: who works.
        kind: of workspaces.
        plan_of: reads the plan of a check.
        intends: told of each run before it begins.
        listeners: get the facts of all runs.
    """

    settings: Settings
    shared: AgentOptions
    labour: Labour
    kind: WorkspaceKind
    plan_of: Callable[[str], Plan]
    intends: Callable[[RoundIntended], None]
    listeners: Sequence[Listener] = ()

    def __call__(self, step: Work, directory: Path, purse: Purse) -> Mapping[str, Any]:
        """Run them to their end; a run that another process has begun is gone on with, or only read. Raises
        WavepoolError."""
        state_dir = StateDir(self.settings.state_dir)
        if step.run_id is not None and (told := _told_by(state_dir, step.run_id)) is not None:
            return told
        goes_on = step.run_id is not None and has_begun(state_dir, step.run_id)
        ears = _Ears()
        also = (*self.listeners, ears)
        screens = open_screen(self.settings, json_lines=False, verbose=self.shared.verbose, also=also)
        with screens as screen, told_which_image(self.labour):
            report = self._resume(step, screen) if goes_on else self._begin(step, directory, purse, screen)
        result = report.result()
        if "run_id" in result:
            write_json(StateDir(self.settings.state_dir).run(result["run_id"]).results, result)
        return {**result, "interrupted": ears.interrupted}

    def _begin(self, step: Work, directory: Path, purse: Purse, screen: Screen) -> RunReport:
        plan = self.plan_of(step.checked.plan)
        request, notices = self._request(plan, directory, purse, run_id=step.run_id)
        for line in notices if step.number == 1 else ():
            screen.notice(line)
        if step.run_id is None:
            self.intends(RoundIntended(number=step.number, run_id=request.run_id or ""))
        return _run(partial(run_plan, request), screen)

    def _resume(self, step: Work, screen: Screen) -> RunReport:
        sources = parse_secrets(self.shared.secret or ())
        secrets = {source.name: read_secret(source, os.environ) for source in sources}
        settings = self.settings

        async def work(hooks: Hooks) -> RunReport:
            how = GoingOn(hooks=hooks, secrets=secrets, signals=True, learn=settings.learn_history)
            return await resume_run(step.run_id or "", state_dir=settings.state_dir, how=how)

        return _run(work, screen)

    def check(self, directory: Path, plan: Plan | None = None) -> None:
        """See that such a plan could be run, or any at all, before anything is. Raises InputError."""
        request, _ = self._request(plan or parse_plan(_ANY, source="any plan", tiers=TierMap()), directory, Purse())
        if self.kind is WorkspaceKind.SHARED and request.driver == "docker":
            refuse_roots_own(request.plan.tasks, directory)

    @property
    def _driver(self) -> str:
        """Docker alone, unless this host is allowed: from the second iteration on batches execute what agents wrote."""
        settings = self.settings
        return "docker" if settings.driver == "auto" and not settings.allow_host else settings.driver

    def _request(
        self, plan: Plan, directory: Path, purse: Purse, *, run_id: str | None = None
    ) -> tuple[RunRequest, Sequence[str]]:
        settings = as_run_settings(self.settings.model_copy(update={"repo": directory}))
        given = {
            "schedule": self.settings.schedule if _says(self.settings, "schedule") else Schedule.BARRIER,
            "driver": self._driver,
            "workspace_kind": self.kind,
            "base_image": self.labour.image,
            "run_max_cost": purse.cost_usd,
            "run_max_tokens": purse.tokens,
        }
        settings = settings.model_copy(update=given)
        raw = RawOptions(
            environment=self.shared.environment or (),
            env_files=self.shared.env_file or (),
            mounts=self.shared.mount or (),
            secrets=self.shared.secret or (),
            run_id=run_id or new_run_id(datetime.now(UTC)),
        )
        tasks = tuple(_with_labour(task, self.labour, settings.agent_timeout) for task in plan.tasks)
        ready = furnish(replace(plan, tasks=tasks), settings, raw, no_key=self.shared.no_key)
        request = build_request(settings, ready.plan, ready.raw)
        # What bounds a batch is its own timeout: the batches of a wave may wait for each other as long as they need.
        return replace(request, rules=replace(request.rules, wave_timeout_s=None)), ready.notices


def _says(settings: Settings, name: str) -> bool:
    return name in settings.model_fields_set


def _with_labour(task: Task, labour: Labour, timeout_s: float) -> Task:
    timeout_s = timeout_s if task.timeout_s is None else task.timeout_s
    task = replace(task, extra={"name": _title(task.files), **task.extra})
    if labour.order is None:  # its command stands in the plan
        return replace(task, timeout_s=timeout_s)
    return replace(task, agent=labour.order, image=labour.image, timeout_s=timeout_s)


def _title(files: Sequence[str]) -> str:
    """Of the host's commit of what a batch left."""
    more = f" and {len(files) - 1} more" if files[1:] else ""
    return f"Mend {files[0]}{more}" if files else ""


def _told_by(state_dir: StateDir, run_id: str) -> Mapping[str, Any] | None:
    """The result of a run that came to its own end; None of any other. Raises InfrastructureError."""
    if not state_dir.run(run_id).journal.exists():
        return None
    report = open_history(state_dir, run_id).report()
    if report.outcome not in (Outcome.SUCCESS, Outcome.FAILED):
        return None
    remark(f"run {run_id} had come to its end: nothing of it is run again")
    return report.result()


def _run(work: Callable[[Hooks], Awaitable[RunReport]], screen: Screen) -> RunReport:
    """To its end, on a loop of its own. Raises WavepoolError: as `run_plan`, out of the groups that it is raised in."""
    try:
        return anyio.run(on_screen, work, screen)
    except BaseExceptionGroup as errors:
        raise first_of_ours(errors) from errors
