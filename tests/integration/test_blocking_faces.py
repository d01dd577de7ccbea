"""`ContainerManager` and `ExecutionEngine` on Docker and on plain processes: results, limits, Ctrl-C, threads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.integration.blocking_ground import IMAGE, Ground
from wavepool.blocking import ContainerConfig, ContainerManager, ExecutionEngine, ExecutionResult
from wavepool.errors import InputError, PrepareError
from wavepool.testing.fake_cli import prompt

ODD_PROMPT = "Ärger 'und' \"Zitate\" $HOME `ls` \\n\r\n\tüber 😀\n" * 50
PATIENCE_S = 120


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    monkeypatch.chdir(tmp_path)
    return Ground(tmp_path)


# -- containers --


@pytest.mark.docker
def test_one_task_in_a_container(ground: Ground) -> None:
    acts = prompt("say hello", "write out.txt written", "stderr complaint")
    tree = ground.tree("a", task=acts)
    manager = ContainerManager(ground.config(), state_dir=ground.state, notice=ground.said.append)
    result = manager.execute_containerized_task("a", tree, "prompts/task.md", {"name": "Do it", "timeout_seconds": 60})
    assert (result.status, result.verdict, result.exit_code, result.error_message) == ("success", "success", 0, "")
    assert (result.task_id, result.task_name, result.execution_mode) == ("a", "Do it", "containerized")
    assert result.stderr == "complaint\n"
    assert json.loads(result.stdout)[-1]["result"] == "I write out.txt."
    assert (tree / "out.txt").read_text() == "written\n"
    assert result.agent is not None
    assert (result.agent.turns, result.resource_usage["turns"]) == (2, 2)
    assert result.output_file is not None
    assert Path(result.output_file).read_text() == result.logs
    assert result.logs in (result.stdout + result.stderr, result.stderr + result.stdout)
    assert result.container_id is not None
    assert len(result.container_id) == 64
    assert result.start_time is not None
    assert result.end_time is not None
    assert 0 < result.duration == (result.end_time - result.start_time).total_seconds()
    manager.cleanup()
    manager.cleanup()
    assert ground.left_behind() == []
    assert ground.said == []


@pytest.mark.docker
def test_several_with_limits_of_their_own_a_timeout_and_callbacks(ground: Ground) -> None:
    script = "cat >got; cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"
    shell = ground.config(agent="command", claude_flags=("sh", "-c", script), cpu_limit=1000)
    for name in ("plain", "own", "slow", "waits", "lost", "never"):
        ground.tree(name, **{name: ODD_PROMPT})
    (ground.root / ".worktrees" / "lost" / "prompts" / "lost.md").unlink()
    tasks = [
        {"id": "plain"},
        {
            "id": "own",
            "container_config": ground.config(agent="command", claude_flags=("sh", "-c", script), memory_limit="32m"),
        },
        {
            "id": "slow",
            "timeout_seconds": 1,
            "container_config": ground.config(agent="command", claude_flags=("sleep", "300")),
        },
        {"id": "waits", "dependencies": ["slow"]},
        {"id": "lost"},
        {"id": "never", "dependencies": ["lost"]},
    ]
    seen: list[tuple[int, int, str, str]] = []

    def callback(completed: int, total: int, result: ExecutionResult) -> None:
        assert threading.current_thread() is threading.main_thread()
        seen.append((completed, total, result.task_id, result.status))
        raise RuntimeError("a broken display")

    engine = ExecutionEngine(3, container_config=shell, state_dir=ground.state, notice=ground.said.append)
    assert engine.execution_mode == "containerized"
    results = engine.execute_tasks_parallel(tasks, ground, callback)
    assert list(results) == [task["id"] for task in tasks]
    assert {name: result.status for name, result in results.items()} == {
        "plain": "success",
        "own": "success",
        "slow": "timeout",
        "waits": "cancelled",
        "lost": "failed",
        "never": "cancelled",
    }
    assert (ground.root / ".worktrees" / "plain" / "got").read_bytes() == ODD_PROMPT.encode()
    assert (results["plain"].stdout.strip(), results["own"].stdout.strip()) == (str(64 << 20), str(32 << 20))
    assert results["slow"].exit_code == 124
    assert results["slow"].duration >= 1
    assert "prompt of task 'lost' is not there" in results["lost"].error_message
    assert "'slow' ended as timeout" in results["waits"].error_message
    assert [(completed, total) for completed, total, *_ in seen] == [(n, 6) for n in range(1, 7)]
    assert sum("a broken display" in said for said in ground.said) == 6
    assert sum("cpu_limit 1000 is taken for all there is" in said for said in ground.said) == 1
    stats = engine.stats
    assert {name: stats[name] for name in stats if not name.endswith("time")} == {
        "total_tasks": 6,
        "completed_tasks": 2,
        "failed_tasks": 2,
        "cancelled_tasks": 2,
        "execution_mode": "containerized",
        "containerized_tasks": 3,
        "subprocess_tasks": 0,
        "peak_containers": stats["peak_containers"],
    }
    assert 1 <= stats["peak_containers"] <= 3
    assert stats["total_execution_time"] == pytest.approx(sum(each.duration for each in results.values()))
    assert stats["parallel_execution_time"] > 1
    assert ground.left_behind() == []


@pytest.mark.docker
def test_what_auto_remove_keeps_is_there_until_the_cleanup(ground: Ground) -> None:
    tree = ground.tree("a", a=prompt("say hello"))
    with ContainerManager(ground.config(auto_remove=False), state_dir=ground.state) as manager:
        result = manager.execute_containerized_task("a", tree, "prompts/a.md")
        assert result.success
        assert len(ground.left_behind()) == 1, "its file system, as an image"
    assert ground.left_behind() == []


@pytest.mark.docker
def test_two_threads_use_one_engine_and_a_cleanup_stops_both(ground: Ground) -> None:
    engine = ExecutionEngine(container_config=ground.config(), state_dir=ground.state, notice=ground.said.append)
    begun = threading.Semaphore(0)
    results: dict[str, ExecutionResult] = {}

    def work(name: str) -> None:
        ground.tree(f"{name}-quick", **{f"{name}-quick": prompt("say hi")})
        ground.tree(f"{name}-slow", **{f"{name}-slow": prompt("sleep 600")})
        tasks = [{"id": f"{name}-quick"}, {"id": f"{name}-slow"}]
        results.update(engine.execute_tasks_parallel(tasks, ground, lambda *_: begun.release()))

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert begun.acquire(timeout=PATIENCE_S), ground.said
    engine.cleanup()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert {name: result.status for name, result in sorted(results.items())} == {
        "one-quick": "success",
        "one-slow": "cancelled",
        "two-quick": "success",
        "two-slow": "cancelled",
    }
    assert engine.stats["total_tasks"] == 4
    assert ground.left_behind() == []


CTRL_C = """
import sys
from pathlib import Path
from tests.integration.blocking_ground import Ground, Worktree
from wavepool.blocking import ContainerManager, ContainerConfig
config = ContainerConfig(image=sys.argv[1], memory_limit="64m", network_mode="none", agent="command",
                         claude_flags=("sh", "-c", "cat >/dev/null; touch begun; sleep 600"))
manager = ContainerManager(config, state_dir=Path("state"))
try:
    manager.execute_containerized_task("a", ".worktrees/a", "prompts/a.md")
except KeyboardInterrupt:
    print("stopped")
    sys.exit(130)
"""


@pytest.mark.docker
def test_ctrl_c_stops_what_runs_and_leaves_nothing(ground: Ground) -> None:
    tree = ground.tree("a", a="work\n")
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", CTRL_C, IMAGE], cwd=ground.root, env=env, stdout=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + PATIENCE_S
        while not (tree / "begun").exists():
            assert process.poll() is None, "it ended before its task had begun"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE_S)
    assert (said, process.returncode) == ("stopped\n", 130)
    assert ground.left_behind() == []


@pytest.mark.docker
def test_an_image_that_is_not_there_starts_nothing(ground: Ground) -> None:
    tree = ground.tree("a", a="x")
    config = ContainerConfig(image="wavepool-no-such:1", network_mode="none", pull="never", memory_limit="64m")
    with pytest.raises(PrepareError, match="wavepool-no-such:1"):
        ContainerManager(config, state_dir=ground.state).execute_containerized_task("a", tree, "prompts/a.md")


# -- plain processes --


def test_processes_have_the_same_flags_results_and_timeouts(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{ground.bin}:{os.environ['PATH']}")
    ground.tree("a", a=prompt("say hello", "stderr complaint"))
    ground.tree("slow", slow=prompt("sleep 600"))
    config = ContainerConfig(memory_limit="64m", env={"FAKE_CLI_CALLS": str(ground.root / "calls")}, max_turns=7)
    engine = ExecutionEngine(
        2, "subprocess", container_config=config, allow_host=True, state_dir=ground.state, notice=ground.said.append
    )
    results = engine.execute_tasks_parallel([{"id": "a"}, {"id": "slow", "timeout_seconds": 1}], ground)
    assert {name: result.status for name, result in results.items()} == {"a": "success", "slow": "timeout"}
    assert results["a"].stderr == "complaint\n"
    assert json.loads(results["a"].stdout)[-1]["type"] == "result"
    assert (results["a"].container_id, results["a"].execution_mode) == (None, "subprocess")
    calls = (ground.root / "calls").read_text().splitlines()
    expected = "-p --max-turns=7 --output-format=json --dangerously-skip-permissions --verbose"
    assert {" ".join(sorted(call.split())) for call in calls} == {" ".join(sorted(expected.split()))}
    assert (engine.stats["subprocess_tasks"], engine.stats["containerized_tasks"]) == (2, 0)
    assert engine.stats["peak_containers"] == 0


def test_an_agent_gets_the_bare_host_only_where_that_is_allowed(ground: Ground) -> None:
    ground.tree("a", a=prompt("say hello"))
    engine = ExecutionEngine(execution_mode="subprocess", state_dir=ground.state, notice=ground.said.append)
    with pytest.raises(InputError, match="does what it likes without asking") as caught:
        engine.execute_tasks_parallel([{"id": "a"}], ground)
    assert "allow_host=True" in caught.value.advice
    assert engine.stats["total_tasks"] == 0
    harmless = ContainerConfig(agent="command", claude_flags=("cat",), memory_limit="64m")
    engine = ExecutionEngine(execution_mode="subprocess", container_config=harmless, state_dir=ground.state)
    assert engine.execute_tasks_parallel([{"id": "a"}], ground)["a"].stdout == prompt("say hello")
    assert engine.execute_tasks_parallel([], ground) == {}


def test_a_manager_without_a_worktree_fails_that_task_alone(ground: Ground) -> None:
    class Odd:
        def get_worktree(self, task_id: str) -> object:
            if task_id == "raises":
                raise KeyError(task_id)
            return None if task_id == "none" else str(tree)

    tree = ground.tree("text", text="hello")
    config = ContainerConfig(agent="command", claude_flags=("cat",), memory_limit="64m")
    engine = ExecutionEngine(execution_mode="subprocess", container_config=config, state_dir=ground.state)
    results = engine.execute_tasks_parallel([{"id": "raises"}, {"id": "none"}, {"id": "text"}], Odd())
    assert {name: result.status for name, result in results.items()} == {
        "raises": "failed",
        "none": "failed",
        "text": "success",
    }
    assert "no directory for task 'none'" in results["none"].error_message
