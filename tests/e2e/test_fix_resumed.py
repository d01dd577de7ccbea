"""`wavepool fix` is killed, and `wavepool resume` goes on with it: nothing is lost, and nothing runs a second time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from fix_ground import Workshop
from user_git import git
from wavepool_cli import Finished, World, eventually

pytestmark = pytest.mark.docker

CHECK = (
    "sh -c 'echo check >>/meet/checks; until [ -e /meet/check.go ]; do sleep 0.05; done; exec ruff check --no-cache .'"
)
MEND = (
    'echo "$BATCH_ID" >>/meet/batches; until [ -e /meet/batch.go ]; do sleep 0.05; done; '
    'exec ruff check --no-cache --fix "$@"'
)


@pytest.fixture
def shop(docker_world: World) -> Workshop:
    return Workshop(docker_world)


def lines_of(path: Path) -> Counter[str]:
    return Counter(path.read_text().split()) if path.exists() else Counter()


def fix_id(world: World) -> str:
    (place,) = (world.state / "fixes").iterdir()
    return place.name


def resumed(world: World, *words: str) -> Finished:
    return world.command("resume", *words, "--state-dir", str(world.state)).finish(300)


def test_a_fix_that_was_killed_in_its_check_and_in_its_run_goes_on(shop: Workshop) -> None:
    errors, world = shop.errors(directories=2, files=1), shop.world
    head = shop.commit()
    first = shop.start("--strategy", "file", command=CHECK, then=("sh", "-c", MEND, "mend", "{files}"))
    eventually(lambda: (shop.meet / "checks").exists(), "the check runs")
    first.kill()
    fix = fix_id(world)
    listed = json.loads(world.command("runs", "--json", "--state-dir", str(world.state)).finish().stdout)
    assert [(each["fix_id"], each["state"], each["resume"]) for each in listed["fixes"]] == [
        (fix, "unfinished", f"wavepool resume {fix}")
    ]
    (shop.meet / "check.go").touch()
    second = world.command("resume", fix, "--json", "--state-dir", str(world.state))
    eventually(lambda: sum(lines_of(shop.meet / "batches").values()) == 2, "both batches run")
    # meanwhile nobody else goes on with it
    other = resumed(world, fix)
    assert (other.exit_code, f"fix {fix} is held by process" in other.stderr) == (3, True), other.stderr
    second.kill()
    (shop.meet / "batch.go").touch()
    done = resumed(world, "latest", "--json")
    assert done.exit_code == 0, done.stderr
    result = done.lines[-1]
    assert (result["fix_id"], result["status"]) == (fix, "fixed")
    assert (result["errors_before"], result["errors_after"]) == (errors, 0)
    # two checks and two batches, each once
    assert lines_of(shop.meet / "checks") == {"check": 2}
    assert set(lines_of(shop.meet / "batches").values()) == {1}
    assert result["iterations"][0]["merged"] == 2
    assert shop.branches() == ["main", result["branch"]]
    assert shop.faults_of(result["branch"]) == 0
    assert git(shop.repo, "rev-parse", "main") == head
    assert shop.left() == []
    # it is over, and told again
    again = resumed(world, fix)
    assert again.exit_code == 0, again.stderr
    assert again.result["iterations"] == result["iterations"]
    shown = world.command("show", fix, "--state-dir", str(world.state)).finish()
    assert f"fix {fix}: fixed" in shown.stdout.decode()


@pytest.mark.slow
def test_a_fix_that_ctrl_c_has_ended_goes_on_with_its_run(shop: Workshop) -> None:
    errors, world = shop.errors(directories=2, files=1), shop.world
    shop.commit()
    (shop.meet / "check.go").touch()
    mend = ("sh", "-c", MEND, "mend", "{files}")
    running = shop.start("--strategy", "file", "--max-parallel", "1", "--json", command=CHECK, then=mend)
    eventually(lambda: (shop.meet / "batches").exists(), "a batch runs")
    running.interrupt()
    running.wait_for("RunInterrupted")
    (shop.meet / "batch.go").touch()
    ended = running.finish(300)
    assert (ended.exit_code, ended.lines[-1]["status"]) == (130, "interrupted"), ended.stderr
    fix = ended.lines[-1]["fix_id"]
    assert ended.lines[-1]["resume"] == f"wavepool resume {fix}"
    assert ended.lines[-1]["iterations"][0]["merged"] == 1
    assert shop.left() == []
    done = resumed(world, fix)
    assert (done.exit_code, done.result["status"]) == (0, "fixed"), done.stderr
    assert (done.result["errors_before"], done.result["errors_after"]) == (errors, 0)
    (only,) = done.result["iterations"]
    assert (only["succeeded"], only["merged"]) == (2, 2)
    assert set(lines_of(shop.meet / "batches").values()) == {1}
    assert shop.left() == []


@pytest.mark.slow
def test_in_a_shared_directory_nothing_goes_on_of_the_check_that_was_killed(shop: Workshop) -> None:
    errors, world = shop.errors(directories=1, files=1), shop.world
    first = shop.start("--workspace-kind", "shared", command=CHECK, then=("ruff", "check", "--no-cache", "--fix", "."))
    eventually(lambda: (shop.meet / "checks").exists(), "the check runs")
    first.kill()
    again = world.command("resume", fix_id(world), "--state-dir", str(world.state))
    eventually(lambda: lines_of(shop.meet / "checks")["check"] == 2, "it runs again")
    left = world.containers()
    (shop.meet / "check.go").touch()
    done = again.finish(300)
    assert (done.exit_code, done.result["status"], done.result["errors_before"]) == (0, "fixed", errors), done.stderr
    assert len(left) == 1, left
    assert world.containers() == []


DYING = """
import os, signal, sys
from wavepool.cli import main
from wavepool.fixing import journaling

keep, left = journaling._keep, int(sys.argv.pop(1))

def dying(journal, fact):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    keep(journal, fact)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

journaling._keep = dying
main()
"""
"""A command that dies before, or after, its n-th fact is in the journal."""


@pytest.mark.slow
def test_whichever_fact_was_its_last_it_comes_to_the_same_end(process_world: World) -> None:
    shop = Workshop(process_world)
    errors = shop.errors(directories=2, files=1)
    shop.commit()
    env = {**process_world.environment(), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    mend = ["sh", "-c", f'echo "$0" >>{shop.meet}/batches; exec ruff check --no-cache --fix "$@"']
    for point in range(1, 40):
        (shop.meet / "batches").unlink(missing_ok=True)
        before = {each.name for each in (process_world.state / "fixes").glob("*")}
        words = ["fix", "--strategy", "file", "--command", "ruff check --no-cache .", *shop.options(), "--", *mend]
        died = subprocess.run(
            [sys.executable, "-c", DYING, str(point), *words, "mend", "{files}"],
            cwd=process_world.root,
            env=env,
            capture_output=True,
            check=False,
            timeout=300,
        )
        if died.returncode == 0:
            break
        assert died.returncode == -9, died.stderr
        (fix,) = {each.name for each in (process_world.state / "fixes").glob("*")} - before
        done = process_world.command("resume", fix, "--state-dir", str(process_world.state), env=env).finish(300)
        if point == 1:  # it had not begun
            assert done.exit_code in (2, 3), done.stderr
            process_world.command("recover", "--state-dir", str(process_world.state)).finish(300)
            continue
        assert (done.exit_code, done.result["status"]) == (0, "fixed"), f"{point}: {done.stderr}"
        assert (done.result["errors_before"], done.result["errors_after"]) == (errors, 0)
        assert sum(lines_of(shop.meet / "batches").values()) == 2, point
        assert shop.left() == [], point
    else:
        raise AssertionError("a fix has not so many facts")
    assert point > 10
