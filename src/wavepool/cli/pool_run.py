"""`wavepool pool run TYPE -- COMMAND`: a task in a container that is ready, as `docker run` would run it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

import anyio
import typer

from wavepool.cli import options
from wavepool.cli.columns import disk_size
from wavepool.cli.output import print_result
from wavepool.cli.pipes import CLOSED_PIPE, INTERRUPTED, STDERR, STDOUT, complain, write_all
from wavepool.cli.pool_order import RawOrder, build_order
from wavepool.cli.settings import settings_of
from wavepool.engine.control.pools import PoolClient, ServerGone, TaskOrder, open_client
from wavepool.engine.control.pools.protocol import unpacked
from wavepool.engine.signals import forward_interrupts
from wavepool.errors import InfrastructureError, UserInterrupt
from wavepool.listeners.wording import printable
from wavepool.model import VerdictKind
from wavepool.statedir import StateDir

NO_ANSWER = 125
"""As of `docker run`: the machine's fault, not the task's, and no exit code of the task."""

_CODES: Mapping[str, int] = {
    VerdictKind.TIMEOUT: 124,
    VerdictKind.OOM: 137,
    VerdictKind.CANCELLED: INTERRUPTED,
    VerdictKind.LOST: NO_ANSWER,
    VerdictKind.START_ERROR: NO_ANSWER,
}
_TELLING = ("signal", "daemon_error", "oom_kills", "oom_flag", "child_oom", "stop_reason")
"""Evidence beside which an exit code is not all that there is to say."""


def register(app: typer.Typer) -> None:
    """Add the verb to `wavepool pool`."""
    app.command(name="run", short_help="Run a command in a container that is ready.")(run)


def run(
    agent_type: Annotated[str, typer.Argument(metavar="TYPE", help="An agent type, as coder.")],
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- COMMAND...]", help="What to run; the image's own unless told.")
    ] = None,
    environment: Annotated[
        list[str] | None, typer.Option("--env", "--environment", help="VAR=VALUE; repeatable.")
    ] = None,
    env_file: options.EnvFile = None,
    secret: options.Secret = None,
    prompt_file: Annotated[
        str | None, typer.Option(help="The prompt, byte for byte at TASK_PROMPT_FILE; - for standard input.")
    ] = None,
    directory: Annotated[str | None, typer.Option(help="Where it runs inside; /workspace unless told.")] = None,
    memory: Annotated[str | None, typer.Option(help="Another memory limit: the container is resized first.")] = None,
    cpus: Annotated[float | None, typer.Option(min=0.01, help="Another CPU limit, in cores.")] = None,
    timeout: Annotated[str | None, typer.Option(help="Stop it after this long, as 300 or 5m.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="What became of it as JSON on stdout, its output in there.")
    ] = False,
    state_dir: options.StateDirectory = None,
) -> None:
    """Run COMMAND in a warm container of TYPE, or, where none is ready, in a new one at once. It has no stdin.

    Its output is passed on as it comes, and its exit code is ours. 124: it reached its timeout; 137: out of memory;
    130: Ctrl-C stopped it; 125: it could not be started, or nobody knows how it ended; 141: nobody reads its output any
    more, so it was stopped. Before it began: 2 bad input, 3 no `wavepool serve` to ask.
    """
    settings = settings_of(state_dir=state_dir)
    raw = RawOrder(
        agent_type=agent_type,
        command=command,
        environment=environment,
        env_files=env_file,
        secrets=secret,
        prompt_file=prompt_file,
        directory=directory,
        memory=memory,
        cpus=cpus,
        timeout=timeout,
        stream=not as_json,
    )
    calling = _Calling(partial(build_order, raw, settings.grace))
    result = anyio.run(calling.to_the_end, StateDir(settings.state_dir))
    if calling.unheard:
        raise typer.Exit(CLOSED_PIPE)
    if result is None:
        raise UserInterrupt("wavepool: interrupted; the server stops the task")
    if as_json:
        print_result(_as_text(result))
    for words in _said(result, calling.cut):
        complain(f"wavepool: {printable(words)}")
    raise typer.Exit(exit_code_of(result))


class _Calling:
    """One call of a server.

    Args:
        order: makes the order, as soon as there is a server to take it.

    Attributes:
        cut: stream -> bytes of output that did not come.
        unheard: nobody reads what is passed on any more, so it was given up.
    """

    def __init__(self, order: Callable[[], TaskOrder]) -> None:
        self._order = order
        self._interrupted = anyio.Event()
        self.cut: Mapping[str, int] = {}
        self.unheard = False

    async def to_the_end(self, state_dir: StateDir) -> Mapping[str, Any] | None:
        """The result; None where it was interrupted twice, or is unheard.

        Raises:
            NoServer, InputError, InfrastructureError: before anything ran.
            ServerGone: it went away in the middle; its exit code is `NO_ANSWER`.
        """
        found: Mapping[str, Any] | None = None
        async with open_client(state_dir.server()) as client:
            order = self._order()
            async with anyio.create_task_group() as group:

                def interrupt(force: bool) -> None:
                    self._interrupted.set()
                    if force:
                        group.cancel_scope.cancel()

                group.start_soon(forward_interrupts, interrupt)
                group.start_soon(self._stop, client)
                found = await self._result(client, order)
                group.cancel_scope.cancel()
        return found

    async def _result(self, client: PoolClient, order: TaskOrder) -> Mapping[str, Any] | None:
        try:
            return await client.run(order, _pass_on)
        except ServerGone as error:
            error.exit_code = NO_ANSWER
            error.advice = (
                "Whether the task ended, and how, is not known. One that had begun goes on without a server: "
                "`wavepool recover --grace 0s` stops and removes it."
            )
            raise
        except BrokenPipeError:
            self.unheard = True
            return None
        finally:
            self.cut = client.cut

    async def _stop(self, client: PoolClient) -> None:
        await self._interrupted.wait()
        await client.stop()


async def _pass_on(stream: str, data: bytes) -> None:
    """In a thread: whoever does not read must not keep Ctrl-C from us."""
    target = STDERR if stream == "stderr" else STDOUT
    try:
        await anyio.to_thread.run_sync(write_all, target, data, abandon_on_cancel=True)
    except InfrastructureError as error:
        error.exit_code = NO_ANSWER  # its task ran, and is stopped
        raise


def exit_code_of(result: Mapping[str, Any]) -> int:
    """What the command exits with."""
    found = _CODES.get(result["verdict"], result["exit_code"])
    return 1 if found is None else int(found)


def _said(result: Mapping[str, Any], cut: Mapping[str, int]) -> list[str]:
    """What neither its output nor its exit code says."""
    evidence = result["evidence"]
    plain = result["verdict"] in (VerdictKind.SUCCESS, VerdictKind.FAILED) and not any(
        evidence.get(name) for name in _TELLING
    )
    said = [] if plain else [f"{result['verdict']}: {evidence.get('reason') or 'no reason is known'}"]
    if result["gap"]:
        said.append(f"some of its output may be missing: {result['gap']}")
    said += [
        f"{disk_size(size)} of its {stream} are left out, as they were not read in time" for stream, size in cut.items()
    ]
    return said


def _as_text(result: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: unpacked(result[name]).decode("utf-8", "replace") for name in ("stdout", "stderr")}
    return {**result, **texts}
