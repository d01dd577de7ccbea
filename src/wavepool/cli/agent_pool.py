"""`wavepool task --pool TYPE`: a run of agents in containers that are parked already."""

from __future__ import annotations

from dataclasses import replace

import anyio

from wavepool.cli.agent_options import AgentOptions
from wavepool.cli.agent_request import AgentRequest
from wavepool.engine.control.pools import PoolDriver
from wavepool.engine.control.pools.driver import PREFIX
from wavepool.errors import InputError, SettingError
from wavepool.inputs.pools import agent_type_problem
from wavepool.model import WorkspaceKind
from wavepool.statedir import StateDir

OF_CONTAINERS = ("image", "network", "egress", "mount", "user", "memory", "cpus", "pids", "preset", "pull", "driver")
"""Options that say what a container is like, or where it is: those of a pool are there before."""


def in_pool(asked: AgentRequest, agent_type: str, shared: AgentOptions) -> AgentRequest:
    """The same, sent to the pool of an agent type. At most as many run at once as that has containers.

    Raises:
        InputError: something was asked for that a parked container cannot have.
        DriverUnavailable: there is no server.
    """
    problem = agent_type_problem(agent_type)
    if problem is not None:
        raise SettingError("--pool", agent_type, problem)
    told = [name for name in OF_CONTAINERS if getattr(shared, name) is not None]
    if told:
        raise InputError(
            f"--pool: got --{told[0]} beside it, and a parked container is what its agent type says",
            advice=f"Say it to `wavepool serve`, or leave --pool or --{told[0]} out.",
        )
    request = asked.request
    kind = request.surroundings.workspace_kind
    if kind is not WorkspaceKind.CLONE:
        raise InputError(
            f"--pool: got --workspace-kind {kind}, and nothing can be mounted into a container that is parked already",
            advice="A clone of its own is moved into it: leave --workspace-kind out. Or leave --pool out.",
        )
    driver = PoolDriver(StateDir(request.state_dir).server(), agent_type)
    places = anyio.run(driver.places)
    waves = tuple(replace(wave, parallelism=places) for wave in request.plan.waves)
    most_bytes = max(task.held().memory_bytes for task in request.plan.tasks)
    return replace(
        asked,
        request=replace(
            request,
            driver=f"{PREFIX}{agent_type}",
            budget=places * most_bytes,  # the server counts; here it is only never less than what may run
            plan=replace(request.plan, waves=waves),
            surroundings=replace(request.surroundings, egress=None),
        ),
        notices=(*asked.notices, f"in containers of agent type {agent_type}, whose image, limits and network hold"),
    )
