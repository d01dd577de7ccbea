"""How long the tests of a contract may last, and how much their tasks may take."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

import anyio

from wavepool.testing.driver_harness import DriverHarness
from wavepool.units import MIB

SLEEP_S = 600.0
"""Longer than any test lasts: what sleeps this long runs until it is stopped."""

OOM_LIMIT_BYTES = 24 * MIB
"""Above Docker's minimum with its start-up, far below the 64 MiB that the OOM commands take."""

_Suite = TypeVar("_Suite")


def bounded(
    test: Callable[[_Suite, DriverHarness], Awaitable[None]],
) -> Callable[[_Suite, DriverHarness], Coroutine[None, None, None]]:
    """Fail a test that lasts longer than its harness has patience."""

    @functools.wraps(test)
    async def within(self: _Suite, harness: DriverHarness) -> None:
        with anyio.fail_after(harness.patience_s):
            await test(self, harness)

    return within
