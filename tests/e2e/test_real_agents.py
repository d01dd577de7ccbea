"""Real Claude CLIs at work at once: sealed, each in a clone of its own, against a model that does as the test says.

Opt-in, as their image comes from npm: WAVEPOOL_REAL_CLI=1. They have a dummy key, no one's home, and reach the model
server alone, through their proxies. It answers none of them before all have asked, so that they are at work at once.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from wavepool_cli import Finished, Running, World, docker, eventually

from wavepool import labels
from wavepool.testing.model_server import Answer, Failure, ModelServer, Rule, Script, ToolUse

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.environ.get("WAVEPOOL_REAL_CLI") != "1", reason="opt-in: WAVEPOOL_REAL_CLI=1"),
]

IMAGES = Path(__file__).parents[2] / "scripts" / "sealed-images"
BUILD_S = 900
KEY = "dummy-key-d41d8cd98f00b204"
MEET_S = 240.0
DEADLINE_S = 400.0
BRANCH = "feature/parallel-task-"
WHO = ("-c", "user.name=Tester", "-c", "user.email=tester@localhost", "-c", "safe.directory=*")

LOOK = r"""
id -u; grep CapEff /proc/self/status
ask() { if curl -sS -m 9 -o /dev/null "$@" 2>/dev/null; then echo "$way open"; else echo "$way shut"; fi; }
way=by-proxy; ask "$ANTHROPIC_BASE_URL"
way=directly; ask --noproxy '*' "http://GATEWAY:${ANTHROPIC_BASE_URL##*:}"
"""


def bash(command: str) -> ToolUse:
    return ToolUse(name="Bash", input={"command": command, "description": "work"})


def rule(asked: str, *turns: Answer) -> Rule:
    return Rule(match=re.compile(rf"{asked} (?P<file>[a-z0-9-]+\.txt)"), turns=turns)


def script(meets: int, gateway: str) -> Script:
    """Three ways to change a file: Edit, Write, and a shell that commits. The first answer waits for all of them."""
    path = "/workspace/${file}"
    edit = ToolUse(name="Edit", input={"file_path": path, "old_string": "worse", "new_string": "better"})
    write = ToolUse(name="Write", input={"file_path": path, "content": "one\ntwo\n"})
    look = bash(LOOK.replace("GATEWAY", gateway))
    commit = bash("echo more >>${file} && git add -A && git commit -qm 'Add to ${file}'")
    first = Answer(
        text="First I read it.",
        tools=(ToolUse(name="Read", input={"file_path": path}),),
        input_tokens=1000,
        meets=meets,
        meets_within_s=MEET_S,
        pace_s=0.01,
    )
    refused = Answer(text="never", failures=(Failure(status=401), Failure(status=401, should_retry=False)))
    return Script(
        rules=(
            rule("edit", first, Answer(tools=(edit,)), Answer(tools=(look,)), Answer(text="Edited ${file}.")),
            rule("write", first, Answer(tools=(write,)), Answer(text="Wrote ${file}.", pace_s=0.05)),
            rule("extend", first, Answer(tools=(commit,)), Answer(text="Extended ${file}.")),
            rule("refuse", refused),
        )
    )


PROMPTS = ("Please edit", "Please write", "Please extend")
DIFFS = ((1, 1, 1), (1, 2, 0), (1, 1, 0))
"""files, insertions, deletions of each way."""
AFTER = ("better\n", "one\ntwo\n", "worse\nmore\n")
WORDS = ("Edited", "Wrote", "Extended")


def file_of(number: int) -> str:
    """What the agent with this number (from 0) works on; who writes one makes it."""
    return f"new-{number}.txt" if number % 3 == 1 else f"part-{number}.txt"


@cache
def build_images() -> None:
    """The agent's image and the proxy's, unless they are there."""
    made = subprocess.run([IMAGES, "agent"], capture_output=True, text=True, timeout=BUILD_S, check=False)
    assert made.returncode == 0, made.stderr


def git(at: Path, *words: str) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *WHO, *words], cwd=at, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Studio:
    """A repository with a file for each agent, and the model that they all ask."""

    def __init__(self, world: World, server: ModelServer) -> None:
        self.world = world
        self.server = server
        self.repo = world.workspace
        git(self.repo, "init", "-q", "-b", "main")
        for number in range(8):
            (self.repo / f"part-{number}.txt").write_text("worse\n")
        git(self.repo, "add", "-A")
        git(self.repo, "commit", "-qm", "Begin")

    def start(self, *words: str) -> Running:
        """`wavepool task WORDS`, as a user with that key calls it."""
        host = f"host.docker.internal:{self.server.port}"
        where = ("--repo", str(self.repo), "--state-dir", str(self.world.state))
        model = ("--egress", host, "--environment", f"ANTHROPIC_BASE_URL=http://{host}")
        room = ("--driver", "docker", "--memory", "448m", "--budget", "5g")
        return self.world.command("task", *words, *where, *model, *room, env={"ANTHROPIC_API_KEY": KEY})

    def call(self, *words: str) -> Finished:
        return self.world.command(*words, "--state-dir", str(self.world.state)).finish()

    def refs(self) -> dict[str, str]:
        """Name of each branch and other ref -> what it points at."""
        lines = git(self.repo, "for-each-ref", "--format=%(refname:short) %(objectname)").splitlines()
        return dict(line.split(" ") for line in lines)

    def settings(self) -> dict[str, bytes]:
        """All files of its .git that say what git does, hooks too."""
        at = self.repo / ".git"
        found = (at / "config", at / "HEAD", at / "info" / "exclude", *sorted((at / "hooks").rglob("*")))
        return {str(path): path.read_bytes() for path in found if path.is_file()}

    def containers(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """What the engine tells of those of tasks, and of their proxies."""
        told: list[dict[str, Any]] = json.loads(docker("inspect", *self.world.containers()))
        beside = [each for each in told if labels.ROLE in each["Config"]["Labels"]]
        return [each for each in told if each not in beside], beside

    def all_files(self) -> Iterator[Path]:
        """Everything that the run left on disk, its journal, logs and results."""
        return (path for path in self.world.state.rglob("*") if path.is_file() and not path.is_symlink())


@contextmanager
def studio_in(world: World, meets: int) -> Iterator[Studio]:
    build_images()
    gateway = docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "bridge")
    with ModelServer(script(meets, gateway), host=gateway) as server:
        yield Studio(world, server)


def argvs() -> Iterator[bytes]:
    """The words of every process of this machine, those in containers too."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes()
        except OSError:  # it has ended
            continue


def uids(pid: int) -> set[str]:
    """Of a process: real, effective, saved, and for files."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return set(next(line for line in lines if line.startswith("Uid:")).split()[1:])


def look_at_work(studio: Studio, running: Running, count: int) -> None:
    """While all of them wait for their first answer: who they are, and where the key is not."""
    eventually(lambda: ended(running) or studio.server.waiting(count + 1) == count, f"{count} agents ask", MEET_S)
    assert not ended(running), running.finish().stderr
    tasks, proxies = studio.containers()
    assert (len(tasks), len(proxies)) == (count, count)
    for each in (*tasks, *proxies):
        assert each["State"]["Running"]
        assert "0" not in uids(each["State"]["Pid"]), each["Name"]
        assert each["HostConfig"]["CapDrop"] == ["ALL"]
    networks = [network for each in tasks for network in each["NetworkSettings"]["Networks"]]
    assert len(set(networks)) == len(networks) == count  # one of its own for each
    assert set(studio.world.networks()) == set(networks)
    assert set(docker("network", "inspect", "-f", "{{.Internal}}", *networks).split()) == {"true"}
    assert KEY not in json.dumps([*tasks, *proxies])
    assert not [words for words in argvs() if KEY.encode() in words]
    studio.server.meet(count + 1, MEET_S)


def ended(running: Running) -> bool:
    return running.process.poll() is not None


def check_result(studio: Studio, done: Finished, count: int) -> None:
    """Result and summary tell turns, tokens, cost and diff of each; the branches hold what each changed alone."""
    assert done.exit_code == 0, done.stderr
    entries = done.entries()
    assert len(entries) == count
    for number in range(count):
        entry, way = entries[f"task-{number + 1}"], number % 3
        agent, changes = entry["agent"], entry["changes"]
        assert entry["verdict"] == "success"
        assert agent["turns"] >= 3
        assert agent["cost_usd"] > 0
        assert agent["tokens"]["input"] >= 1200
        assert agent["tokens"]["output"] >= 60
        assert agent["final_text"] == f"{WORDS[way]} {file_of(number)}."
        assert (changes["files"], changes["insertions"], changes["deletions"]) == DIFFS[way]
        assert git(studio.repo, "show", f"{changes['branch']}:{file_of(number)}") == AFTER[way]
        assert git(studio.repo, "diff", "--name-only", f"main..{changes['branch']}").split() == [file_of(number)]
        row = next(line for line in done.stderr.splitlines() if line.startswith(f"task-{number + 1} "))
        for told in (str(agent["turns"]), "success", f"+{DIFFS[way][1]} -{DIFFS[way][2]}", changes["branch"], "$0."):
            assert told in row, (told, row)
    assert done.result["agents"]["cost_usd"] == pytest.approx(sum(e["agent"]["cost_usd"] for e in entries.values()))
    assert done.result["agents"]["turns"] == sum(entry["agent"]["turns"] for entry in entries.values())
    log = studio.world.log(entries["task-1"]).read_text()
    # As it sees itself: no root, no capabilities, and no way to the model but by its proxy.
    assert re.search(r"[1-9][0-9]*\\nCapEff:\\t0000000000000000\\nby-proxy open\\ndirectly shut", log), log


def check_nothing_else(studio: Studio, before: Mapping[str, bytes], begin: str, count: int) -> None:
    """The repository has the new branches and nothing else, the model was asked as agents ask, the key is nowhere."""
    branches = {f"{BRANCH}{number + 1}" for number in range(count)}
    refs = studio.refs()
    assert set(refs) == {"main", *branches}
    assert refs["main"] == begin
    assert studio.settings() == before
    assert git(studio.repo, "status", "--porcelain") == ""
    first = [each for each in studio.server.received if each.path == "/v1/messages" and "Please" in each.first_text]
    assert {each.status for each in first} == {200}
    assert sum(each.turn == 0 for each in first if each.streamed) == count
    files = list(studio.all_files())
    assert any(path.name == "journal.db" for path in files)
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("count", [3, pytest.param(8, marks=pytest.mark.slow)])
def test_real_agents_at_once_come_back_as_branches_and_a_merged_one(docker_world: World, count: int) -> None:
    with studio_in(docker_world, count + 1) as studio:
        before, begin = studio.settings(), studio.refs()["main"]
        prompts = [f"{PROMPTS[number % 3]} {file_of(number)} now." for number in range(count)]
        running = studio.start(*prompts, "--parallel", str(count), "--max-turns", "9")
        look_at_work(studio, running, count)
        done = running.finish(DEADLINE_S)
        check_result(studio, done, count)
        check_nothing_else(studio, before, begin, count)
        assert KEY not in done.stderr + done.stdout.decode()

        run_id = done.result["run_id"]
        merged = studio.call("merge", run_id)
        assert merged.exit_code == 0, merged.stderr
        for number in range(count):
            assert git(studio.repo, "show", f"wavepool/{run_id}:{file_of(number)}") == AFTER[number % 3]
        assert studio.refs()["main"] == begin
        assert studio.settings() == before


def test_a_key_that_is_refused_is_told_at_once(docker_world: World) -> None:
    with studio_in(docker_world, 1) as studio:
        done = studio.start("Please refuse part-1.txt").finish(DEADLINE_S)
        assert done.exit_code == 1, done.stderr
        advice = "its key was refused; give a valid one (--secret ANTHROPIC_API_KEY"
        assert f"agent met an error: authentication_failed (401): retry 1 of 10; {advice}" in done.stderr
        assert f"task-1: claude ended with an error: {advice}" in done.stderr
        assert done.entries()["task-1"]["verdict"] == "failed"
        assert KEY not in done.stderr
