"""The document of what all runs share, and its changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from wavepool.engine.clock import Clock
from wavepool.monitoring.channels import Channel, merge_patch
from wavepool.monitoring.documents.overview import Figures, HostHistory, Overview
from wavepool.monitoring.documents.runs import RunLine
from wavepool.monitoring.runs.entries import iso
from wavepool.monitoring.runs.lines import NO_TASKS
from wavepool.monitoring.wellformed import well_formed

RUNS_SHOWN = 50
"""Runs in the overview: all that are live, and the newest others; more only where more are live."""

OPTIONAL = frozenset({"host", "pool_server"})
"""Members that are left out where there is nothing."""

MEMBERS = ("pools", "workspaces", "processes")


class OverviewChannel(Channel):
    """Others put in what they have found; a patch is made of what differs from what was told.

    Args:
        clock: of this host.
        history: asked for that of the host, which only whole documents have.
    """

    name = "overview"

    def __init__(self, clock: Clock, history: Callable[[], HostHistory]) -> None:
        self._clock = clock
        self._history = history
        self._members: dict[str, Any] = {name: {} for name in MEMBERS}
        self._problems: dict[str, str] = {}
        self._runs: dict[str, RunLine] = {}
        self._left_out = 0
        self._changed = True
        self._told: dict[str, Any] = {}
        self.take_patch()

    def put(self, name: str, value: Mapping[str, Any]) -> None:
        """A source has read its member. An odd name in it, as any process can give itself, must not hide the rest."""
        value = well_formed(value)
        self._problems.pop(name, None)
        if value or name not in OPTIONAL:
            self._members[name] = value
        else:
            self._members.pop(name, None)
        self._changed = True

    def put_problem(self, name: str, problem: str | None) -> None:
        """A source could not read its member (None: it can again)."""
        if problem is None:
            self._changed |= self._problems.pop(name, None) is not None
        elif self._problems.get(name) != well_formed(problem):
            self._problems[name] = well_formed(problem)
            self._changed = True

    def put_runs(self, runs: dict[str, RunLine], left_out: int) -> None:
        """The runs that are shown, newest first, and how many are not."""
        self._runs, self._left_out, self._changed = runs, left_out, True

    def take_patch(self) -> Mapping[str, Any] | None:
        if not self._changed:
            return None
        self._changed = False
        new = self._now()
        patch = merge_patch({name: value for name, value in self._told.items() if name != "as_of"}, new)
        if not patch:
            return None
        patch["as_of"] = new["as_of"] = iso(self._clock.now().utc)
        self._told = new
        return patch

    def document(self) -> Overview:
        history = self._history()
        return cast(Overview, {**self._told, "history": history} if history["at"] else dict(self._told))

    def _now(self) -> dict[str, Any]:
        found = {
            **self._members,
            "figures": figures_of(self._runs),
            "runs": self._runs,
            "problems": dict(self._problems),
        }
        if self._left_out:
            found["runs_left_out"] = self._left_out
        return found


def figures_of(runs: Mapping[str, RunLine]) -> Figures:
    """The sums of all runs that are live."""
    live = [line for line in runs.values() if line["state"] == "live"]
    counts = [cast(Mapping[str, int], line["tasks"]) for line in live]
    tasks = {name: sum(each[name] for each in counts) for name in NO_TASKS}
    return {
        "live_runs": len(live),
        "tasks": cast(Any, tasks),
        "held_bytes": sum(line.get("held_bytes", 0) for line in live),
        "budget_bytes": sum(line.get("budget_bytes", 0) for line in live),
        "spent_usd": round(sum(line.get("spent_usd", 0.0) for line in live), 6),
        "tokens": sum(line.get("tokens", 0) for line in live),
        "containers": tasks["starting"] + tasks["running"],
    }
