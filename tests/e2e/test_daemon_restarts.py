"""A Docker daemon of our own is restarted in mid-wave, again and again: nothing is lost, doubled or left behind.

With live-restore its containers live on, so every task succeeds at its first attempt. Without, those that ran are
`lost`, and run again only where the policy says so.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio.from_thread
import pytest
from wavepool_cli import TEST_IMAGE, Finished, World, batch, plan_of, wave, world_in

from wavepool.testing.own_daemon import OwnDaemon

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a Docker daemon"),
]

LOST_IS_TRIED_AGAIN = ("--retries", "9", "--retry-on", "lost")
RUN_DEADLINE_S = 600.0
FACTS_A_TASK = 5
"""Of one that succeeds: intended, started, exited, settled, removed."""


@dataclass
class Control:
    """The daemon, from a test that is not asynchronous."""

    daemon: OwnDaemon
    call: Callable[..., object]

    def restart(self, *, kill: bool) -> None:
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


def marking(name: str, seconds: float) -> dict[str, object]:
    """A task that leaves a line for each execution: its id, and the container that it ran in."""
    script = f'echo "{name} $(hostname)" >> ran; sleep {seconds}; echo done'
    return batch(name, script, memory="8m")


def disturbed(world: World, control: Control, moments: list[int], dice: random.Random, *options: str) -> Finished:
    """A wave under restarts, each when the run has had so many facts; half of them are kills."""
    tasks = [marking(f"t{n}", dice.uniform(0.5, 4.0)) for n in range(moments[-1] // 2 + 4)]
    run = world.start(plan_of(wave(1, *tasks)), "--json", "--parallel", "6", *options)
    for moment in moments:
        if not run.wait_for_facts(moment):
            break
        control.restart(kill=dice.random() < 0.5)
    return run.finish(RUN_DEADLINE_S)


def check(world: World, done: Finished, *, may_be_lost: bool) -> tuple[int, int]:
    """(attempts, how many were lost) of a run in which each task has one right verdict, and no attempt ran twice."""
    result = done.lines[-1]
    entries = {each["batch_id"]: each for one in result["waves"] for each in one["containers"]}
    executed = Counter(world.marks("ran"))
    assert [line for line, times in executed.items() if times > 1] == []
    times_run = Counter(line.split()[0] for line in executed)
    for name, entry in entries.items():
        assert entry["verdict"] in (("success", "lost") if may_be_lost else ("success",)), (entry, done.stderr)
        assert times_run[name] <= entry["attempts"]
        if entry["verdict"] == "success":
            assert times_run[name] >= 1
            assert world.log(entry).read_text().endswith("done\n")
    settled = [fact for fact in done.lines if fact.get("kind") == "attempt_settled"]
    verdicts = Counter((fact["attempt"]["task_id"], fact["attempt"]["number"]) for fact in settled)
    assert max(verdicts.values()) == 1
    lost = sum(fact["verdict"] == "lost" for fact in settled)
    assert len(settled) == sum(entry["attempts"] for entry in entries.values())
    return len(settled), lost


@pytest.mark.parametrize("live_restore", [True, False], ids=["live-restore", "none"])
def test_a_restart_in_mid_wave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live_restore: bool) -> None:
    """Without a policy what was lost stays lost: it may have done half of its work."""
    with (
        own_daemon(tmp_path / "daemon", monkeypatch, live_restore=live_restore) as control,
        world_in(tmp_path / "world", "docker") as world,
    ):
        done = disturbed(world, control, [12], random.Random(3))
        attempts, lost = check(world, done, may_be_lost=not live_restore)
        assert done.exit_code == (1 if lost else 0)
        assert (lost > 0) is not live_restore
        assert attempts == 10


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
        done = disturbed(world, control, moments, dice, *LOST_IS_TRIED_AGAIN)
        attempts, lost = check(world, done, may_be_lost=False)
        assert done.exit_code == 0
        assert (lost > 0) is not live_restore
    how = "with" if live_restore else "without"
    record_property(
        "proof", f"10 restarts of a daemon {how} live-restore in mid-wave: {attempts} attempts, {lost} lost, 0 doubled"
    )
