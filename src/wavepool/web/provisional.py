"""What is shown until `wavepool.monitoring.Monitor` is there: nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from wavepool.errors import InputError
from wavepool.monitoring.channels import Channel
from wavepool.statedir import StateDir


class _Empty(Channel):
    name = "overview"

    def take_patch(self) -> Mapping[str, Any] | None:
        return None

    def document(self) -> Mapping[str, Any]:
        counts = dict.fromkeys(("total", "pending", "starting", "running", "succeeded", "failed", "skipped"), 0)
        figures = {"live_runs": 0, "tasks": counts, "held_bytes": 0, "budget_bytes": 0, "containers": 0}
        return {
            "as_of": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "figures": {**figures, "spent_usd": 0.0, "tokens": 0},
            "runs": {},
            "pools": {},
            "workspaces": {},
            "processes": {},
            "problems": {},
        }


class Monitor:
    """Of the shape of the real one."""

    def __init__(self, state_dir: StateDir) -> None:
        self.overview: Channel = _Empty()

    async def __aenter__(self) -> Monitor:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held."""

    async def open_run(self, run_id: str) -> Channel:
        """Raises InputError."""
        raise InputError(f"no run {run_id}")

    def close_run(self, run_id: str) -> None:
        """Nothing is open."""
