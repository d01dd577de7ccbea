"""Kills in simulation: they come after every kind of commit, and nothing is lost, doubled or left."""

from __future__ import annotations

import pytest

from wavepool.testing.simulated_kills import kill, main, summary
from wavepool.testing.simulation import run as simulation

KILLS = 3000


def test_thousands_of_kills_lose_and_double_nothing(record_property, capsys):
    tally = kill(KILLS, seed=2_000_000, jobs=1)
    record_property("proof", summary(tally))
    assert tally.violations == []
    assert tally.kills >= KILLS
    assert tally.missed == []
    assert tally.killed_after.total() == tally.kills


@pytest.mark.slow
def test_a_hundred_thousand_kills_lose_and_double_nothing(record_property, capsys):
    code = main(["--kills", "100000", "--seed", "1"])
    said = capsys.readouterr()
    record_property("proof", said.out.splitlines()[-1])
    assert (code, said.err) == (0, "")


def test_the_net_catches_a_resume_that_forgets_what_was_under_way(monkeypatch):
    monkeypatch.setattr(simulation, "first_actions", lambda state: ([], []))
    assert kill(KILLS, seed=1, jobs=1).violations


def test_the_net_catches_a_resume_that_starts_what_runs(monkeypatch):
    """What runs is not told of: it is executed a second time, or taken for lost, or the budget is exceeded."""
    told = simulation.SimulatedDriver.told

    def deaf(driver):
        for body in driver._world.bodies.values():
            if body.phase.name == "RUNNING":
                body.phase = type(body.phase).ABSENT
        return told(driver)

    monkeypatch.setattr(simulation.SimulatedDriver, "told", deaf)
    assert kill(KILLS, seed=1, jobs=1).violations


def test_a_violation_is_told_with_its_seed_and_exit_code(monkeypatch, capsys):
    monkeypatch.setattr(simulation, "first_actions", lambda state: ([], []))
    assert main(["--kills", "3000", "--seed", "1", "--jobs", "1"]) == 1
    assert "VIOLATION: seed " in capsys.readouterr().err
