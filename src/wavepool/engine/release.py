"""The end of a run: nothing is left behind.

Every attempt was removed by then; what may be left are networks, slots, and whatever an earlier process could not
remove. Safe to repeat.
"""

from __future__ import annotations

import shutil

import anyio

from wavepool.drivers.base import Driver, Scope
from wavepool.engine.attempts.spec import SpecBuilder
from wavepool.errors import DriverUnavailable
from wavepool.model import Isolation
from wavepool.statedir import LOOK_PATIENCE_S, RunDir, StateDir

DEADLINE_S = 60.0
"""For the whole of it; whatever resists longer is reported, and `wavepool cleanup` takes it up."""


async def release_run(
    *, driver: Driver, specs: SpecBuilder, files: RunDir, state_dir: StateDir, shared_network: str
) -> list[str]:
    """Remove what is left of the run, and the shared network if no live run uses it. What could not be removed.

    The caller has given up its own lease on the shared network.
    """
    left: list[str] = []
    with anyio.move_on_after(DEADLINE_S, shield=True) as scope:
        left += await _remove(driver, Scope(owner=specs.owner, run_id=specs.run_id, detached=False))
        if specs.isolation is Isolation.SHARED:
            left += await _remove_shared(driver, specs.owner, state_dir, shared_network)
    if scope.cancelled_caught:
        left.append(f"the clean-up of run {specs.run_id} took longer than {DEADLINE_S:.0f} s")
    shutil.rmtree(files.slots, ignore_errors=True)
    return left


async def _remove_shared(driver: Driver, owner: str, state_dir: StateDir, network: str) -> list[str]:
    with state_dir.try_exclusive(network, patience_s=LOOK_PATIENCE_S) as alone:
        if not alone:
            return []
        return await _remove(driver, Scope(owner=owner, shared_network=network))


async def _remove(driver: Driver, scope: Scope) -> list[str]:
    try:
        return list((await driver.remove(scope)).errors)
    except DriverUnavailable as error:
        return [str(error)]
