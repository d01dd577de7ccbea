"""A task whose container is ready: told to it, or, where it is reused, run in it to the end."""

from __future__ import annotations

from dataclasses import replace

import anyio
import structlog

from wavepool.drivers.base import Driver
from wavepool.drivers.parking import ReusableContainer, SupportsParking
from wavepool.engine.pools.calm import Calm
from wavepool.engine.pools.orders import Order
from wavepool.engine.pools.output import Output
from wavepool.engine.pools.progress import Progress
from wavepool.engine.pools.results import Where
from wavepool.engine.pools.stopping import stop
from wavepool.engine.pools.verdicts import executed, killed, lost
from wavepool.errors import DriverUnavailable, InfrastructureError, InputError, NotClaimed
from wavepool.model import Ending, StopReason

REUSED_END_S = 3.0
"""How long the ending of a reused container is waited for that died under its task: it says what killed it."""

_log = structlog.get_logger(__name__)


async def claim(driver: Driver, calm: Calm, progress: Progress, order: Order) -> Ending | None:
    """Tell a parked container its task. An ending where nobody can know whether it runs.

    Raises:
        NotClaimed: it is certain that nothing ran in this container, and nothing will.
        InputError: it cannot be told; nothing was sent.
    """
    container = progress.container
    assert isinstance(driver, SupportsParking), "it was parked"
    assert container.handle is not None, "it was parked"
    progress.may_run = True
    try:
        with calm.claiming():
            await driver.claim(container.handle, replace(order.claim, limits=order.limits))
    except (NotClaimed, InputError):
        progress.never_ran()
        raise
    except InfrastructureError as error:
        if not await _is_proven(driver, progress, error):
            return lost(f"whether it ran could not be known: {error.message}")
    if order.limits is not None:
        progress.where = Where.RESIZED
    progress.runs()
    return None


async def _is_proven(driver: SupportsParking, progress: Progress, error: InfrastructureError) -> bool:
    """After a claim of unknown effect: True where its mark is there, so that it has run once and has an ending.

    Raises:
        NotClaimed: nothing was sent to an engine that is not there, and the container is stopped for sure.
    """
    container = progress.container
    if driver.claimed_at(container.spec.slot) is not None:
        return True
    assert isinstance(driver, Driver)
    is_stopped = await stop(driver, container, 0.0)
    if driver.claimed_at(container.spec.slot) is not None:
        return True
    if is_stopped and isinstance(error, DriverUnavailable):
        progress.never_ran()
        raise NotClaimed(f"{container.spec.name}: its engine was away at its claim") from error
    return False


async def run_reused(reusable: ReusableContainer, progress: Progress, order: Order, bound_s: float | None) -> Ending:
    """Run a task in a container that is reused, to its end. Raises as `claim`."""
    container, execution = progress.container, None
    container.output = Output(container.output.stdout.limit_bytes)
    progress.listen(order.on_output)
    progress.may_run = True
    try:
        with progress.interruptible(), anyio.move_on_after(bound_s) as bound:
            async with container.turn:
                progress.runs()
                execution = await reusable.execute(order.claim, container.output.take)
    except (NotClaimed, InputError):
        progress.never_ran()
        raise
    except InfrastructureError as error:
        with anyio.move_on_after(REUSED_END_S):
            await container.ended.wait()
        return container.ending or lost(f"its container ended under it: {error.message}")
    if execution is None:
        if bound.cancelled_caught and progress.stopped is None:
            progress.stopped = StopReason.TIMEOUT
        return killed()
    progress.stopped, progress.may_run, progress.returned = None, False, execution.clean
    if not execution.clean:
        _log.warning("a reused container is replaced", name=container.spec.name, problem=execution.problem)
    return executed(execution)
