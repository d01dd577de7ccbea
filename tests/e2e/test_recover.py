"""What a killed orchestrator leaves, and what `wavepool recover` does about it: whose, when, and with which traces."""

from __future__ import annotations

from typing import Any

import pytest
from wavepool_cli import TEST_IMAGE, Finished, Running, World, batch, docker, eventually, plan_of, wave

WAITING = "echo working; echo $BATCH_ID >> executed; while [ ! -e go.$BATCH_ID ]; do sleep 0.05; done"
QUICK = "echo $BATCH_ID >> executed"
PLAN = plan_of(wave(1, batch("done", QUICK), batch("at-work", WAITING)), wave(2, batch("next", QUICK)))


def start(world: World, run_id: str = "dead", *options: str) -> Running:
    run = world.start(PLAN, "--run-id", run_id, "--keep-going", "--json", *options)
    run.wait_for("AttemptRemoved")
    eventually(lambda: sorted(world.marks("executed")) == ["at-work", "done"], "one done, one at work")
    run.wait_for("AttemptStarted", count=2)
    return run


def recover(world: World, *options: str, **how: Any) -> Finished:
    only = ("--driver", world.driver) if world.driver == "process" else ()
    return world.command("recover", "--state-dir", str(world.state), "--json", *only, *options, **how).finish()


def resume(world: World, run_id: str = "dead") -> Finished:
    return world.command("resume", run_id, "--state-dir", str(world.state)).finish()


def acts(entries: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return sorted((entry["action"], entry["kind"], entry["name"]) for entry in entries)


@pytest.mark.docker
def test_a_dead_run_is_left_for_a_resume_then_reaped_and_its_journal_says_so(docker_world: World) -> None:
    left_then_reaped(docker_world)


@pytest.mark.slow
def test_the_same_without_containers(process_world: World) -> None:
    left_then_reaped(process_world)


def left_then_reaped(world: World) -> None:
    run = start(world)
    alive = recover(world, "--grace", "0s")
    assert [each["state"] for each in alive.result["runs"]] == ["live"]
    assert alive.result["done"] == []
    run.kill()

    early = recover(world)
    assert early.exit_code == 0
    assert [(each["state"], each["fate"]) for each in early.result["runs"]] == [("unfinished", "leave")]
    assert early.result["runs"][0]["resume"] == "wavepool resume dead"
    assert early.result["done"] == []
    rehearsed = recover(world, "--grace", "0s", "--dry-run").result
    assert world.left_behind() != [], "a rehearsal does nothing"
    done = recover(world, "--grace", "0s")
    assert done.exit_code == 0, done.stderr
    assert acts(done.result["done"]) == acts(rehearsed["acts"]) != []
    assert world.left_behind() == []
    assert (world.state / "runs" / "dead" / "logs" / "at-work.1.log").read_text() == "working\n"
    assert recover(world, "--grace", "0s").result["findings"] == []

    after = resume(world)
    assert after.verdicts() == {"done": "success", "at-work": "lost", "next": "success"}
    assert "`wavepool recover` ended it" in after.entries()["at-work"]["evidence"]["reason"]
    assert sorted(world.marks("executed")) == ["at-work", "done", "next"], "nothing ran twice"


@pytest.mark.slow
def test_the_policy_says_whether_what_was_reaped_is_tried_again(process_world: World) -> None:
    start(process_world, "dead", "--retries", "2").kill()
    assert recover(process_world, "--grace", "0s").exit_code == 0
    process_world.touch("go.at-work")
    after = resume(process_world)
    entry = after.entries()["at-work"]
    assert (entry["verdict"], entry["attempts"], entry["evidence"]["repeats_work"]) == ("success", 2, True)
    assert sorted(process_world.marks("executed")) == ["at-work", "at-work", "done", "next"]


def test_with_resume_it_is_adopted(process_world: World) -> None:
    start(process_world).kill()
    process_world.touch("go.at-work")
    done = recover(process_world, "--resume")
    assert done.exit_code == 0, done.stderr
    assert done.result["resumed"] == {"dead": "success"}
    assert sorted(process_world.marks("executed")) == ["at-work", "done", "next"]


def test_a_start_names_the_dead_and_how_to_go_on(process_world: World) -> None:
    start(process_world).kill()
    other = process_world.run(plan_of(wave(1, batch("other", "exit 0"))))
    lines = [line for line in other.stderr.splitlines() if "wavepool resume dead" in line]
    assert len(lines) == 1
    again = process_world.start(PLAN, "--run-id", "dead", "--keep-going")
    process_world.touch("go.at-work")
    assert "wavepool resume dead" not in again.finish().stderr, "it is gone on with just now"


@pytest.mark.docker
def test_without_a_journal_or_a_directory_the_containers_still_go(docker_world: World) -> None:
    world = docker_world
    start(world).kill()
    journal = world.state / "runs" / "dead" / "journal.db"
    damaged = journal.read_bytes()[:4096] + b"\0" * 4096
    journal.write_bytes(damaged)
    assert recover(world).result["runs"][0]["fate"] == "leave", "within the grace"
    swept = recover(world, "--grace", "0s", "--dry-run").result
    assert [(each["state"], each["fate"]) for each in swept["runs"]] == [("damaged", "sweep")]

    (world.state / "runs" / "dead").rename(world.root / "away")
    missing = recover(world, "--grace", "0s", "--dry-run").result
    assert [(each["state"], each["fate"]) for each in missing["runs"]] == [("missing", "sweep")]
    assert recover(world).result["done"] == [], "its containers are young"

    (world.root / "away").rename(world.state / "runs" / "dead")
    two = [world.command("recover", "--state-dir", str(world.state), "--grace", "0s", "--json") for _ in range(2)]
    assert [each.finish().exit_code for each in two] == [0, 0], [each.finish().stderr for each in two]
    assert world.left_behind() == []
    assert journal.read_bytes() == damaged, "a journal that cannot be read is left as it is"
    assert "working" in (world.state / "runs" / "dead" / "logs" / "at-work.1.log").read_text()


@pytest.mark.slow
@pytest.mark.docker
def test_spawned_ones_stay_until_their_lifetime_ends(docker_world: World) -> None:
    world = docker_world
    plan = str(world.plan(plan_of(wave(1, batch("detached", "sleep 600")))))
    where = ("--state-dir", str(world.state), "--base-image", TEST_IMAGE, "--network", world.network)

    def spawn(lifetime: str) -> None:
        words = ("spawn", "--wave-plan", plan, "--wave-number", "1", "--workspace", str(world.workspace), *where)
        spawned = world.command(*words, env={"WAVEPOOL_SPAWN_LIFETIME": lifetime}).finish()
        assert spawned.exit_code == 0, spawned.stderr

    spawn("1h")
    found = recover(world, "--grace", "0s").result
    assert found["done"] == []
    assert "its lifetime ends in" in next(each["why"] for each in found["findings"] if each["what"] == "spawned")
    docker("rm", "-f", *world.containers())
    spawn("1s")

    def reaped() -> bool:
        done = recover(world, "--grace", "0s")
        assert done.exit_code == 0, done.stderr
        return world.containers() == []

    eventually(reaped, "its lifetime is over")
    assert recover(world, "--grace", "0s").exit_code == 0
    assert world.left_behind() == []


def test_a_daemon_that_is_away_is_an_error_and_the_rest_is_told(process_world: World) -> None:
    world = process_world
    start(world).kill()
    away = {"DOCKER_HOST": f"unix://{world.root}/nobody.sock"}
    words = ("recover", "--state-dir", str(world.state), "--json", "--grace", "0s")
    found = world.command(*words, env=away).finish()
    assert found.exit_code == 3
    assert "cannot connect to the Docker daemon" in found.stderr
    assert [(each["state"], each["fate"]) for each in found.result["runs"]] == [("unfinished", "reap")]
    assert world.left_behind() == [], "what ran as processes needs no Docker"
