"""The Codex CLI, as ``codex exec`` with its output as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from wavepool.agents.base import AgentAdapter, AgentReader
from wavepool.agents.codex_output import CodexReader
from wavepool.agents.flags import without_repeated
from wavepool.agents.starting import with_prompt
from wavepool.model import AgentOrder

_SAME = {
    "-m": "--model",
    "-s": "--dangerously-bypass-approvals-and-sandbox",
    "--sandbox": "--dangerously-bypass-approvals-and-sandbox",
    "--approve-for-me": "--dangerously-bypass-approvals-and-sandbox",
}
"""Options of users that decide what one of ours decides."""


class Codex(AgentAdapter):
    """``codex exec --json ... -``. It has no bound on turns, tells nothing of costs, and tells its tokens at its end.

    Options of the user come last, and ours that are the same (or decide the same) are left out.
    """

    name: ClassVar[str] = "codex"
    image: ClassVar[str] = "codex-orchestrator:latest"
    hosts: ClassVar[tuple[str, ...]] = ("api.openai.com",)
    secrets: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "codex_api_key": "CODEX_API_KEY",
            "openai_api_key": "CODEX_API_KEY",
            "codex_access_token": "CODEX_ACCESS_TOKEN",
        }
    )
    bypasses_prompts: ClassVar[bool] = True

    def command(self, order: AgentOrder) -> tuple[str, ...]:
        ours = ["--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
        if order.model is not None:
            ours.append(f"--model={order.model}")
        quiet = ("-c", "check_for_update_on_startup=false", "-c", "analytics.enabled=false")
        own = ("codex", "exec", *without_repeated(ours, order.flags, _SAME), *quiet, "-", *order.flags)
        return with_prompt(own, self.secrets)

    def environment(self, order: AgentOrder) -> Mapping[str, str]:
        return {"TZ": "UTC"}  # it tells when a limit ends in the time of its place

    def reader(self, order: AgentOrder) -> AgentReader:
        return CodexReader()
