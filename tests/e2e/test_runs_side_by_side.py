"""Two runs on one host: neither touches the other, and a shared network lives as long as somebody uses it."""

from __future__ import annotations

from pathlib import Path

from wavepool_cli import World, batch, docker, plan_of, wave, world_in

WAITING = "touch here.$BATCH_ID; while [ ! -e go.$BATCH_ID ]; do sleep 0.1; done"


def network_exists(name: str) -> bool:
    return name in docker("network", "ls", "--format", "{{.Name}}").split()


def test_two_runs_of_one_state_directory(world: World) -> None:
    """Wave 1 of one, wave 10 of the other: a name of one is the beginning of a name of the other."""
    short = world.start(plan_of(wave(1, batch("short", WAITING))))
    long = world.start(plan_of(wave(10, batch("long", WAITING), batch("quick"))))
    world.wait_for_file("here.short")
    world.wait_for_file("here.long")
    world.touch("go.short")
    assert short.finish().verdicts() == {"short": "success"}
    if world.driver == "docker":
        assert network_exists(world.network)
    world.touch("go.long")
    assert long.finish().verdicts() == {"long": "success", "quick": "success"}
    if world.driver == "docker":
        assert not network_exists(world.network)


def test_runs_that_begin_at_one_moment_make_one_network(docker_world: World) -> None:
    """Two networks of one name would make every start ambiguous."""
    runs = [docker_world.start(plan_of(wave(number, batch(f"task-{number}")))) for number in range(1, 5)]
    assert [run.finish().exit_code for run in runs] == [0, 0, 0, 0]


def test_two_owners_with_the_same_plan_and_network(docker_world: World, tmp_path: Path) -> None:
    plan = plan_of(wave(1, batch("same", WAITING)))
    with world_in(tmp_path / "other", "docker") as other:
        other.network = docker_world.network
        ours = docker_world.start(plan)
        docker_world.wait_for_file("here.same")
        theirs = other.start(plan)
        other.wait_for_file("here.same")
        other.touch("go.same")
        assert theirs.finish().verdicts() == {"same": "success"}
        assert len(docker_world.containers()) == 1
        assert network_exists(docker_world.network)
        other.network = "cfn-e2e-no-longer-used"
        docker_world.touch("go.same")
        assert ours.finish().verdicts() == {"same": "success"}
    assert not network_exists(docker_world.network)


def test_a_network_of_someone_else_is_used_and_left(docker_world: World) -> None:
    name = f"cfn-network-of-others-{docker_world.network}"
    docker("network", "create", name)
    try:
        done = docker_world.run(plan_of(wave(1, batch("guest"))), "--network", name)
        assert done.exit_code == 0
        assert network_exists(name)
    finally:
        docker("network", "rm", name)


def test_a_run_is_held_by_one_process(world: World) -> None:
    first = world.start(plan_of(wave(1, batch("one", WAITING))), "--run-id", "only-once")
    world.wait_for_file("here.one")
    second = world.run(world.root / "plan-1.json", "--run-id", "only-once")
    assert second.exit_code == 3
    assert "only-once" in second.stderr
    assert second.stdout == b""
    world.touch("go.one")
    assert first.finish().exit_code == 0
