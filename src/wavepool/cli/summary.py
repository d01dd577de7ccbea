"""What a person reads when a run has ended."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wavepool.cli.agent_summary import print_agent_summary, spending, step_lines, steps_on
from wavepool.listeners.wording import count, printable, took
from wavepool.units import format_duration

SHOWN = 20
"""Tasks that did not succeed are listed up to this many; all are in the results."""


def print_summary(result: Mapping[str, Any], console: Console, *, state_dir: Path) -> None:
    """A table of the waves, what did not succeed and why, and where everything is; of agents what each did."""
    if "run_id" not in result:
        console.print("Interrupted before anything was started.")
        return
    if result.get("agents") is not None and len(result["waves"]) == 1:
        print_agent_summary(result, console, state_dir=state_dir)
        return
    console.print(_waves(result))
    for line in _problems(result, state_dir / "runs" / result["run_id"]):
        console.print(line, soft_wrap=True)
    console.print(_closing(result), soft_wrap=True)
    entries = [entry for wave in result["waves"] for entry in wave["containers"]]
    for line in step_lines(list(steps_on(result, entries))):
        console.print(line, soft_wrap=True)


def _waves(result: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("wave", "tasks", "success", "failed", "timeout", "pending", "took"):
        table.add_column(heading, justify="right")
    for wave in result["waves"]:
        metrics = wave["metrics"]
        counts = [str(metrics[name]) for name in ("total", "success", "failed", "timeout", "pending")]
        table.add_row(str(wave["wave_number"]), *counts, format_duration(wave["duration_s"] or 0))
    return table


def _problems(result: Mapping[str, Any], run_dir: Path) -> Iterator[Text]:
    entries = [entry for wave in result["waves"] for entry in wave["containers"]]
    troubled = [entry for entry in entries if entry["verdict"] not in ("success", None)]
    for entry in troubled[:SHOWN]:
        reason = entry["evidence"].get("reason", "")
        line = Text(f"{entry['verdict']:>11}  ", style="red" if entry["verdict"] != "skipped" else "yellow")
        line.append(f"{printable(entry['batch_id'])}: {printable(reason)}", style="default")
        if entry["log"] is not None:
            line.append(f"  [{run_dir / entry['log']}]", style="dim")
        yield line
        if entry["kept"] is not None:
            look = shlex.join(("wavepool", "exec", run_dir.name, entry["batch_id"]))
            yield Text(f"{'':>11}  kept: {printable(look)}", style="dim")
        if entry["not_kept"] is not None:
            yield Text(f"{'':>11}  not kept: {printable(entry['not_kept'])}", style="yellow")
    if len(troubled) > SHOWN:
        yield Text(f"… and {len(troubled) - SHOWN} more, in the results", style="dim")
    if result["stopped_because"]:
        yield Text(f"stopped because {printable(result['stopped_because'])}", style="yellow")
    for problem in result["left_behind"]:
        yield Text(f"left behind: {printable(problem)} (try `wavepool recover`)", style="red")


def _closing(result: Mapping[str, Any]) -> Text:
    metrics = result["metrics"]
    good = result["status"] == "success"
    text = Text(f"{result['status']}: ", style="bold green" if good else "bold red")
    text.append(
        f"{metrics.get('success', 0)} of {count(metrics.get('total', 0), 'task')} succeeded in "
        f"{took(result['duration_s'], result['since_start_s'])} ({result['execution_mode']}), run {result['run_id']}",
        style="default",
    )
    if spent := spending(result.get("agents")):
        text.append(f"; {spent}", style="default")
    warm = result["warm"]
    if warm["parked_at_most"]:
        text.append(f"; {warm['started_warm']} of {warm['attempts_started']} started warm", style="default")
    return text
