"""A Docker daemon of our own is restarted in mid-wave, again and again: nothing is lost, doubled or left behind.

With live-restore its containers live on, so every task succeeds at its first attempt. Without, those that ran are
`lost`, and run again only where the policy says so.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio.from_thread
import pytest
from marked_runs import check, marking
from wavepool_cli import TEST_IMAGE, Finished, World, batch, eventually, plan_of, wave, world_in

from wavepool.testing.own_daemon import OwnDaemon

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a Docker daemon"),
]

LOST_IS_TRIED_AGAIN = ("--retries", "9", "--retry-on", "lost")
RUN_DEADLINE_S = 600.0


@dataclass
class Control:
    """The daemon, from a test that is not asynchronous."""

    daemon: OwnDaemon
    call: Callable[..., object]
    restarts: int = 0

    def restart(self, *, kill: bool) -> None:
        self.restarts += 1
        self.call(lambda: self.daemon.restart(kill=kill))


@contextmanager
def own_daemon(directory: Path, monkeypatch: pytest.MonkeyPatch, *, live_restore: bool) -> Iterator[Control]:
    """A daemon of one's own, to which DOCKER_HOST leads everything in this test."""
    directory.mkdir()
    with anyio.from_thread.start_blocking_portal() as portal:
        made = OwnDaemon(directory, live_restore=live_restore)
        with portal.wrap_async_context_manager(made) as daemon:
            portal.call(daemon.load_image, TEST_IMAGE)
            monkeypatch.setenv("DOCKER_HOST", daemon.host)
            yield Control(daemon, portal.call)


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
def test_a_restart_while_all_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live_restore: bool) -> None:
    """Without a policy what was lost stays lost: it may have done half of its work. One task answers its end with 0."""
    obedient = batch("obedient", f"trap 'exit 0' TERM; {marking('obedient', '[ -e go ]')['command']}", memory="8m")
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


@pytest.mark.slow
@pytest.mark.parametrize("live_restore", [True, False], ids=["live-restore", "none"])
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
