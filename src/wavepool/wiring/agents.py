"""What a run with agents needs before it begins: its adapters, its workspaces, and that no agent is let loose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from wavepool.agents import AgentAdapter, adapter
from wavepool.drivers.base import DriverFacts
from wavepool.engine.attempts.egress import EGRESS, sealed_sidecar
from wavepool.engine.control.pools.driver import PREFIX as POOL_PREFIX
from wavepool.engine.session import BARE_HOST
from wavepool.errors import DriverUnavailable, InputError, PlanError, Words
from wavepool.model import AgentOrder, Rules, Surroundings, Task, WorkspaceKind
from wavepool.plan import Plan
from wavepool.statedir import RunDir
from wavepool.wiring.requests import RunRequest
from wavepool.workspace import LateClones, Workspaces, open_workspaces, refuse_roots_own


def adapters_of(tasks: Iterable[Task]) -> Mapping[str, AgentAdapter]:
    """The adapters of all agents that these tasks have, by name.

    Raises:
        InputError: there is none of a name; or the package that brings it cannot be used.
    """
    return {name: adapter(name) for name in dict.fromkeys(task.agent.name for task in tasks if task.agent is not None)}


def check_agents(plan: Plan) -> Mapping[str, AgentAdapter]:
    """The adapters of a plan, each of whose orders can be carried out.

    Raises:
        InputError: one cannot; the message begins with the path of its batch.
    """
    found: dict[str, AgentAdapter] = {}
    seen: set[tuple[AgentOrder, bool]] = set()
    for path, task in plan.paths():
        if task.agent is None or (task.agent, _runs_itself(task)) in seen:
            continue
        seen.add((task.agent, _runs_itself(task)))
        try:
            found[task.agent.name] = adapter(task.agent.name)
            if _runs_itself(task):
                found[task.agent.name].command(task.agent)
        except InputError as error:
            raise InputError(f"{path}.agent: {error.message}", advice=error.advice) from None
    return found


def bounded_plan(plan: Plan, rules: Rules) -> Plan:
    """The plan where no agent may use up more than the whole run may.

    Many an agent tells what it has cost at its end only, and keeps a bound of its own until then.
    """
    if rules.max_cost_usd is None and rules.max_tokens is None:
        return plan

    def bounded(task: Task) -> Task:
        order = task.agent
        if order is None:
            return task
        cost_usd = min((each for each in (order.max_cost_usd, rules.max_cost_usd) if each is not None), default=None)
        tokens = min((each for each in (order.max_tokens, rules.max_tokens) if each is not None), default=None)
        return replace(task, agent=replace(order, max_cost_usd=cost_usd, max_tokens=tokens))

    return replace(plan, tasks=tuple(bounded(task) for task in plan.tasks))


def refuse_loose_agents(plan: Plan, *, allow_host: bool, instead_of: DriverUnavailable | None = None) -> None:
    """See that no agent that asks nobody gets the bare host, unless the user allowed that.

    Args:
        instead_of: why Docker is not there, where processes would stand in for it.

    Raises:
        DriverUnavailable: they would stand in.
        InputError: they were asked for.
    """
    if allow_host:
        return
    for path, task in plan.paths():
        if task.agent is None or not _runs_itself(task) or not adapter(task.agent.name).bypasses_prompts:
            continue
        loose = f"{path} has the agent {task.agent.name}, which does what it likes without asking"
        allow = "--allow-host lets it work on this host itself, with all that you may do here."
        if instead_of is None:
            raise InputError(f"{loose}; --driver process gives it this host", advice=f"Use --driver docker. {allow}")
        raise DriverUnavailable(
            f"{instead_of.message.rstrip('.')}. Processes cannot stand in: {loose}.",
            advice=f"{instead_of.advice}\n{allow}".strip(),
        ) from instead_of


def sealed_plan(plan: Plan, egress: tuple[str, ...], adapters: Mapping[str, AgentAdapter]) -> Plan:
    """The plan where each task with an agent has a proxy beside it, its only way out.

    Args:
        egress: hosts that all of them may reach beside those that their agents need to work at all.

    Raises:
        PlanError: a task has a sidecar of that name already.
    """
    proxies = {name: sealed_sidecar((*each.hosts, *egress)) for name, each in adapters.items()}
    tasks: list[Task] = []
    for path, task in plan.paths():
        if task.agent is None:
            tasks.append(task)
            continue
        if any(each.name == EGRESS for each in task.sidecars):
            raise PlanError(f"{path}.sidecars.{EGRESS}", Words("a sidecar"), "another name: the agent's proxy has it")
        tasks.append(replace(task, sidecars=(*task.sidecars, proxies[task.agent.name])))
    return replace(plan, tasks=tuple(tasks))


def sealed_request(
    request: RunRequest,
    found: DriverFacts,
    adapters: Mapping[str, AgentAdapter],
    notice: Callable[[str], None],
) -> RunRequest:
    """What was asked for, with agents sealed off as their surroundings say; on the bare host nothing can be."""
    egress = request.surroundings.egress
    if egress is None or not adapters:
        return request
    if found.execution_mode == BARE_HOST:
        notice("agents on the bare host are not sealed off: they reach whatever this host does")
        return request
    return replace(request, plan=sealed_plan(request.plan, egress, adapters))


def _runs_itself(task: Task) -> bool:
    """False where the task has a command of its own, and its agent's adapter only reads what that writes."""
    return task.command is None and not task.commands


def refuse_work_as_root(plan: Plan, around: Surroundings, found: DriverFacts) -> None:
    """See that no agent would have to work as root in a directory that it shares.

    Raises:
        InputError: one would.
        WorkspaceError: the directory cannot be looked at.
    """
    if around.workspace_kind is WorkspaceKind.SHARED and found.execution_mode != BARE_HOST:
        refuse_roots_own(plan.tasks, Path(around.workspace))


def workspaces_of(around: Surroundings, files: RunDir, found: DriverFacts, notice: Callable[[str], None]) -> Workspaces:
    """The workspaces of a run, of the kind that its surroundings say.

    Raises:
        InputError: a container that was there before it can have none of that kind.
    """
    if found.driver.startswith(POOL_PREFIX):
        if around.workspace_kind is not WorkspaceKind.CLONE:
            raise InputError(
                f"--workspace-kind {around.workspace_kind}: nothing can be mounted into a container that is parked "
                "already, only a clone of its own can be moved into it",
                advice="Use `--workspace-kind clone`, or leave --pool out.",
            )
        return LateClones(Path(around.workspace), files=files, run_id=files.id, notice=notice)
    return open_workspaces(
        around.workspace_kind,
        workspace=Path(around.workspace),
        files=files,
        run_id=files.id,
        contained=found.execution_mode != BARE_HOST,
        notice=notice,
    )
