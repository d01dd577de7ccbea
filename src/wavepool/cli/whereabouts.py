"""Where tasks would work, and what their agents could reach: said by a rehearsal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from wavepool.agents import adapter
from wavepool.drivers.base import DriverFacts
from wavepool.engine.session import BARE_HOST
from wavepool.listeners.wording import printable
from wavepool.model import Isolation, WorkspaceKind
from wavepool.wiring import RunRequest
from wavepool.workspace.repository import Repository


def whereabouts(request: RunRequest, found: DriverFacts) -> dict[str, Any]:
    """As JSON: directory, kind and commit of the workspaces; with agents the hosts that they reach, None for no bounds.

    Raises:
        InputError: the kind needs a repository with a commit, and there is none.
    """
    around, agents = request.surroundings, _agents(request)
    workspace: dict[str, Any] = {"path": around.workspace, "kind": around.workspace_kind.value, "base": None}
    if around.workspace_kind is not WorkspaceKind.SHARED:
        workspace["base"] = Repository.at(Path(around.workspace)).head()
    reached: dict[str, Any] = {"workspace": workspace}
    if agents:
        reached["agents_reach"] = _reach(request, found, agents)
    return reached


def whereabouts_lines(told: Mapping[str, Any]) -> Iterator[str]:
    """For a person; nothing of a plain run that works in its workspace itself."""
    place = told["workspace"]
    kind, path = place["kind"], printable(place["path"])
    if place["base"] is not None:
        yield f"each task works in a {kind} of its own of {path}, from the commit {place['base'][:12]}"
    elif "agents_reach" in told:
        yield f"all tasks work in {path} itself"
    if "agents_reach" not in told:
        return
    hosts = told["agents_reach"]
    if hosts is None:
        yield "agents are not sealed off: they reach whatever their network does"
    elif not hosts:
        yield "agents reach nothing: they have no network"
    else:
        yield "agents are sealed off: " + "; ".join(f"{name} reaches {_some(each)}" for name, each in hosts.items())


def _some(hosts: list[str]) -> str:
    return ", ".join(hosts) or "nothing"


def _agents(request: RunRequest) -> list[str]:
    return list(dict.fromkeys(task.agent.name for task in request.plan.tasks if task.agent is not None))


def _reach(request: RunRequest, found: DriverFacts, agents: list[str]) -> dict[str, list[str]] | None:
    if found.execution_mode == BARE_HOST:
        return None
    egress = request.surroundings.egress
    if egress is not None:
        return {name: list(dict.fromkeys((*adapter(name).hosts, *egress))) for name in agents}
    return {} if request.rules.isolation is Isolation.NONE else None
