"""What runs when: waves, dependencies, budget, parallelism, retries, timeouts. Tasks write down what they see.

The core decides all of it and knows no driver; what also depends on how a driver starts and stops runs on both.
"""

from __future__ import annotations

from collections.abc import Sequence

from wavepool_cli import World, batch, plan_of, wave

from wavepool.units import MIB, parse_size

MARKED = 'echo "start $BATCH_ID" >> marks; {}; echo "end $BATCH_ID" >> marks'
PAIR = "touch seen.$BATCH_ID; set --; while [ $# -lt 2 ]; do sleep 0.05; set -- seen.*; done"
"""Ends only when two tasks have been started."""


def marked(batch_id: str, work: str = "sleep 0.1", **fields: object) -> dict[str, object]:
    return batch(batch_id, MARKED.format(work), **fields)


def peak(marks: Sequence[str]) -> int:
    """How many were between their start and their end at once. Lines of a file are in the order of their writing."""
    running = highest = 0
    for mark in marks:
        running += 1 if mark.startswith("start") else -1
        highest = max(highest, running)
    return highest


def test_barrier_runs_waves_as_written(world: World) -> None:
    waves = [wave(number, *(marked(f"{number}{letter}") for letter in "abc")) for number in (1, 2, 3)]
    done = world.run(plan_of(*waves))
    assert done.exit_code == 0
    order = [mark.split()[1][0] for mark in world.marks("marks")]
    assert order == sorted(order)
    assert [each["metrics"]["success"] for each in done.result["waves"]] == [3, 3, 3]


def test_waves_are_found_by_their_number_not_their_place(process_world: World) -> None:
    done = process_world.run(plan_of(wave(10, marked("last")), wave(2, marked("first"))))
    assert done.exit_code == 0
    assert process_world.marks("marks") == ["start first", "end first", "start last", "end last"]
    assert [each["wave_number"] for each in done.result["waves"]] == [2, 10]


def test_rolling_does_not_wait_for_a_wave_to_end(process_world: World) -> None:
    """The first wave's only task ends when one of the second runs: under barrier it never would."""
    first = marked("first", "touch seen.first; while [ ! -e seen.second ]; do sleep 0.05; done")
    second = marked("second", "while [ ! -e seen.first ]; do sleep 0.05; done; touch seen.second")
    done = process_world.run(plan_of(wave(1, first), wave(2, second)), "--schedule", "rolling", "--timeout", "60")
    assert done.exit_code == 0
    assert peak(process_world.marks("marks")) == 2


def test_rolling_keeps_the_order_of_dependencies_across_waves(process_world: World) -> None:
    waves = (wave(1, marked("after", depends_on=["before"])), wave(2, marked("before")))
    refused = process_world.run(plan_of(*waves))
    assert refused.exit_code == 2
    assert "waves[0].batches[0].depends_on" in refused.stderr
    done = process_world.run(plan_of(*waves), "--schedule", "rolling")
    assert done.exit_code == 0
    assert process_world.marks("marks") == ["start before", "end before", "start after", "end after"]


def test_no_more_memory_is_promised_than_the_budget_holds(world: World) -> None:
    tasks = [marked(f"t{number}", PAIR, memory="32m") for number in range(6)]
    done = world.run(plan_of(wave(1, *tasks)), "--budget", "64m", "--parallel", "6")
    assert done.exit_code == 0
    assert peak(world.marks("marks")) == 2
    assert parse_size(done.result["budget"]["local"]) == 64 * MIB


def test_a_wave_bounds_its_own_parallelism(process_world: World) -> None:
    tasks = [marked(f"t{number}", PAIR) for number in range(6)]
    done = process_world.run(plan_of(wave(1, *tasks, parallelism=2)), "--parallel", "6")
    assert done.exit_code == 0
    assert peak(process_world.marks("marks")) == 2


def test_a_dependency_is_waited_for_and_its_failure_skips(process_world: World) -> None:
    done = process_world.run(
        plan_of(
            wave(
                1,
                marked("late", depends_on="early"),
                marked("early"),
                batch("bad", "exit 1"),
                marked("never", depends_on=["early", "bad"]),
                marked("nor-this", depends_on=["never"]),
            )
        )
    )
    assert done.exit_code == 1
    assert process_world.marks("marks") == ["start early", "end early", "start late", "end late"]
    expected = {"late": "success", "early": "success", "bad": "failed", "never": "skipped", "nor-this": "skipped"}
    assert done.verdicts() == expected
    assert done.entries()["never"]["attempts"] == 0


def test_a_failed_wave_stops_the_run_unless_told_to_keep_going(process_world: World) -> None:
    waves = (wave(1, batch("bad", "exit 7"), marked("good")), wave(2, marked("later")))
    stopped = process_world.run(plan_of(*waves))
    assert stopped.exit_code == 1
    assert stopped.verdicts() == {"bad": "failed", "good": "success", "later": "skipped"}
    assert "wave 1" in stopped.result["stopped_because"]
    assert "later" not in "".join(process_world.marks("marks"))
    kept_going = process_world.run(plan_of(*waves), "--keep-going")
    assert kept_going.exit_code == 1
    assert kept_going.verdicts() == {"bad": "failed", "good": "success", "later": "success"}


def test_what_did_not_succeed_is_tried_again(world: World) -> None:
    third_time = "echo try >> tries; [ $(wc -l < tries) -ge 3 ]"
    done = world.run(plan_of(wave(1, batch("third-time", third_time), marked("once"))), "--retries", "3")
    assert done.exit_code == 0
    entry = done.entries()["third-time"]
    assert (entry["verdict"], entry["attempts"], len(entry["retried_because"])) == ("success", 3, 2)
    assert world.marks("tries") == ["try"] * 3
    assert world.marks("marks") == ["start once", "end once"]


def test_attempts_are_bounded_and_the_policy_says_what_is_retried(process_world: World) -> None:
    plan = plan_of(wave(1, batch("hopeless", "echo try >> tries; exit 1")))
    assert process_world.run(plan, "--retries", "2").entries()["hopeless"]["attempts"] == 2
    assert process_world.marks("tries") == ["try"] * 2
    assert process_world.run(plan, "--retries", "2", "--retry-on", "timeout").entries()["hopeless"]["attempts"] == 1


def test_a_timeout_of_the_run_bounds_each_wave(process_world: World) -> None:
    """Processes alone, as those begin at once on a busy machine too; how a driver stops is another matter."""
    waves = (wave(1, batch("quick"), batch("slow", "sleep 300")), wave(2, batch("next")))
    done = process_world.run(plan_of(*waves), "--timeout", "5", "--keep-going")
    assert done.exit_code == 1
    assert done.verdicts() == {"quick": "success", "slow": "timeout", "next": "success"}
    slow = done.entries()["slow"]
    assert (slow["exit_code"], slow["exit_status"]) == (124, "timeout")
    assert [each["completion_status"] for each in done.result["waves"]] == ["timeout", "complete"]


def test_a_timeout_of_a_batch_bounds_it_alone(world: World) -> None:
    done = world.run(plan_of(wave(1, batch("slow", "sleep 300", timeout="500ms"), batch("patient", "sleep 1"))))
    assert done.verdicts() == {"slow": "timeout", "patient": "success"}
