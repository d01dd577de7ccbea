"""How many containers a run may keep parked: what was asked for, on the driver that is here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from wavepool.drivers.base import Driver, DriverFacts
from wavepool.drivers.parking import SupportsParking
from wavepool.errors import SettingError
from wavepool.model import Rules
from wavepool.plan import check_budget, warm_places
from wavepool.units import human_size
from wavepool.wiring.requests import RunRequest


def with_warmth(
    request: RunRequest, rules: Rules, driver: Driver, found: DriverFacts, notice: Callable[[str], None]
) -> Rules:
    """The rules with the number of containers that may be parked; their nodes have the budget.

    Where nothing can be parked `notice` is told why, and nothing of the budget is kept for it.

    Raises:
        SettingError: so many would leave nothing of the budget.
        PlanError: a batch does not fit into what they leave.
    """
    if request.warm == 0:
        return rules
    why_not = _why_not(rules, driver, found)
    if why_not:
        notice(f"--warm has no effect: {why_not}")
        return replace(rules, warm=0)
    [node] = rules.nodes
    if request.warm == "auto":
        places = warm_places(request.plan, node, rules.schedule, rules.parked_bytes)
        if not places and request.plan.tasks:
            notice("--warm has no effect: the largest batch needs the whole budget, and nothing can be kept beside it")
        return replace(rules, warm=places)
    warm = min(request.warm, len(request.plan.tasks))  # more would only keep room that nothing needs
    if warm * rules.parked_bytes >= node.capacity.memory_bytes:
        most = max(0, node.capacity.memory_bytes // rules.parked_bytes - 1)
        each, budget = human_size(rules.parked_bytes), human_size(node.capacity.memory_bytes)
        raise SettingError("--warm", request.warm, f"at most {most}, as each takes {each} of the budget of {budget}")
    rules = replace(rules, warm=warm)
    check_budget(request.plan, rules)
    return rules


def _why_not(rules: Rules, driver: Driver, found: DriverFacts) -> str:
    if not isinstance(driver, SupportsParking):
        return f"the {driver.name} driver starts everything cold"
    if found.remote:
        return "the Docker daemon is not on this host"
    if len(rules.nodes) != 1:
        return "on several nodes everything starts cold"
    return ""
