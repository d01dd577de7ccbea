"""SIGKILL in the middle, then the same command again: the same verdicts, and every task executed exactly once."""

from __future__ import annotations

from wavepool_cli import Running, World, batch, docker, eventually, plan_of, wave

WAITING = "echo $BATCH_ID >> executed; while [ ! -e go.$BATCH_ID ]; do sleep 0.05; done"
QUICK = "echo $BATCH_ID >> executed"
PLAN = plan_of(
    wave(
        1,
        batch("done-before", QUICK),
        batch("ends-meanwhile", f"{WAITING}; exit 3"),
        batch("runs-on", WAITING),
        batch("starts-after", QUICK, depends_on=["done-before", "runs-on"]),
    ),
    wave(2, batch("next-wave", QUICK)),
)
VERDICTS = {
    "done-before": "success",
    "ends-meanwhile": "failed",
    "runs-on": "success",
    "starts-after": "success",
    "next-wave": "success",
}


def start(world: World) -> Running:
    return world.start(PLAN, "--run-id", "crashed", "--keep-going", "--json")


def identity(world: World, batch_id: str, run: Running) -> str:
    """What the driver knows the running attempt by, asked past the run itself where that is possible."""
    if world.driver == "process":
        started = run.wait_for("AttemptStarted", count=3)
        return next(fact["handle"]["id"] for fact in started if fact["attempt"][0] == batch_id)
    return docker("ps", "-q", "--no-trunc", "--filter", f"label=cfn.batch.id={batch_id}", *owned(world))


def owned(world: World) -> tuple[str, str]:
    return ("--filter", f"label=wavepool.owner={world.owner()}")


def test_a_killed_run_is_gone_on_with(world: World) -> None:
    killed = start(world)
    killed.wait_for("AttemptRemoved")
    eventually(lambda: sorted(world.marks("executed")) == ["done-before", "ends-meanwhile", "runs-on"], "three at work")
    killed.wait_for("AttemptStarted", count=3)
    before = identity(world, "runs-on", killed)
    killed.kill()

    world.touch("go.ends-meanwhile")
    if world.driver == "docker":
        ended = ("ps", "-aq", "--filter", "status=exited", "--filter", "label=cfn.batch.id=ends-meanwhile")
        eventually(lambda: docker(*ended, *owned(world)) != "", "an exit that nobody saw")
    run = start(world)
    run.wait_for("RunResumed")
    world.touch("go.runs-on")
    done = run.finish()

    result = done.lines[-1]
    entries = {entry["batch_id"]: entry for each in result["waves"] for entry in each["containers"]}
    assert {name: entry["verdict"] for name, entry in entries.items()} == VERDICTS
    assert entries["ends-meanwhile"]["exit_code"] == 3
    assert entries["runs-on"]["container_id"] == before
    assert {entry["attempts"] for entry in entries.values()} == {1}
    assert sorted(world.marks("executed")) == sorted(VERDICTS)
    assert done.exit_code == 1


def test_a_run_that_had_ended_is_only_told_again(process_world: World) -> None:
    world = process_world
    first = world.run(plan_of(wave(1, batch("one", QUICK))), "--run-id", "over")
    again = world.run(world.root / "plan-1.json", "--run-id", "over")
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert again.verdicts() == {"one": "success"}
    assert world.marks("executed") == ["one"]


def test_a_run_id_belongs_to_one_plan(process_world: World) -> None:
    world = process_world
    world.run(plan_of(wave(1, batch("one", QUICK))), "--run-id", "taken")
    other = world.run(plan_of(wave(1, batch("two", QUICK))), "--run-id", "taken")
    assert other.exit_code == 2
    assert "--run-id" in other.stderr
    assert world.marks("executed") == ["one"]
