"""Prompts and task lists: what becomes of them, and what is refused where."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavepool.errors import PlanError, UnreadableFile
from wavepool.model import AgentOrder, Limits, Task
from wavepool.plan import Plan, TaskDefaults, parse_plan, parse_task_list, plan_of_prompts
from wavepool.plan.tasklist import FIELD_NAMES
from wavepool.plan.tiers import TierMap
from wavepool.units import GIB, MIB

USUAL = TaskDefaults(order=AgentOrder(name="claude", max_turns=50, model="large"), memory_bytes=2 * GIB)
EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = {"prompts/a.md": "Do A\n", "prompts/b.md": "Do B", "other.txt": "Other", "prompts/blank.md": " \n"}


def read_prompt(name: str) -> str:
    if name not in FILES:
        raise UnreadableFile("prompt", f"/lists/{name}", FileNotFoundError(2, "No such file or directory"))
    return FILES[name]


def parse(text: str, **how: Any) -> Plan:
    return parse_task_list(text.encode(), source="list", usual=USUAL, read_prompt=read_prompt, **how)


def task_of(**fields: object) -> Task:
    (task,) = parse(json.dumps([{"id": "a", **fields}])).tasks
    return task


# -- prompts --


def test_each_prompt_is_a_task() -> None:
    plan = plan_of_prompts(["one", "two"], USUAL)
    assert [(task.id, task.prompt, task.agent) for task in plan.tasks] == [
        ("task-1", "one", USUAL.order),
        ("task-2", "two", USUAL.order),
    ]
    assert {task.limits.memory_bytes for task in plan.tasks} == {2 * GIB}
    assert [wave.number for wave in plan.waves] == [1]
    assert plan.tasks_of(1) == plan.tasks


def test_several_agents_may_work_on_one_prompt() -> None:
    assert [task.id for task in plan_of_prompts(["x"], USUAL, copies=3).tasks] == ["task-1-1", "task-1-2", "task-1-3"]
    assert [task.id for task in plan_of_prompts(["x", "y"], USUAL, copies=2, name="fix").tasks] == [
        "fix-1-1",
        "fix-1-2",
        "fix-2-1",
        "fix-2-2",
    ]


def test_a_name_is_the_id_of_a_single_task() -> None:
    assert [task.id for task in plan_of_prompts(["x"], USUAL, name="fix").tasks] == ["fix"]
    assert [task.id for task in plan_of_prompts(["x"], USUAL, name="fix", copies=2).tasks] == ["fix-1", "fix-2"]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: bool(text.strip())))
def test_a_prompt_stays_as_it_is(prompt: str) -> None:
    assert plan_of_prompts([prompt], USUAL).tasks[0].prompt == prompt
    (listed,) = parse(json.dumps({"tasks": [{"id": "x", "prompt": prompt}]})).tasks
    assert listed.prompt == prompt


def test_a_prompt_may_be_longer_than_an_argument() -> None:
    assert plan_of_prompts(["long " * 100_000], USUAL).tasks[0].prompt == "long " * 100_000


@pytest.mark.parametrize(
    ("prompts", "name", "said"),
    [
        (["fine", " \n"], "", "prompt 2: got ' \\n', expected a prompt that is not empty"),
        (["\udcff"], "", "prompt 1: got a text that is no UTF-8 at character 0, expected UTF-8"),
        (["x"], "n" * 300, "--name: got "),
    ],
)
def test_prompts_that_are_refused(prompts: list[str], name: str, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        plan_of_prompts(prompts, USUAL, name=name)
    assert str(caught.value).startswith(said)


def test_the_same_prompts_are_the_same_plan_and_others_are_not() -> None:
    assert plan_of_prompts(["x"], USUAL).digest == plan_of_prompts(["x"], USUAL).digest
    assert plan_of_prompts(["x"], USUAL).digest != plan_of_prompts(["y"], USUAL).digest


# -- lists --


def test_a_list_and_an_object_of_tasks_in_json_and_yaml() -> None:
    texts = [
        '[{"id": "a"}, {"id": "b", "dependencies": ["a"]}]',
        '\ufeff {"tasks": [{"id": "a"}, {"id": "b", "dependencies": "a"}], "made_by": "hand"}',
        "- id: a\n- id: b\n  dependencies: [a]\n",
        "tasks:\n- {id: a}\n- {id: b, depends_on: a}\n",
    ]
    for text in texts:
        assert [(task.id, task.prompt, task.depends_on) for task in parse(text).tasks] == [
            ("a", "Do A\n", ()),
            ("b", "Do B", ("a",)),
        ]


def test_every_field_of_the_seed() -> None:
    task = task_of(
        name="Implement A",
        prompt_file="other.txt",
        max_turns=7,
        timeout_seconds=1800,
        target_files=["src/a.py"],
        complexity="high",
    )
    assert (task.prompt, task.timeout_s, task.files) == ("Other", 1800.0, ("src/a.py",))
    assert task.agent == AgentOrder(name="claude", max_turns=7, model="large")
    assert task.extra == {"complexity": "high", "name": "Implement A"}


def test_what_a_task_says_of_limits_image_and_variables() -> None:
    task = task_of(memory="512m", cpus=0.5, pids=100, image="mine:1", env={"A": "b"}, kind="tests", prompt="p")
    assert task.limits == Limits(memory_bytes=512 * MIB, cpus=0.5, pids=100, lifetime_s=task.limits.lifetime_s)
    assert (task.image, task.env, task.kind, task.command) == ("mine:1", {"A": "b"}, "tests", None)


def test_what_a_task_says_of_its_agent() -> None:
    assert task_of(agent="claude", max_cost=2.5).agent == AgentOrder(
        name="claude", max_turns=50, model="large", max_cost_usd=2.5
    )
    other = task_of(agent={"name": "codex", "model": "small"}, max_tokens=1000, flags=["--x"], account="team")
    assert other.agent == AgentOrder(
        name="codex", max_turns=50, model="small", max_tokens=1000, flags=("--x",), account="team"
    )


def test_a_command_is_judged_by_its_exit_code_unless_an_agent_reads_its_output() -> None:
    task = task_of(command="make check")
    assert (task.command, task.agent, task.prompt) == (("/bin/sh", "-c", "make check"), AgentOrder(name="command"), "")
    both = task_of(command=["claude", "-p"], agent="claude", prompt_file="other.txt")
    assert (both.command, both.agent, both.prompt) == (("claude", "-p"), USUAL.order, "Other")


def test_another_agent_does_not_get_the_model_of_the_usual_one() -> None:
    assert task_of(agent="codex").agent == AgentOrder(name="codex", max_turns=50)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "list: got nothing, expected a list of tasks"),
        ("[]", "list: got an empty list, expected at least one task"),
        ('{"tasks": []}', "tasks: got an empty list, expected at least one task"),
        ('{"task": [{"id": "a"}]}', "task: got [{'id': 'a'}], expected a field of a task list; did you mean tasks?"),
        ('{"waves": []}', "list: got a wave plan, expected a task list; `wavepool run` runs wave plans"),
        ('{"tasks": {"id": "a"}}', "tasks: got {'id': 'a'}, expected a list of tasks"),
        ("just words", "list: got 'just words', expected a list of tasks"),
        ("- id: a\n   b: c", "list: got line 2, column 5, expected valid YAML"),
        ('[{"id": "a"},]', "list, line 1, column 14: got ']', expected valid JSON"),
        ('[{"id": "a"}] more', "list: got 'more', expected the end of the file after one JSON value"),
        ('[{"id": "a", "id": "b"}]', "[0].id: got 'id', expected each key once in an object"),
        ('["a"]', "[0]: got 'a', expected a task as an object"),
        ('[{"prompt": "p"}]', "[0].id: got nothing, expected text of 1 to 256 characters without NUL"),
        ('{"tasks": [{"id": "a"}, {"id": "a"}]}', "tasks[1].id: got 'a', expected an id of its own: tasks[0] has"),
        ('[{"id": "a", "max_turn": 5}]', "[0].max_turn: got 5, expected a field of a task; did you mean max_turns?"),
        ('[{"id": "a", "Prompt": 5}]', "[0].Prompt: got 5, expected a field of a task; did you mean prompt?"),
        ('[{"id": "a", "max_turns": 0}]', "[0].max_turns: got 0, expected a whole number from 1"),
        ('[{"id": "a", "max_turns": true}]', "[0].max_turns: got True, expected a whole number from 1"),
        ('[{"id": "a", "max_cost": -1}]', "[0].max_cost: got -1, expected an amount of US dollars above zero"),
        ('[{"id": "a", "claude_flags": ["x", 1]}]', "[0].claude_flags[1]: got 1, expected an argument as text"),
        ('[{"id": "a", "output_format": "xml"}]', "[0].output_format: got 'xml', expected stream-json or json"),
        ('[{"id": "a", "agent": 5}]', "[0].agent: got 5, expected the name of an agent"),
        ('[{"id": "a", "agent": {"turns": 5}}]', "[0].agent.turns: got 5, expected a field of an agent: name, model"),
        ('[{"id": "a", "agent": {"modell": "x"}}]', "[0].agent.modell: got 'x', expected a field of an agent; did you"),
        ('[{"id": "a", "timeout_seconds": 0}]', "[0].timeout_seconds: got 0, expected a duration above zero"),
        ('[{"id": "a", "timeout": "soon"}]', "[0].timeout: got 'soon', expected a duration above zero"),
        ('[{"id": "a", "timeout": 5, "timeout_seconds": 5}]', "[0].timeout_seconds: got 5, expected either timeout or"),
        ('[{"id": "a", "target_files": ["x", 1]}]', "[0].target_files[1]: got 1, expected a file name as text"),
        ('[{"id": "a", "memory": "1k"}]', "[0].memory: got '1k', expected at least 6m"),
        ('[{"id": "a", "env": {"1": "x"}}]', "[0].env.1: got 'x', expected a variable's name"),
        ('[{"id": "a", "dependencies": ["z"]}]', "[0].dependencies: got 'z', expected the id of a task in this list"),
        ('[{"id": "a", "dependencies": 5}]', "[0].dependencies: got 5, expected an id, or a list of them"),
        (
            '[{"id": "a", "dependencies": ["b"]}, {"id": "b", "dependencies": ["a"]}]',
            "[0].dependencies: got 'a -> b -> a', expected no circle: each of these tasks waits for the next",
        ),
        ('[{"id": "a", "command": []}]', "[0].command: got [], expected a command that is not empty"),
        ('[{"id": "a", "prompt": ""}]', "[0].prompt: got '', expected a prompt that is not empty"),
        ('[{"id": "a", "prompt": 5}]', "[0].prompt: got 5, expected text"),
        ('[{"id": "a", "prompt": "x", "prompt_file": "y"}]', "[0].prompt_file: got 'y', expected either prompt or"),
        (
            '[{"id": "a", "prompt_file": "no.md"}]',
            "[0].prompt_file: got 'no.md', expected a file that can be read (/lists/no.md: No such file or directory)",
        ),
        (
            '[{"id": "z"}]',
            "[0].prompt: got nothing, expected a prompt, or the name of its file in prompt_file (/lists/prompts/z.md: ",
        ),
        ('[{"id": "../other"}]', "[0].prompt: got nothing, expected a prompt, or the name of its file in prompt_file"),
        ('[{"id": "blank"}]', "[0].prompt: got ' \\n', expected a prompt that is not empty"),
        ('[{"id": "a", "name": 5}]', "[0].name: got 5, expected text of at most 256 characters"),
        ("- {id: a, prompt: p, when: 2026-01-01, tags: !!set {x}}", "[0]: got a field of task 'a' that is no JSON"),
        ('- {id: a, prompt: "\\ud800"}', "[0].prompt: got '\\ud800', expected text without lone surrogates"),
    ],
)
def test_lists_that_are_refused(text: str, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse(text)
    assert str(caught.value).startswith(said)


def test_a_file_named_yaml_may_begin_as_json_does() -> None:
    assert parse("[{id: a}]", is_yaml=True).tasks[0].prompt == "Do A\n"
    with pytest.raises(PlanError):
        parse("[{id: a}]")


def test_places_are_those_of_the_list() -> None:
    plan = parse('{"tasks": [{"id": "a"}, {"id": "b"}]}')
    assert [(path, task.id) for path, task in plan.paths()] == [("tasks[0]", "a"), ("tasks[1]", "b")]
    assert plan.path_of(1) == "tasks[1]"


# -- agents of batches --


def batch(**fields: object) -> Task:
    text = json.dumps({"waves": [{"wave_number": 1, "batches": [{"batch_id": "a", **fields}]}]})
    return parse_plan(text.encode(), source="plan.json", tiers=TierMap()).tasks[0]


def test_a_batch_may_have_an_agent() -> None:
    assert batch(agent="claude").agent == AgentOrder(name="claude")
    order = batch(agent={"name": "codex", "max_turns": 3, "max_cost_usd": 1, "flags": ["-x"]}, kind="lint")
    assert order.agent == AgentOrder(name="codex", max_turns=3, max_cost_usd=1.0, flags=("-x",))
    assert order.kind == "lint"
    assert batch().agent is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"agent": {"max_turns": 3}}, "waves[0].batches[0].agent.name: got nothing, expected the name of an agent"),
        ({"agent": " claude"}, "waves[0].batches[0].agent.name: got ' claude', expected the name of an agent"),
        ({"kind": 5}, "waves[0].batches[0].kind: got 5, expected text"),
    ],
)
def test_agents_of_batches_that_are_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(PlanError) as caught:
        batch(**fields)
    assert str(caught.value).startswith(said)


# -- what is told --


def test_the_example_is_a_list_as_it_is_told() -> None:
    path = EXAMPLES / "tasks.yaml"
    plan = parse_task_list(
        path.read_bytes(),
        source="tasks.yaml",
        usual=USUAL,
        read_prompt=lambda name: (EXAMPLES / name).read_text(),
    )
    assert [(task.id, task.agent.name if task.agent else "", task.depends_on) for task in plan.tasks] == [
        ("check", "command", ()),
        ("parser", "claude", ("check",)),
        ("docs", "codex", ("check",)),
    ]
    shown = (EXAMPLES.parent / "docs" / "tasks.md").read_text()
    assert path.read_text().partition("\n")[2] in shown


def test_every_field_of_a_task_is_told() -> None:
    text = (EXAMPLES.parent / "docs" / "tasks.md").read_text()
    table = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    told = {name for cell in table for name in re.findall(r"`([a-z_]+)`", cell)}
    assert FIELD_NAMES - {"max_cost", "claude_flags"} <= told
