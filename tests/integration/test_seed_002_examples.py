"""The examples of seed 002 as they stand there, imports and comments aside.

Their names are given to them: `ContainerConfig` and `ExecutionEngine` with an image, a network and a stand-in for the
Claude CLI that a test can have. `execution_mode="subprocess"` stands for the seed's patched constant, and arguments
stand for its ``...``.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.blocking_ground import Ground, Worktree
from wavepool.blocking import ContainerConfig, ContainerManager, ExecutionEngine, ResourceMonitor
from wavepool.testing.fake_cli import prompt

BASIC = """
config = ContainerConfig(
    cpu_limit="1.0",
    memory_limit="2g",
    timeout_seconds=1800
)
manager = ContainerManager(config)
result = manager.execute_containerized_task(
    task_id="example-task",
    worktree_path=Path(".worktrees/example"),
    prompt_file="prompts/example-feature.md"
)
print(f"Task completed: {result.status}")
print(f"Duration: {result.duration:.1f} seconds")
print(f"Output: {result.stdout[:200]}...")
manager.cleanup()
"""

OVERVIEW = """
config = ContainerConfig(
    image="claude-orchestrator:latest",
    cpu_limit="2.0",
    memory_limit="4g",
    timeout_seconds=3600,
    claude_flags=[
        "--dangerously-skip-permissions",
        "--verbose",
        "--max-turns=50",
        "--output-format=json"
    ]
)
manager = ContainerManager(config)
result = manager.execute_containerized_task(
    task_id="my-task",
    worktree_path=Path(".worktrees/my-task"),
    prompt_file="prompt.md",
    task_context={"timeout_seconds": 1800}
)
results = manager.execute_parallel_tasks(
    tasks=[task1, task2, task3],
    max_parallel=4
)
"""

OPTIONS = """
config = ContainerConfig(
    image="claude-orchestrator:latest",
    cpu_limit="2.0",
    memory_limit="4g",
    timeout_seconds=3600,
    auto_remove=True,
    network_mode="bridge",
    max_turns=50,
    output_format="json",
    claude_flags=[
        "--dangerously-skip-permissions",
        "--verbose",
        "--custom-flag=value"
    ]
)
"""

PARALLEL = """
engine = ExecutionEngine(max_concurrent=3)
tasks = [
    {"id": "task-1", "name": "Implement feature A", "prompt_file": "prompts/feature-a.md"},
    {"id": "task-2", "name": "Fix bug B", "prompt_file": "prompts/bug-b.md"},
    {"id": "task-3", "name": "Add tests C", "prompt_file": "prompts/tests-c.md"}
]
class MockWorktreeManager:
    def get_worktree(self, task_id):
        return MockWorktreeInfo(Path(f".worktrees/{task_id}"))
results = engine.execute_tasks_parallel(
    tasks,
    MockWorktreeManager(),
    progress_callback=lambda completed, total, result: print(f"Progress: {completed}/{total}")
)
print(f"\\nExecution Summary:")
print(f"Mode: {engine.execution_mode}")
print(f"Tasks completed: {engine.stats['completed_tasks']}")
print(f"Speed improvement: {engine.stats['total_execution_time'] / engine.stats['parallel_execution_time']:.1f}x")
"""

STATISTICS = """
stats = engine.stats
print(f"Execution mode: {stats['execution_mode']}")
print(f"Total tasks: {stats['total_tasks']}")
print(f"Containerized tasks: {stats['containerized_tasks']}")
print(f"Parallel time: {stats['parallel_execution_time']:.1f}s")
print(f"Sequential estimate: {stats['total_execution_time']:.1f}s")
print(f"Speedup: {stats['total_execution_time'] / stats['parallel_execution_time']:.1f}x")
"""

MONITORING = """
engine = ExecutionEngine()
engine.resource_monitor.start_monitoring()
if engine.resource_monitor.is_system_overloaded():
    print("System under high load - reducing concurrency")
    optimal = engine.resource_monitor.get_optimal_concurrency()
"""

ANALYSIS = """
resource_history = engine.resource_monitor.resource_history
avg_cpu = sum(r.cpu_percent for r in resource_history) / len(resource_history)
avg_memory = sum(r.memory_percent for r in resource_history) / len(resource_history)
print(f"Average CPU usage: {avg_cpu:.1f}%")
print(f"Average memory usage: {avg_memory:.1f}%")
print(f"Peak concurrent containers: {max_concurrent}")
"""

TUNING = """
engine = ExecutionEngine()
engine = ExecutionEngine(max_concurrent=4)
resource_monitor = ResourceMonitor()
resource_monitor.cpu_threshold = 80
resource_monitor.memory_threshold = 85
cpu_count = psutil.cpu_count()
memory_gb = psutil.virtual_memory().total / (1024**3)
conservative = min(cpu_count - 1, int(memory_gb / 2), 4)
aggressive = min(cpu_count, int(memory_gb / 1.5), 8)
"""

CUSTOM = """
class CustomResourceManager:
    def __init__(self):
        self.container_limits = {}

    def allocate_resources(self, task_id, task_complexity):
        if task_complexity == "high":
            return ContainerConfig(cpu_limit="4.0", memory_limit="8g")
        elif task_complexity == "medium":
            return ContainerConfig(cpu_limit="2.0", memory_limit="4g")
        else:
            return ContainerConfig(cpu_limit="1.0", memory_limit="2g")

resource_manager = CustomResourceManager()
for task in tasks:
    config = resource_manager.allocate_resources(task['id'], task['complexity'])
    manager = ContainerManager(config)
    result = manager.execute_containerized_task(task['id'], worktree(task['id']), "prompts/feature-a.md")
    found[task['id']] = result
"""

COMPARISON = """
start = time.time()
container_results = engine.execute_tasks_parallel(tasks, worktree_manager)
container_time = time.time() - start
engine_subprocess = ExecutionEngine(execution_mode="subprocess")
start = time.time()
subprocess_results = engine_subprocess.execute_tasks_parallel(tasks, worktree_manager)
subprocess_time = time.time() - start
print(f"Container execution: {container_time:.1f}s")
print(f"Subprocess execution: {subprocess_time:.1f}s")
print(f"Speedup: {subprocess_time / container_time:.1f}x")
"""

VERIFY = """
try:
    manager = ContainerManager()
    print('available')
except Exception as e:
    print(f'Container setup issue: {e}')
"""


class Desk:
    """A working directory as the examples suppose it, and the names that they use."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        (ground.root / "prompts").mkdir()
        for name in ("example-feature", "feature-a", "bug-b", "tests-c"):
            text = prompt(f"say {name}", "sleep 0.2", f"write {name}.txt done")
            (ground.root / "prompts" / f"{name}.md").write_text(text)
        self.names: dict[str, Any] = {
            "ContainerConfig": ground.config,
            "ContainerManager": self.manager,
            "ExecutionEngine": self.engine,
            "MockWorktreeInfo": Worktree,
            "Path": Path,
            "ResourceMonitor": ResourceMonitor,
            "psutil": psutil,
            "time": time,
        }

    def manager(self, config: ContainerConfig | None = None) -> ContainerManager:
        return ContainerManager(config, state_dir=self.ground.state)

    def engine(self, *given: Any, **fields: Any) -> ExecutionEngine:
        usual = {"container_config": self.ground.config(), "allow_host": True, "state_dir": self.ground.state}
        return ExecutionEngine(*given, **{**usual, **fields})

    def run(self, example: str, **names: Any) -> dict[str, Any]:
        """Run it, with these names beside the usual ones; what it has defined."""
        space = {**self.names, **names}
        exec(example, space)
        return space


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(tmp_path)
    ground = Ground(tmp_path)
    monkeypatch.setenv("PATH", f"{ground.bin}:{os.environ['PATH']}")
    return Desk(ground)


@pytest.mark.docker
def test_basic_containerized_execution(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    tree = desk.ground.tree("example")
    result = desk.run(BASIC)["result"]
    assert result.status == "success", result
    assert (tree / "example-feature.txt").read_text() == "done\n", "the prompt was found in the working directory"
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Task completed: success"
    assert said[1].startswith("Duration: 0.")
    assert said[2].startswith("Output: [{")
    assert desk.ground.left_behind() == []


@pytest.mark.docker
def test_one_task_and_then_several_with_all_the_flags(desk: Desk) -> None:
    tree = desk.ground.tree("my-task")
    (tree / "prompt.md").write_text(prompt("say mine"))
    tasks = [
        {"id": f"t{n}", "worktree_path": desk.ground.tree(f"t{n}"), "prompt_file": "prompts/bug-b.md", "context": {}}
        for n in (1, 2, 3)
    ]
    space = desk.run(OVERVIEW, task1=tasks[0], task2=tasks[1], task3=tasks[2])
    assert space["result"].agent.final_text == "mine"
    assert {name: result.status for name, result in space["results"].items()} == dict.fromkeys(
        ("t1", "t2", "t3"), "success"
    )


@pytest.mark.docker
def test_parallel_task_execution_statistics_and_the_comparison(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    for n in (1, 2, 3):
        desk.ground.tree(f"task-{n}")
    space = desk.run(PARALLEL)
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if line.startswith("Progress")] == [f"Progress: {n}/3" for n in (1, 2, 3)]
    assert "Mode: containerized" in said
    assert "Tasks completed: 3" in said
    assert [result.task_name for result in space["results"].values()] == [
        "Implement feature A",
        "Fix bug B",
        "Add tests C",
    ]
    desk.run(STATISTICS, engine=space["engine"])
    told = capsys.readouterr().out
    assert "Containerized tasks: 3" in told
    again = desk.run(
        COMPARISON, engine=space["engine"], tasks=space["tasks"], worktree_manager=space["MockWorktreeManager"]()
    )
    both = (again["container_results"], again["subprocess_results"])
    assert [[result.status for result in results.values()] for results in both] == [["success"] * 3] * 2
    assert [{result.execution_mode for result in results.values()} for results in both] == [
        {"containerized"},
        {"subprocess"},
    ]


@pytest.mark.docker
def test_resource_monitoring_and_analysis(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    engine = desk.run(MONITORING)["engine"]
    try:
        desk.run(ANALYSIS, engine=engine, max_concurrent=engine.stats["peak_containers"])
    finally:
        engine.cleanup()
    said = capsys.readouterr().out
    assert "Average CPU usage: " in said
    assert "Peak concurrent containers: 0" in said
    assert not engine.resource_monitor.monitoring
    tuned = desk.run(TUNING)
    assert tuned["engine"].max_concurrent == 4


@pytest.mark.docker
def test_a_custom_resource_manager(desk: Desk) -> None:
    tasks = [{"id": name, "complexity": name} for name in ("high", "medium", "low")]
    trees = {task["id"]: desk.ground.tree(task["id"]) for task in tasks}
    found: dict[str, Any] = {}
    space = desk.run(CUSTOM, tasks=tasks, worktree=trees.get, found=found)
    assert {name: result.status for name, result in found.items()} == dict.fromkeys(trees, "success")
    engine = desk.engine(resource_manager=space["resource_manager"])
    asked = [{**task, "prompt_file": "prompts/bug-b.md"} for task in tasks]
    assert all(result.success for result in engine.execute_tasks_parallel(asked, desk.ground).values())


def test_the_configuration_options(desk: Desk) -> None:
    config = desk.run(OPTIONS, ContainerConfig=ContainerConfig)["config"]
    config.check()
    assert (config.sealed, config.order().flags[-1]) == (False, "--custom-flag=value")


@pytest.mark.docker
def test_the_installation_can_be_verified(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.run(VERIFY)
    assert capsys.readouterr().out == "available\n"
