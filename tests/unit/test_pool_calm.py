"""What makes and removes containers waits for claims, and for pauses between them; but not for ever."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from wavepool.engine.pools.calm import CLAIM_PATIENCE_S, QUIET_PATIENCE_S, QUIET_S, Calm
from wavepool.testing.virtual_time import run_virtual

STEP_S = 0.03
"""Between two claims of a row: shorter than a pause."""


def took_s(wait: Callable[[Calm], Awaitable[None]], claims: int, *, each_s: float = 0.002) -> float:
    """How long `wait` took beside so many claims in a row, the first of them begun just before."""

    async def trial() -> float:
        calm = Calm()

        async def row() -> None:
            for _ in range(claims):
                with calm.claiming():
                    await anyio.sleep(each_s)
                await anyio.sleep(STEP_S)

        async with anyio.create_task_group() as group:
            group.start_soon(row)
            await anyio.sleep(0.001)
            began_s = anyio.current_time()
            await wait(calm)
            return_s = anyio.current_time() - began_s
            group.cancel_scope.cancel()
        return return_s

    return run_virtual(trial)


def test_where_nobody_ever_came_nothing_waits() -> None:
    assert took_s(Calm.wait, 0) == 0
    assert took_s(Calm.wait_for_pause, 0) == 0


def test_the_end_of_a_claim_is_waited_for_and_no_pause() -> None:
    assert took_s(Calm.wait, 3) == pytest.approx(0.001)


def test_a_pause_comes_after_the_last_claim_of_a_row() -> None:
    row_s = 3 * 0.002 + 2 * STEP_S
    assert took_s(Calm.wait_for_pause, 3) == pytest.approx(row_s - 0.001 + QUIET_S)


def test_a_row_without_end_is_not_waited_for() -> None:
    assert took_s(Calm.wait_for_pause, 1000) == pytest.approx(QUIET_PATIENCE_S)


def test_a_claim_without_end_is_not_waited_for() -> None:
    assert took_s(Calm.wait, 1, each_s=60) == pytest.approx(CLAIM_PATIENCE_S)
