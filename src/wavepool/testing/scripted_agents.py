"""An agent for simulations, and workspaces that count: what a real one says and does, decided by a test.

The agent writes one JSON object a line on stdout: ``{"say": "text"}``, ``{"cost": 0.5, "tokens": 100}`` (of the whole
attempt up to now), ``{"limited": 60}`` (its account has no more for so many seconds; null where it does not say), and
at its end ``{"result": true}``.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from wavepool.agents.base import AgentAdapter, AgentReader
from wavepool.errors import WorkspaceError
from wavepool.model import AgentEvent, AgentEventKind, AgentOrder, AgentReport, AttemptId, Changes, Task, Tokens
from wavepool.statedir import RunDir
from wavepool.workspace.base import Place, Sealed, Workspaces

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""Resets are told from here: a simulated run begins then."""


def says(*lines: Mapping[str, Any], words: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Flags of an order whose agent writes these lines; `words` are further ones of the simulated task."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    return (*words, f"stdout={quote(text)}")


class ScriptedAgent(AgentAdapter):
    """Its flags are the words of a simulated task (`drivers.memory.script`)."""

    name = "scripted"
    image = "simulated:latest"
    hosts = ()
    secrets: ClassVar[Mapping[str, str]] = {}
    bypasses_prompts = True

    def command(self, order: AgentOrder) -> tuple[str, ...]:
        return ("sim", *order.flags)

    def environment(self, order: AgentOrder) -> Mapping[str, str]:
        return {"SCRIPTED": order.name}

    def reader(self, order: AgentOrder) -> AgentReader:
        return ScriptedReader()


class ScriptedReader(AgentReader):
    """Lines may come in any pieces."""

    def __init__(self) -> None:
        self._rest = b""
        self._turns = 0
        self._cost_usd: float | None = None
        self._tokens = Tokens()
        self._resets_at: datetime | None = None
        self._limited = False
        self._result: bool | None = None

    def feed(self, data: bytes) -> list[AgentEvent]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [self._event(json.loads(line)) for line in lines]

    def report(self, exit_code: int | None) -> AgentReport:
        return AgentReport(
            agent="scripted",
            succeeded=bool(self._result),
            problem="" if self._result else "it said no result",
            rate_limited=self._limited,
            resets_at=self._resets_at,
            turns=self._turns,
            tokens=self._tokens,
            cost_usd=self._cost_usd,
        )

    def _event(self, line: dict[str, Any]) -> AgentEvent:
        kind = AgentEventKind.TEXT
        if "limited" in line:
            kind, self._limited = AgentEventKind.RATE_LIMITED, True
            self._resets_at = None if line["limited"] is None else EPOCH + timedelta(seconds=line["limited"])
        elif "result" in line:
            kind, self._result = AgentEventKind.RESULT, line["result"]
        else:
            self._turns += 1
            self._cost_usd = line.get("cost", self._cost_usd)
            self._tokens = Tokens(output=line.get("tokens", self._tokens.output))
        return AgentEvent(
            kind=kind,
            text=str(line.get("say", "")),
            turns=self._turns,
            tokens=self._tokens,
            cost_usd=self._cost_usd,
            resets_at=self._resets_at,
        )


class CountedWorkspaces(Workspaces):
    """A directory for each attempt, whose work is brought back by a sealed program.

    Attributes:
        made, brought: how often each attempt's was really made, and brought back to its end.
        broken: tasks whose workspaces cannot be made.
    """

    def __init__(self, files: RunDir, *, broken: frozenset[str] = frozenset()) -> None:
        self._files = files
        self.broken = broken
        self.made: Counter[AttemptId] = Counter()
        self.brought: Counter[AttemptId] = Counter()

    async def check(self) -> None:
        """Anything will do."""

    async def obtain(self, task: Task, attempt: AttemptId) -> Place:
        if task.id in self.broken:
            raise WorkspaceError("it cannot be had", advice="Do without.")
        path = self._path(task, attempt)
        if not path.exists():
            path.mkdir(parents=True)
            self.made[attempt] += 1
        return Place(directory=path, env={"PLACE": path.name}, user="1234:1234")

    async def bring_back(self, task: Task, attempt: AttemptId, sealed: Sealed) -> Changes | None:
        place = await self.obtain(task, attempt)
        output = self._path(task, attempt).with_suffix(".output")
        output.mkdir(exist_ok=True)
        code = await sealed(task, attempt, ("sim", "duration=1"), place=place, output=output, timeout_s=60)
        self.brought[attempt] += 1
        return Changes(base="0" * 40, branch=f"wavepool/{task.key}", files=1, problem=None if code == 0 else str(code))

    async def release(self, task: Task, attempt: AttemptId) -> None:
        shutil.rmtree(self._path(task, attempt), ignore_errors=True)
        shutil.rmtree(self._path(task, attempt).with_suffix(".output"), ignore_errors=True)

    def left(self) -> list[str]:
        """What was not released."""
        return sorted(path.name for path in self._work.iterdir()) if self._work.is_dir() else []

    @property
    def _work(self) -> Path:
        return self._files.path / "work"

    def _path(self, task: Task, attempt: AttemptId) -> Path:
        return self._work / f"{task.key}.{attempt.number}"
