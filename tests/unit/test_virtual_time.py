"""The clock jumps, threads are waited for, and a deadlock is told instead of suffered."""

from __future__ import annotations

import threading
import time

import anyio
import anyio.to_thread
import pytest

from wavepool.testing.virtual_time import START_S, VirtualDeadlock, VirtualTimeLoop, run_virtual


def test_hours_pass_at_once_and_exactly() -> None:
    async def main() -> float:
        await anyio.sleep(3600)
        with anyio.move_on_after(86400 * 30):
            await anyio.sleep_forever()
        return anyio.current_time()

    began = time.monotonic()
    assert run_virtual(main) == pytest.approx(START_S + 3600 + 86400 * 30)
    assert time.monotonic() - began < 5


def test_sleepers_wake_in_the_order_of_their_times() -> None:
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        await anyio.sleep(seconds)
        woken.append(seconds)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for seconds in (5, 0.001, 700, 3.25, 0):
                group.start_soon(sleeper, seconds)

    run_virtual(main)
    assert woken == sorted(woken)
    assert len(woken) == 5


def test_it_is_a_loop_factory_for_anyio() -> None:
    async def main() -> float:
        await anyio.sleep(10)
        return anyio.current_time()

    assert anyio.run(main, backend_options={"loop_factory": VirtualTimeLoop}) == START_S + 10


def test_the_clock_stands_while_a_thread_of_anyio_works() -> None:
    finish = threading.Event()

    async def main() -> tuple[str, float]:
        def work() -> str:
            assert finish.wait(10)
            return "done"

        threading.Timer(0.05, finish.set).start()
        with anyio.fail_after(1):  # virtual: would be over at once if the clock jumped
            return await anyio.to_thread.run_sync(work), anyio.current_time()

    assert run_virtual(main) == ("done", START_S)


def test_a_thread_of_ones_own_is_waited_for_by_busy() -> None:
    working = threading.Event()

    async def main() -> float:
        async with anyio.from_thread.BlockingPortal() as portal:
            heard = anyio.Event()

            def work() -> None:
                time.sleep(0.05)
                portal.start_task_soon(heard.set)

            thread = threading.Thread(target=work)
            working.set()
            thread.start()
            with anyio.fail_after(1):
                await heard.wait()
            working.clear()
            await anyio.to_thread.run_sync(thread.join)
            return anyio.current_time()

    assert run_virtual(main, busy=working.is_set) == START_S


def test_a_deadlock_is_told_with_the_place() -> None:
    async def waits_for_nothing() -> None:
        await anyio.Event().wait()

    with pytest.raises(VirtualDeadlock, match="waits_for_nothing"):
        run_virtual(waits_for_nothing)
