"""Runs with agents on real drivers: heard while they work, judged by what they say, their work on branches."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from git_ground import Ground

from wavepool.core import facts
from wavepool.core.facts import Stamped
from wavepool.engine.listener import Listener
from wavepool.engine.report import RunReport
from wavepool.errors import DriverUnavailable, InputError
from wavepool.model import (
    AgentEvent,
    AgentOrder,
    AttemptId,
    Limits,
    Mount,
    Rules,
    Schedule,
    Surroundings,
    Task,
    Wave,
    WorkspaceKind,
)
from wavepool.plan import Plan
from wavepool.plan.schema import WaveSlice
from wavepool.units import MIB
from wavepool.wiring import Hooks, RunRequest, run_plan

pytestmark = pytest.mark.anyio

IMAGE = "wavepool-test:latest"
SEALED_IMAGES = Path(__file__).parents[2] / "scripts" / "sealed-images"
DRIVERS = pytest.mark.parametrize("driver", ["process", pytest.param("docker", marks=pytest.mark.docker)])
KINDS = pytest.mark.parametrize("kind", [WorkspaceKind.WORKTREE, WorkspaceKind.CLONE])

INIT = {"type": "system", "subtype": "init", "session_id": "s-1", "model": "small"}


def words(number: int, text: str, tokens: int) -> dict[str, Any]:
    """What a message of the model looks like in the CLI's output."""
    usage = {"input_tokens": tokens, "output_tokens": 1}
    message = {"id": f"m{number}", "model": "small", "content": [{"type": "text", "text": text}], "usage": usage}
    return {"type": "assistant", "message": message}


def result(cost_usd: float, **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 50, "output_tokens": 5}
    told = {"type": "result", "subtype": "success", "is_error": False, "result": "done", "session_id": "s-1"}
    return {**told, "num_turns": 2, "total_cost_usd": cost_usd, "usage": usage, **more}


def says(*lines: dict[str, Any]) -> str:
    return "\n".join(f"printf '%s\\n' {shlex.quote(json.dumps(line))}" for line in lines)


def task(name: str, script: str, **order: Any) -> Task:
    """Its own command stands in for the CLI; what it writes is read as the CLI's."""
    return Task(
        id=name,
        key=name,
        wave=1,
        tier=1,
        limits=Limits(memory_bytes=64 * MIB),
        command=("/bin/sh", "-c", script),
        agent=AgentOrder(name="claude", **order),
        prompt=f"prompt of {name}",
        extra={"name": name},
    )


class Heard(Listener):
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.facts: list[facts.Fact] = []

    def on_facts(self, facts: Sequence[Stamped]) -> None:
        self.facts += [stamped.fact for stamped in facts]

    def on_agent(self, attempt: AttemptId, event: AgentEvent) -> None:
        self.said.append((attempt.task_id, event.text))


async def run(
    ground: Ground,
    driver: str,
    kind: WorkspaceKind,
    *tasks: Task,
    allow_host: bool = True,
    mounts: tuple[Mount, ...] = (),
    egress: tuple[str, ...] | None = None,
    **rules: Any,
) -> tuple[RunReport, Heard]:
    heard = Heard()
    plan = Plan(
        source="test",
        digest="d",
        waves=(Wave(number=1),),
        tasks=tasks,
        layout=(WaveSlice(position=0, first=0, end=len(tasks)),),
    )
    request = RunRequest(
        plan=plan,
        rules=Rules(nodes=(), schedule=Schedule.ROLLING, keep_going=True, grace_s=1.0, **rules),
        surroundings=Surroundings(
            image=IMAGE,
            workspace=str(ground.repo),
            network=f"wavepool-{ground.root.name}",
            workspace_kind=kind,
            mounts=mounts,
            egress=egress,
        ),
        driver=driver,
        budget=1024 * MIB,
        state_dir=ground.root / "state",
        allow_host=allow_host,
    )
    return await run_plan(request, Hooks(listeners=(heard,), notice=ground.told.append)), heard


def entries(report: RunReport) -> dict[str, dict[str, Any]]:
    return {entry["batch_id"]: entry for entry in report.result()["waves"][0]["containers"]}


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    tmp_path.chmod(0o755)
    return Ground(tmp_path)


@DRIVERS
@KINDS
async def test_agents_work_side_by_side_and_each_leaves_a_branch(
    ground: Ground, driver: str, kind: WorkspaceKind
) -> None:
    """One does its work, one says that it failed, one ends without a word, one was told nothing and needs no agent."""
    good = task("good", f"cat $TASK_PROMPT_FILE >new; id -u >who; {says(INIT, words(1, 'hello', 40), result(0.25))}")
    denies = task("denies", f"echo 1 >half; {says(INIT, result(0.5, is_error=True, subtype='error_max_turns'))}")
    silent = task("silent", "echo not json; echo nor this >&2")
    plain = Task(
        id="plain", key="plain", wave=1, tier=1, limits=Limits(memory_bytes=64 * MIB), command=("/bin/sh", "-c", "true")
    )
    report, heard = await run(ground, driver, kind, good, denies, silent, plain)
    found = entries(report)
    assert {name: entry["verdict"] for name, entry in found.items()} == {
        "good": "success",
        "denies": "failed",
        "silent": "failed",
        "plain": "success",
    }
    assert found["denies"]["exit_code"] == 0, "what it says counts beside its exit code"
    assert "--max-turns" in found["denies"]["evidence"]["reason"]
    assert found["good"]["agent"]["cost_usd"] == 0.25
    assert found["good"]["agent"]["tokens"]["total"] == 55
    assert found["good"]["agent"]["session_id"] == "s-1"
    assert found["silent"]["agent"]["cost_told"] is False
    assert found["plain"]["agent"] is None
    totals = report.result()["agents"]
    assert (totals["attempts"], totals["cost_usd"], totals["attempts_without_cost"]) == (3, 0.75, 1)
    assert ("good", "hello") in heard.said

    branch = found["good"]["changes"]["branch"]
    assert ground.git("show", f"{branch}:new") == "prompt of good"
    assert (found["good"]["changes"]["files"], found["good"]["changes"]["insertions"]) == (2, 2)
    assert ground.git("show", f"{found['denies']['changes']['branch']}:half") == "1", "unfinished work is not lost"
    assert found["plain"]["changes"]["branch"] is None
    assert found["good"]["changes"]["problem"] is None, "without git in its image, all of its work is in its files"
    if driver == "docker":
        assert ground.git("show", f"{branch}:who") != "0", "never as root"
    assert report.left_behind == []
    assert ground.git("status", "--porcelain") == ""
    assert ground.git("worktree", "list").count("\n") == 0


@DRIVERS
async def test_a_budget_ends_what_works_above_it(ground: Ground, driver: str) -> None:
    greedy = task("greedy", f"{says(INIT, words(1, 'much', 5000))}; sleep 600", max_tokens=1000)
    report, heard = await run(ground, driver, WorkspaceKind.WORKTREE, greedy)
    entry = entries(report)["greedy"]
    assert entry["verdict"] == "watchdog"
    assert entry["evidence"]["rule"] == "tokens"
    assert "tokens, 1,000 allowed" in entry["evidence"]["reason"]
    assert ("greedy", "much") in heard.said


@DRIVERS
async def test_a_whole_run_above_its_budget_stops(ground: Ground, driver: str) -> None:
    tasks = [task(name, f"{says(INIT, words(1, 'much', 600))}; sleep 600") for name in ("one", "two")]
    report, _ = await run(ground, driver, WorkspaceKind.WORKTREE, *tasks, max_tokens=1000)
    assert {entry["verdict"] for entry in entries(report).values()} == {"watchdog"}
    assert "the agents of the run have used" in report.result()["stopped_because"]
    assert report.exit_code == 1


@DRIVERS
async def test_a_rate_limited_agent_is_tried_again_after_the_reset(ground: Ground, driver: str) -> None:
    """The limit ends a few seconds after it was told; the second attempt finds a mark that the first one left."""
    error = result(0.0, is_error=True, result="Claude AI usage limit reached|RESET")
    told = f"reset=$(($(date +%s) + 4)); printf '%s\\n' {shlex.quote(json.dumps(error))} | sed s/RESET/$reset/; exit 1"
    mark = ground.root / "mark"
    mark.mkdir()
    mark.chmod(0o777)
    inside = "/mark" if driver == "docker" else str(mark)
    limited = task("limited", f"[ -e {inside}/was ] && {{ {says(INIT, result(0.1))}; exit; }}; : >{inside}/was; {told}")
    mounts = (Mount(source=str(mark), target="/mark", read_only=False),) if driver == "docker" else ()
    report, heard = await run(ground, driver, WorkspaceKind.WORKTREE, limited, mounts=mounts)
    entry = entries(report)["limited"]
    assert entry["verdict"] == "success", entry
    assert entry["attempts"] == 2
    assert "no more to give (1 of 3 repeats)" in entry["retried_because"][0]
    [pause] = [fact for fact in heard.facts if isinstance(fact, facts.AccountPaused)]
    assert pause.account == "claude"
    second = [fact for fact in heard.facts if isinstance(fact, facts.StartIntended)][1]
    assert second.at >= pause.until


@pytest.fixture(scope="session")
def egress_image() -> None:
    made = subprocess.run([SEALED_IMAGES], capture_output=True, text=True, timeout=600, check=False)
    assert made.returncode == 0, made.stderr


@pytest.mark.docker
@pytest.mark.usefixtures("egress_image")
async def test_a_sealed_agent_has_its_proxy_beside_it_and_others_have_none(ground: Ground) -> None:
    """What the seal holds back is proved in test_sealed; here, that runs put it on."""
    ask = "printf 'CONNECT denied.example:443 HTTP/1.1\\r\\n\\r\\n' | nc -w 20 egress 3128 | head -n 1 >answer"
    sealed = task("sealed", f"{ask}; echo $HTTPS_PROXY >proxy; {says(INIT, result(0.1))}")
    loose = replace(task("loose", "echo none$HTTPS_PROXY >proxy"), agent=None)
    report, _ = await run(ground, "docker", WorkspaceKind.WORKTREE, sealed, loose, egress=("allowed.example",))
    found = entries(report)
    assert {entry["verdict"] for entry in found.values()} == {"success"}, found
    branch = found["sealed"]["changes"]["branch"]
    assert " 403 " in ground.git("show", f"{branch}:answer")
    assert ground.git("show", f"{branch}:proxy") == "http://egress:3128"
    assert ground.git("show", f"{found['loose']['changes']['branch']}:proxy") == "none"
    [refused] = found["sealed"]["evidence"]["sidecars"]
    assert "denied.example:443" in refused["reason"]


async def test_an_agent_that_asks_nobody_does_not_get_the_host(ground: Ground) -> None:
    loose = replace(task("loose", "true"), command=None)
    with pytest.raises(InputError, match="does what it likes without asking") as refused:
        await run(ground, "process", WorkspaceKind.WORKTREE, loose, allow_host=False)
    assert "--allow-host" in refused.value.advice
    assert not (ground.root / "state" / "runs").exists()


async def test_nor_where_docker_is_away(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{ground.root}/nobody.sock")
    loose = replace(task("loose", "true"), command=None)
    with pytest.raises(DriverUnavailable, match="Processes cannot stand in") as refused:
        await run(ground, "auto", WorkspaceKind.WORKTREE, loose, allow_host=False)
    assert "--allow-host" in refused.value.advice


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (AgentOrder(name="claud"), r"waves\[0\].batches\[0\].agent: there is no agent 'claud'; did you mean claude"),
        (AgentOrder(name="command"), r"waves\[0\].batches\[0\].agent: .*needs a program"),
    ],
)
async def test_orders_that_cannot_be_carried_out_are_refused_before_anything_starts(
    ground: Ground, order: AgentOrder, expected: str
) -> None:
    with pytest.raises(InputError, match=expected):
        await run(ground, "process", WorkspaceKind.SHARED, replace(task("a", "true"), command=None, agent=order))
    assert not (ground.root / "state" / "runs").exists()
