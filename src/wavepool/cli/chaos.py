"""`wavepool chaos`: faults on purpose, each followed by a look at what must hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wavepool.cli import options
from wavepool.cli.output import check_directory, print_result, progress_line
from wavepool.cli.pipes import INTERRUPTED
from wavepool.cli.settings import settings_of
from wavepool.cli.steps import until_interrupted
from wavepool.config import Settings
from wavepool.errors import DriverUnavailable, SettingError
from wavepool.testing.chaos.scenario import FULL, QUICK, Dose, Scenario
from wavepool.testing.chaos.session import Place, Played, choose, play
from wavepool.wiring import open_engine

SHOWN = 3
"""Faults of one round that the table names; `--json` has all."""


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="chaos", short_help="Do harm to runs of its own, and see that nothing is lost.")(chaos)


def chaos(
    scenarios: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SCENARIO]...", help="What is to go wrong; everything if none is named."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything that is random: the same one does the same again.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="How often each scenario is played.")] = 1,
    only_round: Annotated[
        int | None, typer.Option("--round", min=1, help="Play the round of this number alone.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small dose of each fault: seconds, not minutes.")] = False,
    list_them: Annotated[bool, typer.Option("--list", help="Print the scenarios and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="What was done and checked, as JSON.")] = False,
    driver: Annotated[str | None, typer.Option(help="auto, docker or process.")] = None,
    base_image: options.BaseImage = None,
    state_dir: Annotated[
        str | None, typer.Option("--state-dir", help="Where the scenarios' own directories are made; else in $TMPDIR.")
    ] = None,
) -> None:
    """Do harm to runs of its own, and see that nothing is lost, doubled or left. Exit code: 0 all holds, 1 not."""
    chosen = choose(scenarios or ())
    if list_them:
        _print_list(chosen)
        return
    settings = settings_of(driver=driver, base_image=base_image)
    directory = None if state_dir is None else Path(state_dir).absolute()
    check_directory(directory, option="--state-dir")
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    numbers = range(1, rounds + 1) if only_round is None else (only_round,)
    played: list[Played] = []

    async def work() -> None:
        place = Place(directory=directory, driver=await _driver(settings), image=settings.base_image, seed=seed)
        await _play_all(chosen, numbers, place, QUICK if quick else FULL, played)

    interrupted = anyio.run(until_interrupted, work)
    failed = any(not each.ok for each in played)
    if as_json:
        print_result({"seed": seed, "ok": not failed and not interrupted, "rounds": [_entry(each) for each in played]})
    else:
        _print_table(played, seed)
    raise typer.Exit(INTERRUPTED if interrupted else int(failed))


async def _driver(settings: Settings) -> str:
    """Docker where it answers and has the image, else processes.

    Raises:
        DriverUnavailable: Docker was asked for, and is not there.
        SettingError: Docker was asked for, and lacks the image.
    """
    if settings.driver == "process":
        return "process"
    async with AsyncExitStack() as stack:
        try:
            docker, records = await stack.enter_async_context(open_engine())
            await docker.probe()
            found = await records.has_image(settings.base_image)
        except DriverUnavailable as error:
            if settings.driver == "docker":
                raise
            progress_line(f"{error.message.rstrip('.')}. Tasks are plain processes; what needs Docker is skipped.")
            return "process"
    if not found:
        raise SettingError(
            "--base-image",
            settings.base_image,
            "an image on this host that has sh and the usual small programs",
            advice="Name one, as `--base-image busybox`, or leave containers out with `--driver process`.",
        )
    return "docker"


async def _play_all(
    chosen: Sequence[Scenario], numbers: Iterable[int], place: Place, dose: Dose, played: list[Played]
) -> None:
    for scenario in chosen:
        for number in numbers:
            progress_line(f"{scenario.name}, round {number}: {scenario.title}")
            done = await play(scenario, number, place, dose)
            played.append(done)
            progress_line(f"{scenario.name}, round {number}: {_word(done)} after {done.took_s:.0f} s{_because(done)}")


def _word(done: Played) -> str:
    return "skipped" if done.skipped else "ok" if done.ok else "FAILED"


def _because(done: Played) -> str:
    if done.skipped:
        return f": {done.skipped}"
    return "".join(f"\n  {check.name}: {check.problem}" for check in done.checks if not check.ok)


def _print_list(chosen: Sequence[Scenario]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for scenario in chosen:
        table.add_row(scenario.name, f"{scenario.title}{_needs(scenario)}")
    Console().print(table)


def _needs(scenario: Scenario) -> str:
    needs = ["Docker"] if scenario.docker else []
    needs += ["root"] if scenario.own_ground else []
    return f" (needs {' and '.join(needs)})" if needs else ""


def _print_table(played: Sequence[Played], seed: int) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("scenario", "round", "s", "injected", "checked", "result"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("scenario", "result"))
    for done in played:
        result = Text(_word(done), style="" if done.skipped else "green" if done.ok else "bold red")
        cells = (done.scenario, str(done.number), f"{done.took_s:.0f}", _faults(done), _checks(done))
        table.add_row(*(Text(cell) for cell in cells), result)
    console = Console(stderr=True)
    console.print(table)
    for done in played:
        if not done.ok:
            console.print(Text(f"{done.scenario}, round {done.number}, again: {done.repeat}"))
            console.print(Text(_because(done).lstrip("\n")))
    kills = sum(done.figures["kills"] for done in played)
    failed = sum(not done.ok for done in played)
    skipped = sum(done.skipped is not None for done in played)
    console.print(
        Text(
            f"seed {seed}: {len(played)} rounds, {failed} failed, {skipped} skipped; {kills} orchestrators killed; "
            f"one round again: wavepool chaos SCENARIO --seed {seed} --round N"
        )
    )


def _faults(done: Played) -> str:
    """The faults, each kind once."""
    if done.skipped:
        return done.skipped
    counted = Counter(done.injected)
    words = [f"{count} x {what}" if count > 1 else what for what, count in counted.items()]
    more = f", and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return "; ".join(words[:SHOWN]) + more


def _checks(done: Played) -> str:
    held = sum(check.ok for check in done.checks)
    return "" if done.skipped else f"{held} of {len(done.checks)} hold"


def _entry(done: Played) -> dict[str, object]:
    return {
        "scenario": done.scenario,
        "round": done.number,
        "seed": done.seed,
        "result": _word(done).lower(),
        "skipped": done.skipped,
        "took_s": round(done.took_s, 1),
        "injected": list(done.injected),
        "checks": [{"name": check.name, "ok": check.ok, "problem": check.problem} for check in done.checks],
        "figures": dict(done.figures),
        "again": done.repeat,
    }
