"""`wavepool fix` on a real repository with real errors: from a failing check to one that passes, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fix_ground import AGENT, MEND_ONE_KIND, RULES, Workshop, image
from user_git import git
from wavepool_cli import COMMAND, World, eventually

from checkers import Checkers

pytestmark = pytest.mark.docker

RUFF_FIX = ("ruff", "check", "--no-cache", "--fix", "{files}")


@pytest.fixture
def shop(docker_world: World) -> Iterator[Workshop]:
    """In containers; at the end nothing of it but branches is left."""
    made = Workshop(docker_world)
    yield made
    assert made.left() == []


@pytest.fixture
def host_shop(process_world: World) -> Iterator[Workshop]:
    made = Workshop(process_world)
    yield made
    assert made.left() == []


def test_dozens_of_errors_go_to_zero_in_several_waves_and_iterations(shop: Workshop) -> None:
    assert shop.errors(directories=3, files=4) == 24
    shop.write(".gitignore", "node_modules/\n")
    head = shop.commit()
    # What is not in git has to be mounted: into the check and into every clone.
    shop.write("node_modules/check.sh", "exec ruff check --no-cache .\n")
    shop.write("node_modules/mend.sh", MEND_ONE_KIND)
    shop.write("part_0/draft.py", "import sys\n")
    done = shop.fix(
        *("-n", "9", "--strategy", "directory", "--max-parallel", "2", "--verbose", "--json"),
        *("--mount", f"{shop.repo}/node_modules:/workspace/node_modules"),
        command="sh node_modules/check.sh",
        then=("sh", "node_modules/mend.sh", "{files}"),
    )
    assert done.exit_code == 0, done.stderr
    began, *facts, result = done.lines
    assert (began["kind"], began["fix_id"]) == ("FixBegan", result["fix_id"])
    assert (result["status"], result["errors_before"], result["errors_after"]) == ("fixed", 24, 0)
    # one kind an iteration, in waves of two
    assert [(each["before"]["errors"], each["after"]["errors"]) for each in result["iterations"]] == [(24, 12), (12, 0)]
    assert {each["before"]["waves"] for each in result["iterations"]} == {2}
    assert [each["before"]["codes"] for each in result["iterations"]] == [{"F401": 12, "W291": 12}, {"W291": 12}]
    # events and facts of all runs, in their order
    kinds = [each["kind"] for each in facts if each["kind"] in ("CheckEnded", "IterationWorked", "RunFinished")]
    assert kinds == ["CheckEnded", *["RunFinished", "IterationWorked", "CheckEnded"] * 2]
    # all of it is on one branch, and nowhere else
    branch = result["branch"]
    assert branch == f"wavepool/fix-{result['fix_id']}"
    assert shop.branches() == ["main", branch]
    assert (shop.faults_of(branch), shop.faults_of("main")) == (0, 24)
    assert git(shop.repo, "rev-parse", "HEAD", "main").split() == [head, head]
    assert git(shop.repo, "status", "--porcelain") == "?? part_0/draft.py"
    changed = git(shop.repo, "diff", "--name-only", "main", branch).split()
    assert changed == sorted(f"part_{number % 3}/mod_{number}.py" for number in range(12))
    # and all of it is said
    for told in (
        "1 uncommitted change: the fix begins at the commit",
        "check 1: 24 errors in 12 files; 3 batches in 2 waves",
        "F401 12, W291 12",
        "iteration 1: 3 of 3 batches succeeded, 3 merged",
        "24 errors -> 0 in 2 iterations",
        f"next: git merge {branch}",
    ):
        assert told in done.stderr, told
    git(shop.repo, "merge", "-q", branch)
    assert shop.faults_of("HEAD") == 0


def test_in_a_shared_workspace_they_work_in_the_directory_itself(shop: Workshop) -> None:
    errors = shop.errors(directories=2, files=2)
    head = shop.commit()
    done = shop.fix("--workspace-kind", "shared", "--strategy", "file", then=RUFF_FIX)
    assert done.exit_code == 0, done.stderr
    assert done.result["errors_before"] == errors
    assert done.result["branch"] is None
    assert f"{errors} errors -> 0 in 1 iteration" in done.stderr
    assert "the changes are in the workspace" in done.stderr
    assert git(shop.repo, "rev-parse", "HEAD") == head
    assert len(git(shop.repo, "diff", "--name-only").split()) == 4
    git(shop.repo, "commit", "-qam", "Mended")
    assert shop.faults_of("HEAD") == 0
    assert shop.branches() == ["main"]


def test_agents_get_prompts_and_what_they_cost_is_told(shop: Workshop) -> None:
    errors = shop.errors(directories=2, files=1)
    shop.commit()
    agent = shop.world.root / "claude"
    agent.write_text(AGENT)
    agent.chmod(0o755)
    done = shop.fix("--strategy", "directory", "--mount", f"{agent}:/usr/bin/claude", "--output", "out.json")
    assert done.exit_code == 0, done.stderr
    assert done.result["errors_before"] == errors
    assert done.result["agents"]["turns"] == 6
    assert done.result["agents"]["cost_usd"] == 0.5
    assert "6 turns, 220 tokens, $0.50" in done.stderr
    assert "claude gets its key from ANTHROPIC_API_KEY" in done.stderr
    assert json.loads((shop.world.root / "out.json").read_text()) == done.result
    assert shop.faults_of(done.result["branch"]) == 0


def test_where_no_iteration_helps_it_stops_and_leaves_no_branch(shop: Workshop) -> None:
    shop.errors(directories=1, files=1)
    shop.commit()
    done = shop.fix("-n", "5", then=("true",))
    assert done.exit_code == 1
    assert done.result["status"] == "no_progress"
    assert len(done.result["iterations"]) == 1
    assert "2 errors -> 2 in 1 iteration: the last one left no fewer errors" in done.stderr
    assert "nothing was merged" in done.stderr
    assert "left: part_0/mod_0.py:1: F401 `os` imported but unused" in done.stderr
    assert shop.branches() == ["main"]


@pytest.mark.slow
def test_eslint_mends_what_it_can_likewise(host_shop: Workshop, checkers: Checkers) -> None:
    shop = host_shop
    shop.write("eslint.config.mjs", 'export default [{ rules: { "no-var": "error", "prefer-const": "error" } }];\n')
    for number in range(6):
        shop.write(f"part [{number % 2}]/mod {number}.mjs", f"let number = {number};\nvar twice = number * 2;\n")
    shop.commit()
    path = ("--environment", f"PATH={checkers.path}")
    done = shop.fix(*path, command="eslint .", then=("eslint", "--fix", "{files}"), path=checkers.path)
    assert done.exit_code == 0, done.stderr
    assert (done.result["errors_before"], done.result["errors_after"]) == (12, 0)
    assert "const twice = number * 2;" in git(shop.repo, "show", f"{done.result['branch']}:part [1]/mod 1.mjs")


@pytest.mark.slow
def test_two_batches_that_conflict_are_put_right_by_the_next_iteration(shop: Workshop) -> None:
    shop.errors(directories=2, files=1)
    shop.write("shared.txt", "nobody's\n")
    shop.commit()
    selfish = 'echo "$BATCH_ID" >shared.txt; exec ruff check --no-cache --fix "$@"'
    done = shop.fix("--strategy", "file", then=("sh", "-c", selfish, "selfish", "{files}"))
    assert done.exit_code == 0, done.stderr
    first, second = done.result["iterations"]
    assert (first["merged"], second["merged"]) == (1, 1)
    (conflict,) = first["left_out"]
    assert conflict["files"] == ["shared.txt"]
    assert "is left out: conflicts in shared.txt" in done.stderr
    assert (first["after"]["errors"], second["after"]["errors"]) == (2, 0)
    assert shop.branches() == ["main", done.result["branch"]]


@pytest.mark.slow
def test_what_a_tool_could_not_mend_is_left_and_what_it_could_is_merged(shop: Workshop) -> None:
    shop.write("ruff.toml", RULES.replace('"W291"', '"W291", "F821"'))
    shop.write("part_0/unknown.py", "import os\n\nprint(nobody_knows)\n")
    shop.commit()
    done = shop.fix(then=RUFF_FIX)
    assert done.exit_code == 1, done.stderr
    assert done.result["status"] == "no_progress"
    assert done.result["errors_after"] == 1
    # ruff exits with 1 where something is left: what it has mended is not lost
    assert [each["verdict"] for each in done.result["iterations"][0]["failed"]] == ["failed"]
    assert shop.faults_of(done.result["branch"]) == 1
    assert "to go on from there: git switch" in done.stderr


@pytest.mark.parametrize("on_host", [False, True], ids=["image", "host"])
def test_what_agents_wrote_is_executed_in_the_image_alone(
    on_host: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The check is a script of the repository, and a batch has it write to a place of the host's."""
    shop: Workshop = request.getfixturevalue("host_shop" if on_host else "shop")
    trap = tmp_path / "sprung"
    shop.errors(directories=1, files=1)
    shop.write("check.sh", "ruff check --no-cache .\n")
    shop.commit()
    spring = f"echo sprung; (mkdir -p {trap.parent} && echo here >{trap}) 2>/dev/null || true"
    evil = f'echo "{spring}" >>check.sh; exec ruff check --no-cache --fix "$@"'
    done = shop.fix(command="sh check.sh", then=("sh", "-c", evil, "evil", "{files}"))
    assert done.exit_code == 0, done.stderr
    assert str(trap) in git(shop.repo, "show", f"{done.result['branch']}:check.sh")
    assert done.result["checked_in"] == ("host" if on_host else image())
    assert trap.exists() is on_host
    if not on_host:  # it was executed, where there was nothing to be had
        logs = [log.read_bytes() for log in shop.world.state.glob("runs/check-*/logs/*")]
        assert any(b"sprung" in log for log in logs)


def test_processes_of_this_host_are_no_place_for_it_unless_that_is_allowed(process_world: World) -> None:
    shop = Workshop(process_world)
    shop.errors(directories=1, files=1)
    shop.commit()
    where = ("--workspace", str(shop.repo), "--state-dir", str(process_world.state), "--driver", "process")
    done = process_world.command("fix", "--command", "ruff check .", *where, "--", *RUFF_FIX).finish()
    assert done.exit_code == 2
    assert "--allow-host allows that" in done.stderr
    assert process_world.run_dirs() == []
    away = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    done = process_world.command("fix", "--command", "ruff check .", *where[:4], "--", *RUFF_FIX, env=away).finish()
    assert done.exit_code == 3
    assert "--allow-host" in done.stderr
    assert shop.left() == []
    assert shop.branches() == ["main"]


def test_nobody_who_listens_is_needed(host_shop: Workshop) -> None:
    shop = host_shop
    shop.errors(directories=1, files=1)
    shop.commit()
    read_end, write_end = os.pipe()
    os.close(read_end)
    words = ["fix", "--command", "ruff check --no-cache .", *shop.options(), "--output", "out.json", "--", *RUFF_FIX]
    path = f"{COMMAND.parent}:{os.environ['PATH']}"
    env = {**shop.world.environment(), "PATH": path}
    subprocess.run(
        [str(COMMAND), *words], cwd=shop.world.root, env=env, stderr=write_end, stdout=write_end, check=False
    )
    os.close(write_end)
    result = json.loads((shop.world.root / "out.json").read_text())
    assert result["status"] == "fixed"
    assert shop.faults_of(result["branch"]) == 0


SLOW = (
    'ruff check --no-cache --fix "$@"; : >"/meet/$BATCH_ID.here"; '
    '[ "$BATCH_ID" = iter1-batch-1 ] || until [ -e /meet/go ]; do sleep 0.1; done'
)


@pytest.mark.parametrize("presses", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_ctrl_c_keeps_what_was_done(shop: Workshop, presses: int) -> None:
    shop.errors(directories=2, files=1)
    shop.commit()
    running = shop.start("--strategy", "file", "--json", then=("sh", "-c", SLOW, "slow", "{files}"))
    running.wait_for("AttemptSettled")  # the batch that does not wait
    running.interrupt()
    running.wait_for("RunInterrupted")
    if presses == 2:
        running.interrupt()
    else:
        (shop.meet / "go").touch()
    done = running.finish(300)
    assert done.exit_code == 130, done.stderr
    result = done.lines[-1]
    assert result["status"] == "interrupted"
    assert shop.faults_of(result["branch"]) == (0 if presses == 1 else 2)
    assert "interrupted" in done.stderr
    assert f"next: git merge {result['branch']}" in done.stderr
    # what a batch left that was stopped is kept, and named
    assert shop.branches() == [*result["left_branches"], "main", result["branch"]]
    assert len(result["left_branches"]) == presses - 1


def test_ctrl_c_in_the_check_leaves_nothing(shop: Workshop) -> None:
    shop.errors(directories=1, files=1)
    shop.commit()
    running = shop.start(command="sh -c ': >check.here; sleep 600'", then=RUFF_FIX)
    fixes = shop.world.state / "fixes"
    eventually(lambda: any(fixes.glob("*/tree/check.here")), "the check runs")
    running.interrupt(signal.SIGTERM)
    done = running.finish(300)
    assert done.exit_code == 130, done.stderr
    assert shop.branches() == ["main"]


@pytest.mark.slow
def test_of_a_killed_one_nothing_stays_once_recover_was_there(shop: Workshop) -> None:
    shop.errors(directories=2, files=1)
    shop.commit()
    running = shop.start("--strategy", "file", "--json", then=("sh", "-c", SLOW, "slow", "{files}"))
    running.wait_for("AttemptSettled")
    running.kill()
    assert shop.left()
    # the next one works beside what is left, and says what that is
    done = shop.fix("--strategy", "directory", then=RUFF_FIX)
    assert done.exit_code == 0, done.stderr
    assert "`wavepool recover --grace 0s` gives that up" in done.stderr
    recovered = shop.world.command(
        "recover", "--grace", "0s", "--state-dir", str(shop.world.state), "--driver", "docker"
    ).finish(300)
    assert recovered.exit_code == 0, recovered.stderr
    assert b"removed: its worktree, and its branch" in recovered.stdout
    # the clones of the dead run go with it
    words = ("prune", "--unfinished", "--keep-last", "0", "--state-dir", str(shop.world.state))
    assert shop.world.command(*words).finish(300).exit_code == 0
    assert done.result["branch"] in shop.branches()


def test_a_rehearsal_says_what_would_be_run(shop: Workshop) -> None:
    shop.errors(directories=2, files=1)
    shop.commit()
    done = shop.fix("--dry-run", "--strategy", "file", then=RUFF_FIX)
    assert done.exit_code == 0, done.stderr
    assert done.result["status"] == "planned"
    (only,) = done.result["plan"]["waves"]
    assert [each["command"][-1] for each in only["batches"]] == ["part_0/mod_0.py", "part_1/mod_1.py"]
    assert shop.branches() == ["main"]
    assert shop.faults_of("main") == 4
