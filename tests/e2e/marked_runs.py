"""Runs whose tasks leave a line for each execution, and what must be true of them whatever befell the daemon."""

from __future__ import annotations

from collections import Counter
from typing import Any

from wavepool_cli import Finished, World, batch


def marking(name: str, until: float | str) -> dict[str, object]:
    """A task that leaves a line for each execution: its id, and the container that it ran in.

    It ends after so many seconds, or when a shell command says so.
    """
    wait = f"until {until}; do sleep 0.05; done" if isinstance(until, str) else f"sleep {until:.2f}"
    script = f'echo "{name} $(hostname)" >> ran; {wait}; echo done'
    return batch(name, script, memory="16m")


def check(world: World, done: Finished) -> list[dict[str, Any]]:
    """The settled attempts of a run in which each task has one right verdict, and no attempt ran twice."""
    result = done.lines[-1]
    entries = {each["batch_id"]: each for one in result["waves"] for each in one["containers"]}
    executed = Counter(world.marks("ran"))
    assert [line for line, times in executed.items() if times > 1] == []
    times_run = Counter(line.split()[0] for line in executed)
    settled = [
        {"attempt": tuple(fact["attempt"]), "task": fact["attempt"][0], **fact["verdict"]}
        for fact in done.lines
        if fact.get("kind") == "AttemptSettled"
    ]
    numbers = Counter(fact["attempt"] for fact in settled)
    assert max(numbers.values()) == 1
    for name, entry in entries.items():
        mine = [fact["kind"] for fact in settled if fact["task"] == name]
        assert len(mine) == entry["attempts"]
        assert mine[-1] == entry["verdict"]
        assert set(mine[:-1]) <= {"lost", "start_error"}
        assert mine.count("success") <= times_run[name] <= len(mine)
        if entry["verdict"] == "success":
            assert entry["log_problem"] or world.log(entry).read_text().endswith("done\n")
    return settled
