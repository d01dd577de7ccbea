"""Pools in virtual time: who gets which container, and what happens when containers die, hang or come too late."""

from __future__ import annotations

import json
from dataclasses import replace

import anyio
import pytest
from pool_stage import CODER, FIXED, Stage, all_at_once, until

from wavepool.drivers.base import Handle
from wavepool.drivers.memory import Fault
from wavepool.engine.pools import TaskExecution, Where
from wavepool.errors import DriverUnavailable, InfrastructureError, InputError, PrepareError, Unknown
from wavepool.model import AgentType, Limits, PoolSettings, VerdictKind
from wavepool.testing.virtual_time import run_virtual
from wavepool.units import MIB
from wavepool.wiring import ContainerPool


def test_a_task_runs_in_a_container_that_was_ready_and_another_takes_its_place(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        done = await pool.execute("coder", ("sim", "stdout=hello", "stderr=oops", "exit=3"))
        assert (done.verdict.kind, done.exit_code, done.where) == (VerdictKind.FAILED, 3, Where.WARM)
        assert (done.stdout, done.stderr, done.gap) == (b"hello", b"oops", "")
        assert done.dispatch_s == pytest.approx(0.0, abs=0.001)
        await pool.warm(count=2)
        (reading,) = pool.readings()
        assert (reading.hits, reading.misses, reading.parked, reading.idle) == (1, 0, 3, 2)

    stage.play(story)
    assert stage.said == []


def test_fifty_claims_at_once_on_a_pool_of_two_all_run_and_only_two_were_hits(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        found: list[TaskExecution] = []

        async def one(number: int) -> None:
            found.append(await pool.execute("coder", ("sim", "duration=60", f"stdout={number}")))

        await all_at_once(50, one)
        assert sorted(int(each.stdout) for each in found) == list(range(50))
        assert all(each.succeeded for each in found)
        assert sum(each.warm for each in found) == 2
        assert pool.metrics().hits == 2
        assert pool.metrics().container_hit_rate_percent == 4.0

    stage.play(story)
    assert stage.executed == 50


def test_a_claim_never_waits_for_a_container_that_is_being_made(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        done = await pool.execute("coder", ("sim",))  # the first container of the pool is being parked just now
        assert done.where is Where.COLD

    stage.play(story)


def test_a_container_that_dies_in_the_instant_of_its_claim_costs_nothing_but_another(stage: Stage) -> None:
    killed: list[str] = []

    async def kill_the_first(handle: Handle) -> None:
        if not killed:
            killed.append(handle.name)
            stage.destroy(handle)

    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        stage.driver.before_claim = kill_the_first
        done = await pool.execute("coder", ("sim", "stdout=once"))
        assert (done.stdout, done.where, done.tries) == (b"once", Where.WARM, 2)
        assert done.container not in killed
        assert pool.readings()[0].lost == 1
        await pool.warm(count=2)

    stage.play(story)
    assert stage.executed == 1


def test_where_all_parked_containers_are_dead_the_task_goes_cold(stage: Stage) -> None:
    async def kill(handle: Handle) -> None:
        stage.destroy(handle)

    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        stage.driver.before_claim = kill
        done = await pool.execute("coder", ("sim", "stdout=once"))
        assert (done.stdout, done.where, done.tries) == (b"once", Where.COLD, 3)
        metrics = pool.metrics()
        assert (metrics.hits, metrics.misses) == (0, 1)

    stage.play(story)
    assert stage.executed == 1


def test_a_parked_container_that_dies_is_removed_and_replaced(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        dead = stage.world.container_names()[0]
        stage.world.destroy(next(each for each in stage.world.within(stage.scope_of(pool)) if each.spec.name == dead))
        await until(lambda: pool.readings()[0].lost == 1)
        await pool.warm(count=2)
        assert dead not in stage.world.container_names()

    stage.play(story)


def test_a_claim_whose_effect_nobody_knows_is_lost_and_not_run_again(stage: Stage) -> None:
    async def cut(handle: Handle) -> None:
        raise Unknown("the claim was cut off")

    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        stage.driver.before_claim = cut
        done = await pool.execute("coder", ("sim",))
        assert done.verdict.kind is VerdictKind.LOST
        assert "cut off" in done.verdict.evidence.reason

    stage.play(story)
    assert stage.executed == 0


def test_a_claim_that_was_cut_off_after_its_mark_has_its_true_verdict(stage: Stage) -> None:
    async def cut(handle: Handle) -> None:
        raise Unknown("the claim was cut off")

    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        stage.driver.after_claim = cut
        done = await pool.execute("coder", ("sim", "duration=5", "exit=4", "stdout=ran"))
        assert (done.verdict.kind, done.exit_code, done.stdout) == (VerdictKind.FAILED, 4, b"ran")

    stage.play(story)
    assert stage.executed == 1


def test_an_engine_that_is_away_at_a_claim_has_got_nothing_so_that_another_container_takes_it(stage: Stage) -> None:
    claims: list[str] = []

    async def away_once(handle: Handle) -> None:
        claims.append(handle.name)
        if len(claims) == 1:
            raise DriverUnavailable("the engine is away")

    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        stage.driver.before_claim = away_once
        done = await pool.execute("coder", ("sim",))
        assert (done.succeeded, done.tries) == (True, 2)

    stage.play(story)
    assert stage.executed == 1


def test_a_task_is_stopped_at_its_timeout_wherever_it_runs(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        for _ in range(3):
            done = await pool.execute("coder", ("sim", "duration=100", "stdout=a"), timeout_s=5)
            assert (done.verdict.kind, done.exit_code, done.stdout) == (VerdictKind.TIMEOUT, 124, b"a")
            assert done.verdict.evidence.signal == "SIGTERM"
            assert done.timings.ended_s == pytest.approx(5, abs=0.5)
        deaf = await pool.execute("coder", ("sim", "duration=100", "ignore_term"), timeout_s=5, grace_s=2)
        assert (deaf.verdict.kind, deaf.verdict.evidence.signal) == (VerdictKind.TIMEOUT, "SIGKILL")

    stage.play(story)


def test_the_lifetime_of_an_agent_type_bounds_its_tasks_too(stage: Stage) -> None:
    short = replace(CODER, limits=Limits(memory_bytes=64 * MIB, lifetime_s=3))

    async def story(pool: ContainerPool) -> None:
        await pool.warm()
        done = await pool.execute("coder", ("sim", "duration=100"), timeout_s=50)
        assert done.verdict.kind is VerdictKind.TIMEOUT
        assert done.timings.ended_s == pytest.approx(3, abs=0.5)

    stage.play(story, types=(short,))


def test_a_caller_that_is_cancelled_stops_its_task(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        for where in (Where.WARM, Where.WARM, Where.COLD):
            if where is Where.COLD:
                pool.scale("coder", 1)
                async with pool.claim("coder"):
                    with anyio.move_on_after(3):
                        await pool.execute("coder", ("sim", "duration=1000"))
            else:
                with anyio.move_on_after(3):
                    await pool.execute("coder", ("sim", "duration=1000"))
            assert stage.world.running == 0
        assert pool.readings()[0].busy == 0

    stage.play(story)
    assert stage.executed == 3


def test_an_image_that_cannot_be_parked_starts_cold_and_says_so_once(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm()
        for _ in range(3):
            assert (await pool.execute("coder", ("sim",))).where is Where.COLD
        assert pool.status()["pools"][0]["starts_cold_because"]  # type: ignore[index]

    stage.play(story, types=(replace(CODER, image="shell-less:1"),))
    assert [("every task starts cold" in said) for said in stage.said] == [True]


def test_a_type_that_was_not_named_is_made_on_demand_and_says_so_once(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        for _ in range(2):
            assert (await pool.execute("stranger", ("sim",))).succeeded
        await pool.warm(["stranger"])
        assert (await pool.execute("stranger", ("sim",))).warm
        with pytest.raises(InputError, match="Not A Name"):
            await pool.execute("Not A Name", ("sim",))

    stage.play(story, default=CODER)
    assert len(stage.said) == 1
    assert "stranger" in stage.said[0]


def test_without_a_default_a_type_that_was_not_named_is_refused_and_the_known_ones_are_named(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        with pytest.raises(InputError, match="there are: coder"):
            await pool.execute("stranger", ("sim",))

    stage.play(story)


@pytest.mark.parametrize(
    "settings",
    [
        PoolSettings(size=-1, min_size=-1),
        PoolSettings(min_size=5, size=5, max_size=4),
        PoolSettings(size=3, max_size=2),
        PoolSettings(health_interval_s=0),
        PoolSettings(reuse=True, max_uses=0),
        PoolSettings(reuse=True, read_only=False),
        PoolSettings(max_size=1001),
        PoolSettings(size=0, min_size=0, max_size=0),
        PoolSettings(scale_up_percent=20.0),
        PoolSettings(scale_down_percent=-1.0),
        PoolSettings(refill_pause_s=-1.0),
    ],
)
def test_sizes_that_cannot_be_are_refused_before_anything_starts(stage: Stage, settings: PoolSettings) -> None:
    with pytest.raises(InputError, match="agent type coder: got"):
        stage.pool(settings)
    with pytest.raises(InputError, match="agent type coder: got"):  # nor those of types that are made on demand
        stage.pool(settings, types=(), default=CODER)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"command": ()}, "name of a program"),
        ({"command": ("a\0b",)}, "NUL"),
        ({"command": ("sim",), "env": {"1A": "x"}}, "no digit first"),
        ({"command": ("sim",), "env": {"A": "\0"}}, "NUL"),
        ({"command": ("sim",), "directory": "here"}, "absolute"),
        ({"command": ("sim",), "timeout_s": 0}, "above 0"),
    ],
)
def test_what_no_shell_can_be_told_is_refused_and_takes_no_container(
    stage: Stage, asked: dict[str, object], words: str
) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        with pytest.raises(InputError, match=words):
            await pool.execute("coder", **asked)  # type: ignore[arg-type]
        assert pool.readings()[0].arrivals == 0

    stage.play(story)


def test_an_image_that_is_missing_is_an_error_of_warm_and_a_verdict_of_a_task(stage: Stage) -> None:
    stage.world.absent_images = frozenset({"gone:1"})

    async def story(pool: ContainerPool) -> None:
        with pytest.raises(PrepareError, match="gone:1"):
            await pool.warm()
        done = await pool.execute("coder", ("sim",))
        assert done.verdict.kind is VerdictKind.START_ERROR
        assert "gone:1" in done.verdict.evidence.reason
        assert done.dispatch_s is None

    stage.play(story, types=(replace(CODER, image="gone:1"),))
    assert len(stage.said) == 1


def test_files_are_placed_before_a_task_and_taken_after_it(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        async with pool.claim("coder") as lease:
            assert lease.warm
            workspace = lease.workspace
            (workspace / "in.txt").write_text("in")
            done = await lease.run(("sim", "stdout=x"), env={"A": "b"})
            assert done.stdout == b"x"
            assert (lease.workspace / "in.txt").read_text() == "in"
            with pytest.raises(InputError, match="used already"):
                await lease.run(("sim",))
        await until(lambda: not workspace.exists())
        async with pool.claim("coder") as unused:
            left = unused.workspace
        await until(lambda: not left.exists())
        reading = pool.readings()[0]
        assert (reading.busy, reading.executions, reading.hits) == (0, 1, 2)

    stage.play(story)


def test_what_was_placed_goes_along_where_the_container_was_dead(stage: Stage) -> None:
    async def kill(handle: Handle) -> None:
        stage.destroy(handle)

    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        stage.driver.before_claim = kill
        async with pool.claim("coder") as lease:
            first = lease.workspace
            (first / "deep").mkdir()
            (first / "deep" / "in.txt").write_text("in")
            done = await lease.run(("sim",))
            assert (done.where, done.tries) == (Where.COLD, 3)
            assert lease.workspace != first
            assert (lease.workspace / "deep" / "in.txt").read_text() == "in"

    stage.play(story)


def test_each_piece_of_output_is_told_and_the_newest_is_kept(stage: Stage) -> None:
    told: list[tuple[str, bytes]] = []

    async def story(pool: ContainerPool) -> None:
        await pool.warm()
        done = await pool.execute(
            "coder",
            ("sim", *(f"stdout={letter * 100}" for letter in "abcdefghi"), "stderr=e"),
            on_output=lambda stream, data: told.append((stream, data)),
        )
        assert done.stdout == b"f" * 50 + b"g" * 100 + b"h" * 100 + b"i" * 100
        assert (done.stderr, done.dropped_bytes) == (b"e", 550)

    stage.play(story, output_limit_bytes=350)
    assert b"".join(data for stream, data in told if stream == "stdout") == b"".join(
        letter.encode() * 100 for letter in "abcdefghi"
    )


def test_what_a_listener_raises_ends_its_task_and_is_raised_at_its_caller(stage: Stage) -> None:
    def broken(stream: str, data: bytes) -> None:
        raise ZeroDivisionError("mine")

    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        with pytest.raises(ZeroDivisionError, match="mine"):
            await pool.execute("coder", ("sim", "duration=1000", "stdout=x"), on_output=broken)
        assert stage.world.running == 0
        assert (await pool.execute("coder", ("sim",))).succeeded

    stage.play(story)


def test_a_pool_that_ends_stops_what_runs_in_it(stage: Stage) -> None:
    found: list[TaskExecution] = []

    async def main() -> None:
        async with anyio.create_task_group() as group, stage.pool() as pool:
            await pool.warm(count=2)

            async def one() -> None:
                found.append(await pool.execute("coder", ("sim", "duration=1000")))

            for _ in range(9):  # two of them warm, five on their way, two waiting to be started
                group.start_soon(one)
            await until(lambda: stage.world.running == 2)

    run_virtual(main)
    stage.nothing_is_left()
    assert [each.verdict.kind for each in found] == [VerdictKind.CANCELLED] * 9


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_inside_the_block_comes_out_as_itself_and_nothing_is_left(stage: Stage, error: BaseException) -> None:
    async def main() -> None:
        async with stage.pool() as pool:
            await pool.warm(count=2)
            raise error

    with pytest.raises(type(error)):
        run_virtual(main)
    stage.nothing_is_left()


def test_a_pool_whose_block_is_cancelled_leaves_nothing(stage: Stage) -> None:
    async def main() -> None:
        with anyio.move_on_after(5) as bound:
            async with stage.pool() as pool:
                await pool.execute("coder", ("sim", "duration=1000"))
        assert bound.cancelled_caught

    run_virtual(main)
    stage.nothing_is_left()
    assert stage.executed == 1


def test_a_drained_pool_lets_its_tasks_end_and_takes_no_more(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        found: list[TaskExecution] = []

        async def one(number: int) -> None:
            found.append(await pool.execute("coder", ("sim", "duration=30")))

        async with anyio.create_task_group() as group:
            group.start_soon(one, 1)
            await until(lambda: stage.world.running == 1)
            await pool.drain()
            assert [each.succeeded for each in found] == [True]
            assert stage.world.container_names() == []
            with pytest.raises(InfrastructureError, match="drained"):
                await pool.execute("coder", ("sim",))

    stage.play(story)


def test_a_pool_is_scaled_by_hand_within_its_bounds(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        pool.scale("coder", 4)
        await pool.warm(count=4)
        pool.scale("coder", 1)
        await until(lambda: pool.readings()[0].idle == 1)
        await until(lambda: len(stage.world.container_names()) == 1)
        with pytest.raises(InputError, match="expected 1 to 10"):
            pool.scale("coder", 11)

    stage.play(story)


def test_a_watch_that_gives_up_is_opened_again_and_no_ending_is_missed(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        found: list[TaskExecution] = []

        async def one(number: int) -> None:
            found.append(await pool.execute("coder", ("sim", "duration=30", f"exit={number}")))

        async with anyio.create_task_group() as group:
            group.start_soon(one, 1)
            group.start_soon(one, 2)
            await until(lambda: stage.world.running == 2)
            stage.hazards.due.add(Fault.WATCH_GIVES_UP)
        assert sorted(each.exit_code or 0 for each in found) == [1, 2]

    stage.play(story)


def test_a_task_whose_container_is_removed_by_others_is_lost(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm()

        async def remove() -> None:
            await until(lambda: stage.world.running == 1)
            for each in stage.world.within(stage.scope_of(pool)):
                if each.started_s is not None:
                    stage.world.destroy(each)

        async with anyio.create_task_group() as group:
            group.start_soon(remove)
            done = await pool.execute("coder", ("sim", "duration=1000"))
        assert done.verdict.kind is VerdictKind.LOST

    stage.play(story)


def test_an_old_container_is_replaced_and_an_ill_one_too(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        first = set(stage.world.container_names())
        await anyio.sleep(3700)
        await pool.warm(count=2)
        second = set(stage.world.container_names())
        assert len(second) == 2
        assert not first & second
        for each in stage.world.within(stage.scope_of(pool)):
            each.script = replace(each.script, memory_bytes=63 * MIB)
        assert await pool.check_health() == 2
        await until(lambda: not second & set(stage.world.container_names()))
        await pool.warm(count=2)
        assert pool.metrics().unhealthy_containers == 0

    stage.play(story, replace(FIXED, idle_timeout_s=1e6))


def test_types_are_apart_each_with_a_private_network_of_its_own(stage: Stage) -> None:
    tester = AgentType(name="tester", image="simulated:latest", limits=Limits(memory_bytes=32 * MIB), network="none")
    shared = AgentType(name="shared", image="simulated:latest", limits=Limits(memory_bytes=32 * MIB), network="lan")

    async def story(pool: ContainerPool) -> None:
        await pool.warm()
        networks = {
            each.spec.labels["wavepool.pool"]: each.spec.network for each in stage.world.within(stage.scope_of(pool))
        }
        assert networks["tester"] is None
        assert networks["shared"] == "lan"
        assert set(stage.world.networks) == {networks["coder"], "lan"}

    stage.play(story, types=(CODER, tester, shared))


def test_the_status_of_a_pool_is_json_with_the_seeds_nine_fields(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        await pool.execute("coder", ("sim",))
        await pool.warm(count=2)
        status = json.loads(json.dumps(pool.status()))
        (coder,) = status["pools"]
        assert status["session"] == pool.session
        assert (coder["hits"], coder["dispatch"]["exact"]["counts"][-1]) == (1, 1)
        assert set(coder["containers"][0]) == {
            *("containerId", "agentType", "createdAt", "lastUsed", "execCount"),
            *("isHealthy", "isInUse", "networkId", "volumeId"),
        }

    stage.play(story)


def test_a_thousand_tasks_leave_no_trace_in_the_engine(stage: Stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(count=2)
        for _ in range(1_000 // 40):
            await all_at_once(4, lambda number: _run_ten(pool))
        tools = pool._held()
        await until(lambda: tools.disposal.waiting == 0)
        await pool.warm(count=2)
        assert len(tools.watch._containers) == 2
        assert len(pool._types.stocks["coder"].containers) == 2
        assert pool._runs == set()

    stage.play(story)
    assert stage.executed == 1_000


async def _run_ten(pool: ContainerPool) -> None:
    for _ in range(10):
        assert (await pool.execute("coder", ("sim",))).succeeded
