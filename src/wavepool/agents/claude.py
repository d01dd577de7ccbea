"""The Claude CLI, as ``claude -p`` with its output as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from wavepool.agents.base import AgentAdapter, AgentReader
from wavepool.agents.claude_output import ClaudeReader
from wavepool.agents.flags import value_of, without_repeated
from wavepool.agents.plain import PlainReader
from wavepool.agents.starting import with_prompt
from wavepool.model import AgentOrder

RETRIES_MAX = 10
"""Calls to the model are repeated so many times, with growing pauses: about three minutes. The CLI takes 15 at most."""

_SAME = {"-p": "--print", "--permission-mode": "--dangerously-skip-permissions"}
"""Options of users that decide what one of ours decides."""


class Claude(AgentAdapter):
    """``claude -p --dangerously-skip-permissions --verbose --max-turns=N --output-format=stream-json``.

    Options of the user come last, and ours that are the same (or decide the same) are left out.
    """

    name: ClassVar[str] = "claude"
    image: ClassVar[str] = "claude-orchestrator:latest"
    hosts: ClassVar[tuple[str, ...]] = ("api.anthropic.com",)
    secrets: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "anthropic_api_key": "ANTHROPIC_API_KEY",
            "anthropic_auth_token": "ANTHROPIC_AUTH_TOKEN",
            "claude_code_oauth_token": "CLAUDE_CODE_OAUTH_TOKEN",
        }
    )
    bypasses_prompts: ClassVar[bool] = True

    def command(self, order: AgentOrder) -> tuple[str, ...]:
        ours = ["--print", "--dangerously-skip-permissions", "--verbose"]
        if order.max_turns is not None:
            ours.append(f"--max-turns={order.max_turns}")
        if order.model is not None:
            ours.append(f"--model={order.model}")
        if order.max_cost_usd is not None:
            ours.append(f"--max-budget-usd={order.max_cost_usd:.6f}")
        ours.append(f"--output-format={order.output_format}")
        kept = without_repeated(ours, order.flags, _SAME)
        short = ("-p" if argument == "--print" else argument for argument in kept)
        return with_prompt(("claude", *short, *order.flags), self.secrets)

    def environment(self, order: AgentOrder) -> Mapping[str, str]:
        return {
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": str(RETRIES_MAX),
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "DISABLE_TELEMETRY": "1",
        }

    def reader(self, order: AgentOrder) -> AgentReader:
        if value_of("--output-format", order.flags) == "text":
            return PlainReader(self.name)
        return ClaudeReader()
