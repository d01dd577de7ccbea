"""The real Claude CLI in a sealed, hardened container, against a model server that does as the test says.

Opt-in, as its image comes from npm: WAVEPOOL_REAL_CLI=1. The CLI has a dummy key, a home of its own, and reaches the
model server alone, through the proxy.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sealed_attempts import build_images, gateway, run, sealed

from wavepool.agents.claude import Claude
from wavepool.engine.attempts.egress import refusals, sealed_sidecar
from wavepool.model import AgentOrder, AgentReport
from wavepool.testing.model_server import Answer, Failure, ModelServer, Rule, Script, ToolUse

if TYPE_CHECKING:
    from conftest import DockerWorld

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.environ.get("WAVEPOOL_REAL_CLI") != "1", reason="opt-in: WAVEPOOL_REAL_CLI=1"),
]

IMAGE = "wavepool-agent-claude:latest"
MEMORY_BYTES = 1 << 30

LOOK = "cat ${file}; id -u; grep CapEff /proc/self/status; curl -sS -m 9 https://elsewhere.example/ 2>&1"


def bash(command: str) -> ToolUse:
    return ToolUse(name="Bash", input={"command": command, "description": "look"})


EDIT = {"file_path": "/workspace/${file}", "old_string": "worse", "new_string": "better"}
SCRIPT = Script(
    rules=(
        Rule(
            match=re.compile(r"edit (?P<file>[a-z]+\.txt)"),
            turns=(
                Answer(
                    text="First I read it.",
                    input_tokens=1000,
                    tools=(ToolUse(name="Read", input={"file_path": "/workspace/${file}"}),),
                ),
                Answer(tools=(ToolUse(name="Edit", input=EDIT),), cache_read_tokens=500),
                Answer(tools=(bash(LOOK),)),
                Answer(
                    text="All is better now.",
                    failures=(Failure(status=529), Failure(status=429, retry_after_s=1)),
                ),
            ),
        ),
        Rule(match=re.compile("for ever"), turns=(Answer(tools=(bash("true"),)),)),
    )
)


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    build_images("agent")
    with ModelServer(SCRIPT, host=gateway()) as made:
        yield made


async def work(
    world: DockerWorld, server: ModelServer, prompt: str, **order: object
) -> tuple[AgentReport, bytes, bytes, str]:
    """Let it work on a prompt: what the adapter reads, what it wrote, what the proxy said."""
    world.allow(300)
    asked = AgentOrder(name="claude", **order)
    adapter = Claude()
    base = f"http://host.docker.internal:{server.port}"
    env = {**adapter.environment(asked), "ANTHROPIC_BASE_URL": base}
    spec = replace(
        world.sh("", memory_bytes=MEMORY_BYTES),
        image=IMAGE,
        command=adapter.command(asked),
        env=env,
        prompt=prompt,
        secrets={"ANTHROPIC_API_KEY": b"dummy-key-of-a-test"},
        user="10001:10001",
    )
    os.chown(world.workspace, 10001, 10001)
    async with world.driver() as driver:
        outcome = await run(world, driver, sealed(world, spec, sealed_sidecar([f"host.docker.internal:{server.port}"])))
    reader = adapter.reader(asked)
    reader.feed(outcome.stdout)
    return reader.report(outcome.exit_code), outcome.stdout, outcome.proxy, outcome.stderr.decode()


@pytest.mark.anyio
async def test_it_edits_a_file_in_its_workspace_and_is_read(world: DockerWorld, server: ModelServer) -> None:
    (world.workspace / "state.txt").write_text("worse\n")
    os.chown(world.workspace / "state.txt", 10001, 10001)
    report, stdout, proxy, stderr = await work(world, server, "Please edit state.txt now.", max_turns=9)
    assert report.succeeded is True, (report, stderr, stdout, proxy)
    assert (world.workspace / "state.txt").read_text() == "better\n"
    assert (report.final_text, report.retries) == ("All is better now.", 2)
    assert report.turns >= 4
    assert report.cost_usd is not None
    assert report.cost_usd > 0
    assert report.tokens.input >= 1300
    assert report.tokens.cache_read == 500
    assert b"10001\\nCapEff:\\t0000000000000000" in stdout  # no root, no capabilities
    assert b"dummy-key-of-a-test" not in stdout
    # What it tried by itself went to the proxy, and was refused; the CLI itself asked for nothing else.
    refused = [line for line in proxy.splitlines() if line.startswith((b"denied", b"private"))]
    assert refused == [b"denied CONNECT elsewhere.example:443"]
    (world.root / "proxy").write_bytes(proxy)
    assert "elsewhere.example:443" in str(refusals(world.root / "proxy"))


@pytest.mark.anyio
async def test_its_bound_of_turns_is_a_failure_that_says_so(world: DockerWorld, server: ModelServer) -> None:
    report, stdout, _, stderr = await work(world, server, "Go on for ever.", max_turns=2)
    assert report.succeeded is False, (report, stderr, stdout)
    assert "turns" in report.problem


def test_its_image_is_fit_for_tasks(server: ModelServer, tmp_path: Path) -> None:
    del server  # with it comes the image
    command = [Path(sys.executable).with_name("wavepool"), "image", "check", IMAGE, "--agent", "claude"]
    told = subprocess.run([*command, "--state-dir", tmp_path], capture_output=True, text=True, timeout=180, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert [line.split()[0] for line in told.stdout.splitlines()] == ["ok"] * 7
    assert "(Claude Code)" in told.stdout
