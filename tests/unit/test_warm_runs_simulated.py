"""Warm runs on the simulated engine in virtual time: what starts warm, what stays cold, and that nothing is left."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from rich.console import Console

from wavepool.cli.summary import print_summary
from wavepool.core import warming
from wavepool.core.decide import apply, open_run
from wavepool.core.facts import RunOpened, StartIntended, TasksAdded
from wavepool.drivers.base import Scope
from wavepool.drivers.memory import Fault, Latencies, MemoryDriver, MemoryWorld
from wavepool.drivers.memory.containers import Container
from wavepool.engine import warm
from wavepool.engine.attempts.spec import SpecBuilder
from wavepool.engine.attempts.waves import WaveNetworks
from wavepool.engine.history.chronicle import Chronicle
from wavepool.engine.history.runs import RunHistory
from wavepool.engine.warm import Warmer
from wavepool.model import AttemptId, Isolation, Node, Resources, Rules, Schedule, Surroundings
from wavepool.plan import TierMap, parse_plan
from wavepool.statedir import StateDir
from wavepool.testing.faults import FaultPlan
from wavepool.testing.kill_points import KillSwitch
from wavepool.testing.virtual_time import run_virtual
from wavepool.testing.whole_runs import IMAGE, SimulatedRun, VirtualClock
from wavepool.units import GIB, MIB

PLACES = 3
NODE = Node(name="local", capacity=Resources(256 * MIB + PLACES * 32 * MIB))


class About(FaultPlan):
    """One fault, whatever call it hits, of subjects whose name has this part."""

    def __init__(self, part: str, fault: Fault, *, most: int = 1) -> None:
        super().__init__(0, {fault: 1.0}, most=most)
        self._part = part

    def strikes(self, fault: Fault, subject: str) -> bool:
        return self._part in subject and super().strikes(fault, subject)


def batch(name: str, *words: str, **fields: Any) -> dict[str, Any]:
    return {"batch_id": name, "memory": "64m", "files": [], "command": ["sim", *words], **fields}


def waves(*batches: list[dict[str, Any]]) -> dict[str, Any]:
    return {"waves": [{"wave_number": n, "batches": each} for n, each in enumerate(batches, start=1)]}


TWO_WAVES = waves(
    [batch("a", "duration=5"), batch("b", "duration=5")], [batch("x"), batch("y"), batch("z"), batch("last")]
)


class Most:
    """The most containers that ever waited for their claim at one moment, and the most networks that there were."""

    def __init__(self, world: MemoryWorld) -> None:
        self._world = world
        self.parked = self.networks = 0

    def changed(self, container: Container) -> None:
        everything = [self._world.named(name) for name in self._world.container_names()]
        self.parked = max(self.parked, sum(each is not None and each.is_unclaimed for each in everything))
        self.networks = max(self.networks, len(self._world.networks))


def run_in(
    directory: Path,
    document: dict[str, Any] = TWO_WAVES,
    *,
    hazards: FaultPlan | None = None,
    latencies: Latencies | None = None,
    **rules: Any,
) -> SimulatedRun:
    rules = {"nodes": (NODE,), "warm": PLACES, "keep_going": True, **rules}
    world = MemoryWorld(nodes=rules["nodes"], hazards=hazards, latencies=latencies)
    plan = parse_plan(json.dumps(document).encode(), source="plan", tiers=TierMap())
    return SimulatedRun(plan=plan, rules=Rules(**rules), world=world, directory=directory)


def entries_of(run: SimulatedRun, switch: KillSwitch | None = None) -> dict[str, dict[str, Any]]:
    """What one process comes to, and that it left nothing and ran nothing twice."""
    report = run.process(switch)
    assert report is not None
    assert run.world.container_names() == []
    assert set(run.world.executions.values()) <= {1}
    assert run.world.peak_memory_bytes["local"] <= run.rules.for_attempts()[0].capacity.memory_bytes
    return {entry["batch_id"]: entry for wave in report.result()["waves"] for entry in wave["containers"]}


def warm_ones(entries: dict[str, dict[str, Any]]) -> list[str]:
    return [name for name, entry in entries.items() if entry["warm"]]


@pytest.mark.parametrize("isolation", Isolation)
@pytest.mark.parametrize("schedule", Schedule)
def test_what_comes_next_starts_warm(schedule: Schedule, isolation: Isolation, tmp_path: Path) -> None:
    document = TWO_WAVES
    if schedule is Schedule.ROLLING:  # else everything starts at once
        document = waves([batch(name, "duration=5") for name in "abcd"], [batch(name) for name in ("x", "y", "z")])
    run = run_in(tmp_path, document, schedule=schedule, isolation=isolation)
    most = Most(run.world)
    run.world.watch(most)
    entries = entries_of(run)
    assert {entry["verdict"] for entry in entries.values()} == {"success"}
    assert warm_ones(entries) == ["x", "y", "z"]
    assert most.parked == PLACES
    assert most.networks == {Isolation.WAVE: 2, Isolation.SHARED: 1, Isolation.NONE: 0}[isolation]


def test_the_results_say_how_many_started_warm(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    report = run.process()
    assert report is not None
    result = report.result()
    assert result["warm"] == {"parked_at_most": 3, "attempts_started": 6, "started_warm": 3}
    summary = io.StringIO()
    print_summary(result, Console(file=summary, width=200), state_dir=tmp_path)
    assert summary.getvalue().rstrip().endswith("; 3 of 6 started warm")
    story = Chronicle.of(RunHistory(run.files).facts()).tasks["x"]
    assert story.attempts[0].result()["warm"] is True


def test_a_further_attempt_starts_warm(tmp_path: Path) -> None:
    run = run_in(tmp_path, waves([batch("bad", "duration=1", "exit=1"), batch("long", "duration=20")]), max_attempts=3)
    entries = entries_of(run)
    assert (entries["bad"]["attempts"], entries["bad"]["warm"]) == (3, True)


def test_nothing_is_parked_for_a_run_that_does_not_want_it(tmp_path: Path) -> None:
    run = run_in(tmp_path, warm=0)
    most = Most(run.world)
    run.world.watch(most)
    assert warm_ones(entries_of(run)) == []
    assert most.parked == 0


@pytest.mark.parametrize(
    "fault",
    [
        Fault.PARKED_DIES,
        Fault.PARK_IMPOSSIBLE,
        Fault.START_CUT_BEFORE,
        Fault.START_CUT_BETWEEN,
        Fault.START_CUT_AFTER,
        Fault.START_REFUSED,
        Fault.CREATE_LATE,
        Fault.REMOVE_FAILS,
    ],
)
def test_whatever_goes_wrong_with_parking_every_task_runs_once(fault: Fault, tmp_path: Path) -> None:
    """The first call of each subject fails so."""
    document = waves(
        [batch("a", "duration=30"), batch("fails", "duration=3", "exit=1")],
        [batch("x"), batch("y"), batch("z"), batch("never", depends_on=["fails"])],
    )
    run = run_in(tmp_path, document, hazards=FaultPlan.always(fault), isolation=Isolation.NONE)
    entries = entries_of(run)
    verdicts = {name: entry["verdict"] for name, entry in entries.items()}
    assert verdicts == {
        **dict.fromkeys("axyz", "success"),
        "fails": "failed",
        "never": "skipped",
    }


def test_a_container_that_died_unclaimed_is_replaced_by_a_cold_start(tmp_path: Path) -> None:
    run = run_in(tmp_path, hazards=FaultPlan.always(Fault.PARKED_DIES))
    assert warm_ones(entries_of(run)) == []


def test_an_image_without_a_shell_starts_cold_and_that_is_said_once(tmp_path: Path) -> None:
    bare = [batch(f"bare-{n}", image="shell-less:latest") for n in range(6)]
    run = run_in(tmp_path, waves([batch("a", "duration=30")], [*bare, batch("x")]))
    assert warm_ones(entries_of(run)) == ["x"]
    assert len(run.notices) == 1
    assert run.notices[0].startswith("tasks of shell-less:latest start cold, --warm cannot help them: ")


def test_one_variable_of_one_task_does_not_keep_the_others_of_its_image_cold(tmp_path: Path) -> None:
    hazards = About("x#1", Fault.PARK_IMPOSSIBLE)
    assert warm_ones(entries_of(run_in(tmp_path, hazards=hazards))) == ["y", "z", "last"]


def test_an_engine_that_is_away_for_a_moment_costs_one_warm_start(tmp_path: Path) -> None:
    hazards = About("park/", Fault.UNAVAILABLE, most=1)
    run = run_in(tmp_path, waves([batch("a", "duration=5")], [batch("x"), batch("y"), batch("z")]), hazards=hazards)
    assert warm_ones(entries_of(run)) == []  # of each subject the first call fails, and each is parked once
    assert hazards.struck[Fault.UNAVAILABLE] == 3


def test_a_network_that_cannot_be_made_ahead_is_made_with_its_wave(tmp_path: Path) -> None:
    hazards = About("wave2-net", Fault.PREPARE_FAILS)
    entries = entries_of(run_in(tmp_path, isolation=Isolation.WAVE, hazards=hazards))
    assert {entry["verdict"] for entry in entries.values()} == {"success"}
    assert warm_ones(entries) == ["y", "z", "last"]


def test_a_start_that_comes_while_its_container_is_being_parked_waits_and_claims_it(tmp_path: Path) -> None:
    slow = Latencies(start_s=5.0)
    run = run_in(tmp_path, waves([batch("a", "duration=2")], [batch("x")]), latencies=slow)
    assert warm_ones(entries_of(run)) == ["x"]


def test_starts_come_first(tmp_path: Path) -> None:
    """While starts are under way hardly anything is parked: of 20 tasks that start one by one, a second each."""
    document = waves([batch(f"t{n}", "duration=1") for n in range(20)])
    room = (Node(name="local", capacity=Resources(4 * GIB)),)
    run = run_in(tmp_path, document, nodes=room, warm=10, parallel=2, latencies=Latencies(create_s=0.5, start_s=0.5))
    most = Most(run.world)
    run.world.watch(most)
    entries_of(run)
    assert most.parked <= 2


def test_after_a_kill_the_next_process_removes_what_was_parked_and_parks_anew(tmp_path: Path) -> None:
    undisturbed = KillSwitch()
    run_in(tmp_path / "undisturbed").process(undisturbed)
    for point in ("after park y#1", "before start x#1", "after start x#1"):
        run = run_in(tmp_path / point.replace(" ", "-").replace("#", "-"))
        run.process(KillSwitch(kill_at=undisturbed.points.index(point) + 1))
        entries = entries_of(run)
        assert {entry["verdict"] for entry in entries.values()} == {"success"}, point
        assert run.world.executions.total() == 6


def test_a_container_that_is_being_removed_is_not_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one race that would kill a task: its start waits for the removal, and is a cold one then."""
    monkeypatch.setattr(warm, "next_step", lambda *_: steps.pop(0) if steps else None)
    attempt = AttemptId("x", 1)
    steps = [warming.Park(attempt=attempt)]

    async def scenario() -> None:
        world = MemoryWorld(latencies=Latencies(remove_s=5.0))
        async with MemoryDriver(world) as driver, anyio.create_task_group() as group:
            warmer, state = await a_warmer(driver, tmp_path)
            group.start_soon(warmer.run)
            await anyio.sleep(1)
            assert [each.is_unclaimed for each in world.within(Scope(owner="o"))] == [True]
            steps.append(warming.GiveUp(attempt=attempt))
            warmer.look()
            await anyio.sleep(1)  # the removal is under way, and its container still there
            assert len(world.within(Scope(owner="o"))) == 1
            apply(state, StartIntended(attempt=attempt, node=0, held=Resources(64 * MIB), at=VirtualClock().now().utc))
            began_s = anyio.current_time()
            async with warmer.starting(attempt) as parked:
                assert parked is None
                assert world.container_names() == []
                assert anyio.current_time() - began_s == pytest.approx(4, abs=0.2)
            group.cancel_scope.cancel()

    run_virtual(scenario)


async def a_warmer(driver: MemoryDriver, directory: Path) -> tuple[Warmer, Any]:
    around = Surroundings(image=IMAGE, workspace=str(directory), network="n")
    rules = Rules(nodes=(NODE,), warm=1, isolation=Isolation.NONE)
    now = VirtualClock().now()
    opened = RunOpened(
        run_id="r",
        owner="o",
        rules=rules,
        surroundings=around,
        driver="memory",
        execution_mode="docker",
        plan_digest="",
        boot_id="b",
        at=now.utc,
    )
    state = open_run(opened)
    plan = parse_plan(json.dumps(waves([batch("x")])).encode(), source="plan", tiers=TierMap())
    apply(state, TasksAdded(waves=plan.waves, tasks=plan.tasks))
    files = StateDir(directory / "state").run("r")
    files.create()
    specs = SpecBuilder(owner="o", run_id="r", surroundings=around, isolation=rules.isolation, secrets={})
    made = Warmer(
        state=state,
        driver=driver,
        parking=driver,
        specs=specs,
        files=files,
        networks=WaveNetworks(driver, specs),
        notice=lambda text: None,
    )
    return made, state
