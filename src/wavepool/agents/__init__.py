"""Coding agents: one file for each, saying how it is called and what its output means."""

from wavepool.agents.base import AgentAdapter, AgentReader
from wavepool.agents.jsonlines import JsonLinesReader
from wavepool.agents.plain import PlainReader
from wavepool.agents.registry import ADAPTERS, GROUP, adapter, argv, names
from wavepool.agents.starting import with_prompt

__all__ = [
    "ADAPTERS",
    "GROUP",
    "AgentAdapter",
    "AgentReader",
    "JsonLinesReader",
    "PlainReader",
    "adapter",
    "argv",
    "names",
    "with_prompt",
]
