"""The live screen, rendered from the facts of simulated runs."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from wavepool.core.events import Now
from wavepool.core.facts import RunPaused, RunStopped, RunUnpaused, Stamped, WaveOpened
from wavepool.engine.clock import SystemClock
from wavepool.listeners.live import LiveListener, render
from wavepool.listeners.progress import Progress
from wavepool.model import Limits, Node, Resources, Rules, Task, Wave
from wavepool.testing.simulation import Simulation
from wavepool.testing.simulation.scenarios import Scenario, Troubles, random_scenario
from wavepool.units import GIB

HOSTILE = "[bold red]x[/] \x1b[2J\n\r\x07\u202e " + "long" * 60


def journal(waves: int, each: int, *, prefix: str = "task", troubles: Troubles | None = None) -> tuple[Stamped, ...]:
    tasks = tuple(
        Task(id=f"{prefix}{w}-{n}", key=f"t{w}-{n}", wave=w, tier=1, limits=Limits(memory_bytes=GIB))
        for w in range(1, waves + 1)
        for n in range(each)
    )
    rules = Rules(nodes=(Node(name="n", capacity=Resources(6 * GIB)),), keep_going=True)
    scenario = Scenario(
        waves=tuple(Wave(number=n) for n in range(1, waves + 1)),
        tasks=tasks,
        rules=rules,
        troubles=troubles or Troubles(fails=0.3, oom=0.1),
        seed=8,
    )
    return Simulation(scenario).run().journal


def screen(progress: Progress, now: Now, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=24, force_terminal=True, color_system=None, record=True)
    console.print(render(progress, now))
    return console.export_text(styles=False).splitlines()


def at(stamped: Stamped) -> Now:
    return Now(stamped.boot_s, stamped.utc)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_every_moment_of_every_run_fits_the_width(width: int) -> None:
    for seed in range(8):
        progress = Progress()
        facts = Simulation(random_scenario(seed)).run().journal
        for number, stamped in enumerate(facts):
            progress.take(stamped)
            if number % 7 == 0:
                assert all(cell_len(line) <= width for line in screen(progress, at(stamped), width))


def test_a_thousand_waves_show_the_current_one() -> None:
    progress = Progress()
    for stamped in journal(1000, 1):
        progress.take(stamped)
        if isinstance(stamped.fact, WaveOpened) and stamped.fact.wave == 500:
            break
    said = screen(progress, at(stamped))
    assert len(said) <= 22  # a terminal has 24 rows
    rows = [line for line in said if re.match(r" *\d+ +1 ", line)]
    assert [int(row.split()[0]) for row in rows] == list(range(499, 507))
    assert "open" in rows[1]
    assert "settled" in rows[0]
    assert any("498 waves before" in line for line in said)
    assert any("494 waves more" in line for line in said)


def test_hostile_ids_are_shown_and_do_nothing() -> None:
    facts = journal(1, 4, prefix=HOSTILE, troubles=Troubles(fails=1.0))
    progress = Progress()
    progress.take_all(facts)
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None, record=True)
    console.print(render(progress, at(facts[-1])))
    text = console.export_text(styles=False)
    assert "[bold red]x[/] \\x1b[2J" in text
    assert not set(text) & {"\x1b", "\r", "\x07", "\u202e"}
    assert all(cell_len(line) <= 80 for line in text.splitlines())
    assert len(text.splitlines()) <= 12


def test_tells_the_run_the_figures_and_why_tasks_failed() -> None:
    facts = journal(3, 6)
    progress = Progress()
    progress.take_all(facts)
    text = "\n".join(screen(progress, at(facts[-1])))
    assert "run simulated-8" in text
    assert "barrier" in text
    assert progress.totals.line() in text
    assert "0MB of 6.0GB" in text
    assert "18 of 18" in text
    assert "simulated failed" in text


def test_makes_a_picture() -> None:
    facts = journal(3, 6)
    progress = Progress()
    progress.take_all(facts[: len(facts) // 2])
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="truecolor", record=True)
    console.print(render(progress, at(facts[len(facts) // 2])))
    assert "<svg" in console.export_svg(title="wavepool run")


def terminal() -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, width=80, height=24, force_terminal=True, color_system="standard"), stream


def test_gives_the_terminal_back_even_after_an_error() -> None:
    console, stream = terminal()
    listener = LiveListener(console, SystemClock())

    def work() -> None:
        with listener:
            listener.on_facts(journal(1, 3))
            listener.notice("[red]pulled\x1b[2J")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    shown = stream.getvalue()
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is back
    assert "[red]pulled\\x1b[2J" in shown
    assert "\x1b[2J" not in shown
    listener.close()


def test_the_last_drawing_stays_if_asked() -> None:
    console, stream = terminal()
    with LiveListener(console, SystemClock(), keep=True) as listener:
        listener.on_facts(journal(1, 3, troubles=Troubles()))
    assert "Completed: 3" in stream.getvalue()


def test_a_paused_run_says_since_when_and_what_lets_it_go_on_and_no_time_left() -> None:
    progress = Progress()
    facts = journal(1, 24, troubles=Troubles(duration_s=30.0))
    half = next(n for n, each in enumerate(facts) if progress.totals.ended >= 6 or progress.take(each))
    when = at(facts[half])
    assert progress.time_left_s(when) is not None
    progress.take(Stamped(when.boot_s, when.utc, RunPaused(at_s=when.boot_s, at=when.utc)))
    shown = "\n".join(screen(progress, when, width=200))
    assert f"paused since {when.utc:%H:%M:%S}Z, nothing new starts: `wavepool unpause simulated-8` lets" in shown
    assert progress.time_left_s(when) is None
    stopped = Progress()
    stopped.take_all(facts[: half + 1])
    for fact in (RunPaused(at_s=when.boot_s, at=when.utc), RunStopped(cause="no daemon", infrastructure=True)):
        stopped.take(Stamped(when.boot_s, when.utc, fact))
    assert "wavepool unpause" not in "\n".join(screen(stopped, when, width=200))  # nothing would go on
    progress.take(Stamped(when.boot_s, when.utc, RunUnpaused(at_s=when.boot_s, at=when.utc)))
    assert "paused" not in "\n".join(screen(progress, when, width=200))
