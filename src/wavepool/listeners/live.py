"""A screen that is drawn anew while the run goes on, on a terminal."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from wavepool.core.events import Now
from wavepool.core.facts import Stamped
from wavepool.core.softlimits import measured
from wavepool.engine.clock import Clock
from wavepool.engine.listener import Listener
from wavepool.listeners.endings import Ended
from wavepool.listeners.figures import WaveProgress, warm_words
from wavepool.listeners.heldback import held_back
from wavepool.listeners.progress import Progress
from wavepool.listeners.saying import saying_words, spent_words, used_words
from wavepool.listeners.wording import at_once_words, count, printable
from wavepool.model import AgentEvent, AttemptId, Finding, VerdictKind
from wavepool.units import format_duration, human_size

REFRESH_HZ = 8
WAVES_SHOWN = 8
TROUBLED_SHOWN = 5
WARNED_SHOWN = 3
AGENTS_SHOWN = 8
BAR_WIDTH = 40


class LiveListener(Listener):
    """Draws the run on a terminal, at most 8 times a second, from a thread of Rich's.

    A context manager, closed by its owner: leaving it gives the terminal back, whatever happened, and takes the
    drawing away (`keep` leaves the last one). `on_facts` only counts; it waits for no terminal.

    Args:
        console: on stderr.
        clock: tells the time.
        keep: leave the last drawing on the screen.
    """

    def __init__(self, console: Console, clock: Clock, *, keep: bool = False) -> None:
        self.progress = Progress()
        self._clock = clock
        self._lock = threading.Lock()  # the drawing thread reads what `on_facts` changes
        self._live = Live(
            console=console,
            get_renderable=self._draw,
            refresh_per_second=REFRESH_HZ,
            transient=not keep,
            redirect_stdout=False,
            redirect_stderr=console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=False)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def on_facts(self, facts: Sequence[Stamped]) -> None:
        with self._lock:
            self.progress.take_all(facts)

    def on_agent(self, attempt: AttemptId, event: AgentEvent) -> None:
        with self._lock:
            self.progress.hear(attempt, event)

    def tick(self) -> None:
        """Nothing to do: it draws by itself. Here so that every screen has it."""

    def notice(self, text: str) -> None:
        """Something that is no fact, above the drawing."""
        self._live.console.print(Text("\n".join(printable(line) for line in text.splitlines())))

    def close(self) -> None:
        """Give the terminal back. Safe to repeat."""
        self._live.stop()

    def _draw(self) -> RenderableType:
        with self._lock:
            return render(self.progress, self._clock.now())


def render(progress: Progress, now: Now, *, waves: int = WAVES_SHOWN, troubled: int = TROUBLED_SHOWN) -> RenderableType:
    """The screen at one moment. Reads `progress` only while it is called.

    `waves` and `troubled` bound the rows for waves (a window around the current one) and for ended attempts that did
    not succeed.
    """
    if progress.run is None:
        return Text("preparing …", style="dim")
    parts: list[RenderableType] = [_header(progress, now), _bars(progress), _counts(progress)]
    parts.append(_waves(progress, waves))
    parts += _waiting(progress)
    parts += _agents(progress, now)
    parts += _troubled(progress, troubled)
    parts += _warned(progress)
    parts += _state(progress)
    return Group(*parts)


def _header(progress: Progress, now: Now) -> RenderableType:
    run = progress.run
    assert run is not None
    mode = run.driver if run.driver == run.execution_mode else f"{run.driver} ({run.execution_mode})"
    left = Text(no_wrap=True, overflow="ellipsis")
    left.append(f"run {printable(run.run_id, 32)}", style="bold")
    left.append(f"  {printable(mode, 32)}, {run.rules.schedule.value}", style="dim")
    right = Text(format_duration(progress.elapsed_s(now)), style="bold", no_wrap=True)
    left_s = progress.time_left_s(now)
    if left_s is not None:
        right.append(f"  about {format_duration(left_s)} left", style="dim")
    grid = Table.grid(expand=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(left, right)
    return grid


def _bars(progress: Progress) -> RenderableType:
    totals = progress.totals
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim")
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    shares = [
        (totals.success, "green"),
        (totals.failed - totals.skipped, "red"),
        (totals.timeout, "magenta"),
        (totals.skipped, "yellow"),
        (totals.starting + totals.running, "cyan"),
    ]
    grid.add_row("tasks", _bar(shares, totals.total), f"{totals.ended} of {totals.total}")
    held = f"{human_size(progress.held_bytes)} of {human_size(progress.budget_bytes)}"
    grid.add_row("memory", _bar([(progress.held_bytes, "blue")], progress.budget_bytes), held)
    return grid


def _bar(shares: Sequence[tuple[int, str]], total: int) -> Text:
    """`BAR_WIDTH` cells in the colours of `shares`, the rest dim. Borders are rounded, so that they always add up."""
    bar, done, sum_so_far = Text(), 0, 0
    for share, colour in shares:
        sum_so_far += share
        upto = round(BAR_WIDTH * min(sum_so_far, total) / total) if total else 0
        bar.append("━" * (upto - done), style=colour)
        done = max(done, upto)
    return bar.append("─" * (BAR_WIDTH - done), style="dim")


def _counts(progress: Progress) -> Text:
    line = Text(progress.totals.line())
    totals = progress.totals
    for word in ("Starting", "Pending", "Skipped", "Retries"):
        number = getattr(totals, word.lower())
        if number:
            line.append(f", {word}: {number}", style="dim")
    if progress.run is not None and progress.run.rules.warm:
        line.append(f", {warm_words(totals)}", style="dim")
    return line


def _waiting(progress: Progress) -> list[RenderableType]:
    """Why tasks of the open waves wait, where it is for room."""
    wave = progress.waiting
    return [] if wave is None else [Text(f"wave {wave.number}: {at_once_words(wave.room)}", style="dim")]


def _waves(progress: Progress, rows: int) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("wave", "tasks", "running", "completed", "failed", "timeout"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    shown, before, after = _window(progress, rows)
    if before:
        table.add_row("…", *[""] * 5, Text(f"{count(before, 'wave')} before", style="dim"))
    for wave in shown:
        table.add_row(*_wave_row(wave))
    if after:
        table.add_row("…", *[""] * 5, Text(f"{count(after, 'wave')} more", style="dim"))
    return table


def _window(progress: Progress, rows: int) -> tuple[list[WaveProgress], int, int]:
    """(waves to show, how many are before, how many after): one settled wave, then the current and the next ones."""
    numbers = list(progress.waves)
    if progress.open:
        first_open = min(progress.open)
        current = next(index for index, number in enumerate(numbers) if number == first_open)
    else:
        current = next((i for i, n in enumerate(numbers) if progress.waves[n].settled_at is None), len(numbers))
    first = max(0, min(current - 1, len(numbers) - rows))
    shown = [progress.waves[number] for number in numbers[first : first + rows]]
    return shown, first, len(numbers) - first - len(shown)


def _wave_row(wave: WaveProgress) -> list[RenderableType]:
    style = {"open": "bold", "settled": "", "waiting": "dim"}[wave.state]
    state = wave.state
    if wave.settled_at is not None and wave.duration_s is not None:
        state = f"{state} in {format_duration(wave.duration_s)}"
    if wave.rounds:
        state += ", timed out"
    return [
        Text(str(wave.number), style=style),
        Text(str(wave.total), style=style),
        _figure(wave.running, "cyan"),
        _figure(wave.success, "green"),
        _figure(wave.failed, "red"),
        _figure(wave.timeout, "magenta"),
        Text(state, style=style),
    ]


def _figure(number: int, colour: str) -> Text:
    return Text(str(number), style=colour if number else "dim")


def _agents(progress: Progress, now: Now) -> list[RenderableType]:
    """What the latest of the running agents do, what all have used, and accounts that have no more to give."""
    lines: list[RenderableType] = []
    for attempt, event in list(progress.saying.items())[-AGENTS_SHOWN:]:
        line = Text(f"{'agent':>11}  ", style="cyan", no_wrap=True, overflow="ellipsis")
        line.append(printable(attempt.task_id, 32), style="bold")
        line.append(f"  {used_words(event)}", style="dim")
        lines.append(line.append(f"  {saying_words(event)}", style="default"))
    if len(progress.saying) > AGENTS_SHOWN:
        lines.append(Text(f"{'':>11}  … and {count(len(progress.saying) - AGENTS_SHOWN, 'agent')} more", style="dim"))
    spent = progress.spent
    if spent is not None:
        lines.append(Text(f"agents used {spent_words(spent)}", style="dim"))
    lines += [Text(words, style="yellow") for words in held_back(progress, now)]
    return lines


def _troubled(progress: Progress, rows: int) -> list[RenderableType]:
    latest = list(progress.endings.troubled)[-rows:] if rows else []
    return [Text(), *(_troubled_line(ended) for ended in latest)] if latest else []


def _troubled_line(ended: Ended) -> Text:
    colour = {VerdictKind.SKIPPED: "yellow", VerdictKind.TIMEOUT: "magenta"}.get(ended.verdict, "red")
    line = Text(f"{ended.verdict.value:>11}  ", style=colour, no_wrap=True, overflow="ellipsis", end="")
    line.append(printable(ended.task_id, 32), style="bold")
    if ended.attempt > 1:
        line.append(f" (attempt {ended.attempt})", style="dim")
    again = "; will be tried again" if ended.again else ""
    line.append(f"  {printable(ended.reason.rstrip('.'), 200)}{again}\n", style="default")
    return line


def _warned(progress: Progress) -> list[RenderableType]:
    """The latest attempts that the watchdog has warned of, as long as they run."""
    latest = list(progress.warned.items())[-WARNED_SHOWN:]
    return [_warned_line(attempt, finding) for attempt, finding in latest]


def _warned_line(attempt: AttemptId, finding: Finding) -> Text:
    line = Text(f"{'warned':>11}  ", style="yellow", no_wrap=True, overflow="ellipsis")
    line.append(printable(attempt.task_id, 32), style="bold")
    return line.append(f"  {measured(finding)}", style="default")


def _state(progress: Progress) -> list[RenderableType]:
    if progress.course.forced:
        return [Text("interrupted: stopping what runs", style="red")]
    if progress.course.draining:
        return [Text("interrupted: nothing new starts; press Ctrl-C again to stop what runs", style="yellow")]
    if progress.course.stopped is not None:
        return [Text(f"nothing new starts: {printable(progress.course.stopped, 200)}", style="yellow")]
    return []
