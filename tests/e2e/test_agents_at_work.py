"""Agents on prompts, each in a workspace of its own: what they change comes back as branches, and nothing else does."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from user_git import git
from wavepool_cli import Finished, World, batch, plan_of, wave

from wavepool.testing.fake_cli import install, prompt

GIT_IMAGE = os.environ.get("WAVEPOOL_GIT_IMAGE", "wavepool-git:latest")
BUILD_IMAGE = Path(__file__).parents[2] / "scripts" / "git-image"
OBJECTS_INSIDE = "/run/wavepool-git/objects"
DEADLINE_S = 300.0


TOOLS = r"""
at=$MEET/$TASK_ID
case $1 in
meet) # wait until so many agents are at work at once
    : >"$at.here"
    left=1200
    while [ "$(ls "$MEET" | grep -c '\.here$')" -lt "$2" ] && [ "$left" -gt 0 ]; do left=$((left - 1)); sleep 0.1; done
    [ "$left" -gt 0 ] && : >"$at.met" ;;
break-in) # try to write there
    if (: >"$2/pwned") 2>/dev/null; then echo written; else echo refused; fi >"$at.break-in" ;;
plant) # leave what makes git run a program
    git config core.fsmonitor "$2"
    git config filter.evil.clean "$2"
    git config diff.external "$2"
    mkdir -p .git/hooks
    for name in pre-commit post-commit post-checkout post-merge reference-transaction; do
        printf '#!/bin/sh\nexec "%s"\n' "$2" >".git/hooks/$name"
        chmod 755 ".git/hooks/$name"
    done
    printf '*.txt filter=evil\n' >.gitattributes ;;
keep) # the workspace as it is, and the prompt as it came
    cp -a . "$at.copy"
    cp "$TASK_PROMPT_FILE" "$at.prompt" ;;
esac
"""
"""What agents call besides git, in the place where they meet."""


def tool(*words: object) -> str:
    return " ".join(("run sh $MEET/tools", *(str(word) for word in words)))


def commit(words: str) -> str:
    return f"run git add -A && git commit -qm '{words}'"


@cache
def image() -> str:
    """The test image with git in it, built where it is missing."""
    done = subprocess.run([str(BUILD_IMAGE)], capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    assert done.returncode == 0, done.stderr
    return GIT_IMAGE


class Office:
    """A repository, a place where agents meet, and a program that leaves a mark when git runs it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.repo = world.workspace
        self.meet = world.root / "meet"
        self.meet.mkdir()
        self.meet.chmod(0o777)
        self.bin = world.root / "bin"
        self.bin.mkdir()
        install(self.bin)
        (self.meet / "tools").write_text(TOOLS)
        self.fired = world.root / "fired"
        self.trap = self.bin / "trap"
        self.trap.write_text(f"#!/bin/sh\n: >'{self.fired}'\ncat\n")
        self.trap.chmod(0o755)
        git(self.repo, "init", "-q", "-b", "main")
        (self.repo / "README.txt").write_text("A project\n")
        git(self.repo, "add", "-A")
        git(self.repo, "commit", "-qm", "Begin")

    def options(self) -> list[str]:
        """What makes the scripted CLI the agent, on each driver."""
        common = ["--repo", str(self.repo), "--state-dir", str(self.world.state), "--budget", "1g", "--memory", "48m"]
        if self.world.driver == "process":
            path = f"{self.bin}:{os.environ['PATH']}"
            here = ["--allow-host", "--environment", f"PATH={path}"]
            return [*common, "--driver", "process", *here, *self.variables(self.meet)]
        mounts = ["--mount", f"{self.bin}/claude:/usr/bin/claude", "--mount", f"{self.meet}:/meet:rw"]
        inside = ["--network", "none", *self.variables(Path("/meet"))]
        return [*common, "--driver", "docker", "--image", image(), *mounts, *inside]

    def variables(self, meet: Path) -> list[str]:
        """Where agents meet, as they see it, and where their calls are told."""
        return ["--environment", f"MEET={meet}", "--environment", f"FAKE_CLI_CALLS={meet}/calls"]

    def call(self, *words: str, **how: Any) -> Finished:
        """`wavepool WORDS` with a dummy key."""
        return self.world.command(*words, env={"ANTHROPIC_API_KEY": "dummy"}, **how).finish(DEADLINE_S)

    def task(self, *words: str, **how: Any) -> Finished:
        return self.call("task", *words, *self.options(), **how)

    def left(self, name: str) -> str:
        """What an agent left in the place where they meet."""
        return (self.meet / name).read_text()

    def branches(self) -> list[str]:
        return git(self.repo, "branch", "--format=%(refname:short)").split()

    def settings(self) -> list[bytes]:
        """Of the repository: what an agent would have to change so that the user's git runs something."""
        found = self.repo / ".git"
        hooks = [path.read_bytes() for path in sorted((found / "hooks").rglob("*"))]
        return [(found / "config").read_bytes(), (found / "HEAD").read_bytes(), *hooks]


@contextmanager
def office_in(world: World) -> Iterator[Office]:
    """An office whose own checkout must have been nobody's workspace in the end."""
    made = Office(world)
    yield made
    assert made.branches().count("main") == 1
    assert git(made.repo, "status", "--porcelain") == ""


@pytest.fixture
def office(world: World) -> Iterator[Office]:
    """On both drivers."""
    with office_in(world) as made:
        yield made


@pytest.fixture
def process_office(process_world: World) -> Iterator[Office]:
    with office_in(process_world) as made:
        yield made


@pytest.fixture
def docker_office(docker_world: World) -> Iterator[Office]:
    with office_in(docker_world) as made:
        yield made


def test_three_agents_on_three_prompts_come_back_as_three_branches_and_a_merged_one(office: Office) -> None:
    before = office.settings()
    objects = OBJECTS_INSIDE if office.world.driver == "docker" else "/nonexistent"
    end = (tool("break-in", objects), tool("plant", office.trap), tool("keep"), "say I did it")
    odd = 'It\'s $(id) `id` "ß"\r\n-n \\ %s\n'
    prompts = [
        odd + prompt("write one.txt Erstes", commit("Add one"), tool("meet", 3), *end),
        odd + prompt("write two.txt 'zwei' \"$HOME\" `id`", tool("meet", 3), "run echo More >>README.txt", *end),
        odd + prompt("write three.txt 3", commit("Add three"), "write four.txt 4", tool("meet", 3), *end),
    ]
    done = office.task(*prompts, "--max-turns", "9")
    assert done.exit_code == 0, done.stderr
    entries = done.entries()

    # Each was called as the real one is, with its prompt as it is, and met the others: they worked at the same time.
    for number, text in enumerate(prompts, 1):
        assert (office.meet / f"task-{number}.prompt").read_bytes() == text.encode()
        assert (office.meet / f"task-{number}.met").exists()
    calls = office.left("calls").splitlines()
    assert len(calls) == 3
    assert all("--max-turns=9" in call and "--output-format=stream-json" in call for call in calls)
    assert "Erstes" not in office.left("calls")

    # The result and the summary tell turns, tokens, cost, and the diff of each.
    assert set(done.verdicts().values()) == {"success"}
    assert {name: entry["agent"]["turns"] for name, entry in entries.items()} == {"task-1": 7, "task-2": 7, "task-3": 8}
    assert entries["task-1"]["agent"]["cost_usd"] == pytest.approx(0.07)
    assert {name: (e["changes"]["files"], e["changes"]["insertions"]) for name, e in entries.items()} == {
        "task-1": (2, 2),
        "task-2": (3, 3),
        "task-3": (3, 3),
    }
    for told in ("I did it", "22 turns", "2.4k tokens", "$0.22", "3 files +3 -0", "wavepool merge", "feature/parallel"):
        assert told in done.stderr, told

    # Each branch has its agent's changes and no others; who committed what is told.
    assert [e["changes"]["committed_by"] for e in entries.values()] == ["both", "host", "both"]
    branch = {name: entry["changes"]["branch"] for name, entry in entries.items()}
    assert git(office.repo, "show", f"{branch['task-1']}:one.txt") == "Erstes"
    assert git(office.repo, "show", f"{branch['task-2']}:two.txt") == "'zwei' \"$HOME\" `id`"
    assert git(office.repo, "log", "-1", "--format=%s", f"{branch['task-3']}~1") == "Add three"
    assert "one.txt" not in git(office.repo, "ls-tree", "--name-only", branch["task-2"])
    patch = (office.world.run_dirs()[-1] / entries["task-1"]["changes"]["patch"]).read_text()
    assert "+Erstes" in patch

    # Nobody wrote to the repository itself, and git ran nothing that was planted; where nobody takes care, it does.
    assert office.settings() == before
    assert {office.left(f"task-{number}.break-in").strip() for number in (1, 2, 3)} == {"refused"}
    assert not office.fired.exists()
    merged = office.call("merge", done.result["run_id"], "--state-dir", str(office.world.state))
    assert merged.exit_code == 0, merged.stderr
    assert not office.fired.exists()
    for number in (1, 2, 3):
        copy = office.meet / f"task-{number}.copy"
        alternates = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(office.repo / ".git" / "objects")}
        git(copy, "status", env=alternates, check=False)
        assert office.fired.exists()
        office.fired.unlink()

    # And one branch has them all.
    together = f"wavepool/{done.result['run_id']}"
    assert set(git(office.repo, "ls-tree", "--name-only", together).split()) == {
        *("README.txt", "one.txt", "two.txt", "three.txt", "four.txt", ".gitattributes")
    }
    assert git(office.repo, "show", f"{together}:README.txt") == "A project\nMore"


def test_eight_agents_on_one_prompt_at_once(office: Office) -> None:
    text = prompt(tool("meet", 8), "write answer.txt mine")
    done = office.task(text, "-n", "8", "--name", "try", "--parallel", "8")
    assert done.exit_code == 0, done.stderr
    entries = done.entries()
    assert sorted(entries) == [f"try-{number}" for number in range(1, 9)]
    assert len(list(office.meet.glob("*.met"))) == 8
    assert len({entry["changes"]["branch"] for entry in entries.values()}) == 8
    assert len([name for name in office.branches() if name.startswith("feature/parallel-")]) == 8


def test_a_list_with_dependencies_and_an_agent_that_gives_up(process_office: Office) -> None:
    office = process_office
    prompts = office.world.root / "prompts"
    prompts.mkdir()
    (prompts / "base.md").write_text(prompt("write base.txt Base", commit("Base")))
    (prompts / "bad.md").write_text(prompt("write half.txt Half", "result error_during_execution I am stuck"))
    listed = [
        {"id": "base", "name": "Lay the ground"},
        {"id": "bad"},
        {"id": "after", "prompt": prompt("write after.txt After"), "dependencies": ["base"], "max_turns": 3},
        {"id": "never", "prompt": prompt("write never.txt Never"), "dependencies": ["bad"]},
        {"id": "check", "command": "test -f README.txt && echo fine"},
    ]
    path = office.world.root / "work.json"
    path.write_text(json.dumps({"tasks": listed}))
    done = office.call("tasks", str(path), *office.options(), "--retries", "1")
    assert done.exit_code == 1, done.stderr
    entries = done.entries()
    assert done.verdicts() == {
        "base": "success",
        "bad": "failed",
        "after": "success",
        "never": "skipped",
        "check": "success",
    }
    assert entries["base"]["changes"]["branch"] == "feature/parallel-lay-the-ground-base"
    assert sorted(re.findall(r"--max-turns=(\d+)", office.left("calls"))) == ["3", "50", "50"]
    assert entries["bad"]["changes"]["files"] == 1  # what it had done is not lost
    assert "I am stuck" in done.stderr
    assert f"wavepool logs {done.result['run_id']} bad" in done.stderr
    assert entries["check"]["agent"]["name"] == "command"


@pytest.mark.docker
def test_batches_of_a_wave_plan_may_have_agents(docker_office: Office) -> None:
    office = docker_office
    first = batch("one", None, memory="48m", agent={"name": "claude", "max_turns": 4}, task_prompt=prompt("write a A"))
    second = batch("two", None, memory="48m", agent="claude", task_prompt=prompt("write b B"))
    plan = office.world.plan(plan_of(wave(1, first, batch("plain")), wave(2, second)))
    options = [each for each in office.options() if each not in ("--repo", "--memory", "48m", "--network", "none")]
    options = ["--base-image" if each == "--image" else each for each in options if each != str(office.repo)]
    where = ("--workspace", str(office.repo), "--workspace-kind", "clone", "--egress", "any", "--isolate", "none")
    done = office.call("run", str(plan), *options, *where)
    assert done.exit_code == 0, done.stderr
    entries = done.entries()
    assert entries["plain"]["agent"] is None
    assert [entries[name]["changes"]["branch"] for name in ("one", "two")] == [
        "feature/parallel-one",
        "feature/parallel-two",
    ]
    assert sorted(re.findall(r"--max-turns=(\d+)", office.left("calls"))) == ["4"]
    assert "2 turns, 220 tokens, $0.02" in done.stderr
    assert done.result["agents"]["turns"] == 2


def test_uncommitted_changes_stay_the_users_own(process_office: Office) -> None:
    office = process_office
    (office.repo / "draft.txt").write_text("mine")
    done = office.task(prompt("write one.txt 1"))
    assert done.exit_code == 0, done.stderr
    assert "1 uncommitted change" in done.stderr
    assert "draft.txt" not in git(office.repo, "ls-tree", "--name-only", done.entries()["task-1"]["changes"]["branch"])
    (office.repo / "draft.txt").unlink()


def test_what_is_no_repository_is_refused_with_what_to_do(process_world: World) -> None:
    plain = process_world.root / "plain"
    plain.mkdir()
    words = ("task", "x", "--repo", str(plain), "--driver", "process", "--allow-host", "--no-key")
    done = process_world.command(*words, "--state-dir", str(process_world.state)).finish()
    assert done.exit_code == 2
    assert "is in no git repository" in done.stderr
    assert "--workspace-kind shared" in done.stderr
    assert process_world.run_dirs() == []


def test_an_agent_gets_the_bare_host_only_where_that_is_allowed(process_world: World) -> None:
    office = Office(process_world)
    words = ("--repo", str(office.repo), "--driver", "process", "--state-dir", str(process_world.state))
    done = office.call("task", prompt("write x y"), *words)
    assert done.exit_code == 2
    assert "--allow-host" in done.stderr
    assert process_world.run_dirs() == []
