"""What a fix has come to: sentences for a person, and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from wavepool.core.fixes.values import Checked, Ending, Iteration, Worked
from wavepool.fixing.brings import Brings, some
from wavepool.fixing.iterations import Fixed, Told
from wavepool.listeners.agentwords import amount, dollars
from wavepool.listeners.wording import count, printable
from wavepool.units import format_duration

CODES_SHOWN = 20
"""Kinds of errors that are told with --verbose, the most frequent."""
LINE_MAX = 200
CHANGED_SHOWN = 20
"""Files that a check has changed, in JSON, the first; all are counted."""
TROUBLES_SHOWN = 20
"""Batches that did not end well, and are named; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a fix was asked for, and where it worked.

    Attributes:
        fix_id: its name.
        command: the check, as it was typed.
        where: ``host``, or the image that the check runs in.
        kind: of workspace, as `WorkspaceKind` has it.
        branch, base, commit: the branch, where it began, and where it is; None where there is none.
        kept: branches of batches that are not in it.
        brings: what merging the branch changes; None where there is none, or git could not tell.
        most: iterations at most.
        journaled: it can be gone on with.
    """

    fix_id: str
    command: str
    where: str
    kind: str
    most: int
    branch: str | None = None
    base: str | None = None
    commit: str | None = None
    kept: tuple[str, ...] = ()
    brings: Brings | None = None
    journaled: bool = True


def headline(fixed: Fixed, setting: Setting) -> str:
    """``12 errors -> 0 in 2 iterations``, and why it is over."""
    first, last = fixed.first, fixed.last
    if first is None or last is None:
        return f"{_ENDINGS[fixed.ending]}, before there was a first plan"
    if fixed.ending is Ending.FIXED and not fixed.iterations:
        return "nothing to do: the check finds no errors"
    if fixed.ending is Ending.CHECK_CHANGES and not fixed.iterations:
        return _changes(first)
    rounds = count(len(fixed.iterations), "iteration")
    told = f"{count(first.errors, 'error')} -> {_standing(fixed.now, last)} in {rounds}"
    if fixed.ending is Ending.FIXED:
        return told
    if fixed.ending is Ending.PLANNED:
        return f"{count(first.errors, 'error')} planned for, and nothing was run"
    if fixed.ending is Ending.NO_BATCHES:
        return f"{told}: {_no_batches(last)}"
    if fixed.ending is Ending.ERRORS_LEFT:
        return f"{told}: {_left(last.errors)} after as many iterations as were asked for (-n)"
    why = _changes(last) if fixed.ending is Ending.CHECK_CHANGES else _ENDINGS[fixed.ending]
    return f"{told}: {why}"


def _standing(now: Checked | None, last: Checked | None) -> str:
    """How many errors there are, if that is known. `last` is a check that may have been before the last work."""
    if now is not None:
        return "0" if now.passed else str(now.errors)
    return "not known" if last is not None and last.changed else "not checked"


def _changes(checked: Checked) -> str:
    return (
        f"the check changed {some(checked.changed, 'tracked file')}, so its word says nothing about what is committed"
    )


_ENDINGS: Mapping[Ending, str] = {
    Ending.UNSTABLE: "the check passed without any change, which proves nothing: it is not stable, or depends on what "
    "is not in git",
    Ending.NO_PROGRESS: "the last one left no fewer errors, so there is none after it (--keep-going)",
    Ending.SPENT: "what all agents together may use is used up",
    Ending.INTERRUPTED: "interrupted",
    Ending.INFRASTRUCTURE: "it could not go on",
}


def _left(errors: int) -> str:
    return f"{count(errors, 'error')} {'is' if errors == 1 else 'are'} left"


def _no_batches(last: Checked) -> str:
    return f"{_left(last.errors)} that no batch can be made of: without a file, in none of the workspace, or set apart"


def check_line(told: Told) -> str:
    """What one check has counted."""
    checked = told.checked
    assert checked is not None
    itself = f"; it changed {some(checked.changed, 'tracked file')}" if checked.changed else ""
    took = format_duration(round(checked.took_s, 1))
    if checked.passed:
        return f"check {told.number}: no errors{_warnings(checked)} ({took}){itself}"
    apart = f", {checked.set_apart} of them in no batch" if checked.set_apart else ""
    batches = f"; {count(checked.batches, 'batch', 'batches')} in {count(checked.waves, 'wave')}"
    return (
        f"check {told.number}: {count(checked.errors, 'error')} in {count(checked.files, 'file')}{apart}"
        f"{_warnings(checked)}{batches if checked.batches else ''} ({took}){itself}"
    )


def _warnings(checked: Checked) -> str:
    return f", {count(checked.warnings, 'warning')}" if checked.warnings else ""


def codes_line(checked: Checked) -> str:
    """How many of which kind: ``F401 7, E711 3, 4 without a code``; empty for no errors."""
    kinds = list(checked.codes.items())
    words = [f"{printable(code, 60) or 'without a code'} {number}" for code, number in kinds[:CODES_SHOWN]]
    more = len(kinds) - CODES_SHOWN
    return ", ".join([*words, *([f"{more} more kinds"] if more > 0 else [])])


def work_lines(told: Told, *, batches: int) -> Iterator[str]:
    """What one run has brought: its batches, what was merged, what agents used; and what did not end well."""
    worked = told.worked
    assert worked is not None
    words = [f"{worked.succeeded} of {count(batches, 'batch', 'batches')} succeeded"]
    if worked.merged is not None:
        words.append(f"{worked.merged} merged")
    if worked.left_out:
        words.append(f"{len(worked.left_out)} left out, as they conflict")
    words += _used(worked)
    yield f"iteration {told.number}: {', '.join(words)}; run {worked.run_id}"
    for each in worked.troubles[:TROUBLES_SHOWN]:
        yield f"  {printable(each.batch_id, 60)}: {each.verdict}{each.why and f', {printable(each.why, 300)}'}"
    if len(worked.troubles) > TROUBLES_SHOWN:
        yield f"  and {len(worked.troubles) - TROUBLES_SHOWN} more"
    if worked.stopped_because:
        yield f"  stopped because {printable(worked.stopped_because)}"


def _used(worked: Worked) -> list[str]:
    if not worked.agents or not (worked.turns or worked.tokens or worked.cost_usd):
        return []
    cost = dollars(worked.cost_usd) if worked.cost_known or worked.cost_usd else "cost not told"
    least = "at least " if worked.cost_usd and not worked.cost_known else ""
    return [count(worked.turns, "turn"), f"{amount(worked.tokens)} tokens", f"{least}{cost}"]


def summary_lines(fixed: Fixed, setting: Setting) -> Iterator[str]:
    """The end: what it came to, each iteration in a line, where the work is, and what to do next."""
    yield headline(fixed, setting)
    for each in fixed.iterations:
        yield f"  {_iteration_line(each)}"
    if (now := fixed.now) is not None and not now.passed and fixed.ending is not Ending.PLANNED:
        yield from (f"  left: {printable(line, LINE_MAX)}" for line in now.examples)
        if (more := now.errors - len(now.examples)) > 0 and now.examples:
            yield f"  and {more} more"
    total = total_of(fixed)
    if used := _used(total):
        yield f"  agents: {', '.join(used)}"
    yield from _next(fixed, setting)


def _iteration_line(each: Iteration) -> str:
    after = _standing(None if each.after is None or each.after.changed else each.after, each.after)
    merged = "" if each.worked.merged is None else f", {each.worked.merged} merged"
    where = f", commit {each.worked.commit[:12]}" if each.worked.commit and each.worked.merged else ""
    batches = count(each.before.batches, "batch", "batches")
    return f"iteration {each.number}: {each.before.errors} -> {after} ({batches}{merged}{where})"


def total_of(fixed: Fixed) -> Worked:
    """What all iterations together used."""
    all_work = [each.worked for each in fixed.iterations]
    return Worked(
        run_id=None,
        agents=any(each.agents for each in all_work),
        turns=sum(each.turns for each in all_work),
        tokens=sum(each.tokens for each in all_work),
        cost_usd=sum(each.cost_usd for each in all_work),
        cost_known=all(each.cost_known for each in all_work),
    )


def _next(fixed: Fixed, setting: Setting) -> Iterator[str]:
    if fixed.ending is Ending.CHECK_CHANGES:
        yield "have the check change nothing (leave out --fix, --write and the like): what mends stands after --"
    if setting.branch is None:
        if (fixed.last is not None and fixed.last.changed) or any(
            each.worked.succeeded or each.worked.troubles for each in fixed.iterations
        ):
            yield "the changes are in the workspace"
        yield from _resume(fixed, setting)
        return
    if setting.commit == setting.base:
        yield "nothing was merged: there is no branch"
    else:
        if setting.brings is not None:
            yield from setting.brings.lines(setting.branch)
        yield f"next: git merge {setting.branch}"
        if fixed.exit_code and fixed.ending.is_final:
            yield f"to go on from there: git switch {setting.branch}, and the same command again"
    for name in setting.kept:
        yield f"not in it: {name}"
    yield from _resume(fixed, setting)


def _resume(fixed: Fixed, setting: Setting) -> Iterator[str]:
    if setting.journaled and not fixed.ending.is_final:
        yield f"to go on: wavepool resume {setting.fix_id}"


def result_of(fixed: Fixed, setting: Setting) -> dict[str, Any]:
    """As JSON."""
    first, now, total = fixed.first, fixed.now, total_of(fixed)
    stands = setting.branch is not None and setting.commit != setting.base
    return {
        "fix_id": setting.fix_id,
        "status": fixed.ending.value,
        "exit_code": fixed.exit_code,
        "summary": headline(fixed, setting),
        "problem": None if fixed.error is None else str(fixed.error),
        "resume": f"wavepool resume {setting.fix_id}" if setting.journaled and not fixed.ending.is_final else None,
        **_asked_json(setting),
        "errors_before": None if first is None or first.changed else first.errors,
        "errors_after": None if now is None else now.errors,
        "iterations": [iteration_json(each) for each in fixed.iterations],
        "agents": used_json(total),
        "branch": setting.branch if stands else None,
        "base": setting.base,
        "commit": setting.commit if stands else None,
        "left_branches": list(setting.kept),
        "changes": setting.brings.result() if stands and setting.brings else None,
        "diff": f"git diff HEAD...{setting.branch}" if stands else None,
        "merge": f"git merge {setting.branch}" if stands else None,
    }


def iteration_json(each: Iteration) -> dict[str, Any]:
    """One of them, as JSON."""
    return {
        "number": each.number,
        "before": checked_json(each.before),
        "after": None if each.after is None else checked_json(each.after),
        **worked_json(each.worked),
    }


def checked_json(checked: Checked) -> dict[str, Any]:
    """One check, as JSON; without its plan."""
    return {
        "passed": checked.passed,
        "errors": checked.errors,
        "warnings": checked.warnings,
        "files": checked.files,
        "codes": dict(checked.codes),
        "batches": checked.batches,
        "waves": checked.waves,
        "set_apart": checked.set_apart,
        "examples": list(checked.examples),
        "changed_files": len(checked.changed),
        "changed": list(checked.changed[:CHANGED_SHOWN]),
        "duration_s": round(checked.took_s, 3),
    }


def worked_json(worked: Worked) -> dict[str, Any]:
    """One run, as JSON."""
    return {
        "run_id": worked.run_id,
        "succeeded": worked.succeeded,
        "failed": [asdict(each) for each in worked.troubles],
        "merged": worked.merged,
        "left_out": [{**asdict(each), "files": list(each.files)} for each in worked.left_out],
        "commit": worked.commit,
        "agents": used_json(worked),
        "stopped_because": worked.stopped_because,
        "run_s": round(worked.took_s, 3),
    }


def used_json(worked: Worked) -> dict[str, Any] | None:
    """What agents used; None where there were none."""
    if not worked.agents:
        return None
    return {
        "turns": worked.turns,
        "tokens": worked.tokens,
        "cost_usd": round(worked.cost_usd, 6),
        "cost_complete": worked.cost_known,
    }


def _asked_json(setting: Setting) -> dict[str, Any]:
    return {
        "command": setting.command,
        "checked_in": setting.where,
        "workspace_kind": setting.kind,
        "iterations_at_most": setting.most,
    }


def began_json(setting: Setting) -> dict[str, Any]:
    """The first line of the stream of JSON lines."""
    return {"kind": "FixBegan", "fix_id": setting.fix_id, **_asked_json(setting)}


def told_json(told: Told) -> dict[str, Any]:
    """One event, for the stream of JSON lines."""
    if told.checked is not None:
        return {"kind": "CheckEnded", "check": told.number, **checked_json(told.checked)}
    assert told.worked is not None
    return {"kind": "IterationWorked", "iteration": told.number, **worked_json(told.worked)}
