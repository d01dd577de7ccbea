"""A reader that goes away is noticed, also where the writer finds it first and leads its descriptor nowhere."""

from __future__ import annotations

import os
from contextlib import closing

import anyio

from wavepool.cli.pipes import until_gone
from wavepool.listeners.lines import swallow_rest


def test_a_writer_that_was_faster_does_not_hide_that_the_reader_has_gone() -> None:
    anyio.run(_until_told)


async def _until_told() -> None:
    reading, writing = os.pipe()
    with closing(os.fdopen(writing, "wb", buffering=0)) as stream, anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(until_gone, writing)
            await anyio.wait_all_tasks_blocked()
            os.close(reading)
            swallow_rest(stream)
