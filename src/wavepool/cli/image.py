"""`wavepool image`: build the images that agents work in, and prove that tasks can run in an image."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import anyio
import typer

from wavepool import agents
from wavepool.cli import options
from wavepool.cli.output import print_result, progress_line
from wavepool.cli.settings import settings_of
from wavepool.engine.verbs.doctor import Check, Status
from wavepool.engine.verbs.imagecheck import ImageCheck, check_image
from wavepool.errors import SettingError, UnreadableFile
from wavepool.inputs import image_problem
from wavepool.listeners.wording import printable
from wavepool.statedir import StateDir
from wavepool.wiring.images import AGENT_TAGS, BuildOrder, build_images, open_docker

AsJson = Annotated[bool, typer.Option("--json", help="The result as one JSON object on stdout.")]
Base = Annotated[
    str | None, typer.Option(metavar="IMAGE", help="A Debian to build on; debian:bookworm-slim unless told.")
]
NO_AGENT = "none"

app = typer.Typer(help="Build the images that agents work in, and check images.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the verb to the command line."""
    parent.add_typer(app, name="image")


@app.command()
def build(
    agent: Annotated[
        str, typer.Option(help=f"Whose image: {', '.join(AGENT_TAGS)}; none for the proxy of sealed tasks alone.")
    ] = "claude",
    base: Base = None,
    npm_base: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="Where the agent's package is fetched; one with npm is quicker.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="NAME", help="One more name for the agent's image.")] = None,
    certificates: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificates (PEM) to trust in the build and in the image.")
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Do every step again, for what was mended since.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Build the image that an agent's tasks run in, and the proxy of sealed tasks.

    Exit code: 0 they are there, 2 bad input, 3 a build failed, or there is no Docker.
    """
    if agent != NO_AGENT and agent not in AGENT_TAGS:
        raise SettingError("--agent", agent, f"one of {', '.join(AGENT_TAGS)}, or {NO_AGENT}")
    for option, name in (("--base", base), ("--npm-base", npm_base), *(("--tag", each) for each in tag or ())):
        _check_reference(option, name)
    order = BuildOrder(
        agent=None if agent == NO_AGENT else agent,
        base=base,
        npm_base=npm_base,
        tags=tuple(tag or ()),
        certificates=_read(certificates),
        cached=not no_cache,
    )
    built = anyio.run(build_images, order, progress_line)
    if as_json:
        print_result({"images": [{"recipe": each.recipe, "id": each.id, "tags": list(each.tags)} for each in built]})
        return
    for each in built:
        typer.echo(f"{each.id.removeprefix('sha256:')[:12]}  {', '.join(each.tags)}")


@app.command()
def check(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="The image to look at.")],
    agent: Annotated[str | None, typer.Option(help="An agent that must be in it, as claude.")] = None,
    pull: Annotated[str, typer.Option(help="missing, always or never.")] = "missing",
    state_dir: options.StateDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Run a task in IMAGE, confined as all are and without a network, and say what works.

    Exit code: 0 nothing fails, 1 something does, 2 bad input, 3 there is no such image, or no Docker.
    """
    _check_reference("IMAGE", image)
    if pull not in ("missing", "always", "never"):
        raise SettingError("--pull", pull, "missing, always or never")
    version = (agents.adapter(agent).name, "--version") if agent is not None else ()
    place = StateDir(settings_of(state_dir=state_dir).state_dir)
    with tempfile.TemporaryDirectory(prefix="wavepool-image-check-") as scratch:
        Path(scratch).chmod(0o755)
        order = ImageCheck(
            image=image, agent=agent, version=version, owner=place.owner(), scratch=Path(scratch), pull=pull
        )
        checks = anyio.run(_checked, order)
    failed = any(each.status is Status.FAIL for each in checks)
    if as_json:
        print_result({"image": image, "ok": not failed, "checks": [_entry(each) for each in checks]})
    else:
        for each in checks:
            typer.echo(_line(each))
    raise typer.Exit(1 if failed else 0)


async def _checked(order: ImageCheck) -> list[Check]:
    async with open_docker() as driver:
        return await check_image(order, driver)


def _entry(check: Check) -> dict[str, str]:
    return {"name": check.name, "status": check.status.value, "seen": check.seen, "fix": check.fix}


def _line(check: Check) -> str:
    fix = f"\n      → {check.fix}" if check.fix else ""
    return f"{check.status.value:4}  {check.name:9}  {printable(check.seen)}{fix}"


def _check_reference(option: str, name: str | None) -> None:
    if name is not None and (problem := image_problem(name)) is not None:
        raise SettingError(option, name, problem)


def _read(path: Path | None) -> bytes:
    """The certificates of a file. Raises UnreadableFile, SettingError."""
    if path is None:
        return b""
    try:
        found = path.read_bytes()
    except OSError as error:
        raise UnreadableFile("--certificates", str(path), error, advice="Name a file of certificates (PEM).") from error
    if b"-----BEGIN CERTIFICATE-----" not in found or b"PRIVATE KEY" in found:
        raise SettingError("--certificates", str(path), "a file of certificates in PEM, and no key")
    return found
