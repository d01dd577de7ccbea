"""`wavepool resume FIX`: go on with a fix by its journal alone, wherever its process was killed or had to end."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from wavepool.cli.check_signals import sigterm_as_ctrl_c
from wavepool.cli.dashboard import page_of_run
from wavepool.cli.fix_course import perform
from wavepool.cli.fix_order import asked_again
from wavepool.cli.fix_stage import Stage
from wavepool.cli.output import remark
from wavepool.config import Settings
from wavepool.core.fixes.course import Course
from wavepool.core.fixes.facts import FixOpened
from wavepool.engine.history.fixes import DAMAGED, LIVE, FixStory, fix_of_run, story_named
from wavepool.engine.history.runs import UnknownRun, find_run
from wavepool.errors import InfrastructureError, InputError, WavepoolError
from wavepool.fixing.dead import clear_up, dead_fix
from wavepool.fixing.iterations import fixed_of, told_before
from wavepool.fixing.report import Setting
from wavepool.inputs import LATEST, parse_secrets
from wavepool.listeners import JsonLinesListener
from wavepool.statedir import StateDir


def fix_meant(state_dir: StateDir, text: str) -> FixStory | None:
    """The fix that is meant where a run or a fix is asked for; None for a run.

    ``latest`` means the fix whose run the latest one is, where that fix can be gone on with; a run's own id means the
    run.
    """
    if text != LATEST:
        return story_named(state_dir, text)
    try:
        latest = find_run(state_dir, text).id
    except UnknownRun:
        return None
    story = fix_of_run(state_dir, latest)
    return story if story is not None and story.goes_on else None


def resume_fix(
    story: FixStory,
    settings: Settings,
    *,
    secret: Sequence[str],
    output: Path | None,
    json_lines: bool,
    verbose: bool,
    dashboard: bool,
    refused: Mapping[str, bool],
) -> int:
    """Go on with it; the exit code of the fix.

    Args:
        refused: options that a fix cannot heed, and whether they were given.

    Raises:
        InputError: one of these was given, or something that it needs is not there any more.
        InfrastructureError: another process has it, its journal cannot be read, or as `wavepool fix`.
    """
    if given := [name for name, typed in refused.items() if typed]:
        raise InputError(
            f"{given[0]}: {story.id} is a fix, which goes on here and as it was begun", advice="Leave it out."
        )
    opened, output = _opened(story), None if output is None else output.absolute()
    if not story.goes_on:
        return _told_again(story, opened, output, json_lines=json_lines, verbose=verbose)
    told = {"json_lines": json_lines, "verbose": verbose} | ({} if output is None else {"output": output})
    asked = asked_again(opened, settings.state_dir, **told)
    if secret:
        again = {source.name for source in parse_secrets(secret)}
        kept = [each for each in asked.shared.secret or () if parse_secrets([each])[0].name not in again]
        asked = replace(asked, shared=replace(asked.shared, secret=[*kept, *secret]))
    at = f", at {story.course.under_way}" if story.course.under_way else ""
    remark(f"fix {story.id} goes on: {story.state}{at}")
    with sigterm_as_ctrl_c(), page_of_run(settings, remark, wanted=dashboard):
        fixed = perform(asked)
    if fixed.error is not None:
        raise fixed.error
    return fixed.exit_code


def _opened(story: FixStory) -> FixOpened:
    opened = story.opened
    if story.state == DAMAGED or opened is None:
        raise InfrastructureError(
            story.problem or f"nothing is known of fix {story.id}",
            advice=f"Begin another at its branch. Its files are in {story.place.path}.",
        )
    if story.state == LIVE:
        pid = story.place.holder().split(" ")[0]
        raise InfrastructureError(
            f"fix {story.id} is held by process {pid}",
            advice="Wait for its end, or end that one.",
        )
    return opened


def _told_again(story: FixStory, opened: FixOpened, output: Path | None, *, json_lines: bool, verbose: bool) -> int:
    """What came of one that is over; what may be left of its worktree goes."""
    course = story.course
    assert course.ending is not None
    remark(f"fix {story.id} is over: this is what came of it")
    fixed = fixed_of(course, course.ending)
    with ExitStack() as stack:
        events = stack.enter_context(JsonLinesListener(sys.stdout.buffer)) if json_lines else None
        stage, setting = Stage(events, verbose=verbose), setting_of(opened, course)
        stage.begin(setting)
        for told in told_before(course):
            stage.tell(told)
        stage.finish(fixed, setting, output)
    dead = dead_fix(story.place)
    if dead is not None:
        try:
            clear_up(dead)
        except WavepoolError as error:
            remark(f"its worktree is still there: {' '.join(error.message.split())}; `wavepool recover` removes it")
    return fixed.exit_code


def setting_of(opened: FixOpened, course: Course) -> Setting:
    """What a fix was asked for, and where it is, as its journal tells it."""
    branch = course.branch
    return Setting(
        fix_id=opened.fix_id,
        command=opened.command,
        where=opened.where,
        kind=opened.kind,
        most=opened.most,
        branch=None if branch is None else branch.name,
        base=None if branch is None else branch.base,
        commit=course.commit,
    )
