"""What callers hand in: what is to be run or gone on with, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from wavepool.budget import Budget
from wavepool.drivers.base import PullProgress
from wavepool.engine.listener import Listener
from wavepool.model import Rules, Surroundings
from wavepool.plan import Plan, Warm
from wavepool.statedir import RunDir

StartOrder = Literal["learned", "plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """Everything that `wavepool run` was asked for, checked.

    Attributes:
        plan: what to run.
        rules: what to decide by; its nodes are replaced by the budget's.
        surroundings: what every attempt gets.
        secrets: name -> value.
        driver: ``auto``, ``docker`` or ``process``.
        budget: ``auto`` or bytes.
        budget_cpus: CPU limits of tasks are set aside for them, as memory is; False: they are limits alone.
        warm: how many containers may be parked ahead at once: a number, ``auto``, or 0; replaces that of the rules.
        allow_host: agents that do what they like without asking may do so on the bare host (process driver).
        run_id: None for a new one. An existing run is gone on with.
        state_dir: where journals, logs and locks live.
        signals: the run owns SIGINT and SIGTERM (main thread only).
        learn: what its attempts took is kept, and orders later runs.
        start_order: ``learned``: under rolling what is expected to last longest starts first; or ``plan``.
        reconcile_s: how often the driver lists what there is, in case it was not told.
    """

    plan: Plan
    rules: Rules
    surroundings: Surroundings
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    driver: str = "auto"
    budget: Budget = "auto"
    budget_cpus: bool = True
    warm: Warm = 0
    allow_host: bool = False
    run_id: str | None = None
    state_dir: Path
    signals: bool = False
    reconcile_s: float = 5.0
    learn: bool = True
    start_order: StartOrder = "learned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Who is told what.

    Attributes:
        listeners: get the facts, from the first one on.
        notice: gets sentences for a person.
        pulling: gets the progress of image pulls.
        held: called with the run's directory when this process holds the run, and others can look at it.
    """

    listeners: Sequence[Listener] = ()
    notice: Callable[[str], None] = lambda text: None
    pulling: PullProgress | None = None
    held: Callable[[RunDir], None] = lambda files: None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoingOn:
    """How a run is gone on with.

    Attributes:
        hooks: who is told what; listeners are told the facts from the first one on.
        secrets: name -> value, for those that are not to be read again from where the journal says.
        environ: where to read the others; None for this process's environment.
        signals: the run owns SIGINT and SIGTERM (main thread only).
        learn: what its attempts took is kept.
    """

    hooks: Hooks = field(default_factory=Hooks)
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    environ: Mapping[str, str] | None = field(default=None, repr=False)
    signals: bool = False
    learn: bool = True
