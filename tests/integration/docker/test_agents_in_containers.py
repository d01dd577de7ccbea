"""An agent in a container of the real engine, as a user that its image does not know."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wavepool.agents import adapter
from wavepool.model import AgentOrder, Mount
from wavepool.testing.fake_cli import install, prompt
from wavepool.testing.observing import output, wait_ended

if TYPE_CHECKING:
    from conftest import DockerWorld

pytestmark = [pytest.mark.anyio, pytest.mark.docker]


async def test_it_gets_its_prompt_its_key_and_a_home_and_its_argv_shows_none(
    world: DockerWorld, tmp_path: Path
) -> None:
    order = AgentOrder(name="claude", max_turns=3)
    agent = adapter("claude")
    acts = ["run echo $ANTHROPIC_API_KEY", "run touch ~/a && [ ~ != / ] && echo at home", "say by 12345"]
    spec = world.spec(
        agent.command(order),
        prompt="It's $(id)\n" + prompt(*acts),
        env={**agent.environment(order), "HOME": "/"},
        secret_values={"ANTHROPIC_API_KEY": b"sk-secret\n"},
    )
    program = Mount(source=str(install(tmp_path)), target="/usr/local/bin/claude")
    spec = replace(spec, mounts=(program,), user="12345:12345")
    reader = agent.reader(order)
    async with world.driver() as driver:
        handle = await driver.start(spec)
        ended = await wait_ended(driver, spec)
        stdout, stderr = await output(driver, handle)
        inspected = str(await world.inspect(spec.name))
        reader.feed(stdout)
        reader.feed_stderr(stderr)
        assert ended.ending is not None
        told = reader.report(ended.ending.evidence.exit_code)
        await driver.remove(handle)
    assert (told.succeeded, told.turns, told.final_text, told.problem) == (True, 3, "by 12345", "")
    assert b'"content":"sk-secret"' in stdout
    assert b'"content":"at home"' in stdout
    assert "sk-secret" not in inspected
