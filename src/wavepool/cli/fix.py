"""`wavepool fix --command CHECK`: check, plan, run, and check again, until nothing is wrong any more."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from wavepool.cli.agent_options import AgentOptions
from wavepool.cli.agent_words import AgentCommand, agent_words
from wavepool.cli.check_options import CheckOptions
from wavepool.cli.check_signals import sigterm_as_ctrl_c
from wavepool.cli.dashboard import check_page, page_of_run
from wavepool.cli.dead_fixes import dead_fix_lines
from wavepool.cli.fix_checks import FixChecks
from wavepool.cli.fix_runs import BatchRuns
from wavepool.cli.fix_setting import Labour, Whereabouts, labour_of, whereabouts_of
from wavepool.cli.option_groups import with_options
from wavepool.cli.output import check_output, print_result, remark, write_json
from wavepool.cli.plan_text import plan_text
from wavepool.cli.prompts import usual_of
from wavepool.cli.settings import settings_of
from wavepool.config import Settings
from wavepool.engine.recover.dead_runs import dead_run_lines
from wavepool.errors import SettingError
from wavepool.fixing.branch import FixBranch
from wavepool.fixing.ground import BranchGround, Purse, SharedGround
from wavepool.fixing.iterations import Ending, Fixed, Ground, Told, iterate
from wavepool.fixing.report import (
    Setting,
    began_json,
    check_line,
    codes_line,
    result_of,
    summary_lines,
    told_json,
    work_lines,
)
from wavepool.listeners import JsonLinesListener
from wavepool.plan.making.filewords import notice_of
from wavepool.statedir import StateDir, new_run_id

ITERATIONS_MAX = 1000
WITHOUT = ("repo", "detach", "run_id", "cache")
"""Of what `task` can be told, `fix` says in other words, or not at all."""


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    verb = with_options(fix, {"check": CheckOptions, "shared": AgentOptions}, without=WITHOUT)
    app.command(name="fix", cls=AgentCommand, short_help="Have a failing check's errors mended, and check again.")(verb)


def fix(
    context: typer.Context,
    iterations: Annotated[str, typer.Option("-n", "--iterations", metavar="N", help="How often at most.")] = "3",
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Go on to N after an iteration that left no fewer errors.")
    ] = False,
    workspace: Annotated[str | None, typer.Option(help="Directory to work on; this one unless told.")] = None,
    *,
    check: CheckOptions,
    shared: AgentOptions,
) -> None:
    """Run the check, give its errors to agents in batches, merge what they mended, and check again.

    In a git repository batches work in clones, and all that they mended is on one new branch, wavepool/fix-ID; the
    checkout stays as it is. Elsewhere, or with --workspace-kind shared, they work in the directory itself. The check
    runs in the image of the batches, as it executes what agents wrote; on this host only with --allow-host.

    What stands after -- is the command of each batch, where {files} stands for its files; with --agent it is that
    agent's. Neither: the agent claude.

    Exit code: 0 no errors are left, 1 some are, 2 bad input, 3 infrastructure, 130 Ctrl-C.
    """
    settings = settings_of(**check.settings(), **shared.settings(), workspace=workspace)
    words = tuple(agent_words(context))
    order = usual_of(settings, words).order
    labour = labour_of(settings, order, words, agent_named=shared.agent is not None)
    asked = _Asked(
        settings=settings,
        check=check,
        shared=shared,
        labour=labour,
        where=whereabouts_of(settings),
        most=_number(iterations),
        keep_going=keep_going,
        fix_id=new_run_id(datetime.now(UTC)),
    )
    check_output(shared.output)
    check_page(wanted=shared.dashboard, detach=False)
    if notice := notice_of(labour.words or ()):
        remark(notice)
    with sigterm_as_ctrl_c(), page_of_run(settings, remark, wanted=shared.dashboard):
        fixed = _fix(asked)
    if fixed.error is not None:
        raise fixed.error
    raise typer.Exit(fixed.exit_code)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """All that was asked for, checked."""

    settings: Settings
    check: CheckOptions
    shared: AgentOptions
    labour: Labour
    where: Whereabouts
    most: int
    keep_going: bool
    fix_id: str

    @property
    def image(self) -> str | None:
        """That the check runs in; None for this host."""
        usual = None if self.settings.allow_host else self.labour.image
        return self.settings.check_image or usual

    @property
    def purse(self) -> Purse:
        return Purse(cost_usd=self.settings.run_max_cost, tokens=self.settings.run_max_tokens)


class _Stage:
    """Who is told of a fix while it goes on: lines on stderr, and, with --json, lines on stdout."""

    def __init__(self, events: JsonLinesListener | None, *, verbose: bool) -> None:
        self._events = events
        self._verbose = verbose
        self._batches = 0

    def tell(self, told: Told) -> None:
        """A check or a run has ended."""
        if self._events is not None:
            self._events.say(told_json(told))
        if told.checked is not None:
            self._batches = told.checked.batches
            remark(check_line(told))
            if self._verbose and told.checked.errors:
                remark(f"  {codes_line(told.checked)}")
            return
        for line in work_lines(told, batches=self._batches):
            remark(line)

    def begin(self, setting: Setting) -> None:
        """What is about to be done."""
        if self._events is not None:
            self._events.say(began_json(setting))

    def finish(self, fixed: Fixed, setting: Setting, asked: _Asked, checks: FixChecks) -> None:
        """The end: a summary on stderr, and the result on stdout; not where that is a terminal, as the summary says it.

        Args:
            checks: that were made; a rehearsal tells the plan of the last.

        Raises:
            InputError: it cannot be written to --output.
        """
        plan = checks.last if fixed.ending is Ending.PLANNED else None
        result = result_of(fixed, setting) | ({} if plan is None else {"plan": plan.document})
        for line in summary_lines(fixed, setting):
            remark(line)
        if asked.shared.output is not None:
            write_json(asked.shared.output, result)
        if self._events is not None:
            self._events.finish(result)
        elif not sys.stdout.isatty():
            print_result(result)
        elif plan is not None:
            sys.stdout.write(plan_text(plan.document))


def _fix(asked: _Asked) -> Fixed:
    """All of it, told."""
    state_dir = StateDir(asked.settings.state_dir)
    for line in (*dead_fix_lines(state_dir), *dead_run_lines(state_dir)):
        remark(line)
    with ExitStack() as stack:
        events = stack.enter_context(JsonLinesListener(sys.stdout.buffer)) if asked.shared.json_lines else None
        stage = _Stage(events, verbose=asked.shared.verbose)
        checks = FixChecks(asked.settings, asked.check, asked.shared, asked.labour, image=asked.image)
        checks.look(asked.where.workspace)
        return _on_its_ground(asked, state_dir, stage, checks, events)


def _on_its_ground(
    asked: _Asked, state_dir: StateDir, stage: _Stage, checks: FixChecks, events: JsonLinesListener | None
) -> Fixed:
    """What it came to is told before anything is removed: that may last, and resist."""
    setting = Setting(
        fix_id=asked.fix_id,
        command=asked.check.command or "",
        where=asked.image or "host",
        kind=asked.where.kind.value,
        most=asked.most,
    )
    stage.begin(setting)
    if asked.where.repository is None:
        runs = _runs(asked, lambda run_id: None, events)
        ground = SharedGround(asked.where.workspace, check=checks, run=runs, purse=asked.purse)
        fixed = _iterate(asked, ground, stage, runs, asked.where.workspace)
        stage.finish(fixed, setting, asked, checks)
        return fixed
    repository = asked.where.repository
    if count := repository.uncommitted():
        remark(
            f"{repository.top} has {count} uncommitted {'change' if count == 1 else 'changes'}: the fix begins at the "
            f"commit {repository.head()[:12]}, without {'it' if count == 1 else 'them'}"
        )
    place, contained = state_dir.fix(asked.fix_id), asked.image is not None
    with FixBranch.begun(repository, place, contained=contained, told=remark) as branch:
        runs = _runs(asked, branch.intends, events)
        on_branch = BranchGround(branch, check=checks, run=runs, purse=asked.purse, told=remark)
        fixed = _iterate(asked, on_branch, stage, runs, branch.tree)
        if fixed.ending is Ending.FIXED:
            branch.drop_left_out()
        kept = tuple(each.name for each in branch.left_out)
        setting = replace(
            setting, branch=branch.name, base=branch.base, commit=branch.tip(), kept=kept, brings=branch.brings()
        )
        stage.finish(fixed, setting, asked, checks)
        return fixed


def _runs(asked: _Asked, intends: Callable[[str], None], events: JsonLinesListener | None) -> BatchRuns:
    return BatchRuns(
        settings=asked.settings,
        shared=asked.shared,
        labour=asked.labour,
        kind=asked.where.kind,
        intends=intends,
        listeners=() if events is None else (events,),
    )


def _iterate(asked: _Asked, ground: Ground, stage: _Stage, runs: BatchRuns, directory: Path) -> Fixed:
    runs.check(directory)  # a missing key is better told before a check that lasts
    most = 0 if asked.shared.dry_run else asked.most
    return iterate(ground, most=most, keep_going=asked.keep_going, tell=stage.tell)


def _number(text: str) -> int:
    """Of iterations. Raises SettingError."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= number <= ITERATIONS_MAX:
        raise SettingError("--iterations", text, f"a whole number from 1 to {ITERATIONS_MAX}")
    return number
