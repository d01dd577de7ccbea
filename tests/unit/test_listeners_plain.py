"""Plain lines, from the facts of simulated runs."""

from __future__ import annotations

import io
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wavepool.core.events import Now
from wavepool.core.facts import AttemptRemoved, Stamped
from wavepool.engine.clock import Clock
from wavepool.listeners.lines import BOUND
from wavepool.listeners.plain import SKIPS_SHOWN, PlainListener
from wavepool.model import Limits, Node, Resources, Rules, Task, Wave
from wavepool.testing.simulation import Simulation
from wavepool.testing.simulation.scenarios import NO_TROUBLES, Scenario, Troubles, warmed
from wavepool.units import GIB

HOSTILE = "../../x\n\x1b[31mred\x07\u202e[bold]\t😀"


class HandClock(Clock):
    """Moved by hand."""

    def __init__(self) -> None:
        self.at_s = 0.0

    @property
    def boot_id(self) -> str:
        return "hand"

    def now(self) -> Now:
        return Now(self.at_s, datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=self.at_s))


def journal(
    *ids: str, troubles: Troubles = NO_TROUBLES, chain: bool = False, max_attempts: int = 1
) -> tuple[Stamped, ...]:
    tasks = tuple(
        Task(
            id=name,
            key=f"t{n}",
            wave=1,
            tier=1,
            limits=Limits(memory_bytes=GIB),
            depends_on=(ids[n - 1],) if chain and n else (),
        )
        for n, name in enumerate(ids)
    )
    rules = Rules(nodes=(Node(name="n", capacity=Resources(8 * GIB)),), keep_going=True, max_attempts=max_attempts)
    scenario = Scenario(waves=(Wave(number=1),), tasks=tasks, rules=rules, troubles=troubles, seed=3)
    return Simulation(scenario).run().journal


def lines(facts: tuple[Stamped, ...], **options: object) -> list[str]:
    stream = io.StringIO()
    with PlainListener(stream, 5.0, HandClock(), **options) as listener:  # type: ignore[arg-type]
        listener.on_facts(facts)
    return stream.getvalue().splitlines()


def test_tells_the_run_and_its_waves_and_no_success() -> None:
    said = lines(journal("a", "b"))
    assert [line.split(" ", 1)[1] for line in said[:2]] == [
        "run simulated-3 opened: driver simulated, schedule barrier, budget 8.0GB",
        "wave 1 opened: 2 tasks",
    ]
    assert "2 of 2 tasks succeeded" in said[2]
    assert said[3].endswith("success. Running: 0, Completed: 2, Failed: 0, Timeout: 0")
    assert len(said) == 4
    for line in said:
        datetime.strptime(line.split(" ")[0], "%Y-%m-%dT%H:%M:%SZ")


def test_verbose_tells_every_start_and_success() -> None:
    said = "\n".join(lines(journal("a"), verbose=True))
    assert "task a: attempt 1 runs" in said
    assert "task a: attempt 1 success; exit code 0" in said


def test_a_warm_run_says_how_many_started_warm() -> None:
    tasks = tuple(
        Task(id=f"w{wave}", key=f"w{wave}", wave=wave, tier=1, limits=Limits(memory_bytes=GIB)) for wave in (1, 2)
    )
    rules = warmed(Rules(nodes=(Node(name="n", capacity=Resources(GIB)),)), 2)
    waves = (Wave(number=1), Wave(number=2))
    facts = Simulation(Scenario(waves=waves, tasks=tasks, rules=rules, troubles=NO_TROUBLES, seed=3)).run().journal
    said = [line.split(" ", 1)[1] for line in lines(facts, verbose=True)]
    assert said[0].endswith("budget 1.1GB, up to 2 parked")
    assert "task w1: attempt 1 runs" in said
    assert "task w2: attempt 1 runs, started warm" in said
    assert [line.rsplit(", ", 1)[1] for line in said if " settled " in line] == [
        "0 of 1 started warm",
        "1 of 1 started warm",
    ]
    assert said[-1].endswith("Timeout: 0, 1 of 2 started warm")


def test_tells_each_failure_with_its_reason_its_log_and_the_retry() -> None:
    said = lines(journal("a", troubles=Troubles(fails=1.0), max_attempts=2), runs_dir=Path("/state/runs"))
    failed = [line.split(" ", 1)[1] for line in said if line.split(" ", 1)[1].startswith("task")]
    assert failed == [
        "task a: attempt 1 failed; exit code 1; simulated failed; log /state/runs/simulated-3/a#1.log",
        "task a: will be tried again after failed (attempt 1 of 2)",
        "task a: attempt 2 failed; exit code 1; simulated failed; log /state/runs/simulated-3/a#2.log",
    ]


def test_hostile_ids_stay_on_their_line_and_cannot_reach_the_terminal() -> None:
    said = lines(journal(HOSTILE, troubles=Troubles(fails=1.0)))
    assert all(line.isprintable() for line in said)
    assert len(said) == 5
    assert "../../x\\n\\x1b[31mred\\x07\\u202e[bold]\\t😀" in said[2]


def test_many_skipped_together_are_counted() -> None:
    said = lines(journal(*(f"t{n}" for n in range(60)), chain=True, troubles=Troubles(fails=1.0)))
    skipped = [line for line in said if ": skipped," in line]
    # the facts of the whole run are handed over at once here
    assert len(skipped) == SKIPS_SHOWN
    assert any(line.endswith(f"… and {59 - SKIPS_SHOWN} more skipped") for line in said)


def test_tick_tells_the_seeds_line_once_an_interval() -> None:
    stream, clock = io.StringIO(), HandClock()
    facts = journal("a", "b", "c")
    with PlainListener(stream, 5.0, clock) as listener:
        listener.tick()  # nothing is known yet
        listener.on_facts(facts[:2])
        for at_s in (0.0, 1.0, 4.9, 5.0, 9.0, 10.5):
            clock.at_s = at_s
            listener.tick()
        listener.on_facts(facts[2:])
        clock.at_s = 100.0
        listener.tick()  # it has ended
    told = [line for line in stream.getvalue().splitlines() if line.split(" ")[1] == "Running:"]
    assert len(told) == 3
    assert told[1] == "2030-01-01T00:00:05Z Running: 0, Completed: 0, Failed: 0, Timeout: 0"


class Stalled(io.StringIO):
    """A stream whose reader does not read until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = threading.Event()

    def write(self, text: str, /) -> int:
        assert self.reads.wait(30)
        return super().write(text)


def test_a_stalled_reader_stalls_nobody_and_hears_how_much_it_missed() -> None:
    stream = Stalled()
    listener = PlainListener(stream, 5.0, HandClock())
    for _ in range(BOUND + 500):
        listener.notice("x")
    stream.reads.set()
    assert listener.close() == 500
    said = stream.getvalue().splitlines()
    assert len(said) == BOUND + 1
    assert "500 lines of this were dropped" in said[-1]


def test_a_reader_that_went_away_is_no_error() -> None:
    class Gone(io.StringIO):
        def write(self, text: str, /) -> int:
            raise BrokenPipeError

    with PlainListener(Gone(), 5.0, HandClock()) as listener:
        listener.on_facts(journal("a"))
    assert listener.close() > 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_takes_any_line(encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict", write_through=True)
    with PlainListener(stream, 5.0, HandClock()) as listener:
        listener.notice("été 😀 \ud800")
    assert raw.getvalue().endswith(b"\\ud800\n")


def test_what_could_not_be_kept_or_removed_is_told() -> None:
    facts = tuple(
        stamped._replace(fact=replace(stamped.fact, problem="it resists", not_kept="no\nspace"))
        if isinstance(stamped.fact, AttemptRemoved)
        else stamped
        for stamped in journal("one")
    )
    told = [line.partition(" ")[2] for line in lines(facts)]
    assert "task one: left behind, it resists" in told
    assert r"task one: not kept, no\nspace" in told
