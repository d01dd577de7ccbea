"""A Docker daemon of our own is restarted in mid-wave, again and again: nothing is lost, doubled or left behind.

With live-restore its containers live on, so every task succeeds at its first attempt. Without, those that ran are
`lost`, and run again only where the policy says so.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import anyio.from_thread
import pytest
from marked_runs import check, marking
from stuck_engine import EngineStuck, proof_that_it_is_stuck, tried_again_where_the_engine_is_stuck
from wavepool_cli import TEST_IMAGE, Finished, World, batch, docker, eventually, plan_of, wave, world_in

from wavepool.drivers.docker.watching.verdict import parse_time
from wavepool.testing.own_daemon import OwnDaemon

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a Docker daemon"),
]

LOST_IS_TRIED_AGAIN = ("--retries", "9", "--retry-on", "lost")
RUN_DEADLINE_S = 600.0
HOUR = timedelta(hours=1)


@dataclass
class Control:
    """The daemon, from a test that is not asynchronous."""

    daemon: OwnDaemon
    directory: Path
    call: Callable[..., object]
    restarts: int = 0

    def restart(self, *, kill: bool) -> None:
        self.restarts += 1
        self.call(lambda: self.daemon.restart(kill=kill))

    def records(self) -> list[Path]:
        """The engine's own of its containers, each in a directory that bears the id. To be changed while it is down."""
        return list(self.directory.glob("docker-data/containers/*/config.v2.json"))


def make_older(record: Path, by: timedelta) -> None:
    """Let a container have started, and ended if it has, before that."""
    kept = json.loads(record.read_text())
    times = {key: parse_time(kept["State"][key]) for key in ("StartedAt", "FinishedAt")}
    kept["State"] |= {key: (at - by).isoformat().replace("+00:00", "Z") for key, at in times.items() if at is not None}
    record.write_text(json.dumps(kept))


def exited(world: World) -> set[str]:
    """Ids of our containers that have ended."""
    owned = f"label=wavepool.owner={world.owner()}"
    return set(docker("ps", "-aq", "--no-trunc", "--filter", "status=exited", "--filter", owned).split())


@contextmanager
def own_daemon(
    directory: Path, monkeypatch: pytest.MonkeyPatch, *, live_restore: bool, arguments: Sequence[str] = ()
) -> Iterator[Control]:
    """A daemon of one's own, to which DOCKER_HOST leads everything in this test. Raises EngineStuck: it failed us."""
    directory.mkdir()
    with anyio.from_thread.start_blocking_portal() as portal:
        made = OwnDaemon(directory, live_restore=live_restore, arguments=arguments)
        with portal.wrap_async_context_manager(made) as daemon, monkeypatch.context() as while_it_lives:
            portal.call(daemon.load_image, TEST_IMAGE)
            while_it_lives.setenv("DOCKER_HOST", daemon.host)
            try:
                yield Control(daemon, directory, portal.call)
            except (AssertionError, subprocess.TimeoutExpired) as error:
                if proof := proof_that_it_is_stuck(daemon):
                    raise EngineStuck(proof) from error
                raise


def disturbed(world: World, control: Control, moments: list[int], dice: random.Random) -> Finished:
    """A wave under restarts, each when the run has had so many facts; half of them are kills."""
    tasks = [marking(f"t{n}", dice.uniform(0.5, 4.0)) for n in range(moments[-1] // 2 + 4)]
    run = world.start(plan_of(wave(1, *tasks)), "--json", "--parallel", "6", *LOST_IS_TRIED_AGAIN)
    for moment in moments:
        if not run.wait_for_facts(moment):
            break
        control.restart(kill=dice.random() < 0.5)
    return run.finish(RUN_DEADLINE_S)


@pytest.mark.parametrize("live_restore", [True, False], ids=["live-restore", "none"])
@tried_again_where_the_engine_is_stuck
def test_a_restart_while_all_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live_restore: bool) -> None:
    """Without a policy what was lost stays lost: it may have done half of its work. One task answers its end with 0."""
    obedient = batch("obedient", f"trap 'exit 0' TERM; {marking('obedient', '[ -e go ]')['command']}", memory="16m")
    tasks = [marking(f"t{n}", "[ -e go ]") for n in range(3)]
    with (
        own_daemon(tmp_path / "daemon", monkeypatch, live_restore=live_restore) as control,
        world_in(tmp_path / "world", "docker") as world,
    ):
        run = world.start(plan_of(wave(1, *tasks, obedient)), "--json", "--verbose")
        eventually(lambda: len(world.marks("ran")) == 4, "all four run")
        run.wait_for("AttemptStarted", count=4)
        control.restart(kill=False)
        world.touch("go")
        done = run.finish()
        settled = check(world, done)
        assert {fact["kind"] for fact in settled} == {"success" if live_restore else "lost"}
        assert len(settled) == 4
        assert done.exit_code == (0 if live_restore else 1)


@pytest.mark.parametrize(
    ("down", "bridge"),
    [
        ("a moment", True),
        ("a night", True),
        pytest.param("killed", True, marks=pytest.mark.slow),
        pytest.param("a night", False, marks=pytest.mark.slow),
    ],
)
@tried_again_where_the_engine_is_stuck
def test_a_restart_while_nobody_watches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, down: str, bridge: bool
) -> None:
    """What the daemon ended is lost, 0 or not; what had ended long before keeps its own verdict.

    Nobody waits that long: the engine's records are made older while it is stopped. After a night that the machine was
    off, even what the daemon ended lies far back.
    """
    early = [marking(name, "[ -e early ]") for name in ("early", "early-fails")]
    early[1]["command"] = f"{early[1]['command']}; exit 3"
    obedient = batch("obedient", f"trap 'exit 0' TERM; {marking('obedient', '[ -e never ]')['command']}", memory="16m")
    tasks = [*early, obedient, marking("cut-off", "[ -e never ]")]
    with (
        own_daemon(
            tmp_path / "daemon", monkeypatch, live_restore=False, arguments=() if bridge else ("--bridge=none",)
        ) as control,
        world_in(tmp_path / "world", "docker") as world,
    ):
        run = world.start(plan_of(wave(1, *tasks)), "--json", "--run-id", "unwatched", "--keep-going")
        eventually(lambda: len(world.marks("ran")) == 4, "all four run")
        run.wait_for("AttemptStarted", count=4)
        run.kill()
        world.touch("early")
        eventually(lambda: len(exited(world)) == 2, "two have ended, unseen")
        of_their_own = exited(world)
        control.call(control.daemon.kill if down == "killed" else control.daemon.stop)
        night = timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME)) + HOUR if down == "a night" else timedelta()
        for record in control.records():
            make_older(record, night + (HOUR if record.parent.name in of_their_own else timedelta()))
        control.call(control.daemon.start)
        done = world.command("resume", "unwatched", "--json", "--state-dir", str(world.state)).finish()
        settled = {fact["task"]: fact for fact in check(world, done)}
        assert {task: fact["kind"] for task, fact in settled.items()} == {
            "early": "success",
            "early-fails": "failed",
            "obedient": "lost",
            "cut-off": "lost",
        }
        assert settled["obedient"]["evidence"]["exit_code"] == 0, "as it answered"
        assert "nobody watched it" in settled["obedient"]["evidence"]["reason"]
        assert done.exit_code == 1


@tried_again_where_the_engine_is_stuck
def test_a_restart_that_keeps_them_while_nobody_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With live-restore: one that ends while the daemon is down, and one that runs on. Output meanwhile is not kept."""
    with (
        own_daemon(tmp_path / "daemon", monkeypatch, live_restore=True) as control,
        world_in(tmp_path / "world", "docker") as world,
    ):
        tasks = [marking("early", "[ -e early ]"), marking("late", "[ -e late ]")]
        run = world.start(plan_of(wave(1, *tasks)), "--json", "--run-id", "unwatched")
        eventually(lambda: len(world.marks("ran")) == 2, "both run")
        run.wait_for("AttemptStarted", count=2)
        run.kill()
        control.call(control.daemon.stop)
        world.touch("early")
        control.call(control.daemon.start)
        eventually(lambda: len(exited(world)) == 1, "one has ended, unseen")
        knows = docker("inspect", "--format", "{{.State.ExitCode}}", *exited(world)) != "255"  # Docker 28 does not
        resumed = world.command("resume", "unwatched", "--json", "--state-dir", str(world.state))
        resumed.wait_for("RunResumed")
        world.touch("late")
        done = resumed.finish()
        settled = {fact["attempt"][0]: fact["verdict"] for fact in done.lines if fact.get("kind") == "AttemptSettled"}
        early = "success" if knows else "lost"
        assert {task: verdict["kind"] for task, verdict in settled.items()} == {"early": early, "late": "success"}
        assert len(world.marks("ran")) == 2, "each once"
        assert done.exit_code == (0 if knows else 1)


@pytest.mark.slow
@pytest.mark.parametrize("live_restore", [True, False], ids=["live-restore", "none"])
@tried_again_where_the_engine_is_stuck
def test_ten_restarts_in_mid_wave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live_restore: bool, record_property: Callable[[str, object], None]
) -> None:
    """What was lost is tried again by policy, until all have succeeded."""
    dice = random.Random(20)
    moments = sorted(dice.sample(range(8, 118), 10))
    with (
        own_daemon(tmp_path / "daemon", monkeypatch, live_restore=live_restore) as control,
        world_in(tmp_path / "world", "docker") as world,
    ):
        done = disturbed(world, control, moments, dice)
        settled = check(world, done)
        assert done.exit_code == 0
        lost = [fact for fact in settled if fact["kind"] == "lost"]
        again = sum(fact["kind"] == "start_error" for fact in settled)
        if live_restore:  # those that ran go on; of one whose start was cut in two it may not be known
            assert [fact for fact in lost if "start" not in fact["evidence"]["reason"]] == []
        else:
            assert lost != []
        assert control.restarts == len(moments)
        assert world.left_behind() == []
    how = "with" if live_restore else "without"
    record_property(
        "proof",
        f"{control.restarts} restarts of a Docker daemon {how} live-restore in mid-wave: {len(settled)} attempts, "
        f"{len(lost)} lost, {again} whose start was cut off, 0 doubled, 0 left",
    )
