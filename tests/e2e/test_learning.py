"""What one run teaches the next: limits that fit, an order, and a prediction that holds."""

from __future__ import annotations

import pytest
from wavepool_cli import World, batch, plan_of, wave

from wavepool.units import MIB, parse_size

HOG = "head -c 40000000 /dev/zero | tail -c 40000000 | wc -c; sleep 0.2"
"""`tail` holds 40 MB of it in memory."""
GREEDY = "head -c 40000000 /dev/zero | tail -c 40000000"
"""The same, and its end is that of `tail`."""


def test_a_run_is_predicted_by_the_one_before_it(world: World) -> None:
    plan = plan_of(
        wave(1, batch("short", "sleep 0.5"), batch("long", "sleep 2.5"), batch("middle", "sleep 1.5")),
        wave(2, batch("last", "sleep 1")),
    )
    blind = world.run(plan, "--dry-run", "--json").result["prediction"]
    assert blind["history"]["none"] == 4
    assert blind["history"]["assumed_s"] == 60.0
    assert blind["schedules"]["barrier"]["makespan_s"] == pytest.approx(120.0)

    first = world.run(plan)
    assert set(first.verdicts().values()) == {"success"}
    known = world.run(plan, "--dry-run", "--json").result["prediction"]
    assert known["history"]["twin"] == 4
    barrier, rolling = known["schedules"]["barrier"], known["schedules"]["rolling"]
    took_s = first.result["duration_s"]
    assert 3.5 <= barrier["makespan_s"] <= 2 * took_s, "the longest of each wave, and not all one after the other"
    assert 2.5 <= rolling["makespan_s"] < barrier["makespan_s"]
    assert 0 < barrier["memory_peak_bytes"] <= barrier["budget_peak_bytes"] == 48 * MIB


def test_the_longest_starts_first_in_the_next_rolling_run(process_world: World) -> None:
    def takes(name: str, seconds: float) -> dict[str, object]:
        """The first time; what is learned of it then is far from the others' on a busy machine too."""
        return batch(name, f"[ -e known ] || sleep {seconds}")

    short, middle, long = takes("short", 0), takes("middle", 1.5), takes("long", 4)
    plan = plan_of(wave(1, short, middle), wave(2, long))
    one_by_one = ("--schedule", "rolling", "--budget", "16m", "--json")

    def started(*options: str) -> list[str]:
        facts = process_world.run(plan, *one_by_one, *options).lines
        return [fact["attempt"][0] for fact in facts if fact.get("kind") == "StartIntended"]

    assert started() == ["short", "middle", "long"], "nothing is known yet"
    process_world.touch("known")
    assert started() == ["long", "middle", "short"]
    assert started("--start-order", "plan") == ["short", "middle", "long"]


@pytest.mark.docker
def test_the_peak_of_a_memory_hog_is_learned_and_proposed(docker_world: World) -> None:
    plan = plan_of(
        wave(
            1,
            batch("hog", HOG, memory="64m", kind="hog"),
            batch("quick", "true", memory="64m", kind="quick"),
            batch("greedy", GREEDY, memory="16m", kind="greedy"),
        )
    )
    done = docker_world.run(plan, "--learn")
    assert done.verdicts() == {"hog": "success", "quick": "success", "greedy": "oom"}
    proposals = {each["kind"]: each for each in done.result["learned"]["proposals"]}
    assert 38 * MIB <= proposals["hog"]["memory_peak_bytes"] <= 64 * MIB
    assert parse_size(proposals["hog"]["proposed_memory"]) >= proposals["hog"]["memory_peak_bytes"]
    assert proposals["hog"]["change"] == "raise", "one attempt was seen, so as much again is put on top"
    assert 0 < proposals["quick"]["memory_peak_bytes"] < 16 * MIB, "also of one that ends at once"
    assert (proposals["greedy"]["oom"], proposals["greedy"]["change"]) == (1, "raise")
    assert parse_size(proposals["greedy"]["proposed_memory"]) >= 24 * MIB
    assert "hog" in done.stderr
    assert "Nothing was changed." in done.stderr
    again = docker_world.run(plan, "--dry-run", "--learn", "--json").result
    assert {each["kind"]: each for each in again["learned"]["proposals"]} == proposals


def test_a_damaged_file_is_told_of_and_stops_nothing(process_world: World) -> None:
    plan = plan_of(wave(1, batch("a")))
    process_world.run(plan)
    learned = process_world.state / "learned.sqlite"
    learned.write_bytes(b"nonsense" * 1000)
    done = process_world.run(plan)
    assert done.verdicts() == {"a": "success"}
    assert "nothing is learned from this run" in done.stderr
    assert "wavepool prune --learned" in done.stderr
    assert process_world.command("prune", "--learned", "--state-dir", str(process_world.state)).finish().exit_code == 0
    assert not learned.exists()
