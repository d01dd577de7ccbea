"""What options are about: one heading for each, which the help and the page's forms have in common."""

from __future__ import annotations

from collections.abc import Mapping

PANELS: Mapping[str, tuple[str, ...]] = {
    "Where tasks run": ("base_image", "image", "workspace", "repo", "workspace_kind", "driver", "pull", "user", "pool"),
    "What they are given": ("environment", "env_file", "secret", "mount", "name"),
    "Network": ("network", "isolate", "egress"),
    "How much at once": ("budget", "parallel", "schedule", "start_order", "warm", "agents"),
    "Limits and watchdog": (
        "memory",
        "cpus",
        "pids",
        "lifetime",
        "preset",
        "watch_pids",
        "watch_memory",
        "watch_lifetime",
        "watch_progress",
    ),
    "How long, and what when it fails": ("timeout", "retries", "retry_on", "keep_going", "keep_failed"),
    "Agents": (
        "agent",
        "model",
        "max_turns",
        "account",
        "max_cost",
        "max_tokens",
        "run_max_cost",
        "run_max_tokens",
        "allow_host",
        "no_key",
    ),
    "The run itself": ("run_id", "poll_interval", "cache"),
}
"""Options by the names of their parameters."""


def place_of(panel: str) -> int:
    """Where the options of this heading stand among all; those without one come first."""
    return list(PANELS).index(panel) if panel in PANELS else -1


def panel_of(name: str) -> str:
    """The heading of an option; empty where it has none."""
    return next((panel for panel, names in PANELS.items() if name in names), "")
