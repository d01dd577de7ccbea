"""Work for agents: ``/api/tasks``."""

from __future__ import annotations

from dataclasses import replace

from fastapi import Response

from wavepool.errors import InputError
from wavepool.web.api.agent_order import AgentOrder
from wavepool.web.api.documents import RunAnswer, run_answer
from wavepool.web.api.errors import answers
from wavepool.web.api.launch_order import as_path, directory_of
from wavepool.web.api.routes import Serving, routes
from wavepool.web.launching import PLACE, LaunchOrder

router = routes("runs")


@router.post("/tasks", status_code=201, responses=answers(400, 409, 502, 503))
async def start(serving: Serving, order: AgentOrder, response: Response) -> RunAnswer:
    """Have agents work on prompts or on a task list, as `wavepool task` and `wavepool tasks` do: a run, in a process of
    its own, as of `POST /api/runs`."""
    _check(order)
    started = await serving.launches.start(_launch(order))
    response.headers["Location"] = f"/api/runs/{started['run_id']}"
    return run_answer(started["run_id"], started)


def _check(order: AgentOrder) -> None:
    """Raises InputError."""
    kinds = {"prompts": order.prompts, "task_list": order.task_list, "task_file": order.task_file}
    given = [name for name, value in kinds.items() if value is not None]
    if len(given) != 1:
        was = " and ".join(given) or "none"
        raise InputError(
            f"agents work on one of `prompts`, `task_list` and `task_file`, and were given {was}",
            advice='As in {"prompts": ["Fix the flaky test"], "options": {"repo": "/home/me/project"}}.',
        )
    if order.prompts is None and not (order.agents is None and order.pool is None and order.name is None):
        raise InputError(
            "`agents`, `pool` and `name` are for prompts",
            advice="A task list says for each of its tasks what it needs.",
        )


def _launch(order: AgentOrder) -> LaunchOrder:
    launch = LaunchOrder(
        verb="tasks",
        words=["-" if order.task_file is None else as_path(order.task_file)],
        given=(order.task_list or "").encode("utf-8", "surrogatepass"),
        further=order.flags,
        options=order.options.given(),
        secrets=order.secrets,
        directory=directory_of(order.directory),
    )
    if order.prompts is None:
        return launch
    told = {"agents": order.agents, "pool": order.pool, "name": order.name}
    return replace(
        launch,
        verb="task",
        words=[word for _ in order.prompts for word in ("--prompt-file", PLACE)],
        files=[prompt.encode("utf-8", "surrogatepass") for prompt in order.prompts],
        options={**launch.options, **{name: value for name, value in told.items() if value is not None}},
    )
