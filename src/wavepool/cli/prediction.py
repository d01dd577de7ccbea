"""What `--dry-run` says of time and memory, for both schedules, and what that rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from wavepool.core.events import Now, Opened
from wavepool.drivers.base import DriverFacts
from wavepool.engine.clock import SystemClock
from wavepool.engine.forecast import Forecast, Grounds, forecast, grounds_of
from wavepool.engine.order import Order, opened_run
from wavepool.errors import PlanError
from wavepool.learning import Basis, History
from wavepool.learning.history import ASSUMED_S
from wavepool.listeners.wording import count
from wavepool.model import Rules, Schedule
from wavepool.plan import check_schedule
from wavepool.units import format_duration, human_size
from wavepool.wiring import RunRequest
from wavepool.wiring.learning import learned_places

NAMED_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What is expected of a plan.

    Attributes:
        chosen: the schedule that was asked for.
        forecasts: by schedule; None for one that this plan cannot have.
        grounds: what they rest on.
    """

    chosen: Schedule
    forecasts: Mapping[Schedule, Forecast | None]
    grounds: Grounds


def opening(request: RunRequest, rules: Rules, found: DriverFacts, history: History, run_id: str) -> Opened:
    """The first event of the run that `request` would be, its order learned as the run's own would be."""
    order = Order(
        plan=request.plan,
        rules=rules,
        surroundings=request.surroundings,
        places=learned_places(request, rules, history),
    )
    return opened_run(order, run_id=run_id, owner="dry-run", driver=found, clock=SystemClock())


def predict(request: RunRequest, rules: Rules, found: DriverFacts, history: History, now: Now) -> Prediction:
    """Rehearse the run under each schedule."""
    grounds = grounds_of(request.plan.tasks, request.surroundings.image, rules, history)
    forecasts: dict[Schedule, Forecast | None] = {}
    for schedule in sorted(Schedule, key=lambda each: each is not rules.schedule):
        try:
            check_schedule(request.plan, schedule)
        except PlanError:
            forecasts[schedule] = None
            continue
        opened = opening(request, replace(rules, schedule=schedule), found, history, "dry-run")
        forecasts[schedule] = forecast(opened, grounds, now)
    return Prediction(chosen=rules.schedule, forecasts=forecasts, grounds=grounds)


def prediction_json(prediction: Prediction) -> dict[str, Any]:
    """For machines: seconds and bytes; a schedule that the plan cannot have is null."""
    grounds = prediction.grounds
    return {
        "schedule": prediction.chosen.value,
        "schedules": {
            schedule.value: None if found is None else _forecast_json(found)
            for schedule, found in prediction.forecasts.items()
        },
        "history": {
            "tasks": grounds.by_basis.total(),
            **{basis.value: grounds.by_basis[basis] for basis in Basis},
            "assumed_s": ASSUMED_S,
            "without_memory": grounds.no_memory,
        },
        "expected_over_timeout": list(grounds.too_long),
    }


def prediction_lines(prediction: Prediction) -> list[str]:
    """For people: a line for each schedule, what it rests on, and what may go wrong."""
    lines = []
    for schedule, found in prediction.forecasts.items():
        start = "predicted" if schedule is prediction.chosen else f"with --schedule {schedule}"
        lines.append(f"{start}: {_told(found)}" if found else f"{start}: not possible, dependencies cross its waves")
    lines.append(f"this rests on: {_grounds_told(prediction.grounds)}")
    too_long = prediction.grounds.too_long
    if too_long:
        named = ", ".join(repr(each) for each in too_long[:NAMED_MAX]) + (", …" if len(too_long) > NAMED_MAX else "")
        lines.append(f"warning: expected to run into their timeout, which is not part of the prediction: {named}")
    return lines


def _forecast_json(found: Forecast) -> dict[str, Any]:
    return {
        "makespan_s": round(found.makespan_s, 3),
        "makespan_low_s": round(found.low_s, 3),
        "makespan_high_s": round(found.high_s, 3),
        "draws": found.draws,
        "budget_peak_bytes": found.held_bytes,
        "memory_peak_bytes": found.used_bytes,
    }


def _told(found: Forecast) -> str:
    spread = ""
    if found.draws > 1:
        spread = f" ({format_duration(found.low_s)} to {format_duration(found.high_s)} in 8 of 10 rehearsals)"
    return (
        f"{format_duration(found.makespan_s)}{spread}, at most {human_size(found.held_bytes)} of the budget held, "
        f"about {human_size(found.used_bytes)} of memory really used"
    )


def _grounds_told(grounds: Grounds) -> str:
    words = {
        Basis.TWIN: "{} that ran before",
        Basis.KIND: "{} of a kind that ran before",
        Basis.TIER: "{} without history, taken to last like others of their tier",
        Basis.NONE: f"{{}} without history, taken to last {format_duration(ASSUMED_S)}",
    }
    told = [words[basis].format(count(number, "task")) for basis in Basis if (number := grounds.by_basis[basis])]
    if grounds.no_memory:
        told.append(f"{count(grounds.no_memory, 'task')} taken to use all of their limit")
    return "; ".join(told) or "no tasks"
