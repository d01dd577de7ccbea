"""The networks of waves, where a run isolates its waves."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import structlog

from wavepool.drivers.base import Driver, Needs, NetworkNeed, Scope
from wavepool.engine.attempts.spec import SpecBuilder
from wavepool.errors import InfrastructureError
from wavepool.model import Isolation

_log = structlog.get_logger(__name__)


class WaveNetworks:
    """Makes the network of a wave, whoever needs it first, and removes it with the wave.

    One is made or removed at a time: two calls that both found it missing would make two of one name, and a removal
    must not take what a wave that was opened anew has got.
    """

    def __init__(self, driver: Driver, specs: SpecBuilder) -> None:
        self._driver = driver
        self._specs = specs
        self._turn = anyio.Lock()

    async def ensure(self, wave: int) -> None:
        """See that it is there, where waves have one of their own. Safe to repeat.

        Raises:
            InfrastructureError: it cannot be made.
        """
        name = self._specs.network(wave)
        if self._specs.isolation is not Isolation.WAVE or name is None:
            return
        need = NetworkNeed(name=name, labels=self._specs.network_labels(wave))
        async with self._turn:
            await self._driver.prepare(Needs(networks=(need,)))

    async def release(self, wave: int, *, still: Callable[[], bool]) -> None:
        """Remove what was made for the wave, if it is `still` over when its turn comes.

        Never raises: the end of the run removes what is left, and reports it.
        """
        if self._specs.isolation is not Isolation.WAVE:
            return
        async with self._turn:
            if not still():
                return
            try:
                await self._driver.remove(Scope(owner=self._specs.owner, run_id=self._specs.run_id, wave=wave))
            except InfrastructureError as error:
                _log.warning("wave not released", wave=wave, problem=str(error))
