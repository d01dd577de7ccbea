"""Whole runs through a proxy that makes the calls and events of the real daemon fail.

After each: every task has its one right verdict, nothing was executed twice, nothing is left, nothing took for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio.from_thread
import pytest
from marked_runs import check, marking
from wavepool_cli import DEADLINE_S, Finished, World, batch, docker, plan_of, wave, world_in

from wavepool.testing.daemon_faults import Fault, FaultKind
from wavepool.testing.daemon_proxy import DaemonProxy, proxied

pytestmark = pytest.mark.docker

CALL_DEADLINE_S = 60.0
"""Of a call that changes something; the longest that one may hang."""
CREATE, START, REMOVE, LOGS = "/containers/create", "/start$", "^DELETE .*/containers/", "/logs"
IN_PROGRESS = "removal of container abc is already in progress"


@contextmanager
def through(root: Path, *faults: Fault, seed: int = 0) -> Iterator[tuple[World, DaemonProxy, Callable[..., object]]]:
    """A world whose commands reach the daemon by a proxy with these faults only."""
    with anyio.from_thread.start_blocking_portal() as portal:
        context = portal.wrap_async_context_manager(proxied(root / "p.sock", *faults, seed=seed))
        with context as proxy, world_in(root / "w", "docker") as world:
            yield world, proxy, portal.call


def run_all(world: World, proxy: DaemonProxy, *options: str, tasks: int = 4) -> Finished:
    """Tasks that succeed and one that fails, to their end."""
    batches = [marking(f"t{n}", 0.3) for n in range(tasks)]
    plan = plan_of(
        wave(1, *batches, batch("fails", 'echo "fails $(hostname)" >> ran; echo done; exit 3', memory="16m"))
    )
    run = world.start(plan, "--json", *options, env={"DOCKER_HOST": proxy.host})
    return run.finish(DEADLINE_S + 6 * CALL_DEADLINE_S)


NOT_KNOWN = "whether it started could not be known"
"""Of an attempt whose start was hit five times in a row: rare, and `lost` is then the truth."""


def right_verdicts(world: World, done: Finished) -> None:
    settled = check(world, done)
    others = [fact for fact in settled if fact["task"] != "fails" and fact["kind"] not in ("success", "start_error")]
    reasons = [(fact["kind"], fact["evidence"]["reason"]) for fact in others]
    assert [each for each in reasons if each[0] != "lost" or NOT_KNOWN not in each[1]] == []
    assert [(fact["kind"], fact["exit_code"]) for fact in settled if fact["task"] == "fails"][-1] == ("failed", 3)
    assert done.exit_code == 1


def test_refused_and_lost_calls(tmp_path: Path) -> None:
    """Several of each in one run: what may be repeated is, and a lost answer is not taken for a failure."""
    faults = [
        Fault(kind=FaultKind.LOSE, path=CREATE, first=1),
        Fault(kind=FaultKind.CUT, path=CREATE, first=2),
        Fault(kind=FaultKind.LOSE, path=START, first=1),
        Fault(kind=FaultKind.CUT, path=START, first=2),
        Fault(kind=FaultKind.REFUSE, path=REMOVE, first=1, times=2, status=409, words=IN_PROGRESS),
        Fault(kind=FaultKind.REFUSE, path=REMOVE, first=2, status=500, words='driver "overlay2" failed to remove'),
        Fault(kind=FaultKind.LOSE, path=REMOVE, first=3),
        Fault(kind=FaultKind.CUT, path=LOGS, first=1),
        Fault(kind=FaultKind.REFUSE, path=LOGS, first=2, status=500),
        Fault(kind=FaultKind.REFUSE, path="/containers/[0-9a-f]{64}/json", first=2, status=500),
    ]
    with through(tmp_path, *faults) as (world, proxy, _):
        done = run_all(world, proxy)
        assert [fault for fault in faults if fault.hits == 0] == []
    right_verdicts(world, done)


def test_events_that_do_not_come_right(tmp_path: Path) -> None:
    """One die event never comes, nor does one start; others come twice, late, out of order; the stream is cut twice."""
    faults = [
        Fault(kind=FaultKind.EVENTS_DROP, path="^start$", first=2),
        Fault(kind=FaultKind.EVENTS_DROP, path="^die$", first=2),
        Fault(kind=FaultKind.EVENTS_DOUBLE, path="^(start|die)$", first=1, times=3),
        Fault(kind=FaultKind.EVENTS_REORDER, path="^start$", first=1, times=2),
        Fault(kind=FaultKind.EVENTS_DELAY, path="^die$", first=1, hold_s=0.3),
        Fault(kind=FaultKind.EVENTS_CUT, path="^(start|die)$", first=2),
        Fault(kind=FaultKind.EVENTS_CUT, path="^destroy$", first=1),
    ]
    with through(tmp_path, *faults) as (world, proxy, _):
        done = run_all(world, proxy)
        assert [fault for fault in faults if fault.hits == 0] == []
    right_verdicts(world, done)


def test_the_socket_goes_and_comes_back(tmp_path: Path) -> None:
    """The daemon was there all the time, so what ended meanwhile ended by itself."""
    with through(tmp_path) as (world, proxy, call):
        tasks = [marking(f"t{n}", "[ -e go ]") for n in range(3)]
        run = world.start(plan_of(wave(1, *tasks)), "--json", env={"DOCKER_HOST": proxy.host})
        run.wait_for("AttemptStarted", count=3)
        call(proxy.down)
        world.touch("go")
        for name in world.containers():
            docker("wait", name)
        call(proxy.up)
        done = run.finish()
        assert {fact["kind"] for fact in check(world, done)} == {"success"}
        assert done.exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", [FaultKind.HANG, FaultKind.LOSE])
def test_calls_that_hang_end_at_their_deadlines(tmp_path: Path, kind: FaultKind) -> None:
    """One of each kind never answers, heard by the daemon or not; the run goes on after 30 or 60 s for each."""
    paths = (CREATE, START, REMOVE, LOGS, "/containers/json", "/containers/[0-9a-f]{64}/json")
    faults = [Fault(kind=kind, path=path, first=2, hold_s=3600) for path in paths]
    began_s = time.monotonic()
    with through(tmp_path, *faults) as (world, proxy, _):
        done = run_all(world, proxy)
        assert [fault for fault in faults if fault.hits == 0] == []
    right_verdicts(world, done)
    assert time.monotonic() - began_s < DEADLINE_S + len(faults) * CALL_DEADLINE_S


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_seeded_faults_everywhere(tmp_path: Path, seed: int, record_property: Callable[[str, object], None]) -> None:
    """Any call may be refused, lost or cut, any event dropped, doubled or reordered, with some chance."""
    some = {"times": 1000, "chance": 0.04}
    faults = [
        Fault(kind=FaultKind.LOSE, path="containers/", **some),  # type: ignore[arg-type]
        Fault(kind=FaultKind.CUT, path="containers/", **some),  # type: ignore[arg-type]
        Fault(kind=FaultKind.REFUSE, path=REMOVE, status=409, words=IN_PROGRESS, **some),  # type: ignore[arg-type]
        Fault(kind=FaultKind.EVENTS_CUT, **some),  # type: ignore[arg-type]
        Fault(kind=FaultKind.EVENTS_DROP, **some),  # type: ignore[arg-type]
        Fault(kind=FaultKind.EVENTS_DOUBLE, **some),  # type: ignore[arg-type]
        Fault(kind=FaultKind.EVENTS_REORDER, **some),  # type: ignore[arg-type]
    ]
    with through(tmp_path, *faults, seed=seed) as (world, proxy, _):
        done = run_all(world, proxy, tasks=12)
        hits = sum(fault.hits for fault in faults)
    right_verdicts(world, done)
    record_property("proof", f"{hits} faults of calls and events, seed {seed}: 13 tasks right, 0 doubled, 0 left")


@pytest.mark.slow
def test_a_daemon_that_stays_away_and_a_resume_after_its_return(tmp_path: Path) -> None:
    """The run ends and says how to go on; what had been under way has its true result."""
    with through(tmp_path) as (world, proxy, call):
        tasks = [marking(f"t{n}", "[ -e go ]") for n in range(2)]
        plan = plan_of(wave(1, *tasks), wave(2, marking("later", 0)))
        run = world.start(plan, "--json", "--run-id", "away", env={"DOCKER_HOST": proxy.host})
        run.wait_for("AttemptStarted", count=2)
        call(proxy.down)
        done = run.finish(2 * DEADLINE_S)
        assert done.exit_code == 3
        assert "stayed away for 60 s" in done.stderr
        assert "Under way when it went: 't0', 't1'." in done.stderr
        assert "wavepool resume away" in done.stderr
        assert [fact["infrastructure"] for fact in done.lines if fact.get("kind") == "RunStopped"] == [True]
        world.touch("go")
        call(proxy.up)
        state = ("--state-dir", str(world.state))
        gone_on = world.command("resume", "away", "--json", *state, env={"DOCKER_HOST": proxy.host}).finish()
        assert gone_on.exit_code == 0
        assert {fact["kind"] for fact in check(world, gone_on)} == {"success"}
