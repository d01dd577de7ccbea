"""Calls that are repeated while their outcome is not known: a stop, above all."""

from __future__ import annotations

import anyio
import structlog

from wavepool.drivers.base import Driver
from wavepool.engine.pools.containers import Container
from wavepool.errors import InfrastructureError

TRIES = 5
FIRST_PAUSE_S = 0.5
"""How often a call is repeated whose outcome is not known, or that found no engine; the pauses double."""

_log = structlog.get_logger(__name__)


async def stop(driver: Driver, container: Container, grace_s: float) -> bool:
    """True where it is certain that it does not run any more, and never will."""
    for pause_s in pauses():
        try:
            await driver.stop(container.handle_or_name(driver.name), grace_s)
        except InfrastructureError as error:
            _log.warning("a stop is not known", name=container.spec.name, problem=str(error))
            await anyio.sleep(pause_s)
        else:
            return True
    return False


def pauses() -> list[float]:
    """Between the tries, in seconds."""
    return [FIRST_PAUSE_S * 2**turn for turn in range(TRIES)]
