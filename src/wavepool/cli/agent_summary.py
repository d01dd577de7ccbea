"""What a person reads when agents have ended: each one's work, the totals, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wavepool.listeners.agentwords import NOTHING, amount, diffstat, dollars
from wavepool.listeners.wording import count, printable, took

ROWS_MAX = 100
"""Tasks in the table; all are in the results."""
WORDS_MAX = 300
"""Characters of an agent's last words, or of what went wrong."""

Entry = Mapping[str, Any]


def print_agent_summary(result: Mapping[str, Any], console: Console, *, state_dir: Path) -> None:
    """A row for each task with its last words below, the totals, and the commands that come next."""
    entries = [entry for wave in result["waves"] for entry in wave["containers"]]
    console.print(_table(entries[:ROWS_MAX]))
    if len(entries) > ROWS_MAX:
        console.print(Text(f"… and {len(entries) - ROWS_MAX} more, in the results", style="dim"))
    for line in _remarks(result, entries, state_dir / "runs" / result["run_id"]):
        console.print(line, soft_wrap=True)
    console.print(_totals(result), soft_wrap=True)
    for line in _advice(result, entries):
        console.print(line, soft_wrap=True)


def _table(entries: Sequence[Entry]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("task", "verdict"):
        table.add_column(heading)
    for heading in ("turns", "tokens", "cost"):
        table.add_column(heading, justify="right")
    for heading in ("changes", "branch"):
        table.add_column(heading, overflow="fold")
    for entry in entries:
        table.add_row(*_row(entry))
    return table


def _row(entry: Entry) -> Iterator[Text]:
    verdict, agent, changes = entry["verdict"] or "pending", entry.get("agent"), entry.get("changes")
    yield Text(printable(entry["batch_id"], 60))
    yield Text(verdict, style="green" if verdict == "success" else "yellow" if verdict in _UNDECIDED else "red")
    if agent is None or not (agent["turns"] or agent["tokens"]["total"]):  # a program of the user's tells neither
        yield from (Text(NOTHING), Text(NOTHING), Text(dollars(None if agent is None else agent["cost_usd"])))
    else:
        yield from (Text(str(agent["turns"])), Text(amount(agent["tokens"]["total"])), Text(dollars(agent["cost_usd"])))
    yield Text(diffstat(changes))
    yield Text(printable((changes or {}).get("branch") or ""))


_UNDECIDED = ("skipped", "pending")


def _remarks(result: Mapping[str, Any], entries: Sequence[Entry], run_dir: Path) -> Iterator[Text]:
    """What each said last, or why it did not succeed; what did not come back; what stopped the run."""
    for entry in entries[:ROWS_MAX]:
        words, style = _last_words(entry), "default" if entry["verdict"] == "success" else "red"
        if words:
            yield Text(f"{printable(entry['batch_id'], 60)}: ", style="bold").append(
                printable(words, WORDS_MAX), style=style
            )
        for warning in entry.get("warnings") or ():
            yield Text(f"{'':>4}warning: {printable(warning)}", style="yellow")
        problem = (entry.get("changes") or {}).get("problem")
        if problem:
            yield Text(f"{'':>4}not all of its work is back: {printable(problem)}", style="yellow")
        patch = (entry.get("changes") or {}).get("patch")
        if patch and not (entry.get("changes") or {}).get("branch"):
            yield Text(f"{'':>4}its work is in {run_dir / patch}", style="dim")
    if result["stopped_because"]:
        yield Text(f"stopped because {printable(result['stopped_because'])}", style="yellow")
    for problem in result["left_behind"]:
        yield Text(f"left behind: {printable(problem)} (try `wavepool recover`)", style="red")


def _last_words(entry: Entry) -> str:
    agent = entry.get("agent") or {}
    if entry["verdict"] == "success":
        return " ".join((agent.get("final_text") or "").split())
    if entry["verdict"] is None:
        again = entry.get("will_be_tried_again") and entry["retried_because"]
        return f"to be tried again after {entry['retried_because'][-1]}" if again else ""
    return " ".join((agent.get("problem") or entry["evidence"].get("reason") or "").split())


def _totals(result: Mapping[str, Any]) -> Text:
    metrics, good = result["metrics"], result["status"] == "success"
    text = Text(f"{result['status']}: ", style="bold green" if good else "bold red")
    text.append(
        f"{metrics.get('success', 0)} of {count(metrics.get('total', 0), 'task')} succeeded in "
        f"{took(result['duration_s'], result['since_start_s'])} ({result['execution_mode']}), run {result['run_id']}",
        style="default",
    )
    spent = spending(result.get("agents"))
    if spent:
        text.append(f"; {spent}", style="default")
    return text


def spending(agents: Mapping[str, Any] | None) -> str:
    """``27 turns, 90.1k tokens, $0.42``, of all attempts; empty where there were no agents."""
    if not agents or not (agents["turns"] or agents["tokens"]["total"]):
        return ""
    words = [count(agents["turns"], "turn"), f"{amount(agents['tokens']['total'])} tokens"]
    if agents["attempts_without_cost"] < agents["attempts"]:
        least = "at least " if agents["attempts_without_cost"] else ""
        words.append(f"{least}{dollars(agents['cost_usd'])}")
    return ", ".join(words)


def steps_on(result: Mapping[str, Any], entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    """(command, what it does) for a run that was cut off: what goes on with it, and what a resume leaves as it is."""
    if result["status"] not in _CUT_OFF:
        return
    run_id = result["run_id"]
    pending = sum(entry["verdict"] is None for entry in entries)
    cancelled = sum(entry["verdict"] == "cancelled" for entry in entries)
    if pending:
        rest = f"; not with {cancelled} cancelled" if cancelled else ""
        yield f"wavepool resume {run_id}", f"goes on with {count(pending, 'task')}{rest}"
    if cancelled:
        more = ", and goes on with the rest" if pending else ""
        yield f"wavepool retry {run_id} --failed", f"tries again what was cancelled or failed{more}"


_CUT_OFF = ("interrupted", "infrastructure", "unfinished")


def step_lines(steps: Sequence[tuple[str, str]]) -> Iterator[Text]:
    """One line for each, the commands under each other."""
    width = max((len(printable(command)) for command, _ in steps), default=0)
    for place, (command, what) in enumerate(steps):
        yield Text(f"{'next:' if not place else '':<6}{printable(command):<{width}}  ").append(what, style="dim")


def _advice(result: Mapping[str, Any], entries: Sequence[Entry]) -> Iterator[Text]:
    """The next commands: go on, put together what came back, look at what did not succeed."""
    run_id = result["run_id"]
    steps = list(steps_on(result, entries))
    branches = [e for e in entries if e["verdict"] == "success" and (e.get("changes") or {}).get("branch")]
    if branches:
        many = f"brings {len(branches)} branches together, one by one" if branches[1:] else "merges its one branch"
        words = f"{many} (--dry-run shows how)"
        steps.append((f"wavepool merge {run_id}", words))
    failed = [entry for entry in entries if entry["verdict"] not in ("success", "skipped", None)]
    if failed:
        steps.append((shlex.join(("wavepool", "logs", run_id, failed[0]["batch_id"])), "what it said"))
        again = f"wavepool retry {run_id} --failed"
        if again not in dict(steps):
            steps.append((again, "tries again what failed"))
    steps.append((f"wavepool show {run_id}", "all of this run"))
    yield from step_lines(steps)
