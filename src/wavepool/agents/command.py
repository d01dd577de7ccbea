"""Any program that works on a prompt: given it on stdin, judged by its exit code."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from wavepool.agents.base import AgentAdapter, AgentReader
from wavepool.agents.plain import PlainReader
from wavepool.agents.starting import with_prompt
from wavepool.errors import InputError
from wavepool.model import AgentOrder


class Command(AgentAdapter):
    """A program of the user's. Where the task has a command of its own that one runs; else the order's `flags` are
    its argv.
    """

    name: ClassVar[str] = "command"
    image: ClassVar[str] = "claude-orchestrator:latest"
    hosts: ClassVar[tuple[str, ...]] = ()
    secrets: ClassVar[Mapping[str, str]] = MappingProxyType({})
    bypasses_prompts: ClassVar[bool] = False

    def command(self, order: AgentOrder) -> tuple[str, ...]:
        if not order.flags or not order.flags[0]:
            raise InputError(
                "the agent 'command' needs a program to run, and there is none",
                advice="Give its argv, as in: --agent command -- python3 work.py",
            )
        return with_prompt(order.flags, self.secrets)

    def environment(self, order: AgentOrder) -> Mapping[str, str]:
        return {}

    def reader(self, order: AgentOrder) -> AgentReader:
        return PlainReader(self.name)
