"""Why tasks of a wave wait: how many have room at once, and the words for it."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from wavepool.core.events import Now
from wavepool.engine.clock import Clock
from wavepool.engine.report import RunReport
from wavepool.engine.room import AtOnce, Room
from wavepool.listeners.live import render
from wavepool.listeners.plain import PlainListener
from wavepool.listeners.progress import Progress
from wavepool.listeners.wording import at_once_words
from wavepool.model import Limits, Node, Resources, Rules, Task, Wave
from wavepool.testing.simulation import Simulation
from wavepool.testing.simulation.scenarios import NO_TROUBLES, Scenario
from wavepool.units import GIB, MIB

TWO_CORES = (Node(name="n", capacity=Resources(GIB, 2000)),)


class Still(Clock):
    @property
    def boot_id(self) -> str:
        return "still"

    def now(self) -> Now:
        return Now(0.0, datetime(2030, 1, 1, tzinfo=UTC))


def room(*held: Resources, parallelism: int | None = None, nodes: tuple[Node, ...] = TWO_CORES) -> Room:
    made = Room(nodes, parallelism)
    for each in held:
        made.add(each)
    return made


@pytest.mark.parametrize(
    ("made", "bound", "words"),
    [
        (room(), None, ""),
        (room(*[Resources(64 * MIB)] * 16), None, ""),
        (room(*[Resources(64 * MIB)] * 17), AtOnce(16, "memory"), "16 at a time: each is promised 64MB of a budget of"),
        (
            room(*[Resources(MIB, 2000)] * 4),
            AtOnce(1, "cpus"),
            "1 at a time: each is promised 2 CPUs of 2 here",
        ),
        (room(*[Resources(MIB, 500)] * 4), None, ""),
        (room(*[Resources(MIB)] * 4, parallelism=3), AtOnce(3, "parallelism"), "3 at a time: its `parallelism`"),
        (room(*[Resources(MIB)] * 4, parallelism=4), None, ""),
        (
            room(Resources(MIB, 500), Resources(MIB, 1500), Resources(MIB, 1000)),
            AtOnce(2, "cpus"),
            "2 at first: each is promised up to 1.5 CPUs of 2 here",
        ),
        (room(*[Resources(MIB, 9000)] * 2, nodes=(Node(name="n", capacity=Resources(GIB)),)), None, ""),
    ],
)
def test_what_bounds_a_wave(made: Room, bound: AtOnce | None, words: str) -> None:
    assert made.at_once() == bound
    told = at_once_words(made)
    assert told.startswith(words)
    assert bool(told) == bool(words)


def test_lines_screen_and_result_say_why_tasks_wait() -> None:
    limits = Limits(memory_bytes=MIB, cpus=2.0)
    tasks = tuple(Task(id=f"t{n}", key=f"t{n}", wave=1 + n // 4, tier=1, limits=limits) for n in range(5))
    rules = Rules(nodes=TWO_CORES)
    waves = (Wave(number=1), Wave(number=2))
    journal = Simulation(Scenario(waves=waves, tasks=tasks, rules=rules, troubles=NO_TROUBLES, seed=3)).run().journal
    stream, shown = io.StringIO(), io.StringIO()
    progress = Progress()
    with PlainListener(stream, 0.0, Still()) as listener:
        for stamped in journal:
            listener.on_facts([stamped])
            listener.tick()
            progress.take(stamped)
            if progress.waiting is not None:
                Console(file=shown, width=200).print(render(progress, Still().now()))
    said = stream.getvalue()
    why = "1 at a time: each is promised 2 CPUs of 2 here (--cpus, or `cpus` of a batch, changes it)"
    assert said.count(f"wave 1 opened: 4 tasks, {why}\n") == 1
    assert "wave 2 opened: 1 task\n" in said
    assert "Running: 1, Completed: 0, Failed: 0, Timeout: 0; 3 tasks of wave 1 waiting for CPUs" in said
    assert "Running: 1, Completed: 2, Failed: 0, Timeout: 0; 1 task of wave 1 waiting for CPUs" in said
    assert "of wave 2 waiting" not in said
    assert f"wave 1: {why}" in shown.getvalue()
    first, second = RunReport.of(journal).result()["waves"]
    assert (first["at_once"], second["at_once"]) == ({"tasks": 1, "bound": "cpus"}, None)
