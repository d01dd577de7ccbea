"""`wavepool pool`: use the warm pools that a `wavepool serve` holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import anyio
import typer

from wavepool.cli import options, pool_run
from wavepool.cli.output import print_result, progress_line
from wavepool.cli.pool_status import print_status
from wavepool.cli.settings import settings_of
from wavepool.engine.control.pools import PoolClient, open_client
from wavepool.statedir import ServerPlace, StateDir

AgentType = Annotated[str, typer.Argument(metavar="TYPE", help="An agent type, as coder.")]
AsJson = Annotated[bool, typer.Option("--json", help="All of the status, as one JSON object on stdout.")]

_NUMBERS_BELOW_ZERO = {"ignore_unknown_options": True}
"""-1 is a wrong number, which the server says with what is right, and no option."""

app = typer.Typer(help="Use warm pools, which a `wavepool serve` holds.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the verb to the command line."""
    pool_run.register(app)
    parent.add_typer(app, name="pool")


def place_of(state_dir: str | None) -> ServerPlace:
    """Where the server of a state directory is found. Raises SettingError."""
    return StateDir(settings_of(state_dir=state_dir).state_dir).server()


@app.command()
def status(state_dir: options.StateDirectory = None, as_json: AsJson = False) -> None:
    """Show each pool, its containers, and the metrics. Exit code: 0, or 3 without a server."""
    found = _asked(state_dir, lambda client: client.status())
    if as_json:
        print_result(found)
    else:
        print_status(found)


@app.command(context_settings=_NUMBERS_BELOW_ZERO)
def warm(
    agent_type: AgentType,
    count: Annotated[int | None, typer.Argument(metavar="[N]", help="How many; its minimum unless told.")] = None,
    state_dir: options.StateDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Return when N containers of TYPE are ready; its pool is made larger for that where it must be, or opened again.

    Exit code: 0 they are, 2 bad input, 3 they cannot be made, or no server.
    """
    found = _asked(state_dir, lambda client: client.warm(agent_type, count))
    _tell(found, agent_type, as_json)


@app.command(context_settings=_NUMBERS_BELOW_ZERO)
def scale(
    agent_type: AgentType,
    size: Annotated[int, typer.Argument(metavar="N", help="How many containers to keep ready.")],
    state_dir: options.StateDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Keep N containers of TYPE from now on, until the demand asks for others.

    Exit code: 0, 2 bad input, 3 no server.
    """
    found = _asked(state_dir, lambda client: client.scale(agent_type, size))
    _tell(found, agent_type, as_json)


@app.command()
def drain(
    agent_type: Annotated[
        str | None, typer.Argument(metavar="[TYPE]", help="An agent type; every pool that is open unless told.")
    ] = None,
    state_dir: options.StateDirectory = None,
    as_json: AsJson = False,
) -> None:
    """Take no more tasks of TYPE, let those end that run, and remove its containers; `warm` or `scale` opens it again.

    Exit code: 0 nothing of it is left, 2 bad input, 3 no server.
    """
    found = _asked(state_dir, lambda client: client.drain(agent_type))
    _tell(found, agent_type, as_json)


def _asked(state_dir: str | None, question: Callable[[PoolClient], Awaitable[Mapping[str, Any]]]) -> Mapping[str, Any]:
    place = place_of(state_dir)

    async def ask() -> Mapping[str, Any]:
        async with open_client(place) as client:
            return await question(client)

    return anyio.run(ask)


def _tell(found: Mapping[str, Any], agent_type: str | None, as_json: bool) -> None:
    if as_json:
        print_result(found)
        return
    for pool in found["pools"]:
        if agent_type in (None, pool["agent_type"]):
            counts = f"{pool['idle']} idle of {pool['target']}, {pool['busy'] + pool['cold']} busy"
            progress_line(f"{pool['agent_type']}: {counts}{', drained' if pool['drained'] else ''}")
