"""From the settings of agents to what `run_plan` is asked for, with the agents' images and keys in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import anyio

from wavepool.agents import AgentAdapter, adapter, argv
from wavepool.cli.request import RawOptions, build_request, read_variables
from wavepool.config import Settings
from wavepool.errors import InputError
from wavepool.inputs import check_workspace, parse_secrets
from wavepool.inputs.egress import ANY, NO_NETWORK
from wavepool.model import Isolation, Schedule, Task, WorkspaceKind
from wavepool.plan import Plan
from wavepool.wiring import RunRequest
from wavepool.wiring.engines import docker_is_there


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRequest:
    """What is to be run, and what is to be said of it before."""

    request: RunRequest
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Furnished:
    """A plan and options with what agents need; and what is to be said of it."""

    plan: Plan
    raw: RawOptions
    notices: tuple[str, ...] = ()


def build_agent_request(settings: Settings, plan: Plan, raw: RawOptions, *, no_key: bool) -> AgentRequest:
    """All of it, checked.

    Args:
        no_key: a missing key is told, and no reason to refuse.

    Raises:
        InputError: an agent that there is not or that cannot work like that, a missing key, or as `build_request`.
    """
    ready = furnish(plan, settings, raw, no_key=no_key)
    request = build_request(as_run_settings(settings), ready.plan, ready.raw)
    return AgentRequest(request=request, notices=ready.notices)


def furnish(plan: Plan, settings: Settings, raw: RawOptions, *, no_key: bool) -> Furnished:
    """The plan with images for its agents, and the options with their keys. Nothing changes where it has no agents.

    In a wave plan a base image that somebody named holds for agents too.

    Raises:
        InputError: as `build_agent_request`.
    """
    agents = check_agents(plan, usual=settings.agent)
    if not agents:
        return Furnished(plan=plan, raw=raw)
    keys, said = _keys(agents.values(), raw, tolerant=lambda: no_key or _on_this_host(settings))
    return Furnished(
        plan=with_images(plan, settings.agent_image or _named_base(plan, settings)),
        raw=replace(raw, secrets=(*raw.secrets, *keys)),
        notices=tuple(said),
    )


def as_run_settings(settings: Settings) -> Settings:
    """The same as `wavepool run` would have them: its words for what has words of its own here.

    Raises:
        InputError: what they shall work on is no directory, or none that may be mounted; or two contradict each other.
    """
    no_network = settings.agent_network == NO_NETWORK
    if settings.agent_network is not None and settings.egress and (no_network or settings.egress != (ANY,)):
        raise InputError(
            f"--egress {settings.egress[0]} and --network {settings.agent_network} contradict each other",
            advice="--egress adds hosts to those that sealed agents reach; with --network they are not sealed: "
            "give one of the two.",
        )
    given: dict[str, object] = {
        "schedule": Schedule.ROLLING,
        "keep_going": True,
        "monitor_timeout": settings.agent_timeout,
        "workspace": check_workspace(settings.repo or Path.cwd(), option="--repo"),
        "workspace_kind": settings.workspace_kind or WorkspaceKind.CLONE,
        "isolate": Isolation.NONE if no_network else Isolation.SHARED,
    }
    if settings.agent_network is not None:
        given["egress"] = ("any",)
        if not no_network:
            given["network"] = settings.agent_network
    return settings.model_copy(update=given)


def check_agents(plan: Plan, *, usual: str | None = None) -> Mapping[str, AgentAdapter]:
    """The adapters of all agents in a plan, by name.

    Args:
        usual: the agent of tasks that name none, which an option told.

    Raises:
        InputError: there is none of that name, or it cannot work as it is told to.
    """
    found: dict[str, AgentAdapter] = {}
    for path, task in plan.paths():
        if task.agent is None:
            continue
        try:
            found[task.agent.name] = found.get(task.agent.name) or adapter(task.agent.name)
            argv(task)
        except InputError as error:
            where = f"{path}.agent" if task.agent.name != usual or not plan.flat else "--agent"
            raise InputError(f"{where}: {error.message}", advice=error.advice) from None
    return found


def with_images(plan: Plan, image: str | None) -> Plan:
    """The plan where each task with an agent has an image: its own, `image`, or the one of its agent's adapter."""
    return replace(plan, tasks=tuple(_with_image(task, image) for task in plan.tasks))


def _named_base(plan: Plan, settings: Settings) -> str | None:
    return settings.base_image if not plan.flat and "base_image" in settings.model_fields_set else None


def _with_image(task: Task, image: str | None) -> Task:
    if task.agent is None or task.image is not None:
        return task
    return replace(task, image=image or adapter(task.agent.name).image)


def _keys(
    agents: Iterable[AgentAdapter], raw: RawOptions, *, tolerant: Callable[[], bool]
) -> tuple[list[str], list[str]]:
    """(secrets as `--secret` has them for the keys that nobody named, what is to be said of keys)."""
    given = {source.name for source in parse_secrets(raw.secrets)}
    variables = read_variables(raw)
    keys: list[str] = []
    said: list[str] = []
    for each in agents:
        if not each.secrets or given & {*each.secrets, *each.key_variables}:
            continue
        if any(variable in variables for variable in each.secrets.values()):
            continue
        variable = next((variable for variable in each.key_variables if os.environ.get(variable)), None)
        if variable is None:
            said.append(_missing(each, tolerant=tolerant()))
        else:
            name = each.key_variables[variable]
            keys.append(f"{name}=env:{variable}")
            given.add(name)
            said.append(f"{each.name} gets its key from {variable}, as the secret {name}")
    return keys, said


def _on_this_host(settings: Settings) -> bool:
    """Whether agents will work on this host itself, where they may have a login of their own."""
    if not settings.allow_host or settings.driver == "docker":
        return False
    return settings.driver == "process" or not anyio.run(docker_is_there)


def _missing(agent: AgentAdapter, *, tolerant: bool) -> str:
    name = next(iter(agent.secrets))
    variable, *others = agent.key_variables
    nor = f" (nor {', '.join(others)})" if others else ""
    what = f"{variable} is not set{nor}, so {agent.name} gets no key"
    if tolerant:
        return f"warning: {what}"
    raise InputError(
        what,
        advice=f"Set it, name the place of one (`--secret {name}=file:PATH`), or go on without one: --no-key.",
    )
