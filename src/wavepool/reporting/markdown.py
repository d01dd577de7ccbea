"""Markdown for the summary of a CI job: figures, waves, and what failed, as GitHub renders it.

Ids and reasons come from outside. They are shown as they are: each character that Markdown or HTML acts on is written
as a numeric reference, which stands for itself and is never markup (CommonMark 0.31, 6.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from wavepool.engine.usage.figures import used_words
from wavepool.engine.usage.record import MISSING
from wavepool.listeners.wording import count, printable
from wavepool.monitoring.documents.runs import TaskEntry
from wavepool.reporting.tails import Tail
from wavepool.reporting.telling import Told, when
from wavepool.units import format_duration, human_size

ROWS = 100
"""Failed tasks in the table."""

WAVES = 100
LOGS = 20
"""Tasks whose last lines are told, and below `ENOUGH` characters of the whole."""

ENOUGH = 50_000
"""A comment on GitHub holds 65,536 characters."""

ID_SHOWN, WHY_SHOWN, LOG_LINES = 120, 240, 20

_SIGNS = re.compile(r"[\\`*_\[\]<>#|~@&$]|:(?=\S)")

_WORDS = {
    "live": "is running",
    "paused": "is paused: nothing new starts",
    "success": "succeeded",
    "failed": "failed",
    "unfinished": "was left by its process",
    "interrupted": "was interrupted",
    "infrastructure": "was ended by the machine or the daemon",
}


def markdown_of(told: Told) -> str:
    """The whole text, which ends with a newline."""
    lines = [*_head(told), "", *_waves(told)]
    failed = told.failed
    if failed:
        lines += ["", *_table(told, failed)]
    size = sum(len(line) + 1 for line in lines)
    for number, task_id in enumerate(failed[:LOGS]):
        block = _log(told.entry(task_id), told.tail(task_id))
        size += sum(len(line) + 1 for line in block)
        if size > ENOUGH:
            lines += ["", f"The logs of {count(len(failed) - number, 'more task')} are left out here."]
            break
        lines += block
    else:
        if len(failed) > LOGS:
            lines += ["", f"The logs of {count(len(failed) - LOGS, 'more task')} are left out here."]
    for problem in told.left_behind[:LOGS]:
        lines += ["", f"Left behind: {shown(problem, WHY_SHOWN)}"]
    return "\n".join(lines) + "\n"


def shown(text: str, limit: int) -> str:
    """Any text on one line, which stands for itself within a paragraph or a cell of a table."""
    return _SIGNS.sub(lambda sign: f"&#{ord(sign.group())};", printable(text, limit))


def code(text: str, limit: int = ID_SHOWN) -> str:
    """As `shown`, in the type of code: nobody is notified by what looks like a name there."""
    return f"<code>{shown(text, limit)}</code>"


def fenced(text: str) -> list[str]:
    """Lines as they are, within a fence that none of them can end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", text, fence]


def _head(told: Told) -> Iterator[str]:
    line = told.line
    tasks = line["tasks"]
    state = "paused" if line.get("paused") else line["state"]
    yield f"## Run {code(line['id'])} {_WORDS.get(state, state)}"
    yield ""
    parts = [f"**{tasks['succeeded']} of {count(tasks['total'], 'task')} succeeded**"]
    parts += [f"{tasks[name]} {name}" for name in ("failed", "skipped", "running", "pending") if tasks[name]]
    if "took_s" in line:
        parts.append(f"took {format_duration(line['took_s'])}")
    if "speed_up" in told.efficiency:
        parts.append(f"{told.efficiency['speed_up']:g} times as fast as one after the other")
    if "spent_usd" in line:
        parts.append(f"${line['spent_usd']:.2f}")
    if line.get("tokens"):
        parts.append(f"{line['tokens']:,} tokens")
    yield ", ".join(parts) + "."
    if told.used is not None:
        yield ""
        yield f"Used {used_words(told.used)}; {_promised(told)}."
    if told.usage_problem not in ("", MISSING):
        yield ""
        yield f"Of memory and CPU used: {shown(told.usage_problem, WHY_SHOWN)}."
    if not told.is_over:
        more = f"; go on with it: {code(line['resume'])}" if "resume" in line else ""
        yield ""
        yield f"As of {when(told.as_of)}{more}."


def _promised(told: Told) -> str:
    budget = told.line.get("budget_bytes")
    of = f" of {human_size(budget)}" if budget else ""
    return f"at most {human_size(max(told.load['held_bytes']))}{of} were promised at once"


def _waves(told: Told) -> Iterator[str]:
    yield "| wave | tasks | succeeded | failed | skipped | took |"
    yield "|---:|---:|---:|---:|---:|---:|"
    for wave in list(told.waves.values())[:WAVES]:
        tasks = wave["tasks"]
        took = format_duration(wave["took_s"]) if "took_s" in wave else wave["state"]
        cells = (wave["number"], tasks["total"], tasks["succeeded"], tasks["failed"], tasks["skipped"], took)
        yield f"| {' | '.join(map(str, cells))} |"
    if len(told.waves) > WAVES:
        yield ""
        yield f"{count(len(told.waves) - WAVES, 'more wave')} left out here."


def _table(told: Told, failed: list[str]) -> Iterator[str]:
    yield "| task | wave | verdict | attempts | took | why |"
    yield "|---|---:|---|---:|---:|---|"
    for task_id in failed[:ROWS]:
        entry = told.entry(task_id)
        cells = (
            code(entry["id"]),
            str(entry["wave"]),
            entry["state"].replace("_", " "),
            str(len(entry.get("attempts", {}))),
            format_duration(told.took_s(task_id)),
            shown(entry.get("why", ""), WHY_SHOWN),
        )
        yield f"| {' | '.join(cells)} |"
    if len(failed) > ROWS:
        yield ""
        yield f"{count(len(failed) - ROWS, 'more task')} failed, and left out here."


def _log(entry: TaskEntry, tail: Tail | None) -> list[str]:
    if tail is None or not (tail.text or tail.problem):
        return []
    lines = tail.text.split("\n")
    what = "the end of its log" if tail.cut or len(lines) > LOG_LINES else "its log"
    block = ["", f"<details><summary>{code(entry['id'])}: {what}</summary>", ""]
    if tail.problem is not None:
        block += [shown(tail.problem, WHY_SHOWN), ""]
    if tail.text:
        block += fenced("\n".join(lines[-LOG_LINES:]))
    return [*block, "", "</details>"]
