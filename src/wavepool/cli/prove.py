"""`wavepool doctor --prove-no-leaks`: the proof, and how it is shown."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wavepool.cli.output import print_result, progress_line
from wavepool.cli.pipes import INTERRUPTED
from wavepool.cli.steps import until_interrupted
from wavepool.config import Settings
from wavepool.errors import DriverUnavailable, InputError
from wavepool.testing.leaks.proof import Compared, Proof, Prover
from wavepool.wiring import open_engine

FAILED = 1


def prove(settings: Settings, *, as_json: bool) -> int:
    """Prove it, print what was compared, and say how to exit: 0 the host is as it was, 1 it is not.

    Raises:
        DriverUnavailable: Docker was asked for, and is not there.
        InputError: the image is not on this host; the proof pulls nothing.
    """
    with TemporaryDirectory(prefix="wavepool-proof-") as place:
        proof = anyio.run(_prove, settings, Path(place))
    if proof is None:
        return INTERRUPTED
    if as_json:
        print_result(proof.result())
    else:
        _print(proof)
    return 0 if proof.ok else FAILED


async def _prove(settings: Settings, place: Path) -> Proof | None:
    """None where the user interrupted it."""
    driver = await _driver(settings)
    prover = Prover(place, driver=driver, image=settings.base_image, tell=progress_line)
    found: list[Proof] = []

    async def work() -> None:
        found.append(await prover.prove())

    interrupted = await until_interrupted(work)
    return None if interrupted else found[0]


async def _driver(settings: Settings) -> str:
    """Docker where it is there and has the image, else processes, and why."""
    if settings.driver == "process":
        return "process"
    async with open_engine() as (docker, records):
        try:
            await docker.probe()
        except DriverUnavailable as error:
            if settings.driver == "docker":
                raise
            progress_line(f"{error.message}; proved with plain processes instead")
            return "process"
        if not await records.has_image(settings.base_image):
            raise InputError(
                f"--base-image: the image {settings.base_image} is not on this host, and the proof pulls nothing",
                advice="Name one that is (see `docker images`), with `sh` in it; or give --driver process.",
            )
    return "docker"


def _print(proof: Proof) -> None:
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "recovered by", "compared", "before", "killed", "after"):
        table.add_column(heading, justify="right" if heading in ("before", "killed", "after") else "left")
    table.add_column("")
    for each in proof.compared:
        verdict = Text("ok", style="green") if each.ok else Text("FAIL", style="bold red")
        numbers = (str(number) for number in (each.before, each.killed, each.after))
        table.add_row(verdict, each.way, each.family, *numbers, Text(_wrong(each)))
    console.print(table)
    for sentence in proof.wrong:
        console.print(Text(f"FAIL {sentence}"))
    said = "the host is as it was" if proof.ok else "the host is NOT as it was"
    console.print(Text(f"{said}: two runs ({proof.driver}) were killed in the middle and recovered"))


def _wrong(compared: Compared) -> str:
    parts = [f"left: {', '.join(compared.left)}"] if compared.left else []
    parts += [f"missing: {', '.join(compared.missed)}"] if compared.missed else []
    return "; ".join(parts)
