"""Fixes in the lists of what was run: in a line each, and one of them whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wavepool.cli.columns import print_columns, say
from wavepool.cli.resume_fix import setting_of
from wavepool.core.fixes.values import Checked
from wavepool.engine.history.fixes import DAMAGED, LIVE, FixStory
from wavepool.engine.report import stamp
from wavepool.fixing.iterations import fixed_of, told_before
from wavepool.fixing.reading import quoted
from wavepool.fixing.report import check_line, checked_json, iteration_json, result_of, work_lines
from wavepool.listeners.wording import stamp as short_stamp

HEADINGS = ("fix", "state", "started", "rounds", "errors", "branch", "what next")


def print_fixes(stories: list[FixStory]) -> None:
    """A table of them."""
    print_columns(HEADINGS, map(_row, stories), right=("rounds",))


def story_json(story: FixStory) -> dict[str, Any]:
    """One of the list, as JSON."""
    opened, course = story.opened, story.course
    return {
        "fix_id": story.id,
        "state": story.state,
        "started_at": stamp(story.started_at),
        "last_at": stamp(story.last_at),
        "command": None if opened is None else opened.command,
        "workspace": None if opened is None else opened.workspace,
        "iterations": len(course.iterations),
        "errors_before": None if course.first is None else course.first.errors,
        "errors_after": _errors(course.iterations[-1].after if course.iterations else course.first),
        "branch": None if course.branch is None else course.branch.name,
        "commit": course.commit,
        "runs": list(course.runs),
        "check_runs": list(course.check_runs),
        "under_way": course.under_way or None,
        "resume": story.resume,
        "problem": story.problem or None,
    }


def show_json(story: FixStory) -> dict[str, Any]:
    """All that is known of one, as JSON: of one that is over what its result had, but for what lies in git."""
    opened, course = story.opened, story.course
    whole: dict[str, Any] = {}
    if opened is not None and course.ending is not None:
        whole = result_of(fixed_of(course, course.ending), setting_of(opened, course))
    known = story_json(story)
    rounds = [iteration_json(each) for each in course.iterations]
    first = None if course.first is None else checked_json(course.first)
    return {**whole, **known, "first_check": first, "iterations": rounds, "path": str(story.place.path)}


def print_story(story: FixStory) -> None:
    """One of them, for a person."""
    for line in _lines(story):
        say(line)


def _lines(story: FixStory) -> Iterator[str]:
    opened, course = story.opened, story.course
    began = "" if story.started_at is None else f", began {short_stamp(story.started_at)}"
    at = f", at {course.under_way}" if course.ending is None and course.under_way else ""
    yield f"fix {story.id}: {story.state}{began}{at}"
    yield f"files {story.place.path}"
    if opened is not None:
        yield f"check `{quoted(opened.command)}` in {opened.where}, over {opened.workspace} ({opened.kind})"
    if course.branch is not None:
        base, commit = course.branch.base[:12], str(course.commit)[:12]
        yield f"branch {course.branch.name}, {'nothing merged yet' if commit == base else f'from {base} to {commit}'}"
    if story.problem:
        yield f"because {' '.join(story.problem.split())}"
    if course.round is not None:
        yield f"run of iteration {course.round.number}: {course.round.run_id}"
    if story.resume is not None:
        yield f"go on with it: {story.resume}"
    yield ""
    yield from _told(story)


def _told(story: FixStory) -> Iterator[str]:
    """Each check and each run that has ended."""
    batches = 0
    for told in told_before(story.course):
        if told.checked is not None:
            batches = told.checked.batches
            yield check_line(told)
        else:
            yield from work_lines(told, batches=batches)


def _row(story: FixStory) -> tuple[str, ...]:
    course = story.course
    last = course.iterations[-1].after if course.iterations else course.first
    before, after = _errors(course.first), _errors(last)
    branch = course.branch
    held = story.place.holder().split(" ")[0] if story.state == LIVE else ""
    return (
        story.id,
        story.state,
        "-" if story.started_at is None else short_stamp(story.started_at),
        str(len(course.iterations)),
        _counts(before, after) if course.iterations else _counts(before),
        branch.name if branch is not None and course.commit != branch.base else "-",
        f"held by process {held}" if held else story.resume or (story.problem if story.state == DAMAGED else ""),
    )


def _counts(*errors: int | None) -> str:
    return " -> ".join("-" if each is None else str(each) for each in errors)


def _errors(checked: Checked | None) -> int | None:
    """How many a check has counted; None where there was none, or its word is of no use."""
    if checked is None or checked.changed:
        return None
    return 0 if checked.passed else checked.errors
