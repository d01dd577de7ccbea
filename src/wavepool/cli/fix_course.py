"""A fix from its beginning, or from where a process left it, to its end: a fact counts once its journal has it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from wavepool.cli.fix_checks import FixChecks
from wavepool.cli.fix_order import Asked
from wavepool.cli.fix_runs import BatchRuns
from wavepool.cli.fix_stage import Stage
from wavepool.cli.output import remark
from wavepool.core.fixes.course import Course
from wavepool.core.fixes.facts import BranchBegun, FixOpened, FixResumed, RoundIntended
from wavepool.core.fixes.values import Ending
from wavepool.engine.history.runs import open_history
from wavepool.engine.merging import Branch
from wavepool.errors import WavepoolError
from wavepool.fixing.branch import FixBranch, in_place
from wavepool.fixing.ground import BranchGround, SharedGround
from wavepool.fixing.iterations import Fixed, FixLog, Ground, iterate, told_before
from wavepool.fixing.journaling import open_log
from wavepool.fixing.work import merge_plan
from wavepool.listeners import JsonLinesListener
from wavepool.statedir import FixPlace, StateDir


def perform(asked: Asked) -> Fixed:
    """All of it, told. A fix that its journal knows already goes on from there.

    Raises:
        WavepoolError: before it has begun; a later one stands in what it came to.
    """
    state_dir = StateDir(asked.settings.state_dir)
    place = state_dir.fix(asked.fix_id)
    with ExitStack() as stack:
        events = stack.enter_context(JsonLinesListener(sys.stdout.buffer)) if asked.shared.json_lines else None
        stage = Stage(events, verbose=asked.shared.verbose)
        _checks(asked, FixLog(Course())).look(asked.where.workspace)
        stack.enter_context(in_place(place))
        log = FixLog(Course()) if asked.shared.dry_run else open_log(state_dir, place)
        stage.begin(asked.setting)
        return _on_its_ground(asked, place, log, stage, events)


def _checks(asked: Asked, log: FixLog) -> FixChecks:
    return FixChecks(asked.settings, asked.check, asked.shared, asked.labour, image=asked.image, intends=log.note)


def _on_its_ground(asked: Asked, place: FixPlace, log: FixLog, stage: Stage, events: JsonLinesListener | None) -> Fixed:
    """What it came to is told before anything is removed: that may last, and resist."""
    repository = asked.where.repository
    if repository is None:
        with _removed(place):
            runs = _runs(asked, log, None, events)
            checks = _checks(asked, log)
            directory, give_up = asked.where.workspace, checks.give_up
            shared = SharedGround(directory, log.course, check=checks, run=runs, purse=asked.purse, give_up=give_up)
            fixed = _iterate(asked, shared, log, stage, runs, directory, None)
            stage.finish(fixed, asked.setting, asked.shared.output)
            return fixed
    goes_on = log.course.opened is not None
    if not goes_on and (count := repository.uncommitted()):
        remark(
            f"{repository.top} has {count} uncommitted {'change' if count == 1 else 'changes'}: the fix begins at the "
            f"commit {repository.head()[:12]}, without {'it' if count == 1 else 'them'}"
        )
    course = log.course if goes_on else None
    contained = asked.image is not None
    with FixBranch.standing(repository, place, course=course, contained=contained, told=remark) as branch:
        branch.left_out = _left_out(StateDir(asked.settings.state_dir), log.course)
        runs = _runs(asked, log, branch, events)
        checks = _checks(asked, log)
        ground = BranchGround(
            branch, log, check=checks, run=runs, purse=asked.purse, told=remark, give_up=checks.give_up
        )
        begun = BranchBegun(repository=str(repository.top), name=branch.name, base=branch.base)
        fixed = _iterate(asked, ground, log, stage, runs, branch.tree, begun)
        if fixed.ending is Ending.FIXED:
            branch.drop_left_out()
        kept = tuple(each.name for each in branch.left_out)
        setting = replace(
            asked.setting, branch=branch.name, base=branch.base, commit=branch.tip(), kept=kept, brings=branch.brings()
        )
        stage.finish(fixed, setting, asked.shared.output)
        return fixed


def _iterate(
    asked: Asked,
    ground: Ground,
    log: FixLog,
    stage: Stage,
    runs: BatchRuns,
    directory: Path,
    begun: BranchBegun | None,
) -> Fixed:
    runs.check(directory)  # a missing key is better told before a check that lasts
    now = datetime.now(UTC)
    if log.course.opened is None:
        log.note(_opened(asked, now))
    else:
        log.note(FixResumed(at=now))
    if begun is not None and log.course.branch is None:
        log.note(begun)
    for told in told_before(log.course):
        stage.tell(told)
    return iterate(ground, log, tell=stage.tell)


def _opened(asked: Asked, now: datetime) -> FixOpened:
    return FixOpened(
        fix_id=asked.fix_id,
        command=asked.check.command or "",
        where=asked.image or "host",
        kind=asked.where.kind.value,
        workspace=str(asked.where.workspace),
        most=0 if asked.shared.dry_run else asked.most,
        keep_going=asked.keep_going,
        order=asked.order(),
        at=now,
    )


def _runs(asked: Asked, log: FixLog, branch: FixBranch | None, events: JsonLinesListener | None) -> BatchRuns:
    def intends(intended: RoundIntended) -> None:
        if branch is not None:
            branch.intends(intended.run_id)
        log.note(intended)

    return BatchRuns(
        settings=asked.settings,
        shared=asked.shared,
        labour=asked.labour,
        kind=asked.where.kind,
        plan_of=_checks(asked, log).plan_of,
        intends=intends,
        listeners=() if events is None else (events,),
    )


def _left_out(state_dir: StateDir, course: Course) -> list[Branch]:
    """Branches of the batches of rounds before that are in no branch of the fix, as their runs tell."""
    found: list[Branch] = []
    for each in course.settled:
        with suppress(WavepoolError):  # it was pruned: nobody knows them any more
            plan = merge_plan(open_history(state_dir, each.worked.run_id or "").report().result(), state_dir.path)
            names = {left.branch for left in each.worked.left_out}
            found += [*plan.unsuccessful, *(branch for branch in plan.branches if branch.name in names)]
    return found


@contextmanager
def _removed(place: FixPlace) -> Iterator[None]:
    """At the end of the block nothing of it stays but its journal."""
    try:
        yield
    finally:
        place.remove()
