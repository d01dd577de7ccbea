"""How late the event loops of a `wavepool` process are: ``python -m bench.loop_meter OUTPUT ARGUMENT...``.

Runs the command line as the installed command does, under an event loop policy of its own, which is asyncio's seam for
such things: every loop that is made in the process, in whichever thread, has one timer more. It is due each `TICK_S`,
and how much later than due it was called is the loop's delay at that moment: nothing that the loop has to do can happen
sooner. A loop that was held up makes up for all the ticks that it missed, each with its own delay, so that a percentile
is one of time. Nothing of Wavepool is patched, and the timer costs about 0.3% of a core.

OUTPUT gets a JSON line a second for each loop: its thread, the time (CLOCK_MONOTONIC, one for all processes), delays.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

TICK_S = 0.01
TELL_S = 1.0
MAIN = "MainThread"
"""The thread of the engine's loop."""


class Policy(asyncio.DefaultEventLoopPolicy):
    """The usual one, whose loops are metered. `output` is appended to, a whole line each `tell_s`."""

    def __init__(self, output: IO[bytes], tell_s: float = TELL_S) -> None:
        super().__init__()
        self._output = output
        self._tell_s = tell_s

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """A usual loop with a timer."""
        loop = super().new_event_loop()
        loop.call_soon(_Meter(loop, self._output, self._tell_s).start)
        return loop


class _Meter:
    def __init__(self, loop: asyncio.AbstractEventLoop, output: IO[bytes], tell_s: float) -> None:
        self._loop = loop
        self._output = output
        self._tell_s = tell_s
        self._delays: list[float] = []
        self._told_s = self._due_s = 0.0

    def start(self) -> None:
        self._told_s = self._due_s = self._loop.time()
        self._arm()

    def _arm(self) -> None:
        self._due_s += TICK_S
        self._loop.call_at(self._due_s, self._tick)

    def _tick(self) -> None:
        now_s = self._loop.time()
        self._delays.append(round(max(0.0, now_s - self._due_s), 6))  # a loop may be early by its clock's resolution
        if now_s - self._told_s >= self._tell_s:
            line = {"thread": threading.current_thread().name, "at_s": time.monotonic(), "delays_s": self._delays}
            self._output.write(json.dumps(line).encode() + b"\n")
            self._delays = []
            self._told_s = now_s
        self._arm()


def delays_s(output: Path, *, thread: str = MAIN, since_s: float = 0.0, until_s: float = float("inf")) -> list[float]:
    """What was measured in one thread in a stretch of time.monotonic()."""
    return [
        delay
        for line in _lines(output)
        if line["thread"] == thread and since_s + TELL_S <= line["at_s"] <= until_s
        for delay in line["delays_s"]
    ]


def threads(output: Path) -> set[str]:
    """Names of all threads that ran a loop."""
    return {line["thread"] for line in _lines(output)}


def _lines(output: Path) -> Iterator[dict[str, Any]]:
    for line in output.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):  # else it is being written
            yield json.loads(line)


def main() -> None:
    """As the installed command, metered."""
    output, *arguments = sys.argv[1:]
    asyncio.set_event_loop_policy(Policy(open(output, "ab", buffering=0)))  # noqa: SIM115 - until the process ends
    sys.argv = ["wavepool", *arguments]
    from wavepool.cli import main as command

    command()


if __name__ == "__main__":
    main()
