"""Ending one task from outside, and opening a pool again that was drained."""

from __future__ import annotations

from wavepool.engine.pools import Stop
from wavepool.model import VerdictKind
from wavepool.wiring import ContainerPool


def test_a_task_is_stopped_when_it_is_asked_for_before_during_and_after(stage) -> None:
    async def story(pool: ContainerPool) -> None:
        early = Stop()
        early.ask()
        never = await pool.execute("coder", ("sim", "stdout=x"), stop=early)
        assert (never.verdict.kind, never.exit_code, never.stdout) == (VerdictKind.CANCELLED, None, b"")

        stop = Stop()
        done = await pool.execute(
            "coder", ("sim", "stdout=x", "duration=1000"), stop=stop, on_output=lambda stream, data: stop.ask()
        )
        assert (done.verdict.kind, done.exit_code) == (VerdictKind.CANCELLED, 143)
        assert done.verdict.evidence.reason.startswith("it was cancelled, and stopped")
        stop.ask()
        assert (await pool.execute("coder", ("sim",))).succeeded

    stage.play(story)


def test_what_was_drained_is_opened_again_by_name(stage) -> None:
    async def story(pool: ContainerPool) -> None:
        await pool.warm(["coder"], count=2)
        await pool.drain()
        (reading,) = pool.readings()
        assert (reading.target, reading.idle) == (0, 0)
        pool.scale("coder", 1)
        await pool.warm(["coder"])
        assert (await pool.execute("coder", ("sim",))).warm

    stage.play(story)
