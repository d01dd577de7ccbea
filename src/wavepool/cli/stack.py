"""`wavepool stack`: a reproducible development stack from a Compose file, by hand."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import anyio
import typer

from wavepool.cli import options
from wavepool.cli.columns import print_columns
from wavepool.cli.output import print_result, progress_line
from wavepool.cli.settings import settings_of
from wavepool.config import Settings
from wavepool.engine.verbs.stacks import Stack
from wavepool.errors import NotStarted, SettingError, UnreadableFile, UserInterrupt
from wavepool.plan.stackfile import STACK_NAME, StackFile, parse_stack
from wavepool.statedir import StateDir
from wavepool.wiring import open_engine

NOT_READY = 1

Result = TypeVar("Result")
File = Annotated[str, typer.Argument(metavar="FILE", help="A Compose file: services, with the fields of sidecars.")]
Name = Annotated[str | None, typer.Option(help="The stack's name; else the file's own, else its directory's.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]

app = typer.Typer(help="Start, look at and end a development stack of a Compose file.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the verb to the command line."""
    parent.add_typer(app, name="stack")


@app.command()
def up(
    file: File,
    name: Name = None,
    pull: options.Pull = None,
    state_dir: options.StateDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Start what is missing, make anew what changed, wait until all is ready, and say where it is.

    Exit code: 0 ready, 1 a service is not, 2 bad input, 3 infrastructure, 130 interrupted (what was started stays).
    """
    settings = settings_of(pull=pull, state_dir=state_dir)
    opened = _Opened(file, name, settings)

    async def work(stack: Stack) -> dict[str, Any]:
        change = await stack.up(settings.pull, _pulling)
        changed = {kind: list(getattr(change, kind)) for kind in ("created", "recreated", "started", "kept", "removed")}
        return {"stack": stack.name, **changed, "services": await stack.state()}

    try:
        result = opened.run(work)
    except NotStarted as error:
        if not error.sidecars:
            raise
        error.exit_code = NOT_READY
        error.add_note(f"What was started is still there: `wavepool stack down {file}` removes it.")
        raise
    except KeyboardInterrupt:
        raise UserInterrupt(
            f"interrupted: what was started of the stack {opened.name} is still there",
            advice=f"`wavepool stack up {file}` goes on, `wavepool stack down {file}` removes it.",
        ) from None
    _show(result, as_json)


@app.command()
def ps(
    file: File,
    name: Name = None,
    state_dir: options.StateDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Say how each service is, and where. Exit code: 0 all are ready, 1 one is not, 2 bad input, 3 infrastructure."""
    opened = _Opened(file, name, settings_of(state_dir=state_dir))

    async def work(stack: Stack) -> dict[str, Any]:
        return {"stack": stack.name, "services": await stack.state()}

    result = opened.run(work)
    _show(result, as_json)
    if not all(service["ready"] for service in result["services"]):
        raise typer.Exit(NOT_READY)


@app.command()
def down(
    file: File,
    name: Name = None,
    volumes: Annotated[bool, typer.Option("--volumes", help="Remove the data of its services too.")] = False,
    state_dir: options.StateDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Stop and remove containers and network; the data stays. Exit code: 0 gone, 1 something is still there, 2, 3."""
    opened = _Opened(file, name, settings_of(state_dir=state_dir))

    async def work(stack: Stack) -> dict[str, Any]:
        return await stack.down(volumes=volumes)

    result = opened.run(work)
    if as_json:
        print_result(result)
    else:
        data = "its data too" if result["data_removed"] else "its data stays"
        gone = len(result["containers"])
        typer.echo(f"stack {opened.name}: {gone} container{'' if gone == 1 else 's'} removed, {data}")
    for error in result["errors"]:
        typer.echo(f"error: {error}", err=True)
    if result["errors"]:
        raise typer.Exit(NOT_READY)


class _Opened:
    """A stack's file, read, and its name."""

    def __init__(self, file: str, name: str | None, settings: Settings) -> None:
        self._settings = settings
        self._path = Path(file)
        self._file = _read(self._path)
        self.name = _name(name, self._file, self._path)
        for warning in self._file.warnings:
            progress_line(f"warning: {warning}")

    def run(self, work: Callable[[Stack], Awaitable[Result]]) -> Result:
        """Do `work` with the stack."""

        async def main() -> Result:
            async with open_engine() as (driver, _):
                return await work(
                    Stack(
                        name=self.name,
                        base=self._path.resolve().parent,
                        services=self._file.services,
                        driver=driver,
                        state_dir=StateDir(self._settings.state_dir),
                        prefix=self._settings.name_prefix,
                        subnet_pool=self._settings.subnet_pool,
                        grace_s=self._settings.grace,
                    )
                )

        return anyio.run(main)


def _read(path: Path) -> StackFile:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UnreadableFile("the stack", str(path), error, advice="Name a Compose file.") from None
    return parse_stack(raw, source=str(path), environ=os.environ)


def _name(given: str | None, file: StackFile, path: Path) -> str:
    if given is not None:
        if not STACK_NAME.fullmatch(given):
            raise SettingError("--name", given, "1 to 40 lower case letters, digits, _ and -")
        return given
    derived = re.sub(r"[^a-z0-9_-]+", "-", path.resolve().parent.name.lower()).strip("-_")[:40]
    return file.name or derived or "stack"


def _show(result: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_result(result)
        return
    rows = [
        (
            service["name"],
            service["state"] if service.get("exit_code") is None else f"exited {service['exit_code']}",
            service.get("health") or "-",
            f"{service['host']}:{service['port']}" if service.get("port") else "-",
            f"{service['name']}:{service['container_port']}" if service.get("container_port") else service["name"],
        )
        for service in result["services"]
    ]
    print_columns(("service", "state", "health", "from the host", "in the stack"), rows)


def _pulling(image: str, text: str) -> None:
    progress_line(f"pulling {image}: {text}")
