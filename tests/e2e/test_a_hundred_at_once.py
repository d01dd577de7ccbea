"""A plan of a hundred containers, all of them running at one instant."""

from __future__ import annotations

from wavepool_cli import World, batch, docker, eventually, plan_of, wave

COUNT = 100


def test_a_hundred_containers_run_at_one_instant(docker_world: World) -> None:
    world = docker_world
    waiting = "touch seen.$BATCH_ID; while [ ! -e go ]; do sleep 0.5; done"
    plan = plan_of(wave(1, *(batch(f"t{number}", waiting) for number in range(COUNT))))
    run = world.start(plan, "--parallel", "10", "--json")
    eventually(lambda: len(list(world.workspace.glob("seen.*"))) == COUNT, f"{COUNT} tasks at work")
    mine = ("--filter", f"label=wavepool.owner={world.owner()}", "--filter", "status=running")
    eventually(lambda: len(docker("ps", "-q", *mine).split()) == COUNT, "the engine calls all of them running")
    world.touch("go")
    done = run.finish()
    assert done.exit_code == 0
    result = done.lines[-1]
    assert result["metrics"]["success"] == COUNT
    assert len({entry["container_id"] for entry in result["waves"][0]["containers"]}) == COUNT
