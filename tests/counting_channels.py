"""Channels of tests: documents that change when a test says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio.lowlevel

from wavepool.errors import InputError
from wavepool.monitoring.channels import Channel, merge_patch


class Counting(Channel):
    """A document with one number; counts how often it is asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.told: dict[str, Any] = {"n": 0}
        self.now: dict[str, Any] = {"n": 0}
        self.asked = 0

    def take_patch(self) -> Mapping[str, Any] | None:
        patch = merge_patch(self.told, self.now)
        self.told = dict(self.now)
        return patch or None

    def document(self) -> Mapping[str, Any]:
        self.asked += 1
        return self.told


class Source:
    """Of channels, as the monitor is."""

    def __init__(self) -> None:
        self.overview = Counting("overview")
        self.runs: dict[str, Counting] = {}
        self.opened: list[str] = []

    async def open_run(self, run_id: str) -> Channel:
        await anyio.lowlevel.checkpoint()
        if run_id == "unknown":
            raise InputError("there is no run 'unknown'")
        self.opened.append(f"+{run_id}")
        return self.runs.setdefault(run_id, Counting(f"run:{run_id}"))

    def close_run(self, run_id: str) -> None:
        self.opened.append(f"-{run_id}")
