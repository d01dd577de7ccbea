"""The agent of `docs/agents.md`, as a package that somebody installed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from wavepool.agents import adapter, names
from wavepool.model import AgentEventKind, AgentOrder

PAGE = (Path(__file__).parents[2] / "docs" / "agents.md").read_text()
PROGRAM = """#!/bin/sh
[ "$SHOUT_KEY" = sk-shout ] || { echo 'no key' >&2; exit 1; }
echo 'warming up'
while read -r word; do printf '{"event": "word", "text": "%s!"}\\n' "$word"; done
[ "$1" = --json ] && [ "$2" = --cut ] || echo '{"event": "end", "ok": true, "tokens": 12}'
"""


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = re.search(r'shout = "(.+)"', block("toml"))
    assert entry is not None
    module = entry[1].split(":")[0]
    (tmp_path / f"{module}.py").write_text(block("python"))
    about = tmp_path / f"{module}-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[wavepool.agents]\nshout = {entry[1]}\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("flags", "succeeded", "problem"),
    [((), True, ""), (("--cut",), False, "shout stopped before its end (it said: warming up); see its log")],
)
def test_the_worked_example_works(tmp_path: Path, flags: tuple[str, ...], succeeded: bool, problem: str) -> None:
    assert "shout" in names()
    agent, order = adapter("shout"), AgentOrder(name="shout", flags=flags)
    program = tmp_path / "shout"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    (tmp_path / "SHOUT_KEY").write_text("sk-shout\n")
    (tmp_path / "prompt").write_text("hello\nworld\n")
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "TASK_PROMPT_FILE": str(tmp_path / "prompt")}
    env |= {"HOME": str(tmp_path), "WAVEPOOL_SECRETS_DIR": str(tmp_path), **agent.environment(order)}
    ran = subprocess.run(agent.command(order), env=env, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    reader = agent.reader(order)
    events = reader.feed(ran.stdout)
    told = reader.report(ran.returncode)
    assert (told.agent, told.succeeded, told.problem) == ("shout", succeeded, problem)
    assert told.final_text == "world!"
    assert told.tokens.output == (12 if succeeded else 0)
    kinds = [event.kind for event in events]
    assert kinds[:3] == [AgentEventKind.UNREADABLE, AgentEventKind.TEXT, AgentEventKind.TEXT]
