"""Signals: who listens last hears them, then who listened before; and all of planning heeds them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import anyio
import pytest

from wavepool.engine.signals import forward_interrupts

DEADLINE_S = 90.0


class Heard:
    """One who listens."""

    def __init__(self) -> None:
        self.forced: list[bool] = []
        self._more = anyio.Event()

    def __call__(self, force: bool) -> None:
        self.forced.append(force)
        self._more.set()

    async def signal(self, number: signal.Signals) -> None:
        """Send it to ourselves, and wait until it was heard."""
        self._more = anyio.Event()
        os.kill(os.getpid(), number)
        with anyio.fail_after(DEADLINE_S):
            await self._more.wait()


def test_the_last_to_listen_hears_and_then_the_one_before() -> None:
    outer, inner = Heard(), Heard()

    async def nested() -> None:
        async with anyio.create_task_group() as around:
            around.start_soon(forward_interrupts, outer)
            await anyio.lowlevel.checkpoint()
            async with anyio.create_task_group() as within:
                within.start_soon(forward_interrupts, inner)
                await anyio.lowlevel.checkpoint()
                await inner.signal(signal.SIGTERM)
                await inner.signal(signal.SIGINT)
                within.cancel_scope.cancel()
            assert (outer.forced, inner.forced) == ([], [False, True])
            await outer.signal(signal.SIGTERM)
            around.cancel_scope.cancel()

    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    mine = signal.getsignal(signal.SIGTERM)
    try:
        anyio.run(nested)
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (outer.forced, inner.forced) == ([False], [False, True])


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("where", ["_groups", "judge", "pack"])
def test_planning_ends_at_once_wherever_it_is(tmp_path: Path, where: str, number: str) -> None:
    (tmp_path / "a.ts").touch()
    (tmp_path / "out").write_text("a.ts(1,2): error TS2322: no.\n")
    program = f"""
        import os, signal, sys, threading
        from wavepool.cli import main
        from wavepool.fixing import planning
        whole = planning.{where}
        def stuck(*given, **named):
            os.kill(os.getpid(), signal.{number})
            if {where!r} != "judge":  # that is short, and no thread's
                threading.Event().wait()
            return whole(*given, **named)
        planning.{where} = stuck
        sys.argv[1:] = ["plan", "--input", "out", "--budget", "2g", "--state-dir", "state"]
        main()
    """
    words = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stdout) == (130, ""), done.stderr
    assert "interrupted" in done.stderr
