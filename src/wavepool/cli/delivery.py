"""A run on the screen while it goes on, and its result wherever it was asked for: shared by all verbs that run one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import anyio

from wavepool.cli.learned import Lesson, lesson_json, print_lesson
from wavepool.cli.output import write_json
from wavepool.cli.screen import TICK_S, Screen
from wavepool.cli.summary import print_summary
from wavepool.config import Settings
from wavepool.engine.cache import keep_iteration
from wavepool.engine.report import RunReport
from wavepool.errors import InfrastructureError, WavepoolError
from wavepool.statedir import RunDir, StateDir
from wavepool.wiring import Hooks


async def on_screen(
    work: Callable[[Hooks], Awaitable[RunReport]], screen: Screen, held: Callable[[RunDir], None] | None = None
) -> RunReport:
    """The work, with the screen told of it and brought up to date beside it; `held` is called when the run is held."""
    hooks = Hooks(listeners=screen.listeners, notice=screen.notice, pulling=screen.pulling)
    async with anyio.create_task_group() as group:
        group.start_soon(ticking, screen)
        report = await work(hooks if held is None else replace(hooks, held=held))
        group.cancel_scope.cancel()
    return report


async def ticking(screen: Screen) -> None:
    """Bring it up to date, until this is cancelled."""
    while True:
        await anyio.sleep(TICK_S)
        screen.tick()


def deliver(
    report: RunReport,
    settings: Settings,
    screen: Screen,
    output: Path | None,
    *,
    to_stdout: bool = True,
    warnings: Sequence[str] = (),
    lesson: Lesson | None = None,
) -> None:
    """The result, everywhere it was asked for: the run's directory, --cache, --output, stdout; the summary last.

    `warnings` are what was said of the plan; they stand in the result where there are any, as does `lesson`.

    Raises:
        InfrastructureError: it could not be written to one of them; the others have it.
    """
    result = report.result()
    if warnings:
        result["warnings"] = list(warnings)
    if lesson is not None:
        result["learned"] = lesson_json(lesson)
    troubles: list[WavepoolError] = []
    if "run_id" in result:
        files = StateDir(settings.state_dir).run(result["run_id"])
        with _noting(troubles):
            write_json(files.results, result)
        with _noting(troubles):
            if settings.cache is not None:
                result["cached_in"] = str(keep_iteration(settings.cache, result, files))
    with _noting(troubles):
        if output is not None:
            write_json(output, result)
    with _noting(troubles):
        screen.finish(result, to_stdout=to_stdout)
    print_summary(result, screen.console, state_dir=settings.state_dir)
    if lesson is not None:
        print_lesson(lesson, screen.console)
    if troubles:
        raise InfrastructureError(troubles[0].message, advice=troubles[0].advice) from troubles[0]


@contextmanager
def _noting(troubles: list[WavepoolError]) -> Iterator[None]:
    try:
        yield
    except WavepoolError as error:
        troubles.append(error)
