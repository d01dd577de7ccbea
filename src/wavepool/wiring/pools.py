"""Warm pools with a driver of their own: it is opened with the pool, and closed after it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from wavepool.config import load_settings
from wavepool.drivers.base import Driver, PullProgress
from wavepool.drivers.docker import DockerDriver
from wavepool.engine import pools
from wavepool.engine.clock import Clock
from wavepool.engine.pools.output import OUTPUT_LIMIT_BYTES
from wavepool.engine.pools.pool import PARALLEL_COLD_STARTS
from wavepool.errors import DriverUnavailable, SettingError
from wavepool.model import LOG_LIMIT_BYTES, AgentType, Limits, PoolsConfig, PoolSettings, PoolSpec
from wavepool.statedir import StateDir
from wavepool.wiring.engines import process_driver

DRIVERS = ("auto", "docker", "process")


class ContainerPool(pools.ContainerPool):
    """`wavepool.engine.pools.ContainerPool` for whoever has no open driver.

    Args:
        types: agent types that are kept warm from the beginning; names are unique.
        settings: how each type's pool is kept, unless `by_type` has others.
        default: what a type that is not known is made after, on demand; None: it is refused.
        config: all of that at once, instead of it (as the settings have it).
        state_dir: None for the one that the settings name.
        driver: ``docker``, ``process``, or ``auto``: processes where there is no Docker, which start every task cold;
            or an open driver, which stays its owner's to close.
        others: as the engine's.
    """

    def __init__(
        self,
        types: Iterable[AgentType] = (),
        settings: PoolSettings | None = None,
        *,
        by_type: Mapping[str, PoolSettings] | None = None,
        default: AgentType | None = None,
        config: PoolsConfig | None = None,
        state_dir: Path | None = None,
        driver: str | Driver = "auto",
        pull: str = "missing",
        pulling: PullProgress | None = None,
        notice: Callable[[str], None] = lambda text: None,
        parallel: int = PARALLEL_COLD_STARTS,
        output_limit_bytes: int = OUTPUT_LIMIT_BYTES,
        log_limit_bytes: int = LOG_LIMIT_BYTES,
        clock: Clock | None = None,
    ) -> None:
        if isinstance(driver, str) and driver not in DRIVERS:
            raise SettingError("driver", driver, f"one of {', '.join(DRIVERS)}, or an open driver")
        place = StateDir(state_dir or load_settings({}, environ=os.environ, cwd=Path.cwd()).state_dir)
        super().__init__(
            config or _config(tuple(types), settings or PoolSettings(), by_type or {}, default),
            driver=driver if isinstance(driver, Driver) else _made(driver, place),
            state_dir=place,
            on_demand=default is not None or config is not None,
            pull=pull,
            pulling=pulling,
            notice=notice,
            parallel=parallel,
            output_limit_bytes=output_limit_bytes,
            log_limit_bytes=log_limit_bytes,
            clock=clock,
        )
        self._wanted = driver
        self._own = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if isinstance(self._wanted, str):
            await self._open_driver(self._wanted)
        try:
            return await super().__aenter__()
        except BaseException:
            await self._own.aclose()
            raise

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        try:
            return await super().__aexit__(exc_type, exc, tb)
        finally:
            await self._own.aclose()

    async def _open_driver(self, wanted: str) -> None:
        async with AsyncExitStack() as attempt:
            await attempt.enter_async_context(self._driver)
            try:
                await self._driver.probe()
            except DriverUnavailable as error:
                if wanted != "auto":
                    raise
                self._notice(f"{error.message.rstrip('.')}. Falling back to plain processes: no isolation, no images.")
                await attempt.aclose()
                self._driver = await attempt.enter_async_context(process_driver(self._state_dir.processes()))
            self._own = attempt.pop_all()


def _made(wanted: str, state_dir: StateDir) -> Driver:
    return process_driver(state_dir.processes()) if wanted == "process" else DockerDriver()


def _config(
    types: Sequence[AgentType], settings: PoolSettings, by_type: Mapping[str, PoolSettings], default: AgentType | None
) -> PoolsConfig:
    specs = [PoolSpec(agent=agent, settings=by_type.get(agent.name, settings)) for agent in types]
    fallback = default or AgentType(name="any", image="", limits=Limits(memory_bytes=0))  # never asked for without one
    return PoolsConfig(
        types={spec.agent.name: spec for spec in specs},
        fallback=PoolSpec(agent=fallback, settings=settings),
        warm=tuple(agent.name for agent in types),
    )
