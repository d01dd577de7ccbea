"""Tasks and configs as users of the seed write them: what they come to, and what is refused by name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from wavepool.blocking import ContainerConfig, ContainerManager, ExecutionEngine, ExecutionResult
from wavepool.blocking.callbacks import Progress
from wavepool.blocking.orders import HostRoom, TaskOrder, check_orders, read_order, task_of, without_dependents
from wavepool.blocking.requests import request_of
from wavepool.blocking.results import never_ran
from wavepool.errors import InputError, PlanError, SettingError
from wavepool.model import Isolation, Schedule, Task, VerdictKind
from wavepool.units import GIB, MIB

ROOM = HostRoom(cpus=8, memory_bytes=64 * GIB, free_bytes=32 * GIB)
USUAL = ContainerConfig()


def order(usual: ContainerConfig = USUAL, **fields: object) -> TaskOrder:
    return read_order({"id": "a", **fields}, usual, "task")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A worktree with a prompt, and a working directory with another."""
    (tmp_path / "tree" / "prompts").mkdir(parents=True)
    (tmp_path / "cwd" / "prompts").mkdir(parents=True)
    (tmp_path / "tree" / "prompts" / "a.md").write_text("of the tree: Ärger\n")
    (tmp_path / "cwd" / "prompts" / "b.md").write_text("of the working directory\n")
    monkeypatch.chdir(tmp_path / "cwd")
    return tmp_path / "tree"


# -- ContainerConfig --


def test_the_seeds_fields_have_the_seeds_defaults() -> None:
    assert (USUAL.image, USUAL.cpu_limit, USUAL.memory_limit) == ("claude-orchestrator:latest", "2.0", "4g")
    assert (USUAL.timeout_seconds, USUAL.auto_remove, USUAL.network_mode) == (3600, True, "bridge")
    assert (USUAL.max_turns, USUAL.output_format) == (50, "json")
    assert USUAL.claude_flags == ["--dangerously-skip-permissions", "--verbose"]


def test_its_texts_become_numbers() -> None:
    config = ContainerConfig(cpu_limit="1.5", memory_limit="512m", timeout_seconds="30m")
    assert (config.cpus, config.memory_bytes, config.timeout_s) == (1.5, 512 * MIB, 1800)
    assert ContainerConfig(cpu_limit=3).cpus == 3


WRONG = {
    "image": "a b",
    "cpu_limit": "many",
    "memory_limit": "5m",
    "timeout_seconds": 0,
    "network_mode": "host",
    "max_turns": 0,
    "pull": "perhaps",
    "agent": "",
    "claude_flags": ["a\0b"],
    "max_cost_usd": -1,
}


@pytest.mark.parametrize("field", WRONG)
def test_a_wrong_field_is_refused(field: str) -> None:
    config = ContainerConfig(**{field: WRONG[field]})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expected"):
        config.check()


def test_the_agents_order_has_all_of_it() -> None:
    given = ContainerConfig(claude_flags=["--custom-flag=value", "--max-turns=9", "--max-turns", "8"], model="m")
    assert given.order().flags == ("--custom-flag=value", "--max-turns=9", "--max-turns", "8")
    assert (given.order().max_turns, given.order().output_format, given.order().model) == (50, "json", "m")
    own = given.order(max_turns=3)
    assert (own.max_turns, own.flags) == (3, ("--custom-flag=value",)), "a task's own number beats flags for all"
    assert ContainerConfig(output_format="text").order().flags[0] == "--output-format=text"
    assert ContainerConfig(agent="command").order().flags == (), "our flags are for Claude"
    assert ContainerConfig(agent="command", claude_flags=("make",)).order().flags == ("make",)


# -- tasks --


def test_a_task_needs_no_more_than_an_id(place: Path) -> None:
    task = task_of(order(), place, ROOM)
    assert (task.id, task.workspace, task.prompt) == ("a", str(place), "of the tree: Ärger\n")
    assert (task.limits.memory_bytes, task.limits.cpus, task.timeout_s) == (4 * GIB, 2.0, 3600)
    assert task.agent is not None
    assert (task.agent.name, task.agent.max_turns) == ("claude", 50)


def test_its_own_fields_hold(place: Path) -> None:
    task = task_of(
        order(
            name="Do it",
            prompt_file=Path("prompts/b.md"),
            max_turns=7,
            timeout_seconds=90,
            dependencies=["x"],
            target_files=("f.py",),
            complexity="high",
        ),
        place,
        ROOM,
    )
    assert (task.prompt, task.timeout_s, task.depends_on) == ("of the working directory\n", 90, ("x",))
    assert (task.files, task.extra) == (("f.py",), {"name": "Do it"})
    assert (task.limits.cpus, task.limits.memory_bytes) == (4.0, 8 * GIB)
    assert task.agent is not None
    assert task.agent.max_turns == 7


@pytest.mark.parametrize(
    ("complexity", "cpus", "gib"), [("high", 4.0, 8), ("medium", 2.0, 4), ("low", 1.0, 2), ("other", 1.0, 2)]
)
def test_complexity_is_the_seeds_table(place: Path, complexity: str, cpus: float, gib: int) -> None:
    limits = task_of(order(complexity=complexity), place, ROOM).limits
    assert (limits.cpus, limits.memory_bytes) == (cpus, gib * GIB)


def test_a_config_of_its_own_beats_its_complexity(place: Path) -> None:
    own = ContainerConfig(cpu_limit="0.5", memory_limit="64m", image="own:1")
    task = task_of(order(complexity="high", container_config=own), place, ROOM)
    assert (task.limits.cpus, task.limits.memory_bytes, task.image) == (0.5, 64 * MIB, "own:1")


def test_more_than_the_host_has_is_taken_for_all_of_it(place: Path) -> None:
    small = HostRoom(cpus=2, memory_bytes=2 * GIB, free_bytes=GIB)
    task = task_of(order(complexity="high"), place, small)
    assert (task.limits.cpus, task.limits.memory_bytes) == (2, small.largest_bytes)
    assert small.budget_bytes([task]) == 2 * GIB, "at least what the largest task needs"
    assert ROOM.budget_bytes([task]) == 32 * GIB


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"id": ""}, "task.id"),
        ({"id": 3}, "task.id"),
        ({"name": 3}, "task.name"),
        ({"prompt_file": 3}, "task.prompt_file"),
        ({"max_turns": "many"}, "task.max_turns"),
        ({"max_turns": True}, "task.max_turns"),
        ({"timeout_seconds": -1}, "task.timeout_seconds"),
        ({"dependencies": "b"}, "task.dependencies"),
        ({"target_files": [1]}, "task.target_files"),
        ({"container_config": {}}, "task.container_config"),
    ],
)
def test_a_wrong_field_of_a_task_is_named(fields: dict[str, object], named: str) -> None:
    with pytest.raises(SettingError, match=f"^{named}: got "):
        order(**fields)


def test_what_is_no_task_is_refused() -> None:
    with pytest.raises(SettingError, match=r"tasks\[1\]: got"):
        read_order("a", USUAL, "tasks[1]")


def test_a_prompt_that_is_nowhere_is_told_with_the_places(place: Path) -> None:
    with pytest.raises(InputError, match=r"is not there: .*tree/prompts/c.md and .*cwd/prompts/c.md"):
        task_of(order(prompt_file="prompts/c.md"), place, ROOM)
    (place / "empty.md").write_text(" \n")
    with pytest.raises(InputError, match="is empty"):
        task_of(order(prompt_file="empty.md"), place, ROOM)
    (place / "odd.md").write_bytes(b"\xff")
    with pytest.raises(InputError, match="cannot be read"):
        task_of(order(prompt_file="odd.md"), place, ROOM)
    with pytest.raises(InputError, match="the directory of task 'a'"):
        task_of(order(), place / "nowhere", ROOM)


def test_ids_differ_and_dependencies_are_there_without_a_circle() -> None:
    def orders(**needs: tuple[str, ...]) -> list[TaskOrder]:
        return [read_order({"id": name, "dependencies": needed}, USUAL, name) for name, needed in needs.items()]

    check_orders(orders(a=(), b=("a",), c=("a", "b")))
    with pytest.raises(SettingError, match="2 tasks have this one"):
        check_orders([*orders(a=()), *orders(a=())])
    with pytest.raises(SettingError, match="the dependencies of task 'a': got 'z'"):
        check_orders(orders(a=("z",)))
    with pytest.raises(SettingError, match="no circle"):
        check_orders(orders(a=("b",), b=("a",)))


def test_who_waits_for_one_that_cannot_start_cannot_start(place: Path) -> None:
    def made(name: str, *needs: str) -> Task:
        given = {"id": name, "prompt_file": "prompts/a.md", "dependencies": needs}
        return task_of(read_order(given, USUAL, name), place, ROOM)

    left, waiting = without_dependents([made("a"), made("b", "gone"), made("c", "b")], ["gone"])
    assert [task.id for task in left] == ["a"]
    assert waiting == {"b": "gone", "c": "b"}


# -- requests --


def request(place: Path, config: ContainerConfig, mode: str = "containerized"):
    task = task_of(order(config), place, ROOM)
    return request_of([task], config, mode=mode, at_once=3, budget_bytes=8 * GIB, state_dir=place)


def test_without_a_word_about_the_network_agents_are_sealed(place: Path) -> None:
    sealed = request(place, ContainerConfig(egress=("docs.example.org",)))
    assert sealed.surroundings.egress == ("docs.example.org",)
    opened = request(place, ContainerConfig(network_mode="bridge"))
    assert (opened.surroundings.egress, opened.surroundings.network) == (None, "bridge"), "an explicit one wins"
    alone = request(place, ContainerConfig(network_mode="none"))
    assert (alone.surroundings.egress, alone.rules.isolation) == (None, Isolation.NONE)


def test_the_run_rolls_and_its_starts_follow_the_pressure(place: Path) -> None:
    made = request(place, ContainerConfig())
    assert (made.rules.schedule, made.rules.ramp, made.rules.keep_going) == (Schedule.ROLLING, True, True)
    assert (made.plan.waves[0].parallelism, made.budget, made.budget_cpus) == (3, 8 * GIB, False)
    assert not made.rules.keep_failed
    kept = request(place, ContainerConfig(auto_remove=False))
    assert (kept.rules.keep_failed, kept.rules.keep_all) == (True, True)
    as_process = request(place, ContainerConfig(auto_remove=False), "subprocess")
    assert (as_process.driver, as_process.rules.keep_failed) == ("process", False), "its files are in its directory"


def test_the_agents_key_is_taken_from_the_environment_and_no_other(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("ANTHROPIC", "CLAUDE", "OPENAI"))]:
        monkeypatch.delenv(name)
    assert request(place, ContainerConfig()).secrets == {}
    monkeypatch.setenv("ANTHROPIC_API_KEY", "dummy")
    assert request(place, ContainerConfig()).secrets == {"anthropic_api_key": b"dummy"}
    named = request(place, ContainerConfig(secrets=("ANTHROPIC_API_KEY",)))
    assert named.secrets == {"ANTHROPIC_API_KEY": b"dummy"}
    assert request(place, ContainerConfig(env={"ANTHROPIC_API_KEY": "own"})).secrets == {}
    assert request(place, ContainerConfig(agent="command", claude_flags=("make",))).secrets == {}


# -- results and callbacks --


def test_statuses_are_the_seeds_four_words() -> None:
    words = {kind: never_ran("a", "a", kind, "", "subprocess").status for kind in VerdictKind}
    assert words.pop(VerdictKind.SUCCESS) == "success"
    assert words.pop(VerdictKind.TIMEOUT) == "timeout"
    assert {words.pop(VerdictKind.CANCELLED), words.pop(VerdictKind.SKIPPED)} == {"cancelled"}
    assert set(words.values()) == {"failed"}


def test_a_callback_that_fails_is_told_and_the_next_one_is_called() -> None:
    told: list[str] = []
    seen: list[tuple[int, int, str]] = []

    def callback(completed: int, total: int, result: ExecutionResult) -> None:
        seen.append((completed, total, result.task_id))
        if completed == 1:
            raise KeyError("oops")

    progress = Progress(2, callback, told.append)
    for name in ("a", "b"):
        progress(never_ran(name, name, VerdictKind.SKIPPED, "", "subprocess"))
    assert seen == [(1, 2, "a"), (2, 2, "b")]
    assert told == ["the progress callback failed for 'a': KeyError: 'oops'"]


def test_inside_a_running_loop_it_refuses() -> None:
    async def inside() -> None:
        with pytest.raises(RuntimeError, match="ContainerManager\\(\\) blocks"):
            ContainerManager()
        with pytest.raises(RuntimeError, match="ExecutionEngine\\(\\) blocks"):
            ExecutionEngine()

    anyio.run(inside)


def test_unknown_modes_and_counts_are_refused() -> None:
    with pytest.raises(SettingError, match="containerized, subprocess, or None"):
        ExecutionEngine(execution_mode="threads")
    with pytest.raises(SettingError, match="max_concurrent"):
        ExecutionEngine(0, "subprocess")


def test_a_wrong_order_of_an_agent_names_its_field() -> None:
    with pytest.raises(PlanError, match="max_turns"):
        ContainerConfig(max_turns=0).order()


def test_without_docker_the_manager_says_so_and_what_to_do(tmp_path: Path) -> None:
    code = (
        "from wavepool.blocking import ContainerManager, ExecutionEngine\n"
        "try:\n    ContainerManager()\nexcept RuntimeError as error:\n    print(error)\n"
        "print(ExecutionEngine().execution_mode)\n"
    )
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    said, *_, mode = done.stdout.splitlines()
    assert said.startswith("Docker initialization failed: ")
    assert len(done.stdout.splitlines()) > 2, "and advice"
    assert mode == "subprocess"
    assert done.stderr.count("Falling back to plain processes") == 1
