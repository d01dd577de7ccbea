"""What a run is made of, and whether a run that is gone on with is the one that is meant."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, fields

from wavepool.core import events
from wavepool.core.facts import RunOpened, TasksAdded
from wavepool.drivers.base import DriverFacts
from wavepool.engine.clock import Clock
from wavepool.engine.replay import Replayed
from wavepool.errors import DriverUnavailable, SettingError
from wavepool.model import Rules, SecretSource, Surroundings
from wavepool.plan import Plan

TASKS_PER_FACT = 1000
"""A plan enters the journal in pieces of this many tasks, all in one commit."""

_NAMES = {
    "ramp": "parallel",
    "max_attempts": "retries",
    "isolation": "isolate",
    "wave_timeout_s": "timeout",
    "image": "base_image",
}
"""Fields that people know by another name; `task_timeout_s` is `timeout` too."""

_NOT_COMPARED = {"nodes", "task_timeout_s", "secrets", "warm"}
"""What is free now (and what may be parked, by that), the same option again, and what every process reads anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody wants to be run: the plan, what to decide by, and what every attempt is given.

    `places`: where each task of the plan stands in the order in which they start; empty for the order of the plan.
    """

    plan: Plan
    rules: Rules
    surroundings: Surroundings
    places: tuple[int, ...] = ()


def opened_run(order: Order, *, run_id: str, owner: str, driver: DriverFacts, clock: Clock) -> events.Opened:
    """The first event of a new run: its rules and its whole plan."""
    plan = order.plan
    run = RunOpened(
        run_id=run_id,
        owner=owner,
        rules=order.rules,
        surroundings=order.surroundings,
        driver=driver.driver,
        execution_mode=driver.execution_mode,
        plan_digest=plan.digest,
        boot_id=clock.boot_id,
        at=clock.now().utc,
    )
    pieces = [slice(i, i + TASKS_PER_FACT) for i in range(0, len(plan.tasks), TASKS_PER_FACT)]
    added = [TasksAdded(waves=(), tasks=plan.tasks[piece], places=order.places[piece]) for piece in pieces]
    return events.Opened(run=run, tasks=(TasksAdded(waves=plan.waves, tasks=()), *added))


def check_same_run(
    replayed: Replayed,
    order: Order | None,
    *,
    driver: str,
    secrets: Collection[str] | None,
    notice: Callable[[str], None],
) -> None:
    """See that the run can be gone on with; what was asked for otherwise than it began is told to `notice`.

    Args:
        replayed: the run.
        order: what was asked for; None for nothing but to go on.
        driver: the name of the one that is here.
        secrets: the names of those whose values are here; None where nothing will be started.

    Raises:
        SettingError: it is of another plan, or a secret of it is missing.
        DriverUnavailable: it was started on another driver.
    """
    run = replayed.state.run
    if order is not None:
        _check_order(order, run, notice)
    if run.driver != driver:
        raise DriverUnavailable(
            f"Run {run.run_id} was started on the {run.driver} driver, and only {driver} is here.",
            advice=f"Bring {run.driver} back, or leave --run-id out for a new run.",
        )
    for source in run.surroundings.secrets:
        if secrets is not None and source.name not in secrets:
            raise SettingError("--secret", source.name, "to be given again", advice=secret_advice(source))


def secret_advice(source: SecretSource) -> str:
    """What to type where a secret's value cannot be had from where the run was told to read it."""
    place = "env:OTHER_VARIABLE" if source.kind == "env" else "file:OTHER_PATH"
    return (
        f"The run was started with it, read from {source.kind}:{source.source}, and no value of a secret is ever kept. "
        f"Bring that back, or name another place: `--secret {source.name}={place}`."
    )


def _check_order(order: Order, run: RunOpened, notice: Callable[[str], None]) -> None:
    if run.plan_digest != order.plan.digest:
        raise SettingError(
            "--run-id",
            run.run_id,
            "an id that is new, or that of a run of this very plan",
            advice="Leave --run-id out for a new run, or give the plan that this run was started with. "
            f"`wavepool resume {run.run_id}` goes on with it and needs no plan.",
        )
    differing = [
        *_differing(order.rules, run.rules),
        *(["warm"] if bool(order.rules.warm) != bool(run.rules.warm) else []),
        *_differing(order.surroundings, run.surroundings),
    ]
    if differing:
        told = ", ".join(dict.fromkeys(differing))
        notice(f"run {run.run_id} keeps what it began with; told otherwise now, and not heeded: {told}")


def _differing(asked: Rules | Surroundings, journaled: Rules | Surroundings) -> list[str]:
    names = [field.name for field in fields(asked) if field.name not in _NOT_COMPARED]
    return [
        _NAMES.get(name, name).replace("_", "-") for name in names if getattr(asked, name) != getattr(journaled, name)
    ]
