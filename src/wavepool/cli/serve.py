"""`wavepool serve`: hold warm pools for other processes, and show what runs on a page, until Ctrl-C."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import anyio
import typer
from anyio.lowlevel import checkpoint

from wavepool.cli import options
from wavepool.cli.dashboard import HOW_TO_GET_IT, LOOPBACK, PageOptions, page_of_server
from wavepool.cli.own_log import log_to_stderr
from wavepool.cli.pipes import INTERRUPTED
from wavepool.cli.serving_log import ServingLog, open_log
from wavepool.cli.settings import settings_of
from wavepool.config import Settings, load_pools
from wavepool.engine.control.pools import PoolServer
from wavepool.engine.recover.dead_pools import dead_pool_lines
from wavepool.engine.recover.dead_runs import dead_run_lines
from wavepool.engine.signals import forward_interrupts
from wavepool.errors import DriverUnavailable, InfrastructureError, InputError, WavepoolError
from wavepool.model import PoolsConfig
from wavepool.statedir import StateDir
from wavepool.wiring import ContainerPool

METRICS_S = 60.0
"""Between two tellings of the metrics; the seed's."""

STOP_S = 60.0
"""After the second Ctrl-C: how long tasks have to end; then their containers are removed."""


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(name="serve", short_help="Hold warm pools, and show all runs on a page.")(serve)


def serve(
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Settings of pools: YAML, JSON or TOML; else [pools] of wavepool.toml."),
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Pools: default or production.")] = None,
    warm: Annotated[str | None, typer.Option(help="Agent types to fill at once, with commas between.")] = None,
    image: Annotated[str | None, typer.Option(help="Image of every agent type.")] = None,
    size: Annotated[str | None, typer.Option(help="Containers kept ready of each type.")] = None,
    min_size: Annotated[str | None, typer.Option(help="Never fewer than so many.")] = None,
    max_size: Annotated[str | None, typer.Option(help="Never more than so many.")] = None,
    auto_scaling: Annotated[str | None, typer.Option(help="Whether sizes follow the demand: true or false.")] = None,
    reuse: Annotated[str | None, typer.Option(help="One container for several tasks: true or false.")] = None,
    memory: Annotated[str | None, typer.Option(help="Memory limit of every task.")] = None,
    cpus: Annotated[str | None, typer.Option(help="CPU limit of every task, in cores.")] = None,
    user: Annotated[str | None, typer.Option(help="uid:gid, or a name that the image knows.")] = None,
    network: Annotated[
        str | None, typer.Option(help="A network for all types, or none; else each has its own.")
    ] = None,
    workspace: Annotated[
        str | None, typer.Option(help="Host directory at /workspace; else each task has its own.")
    ] = None,
    timeout: Annotated[str | None, typer.Option(help="Bound of each task, as 300 or 5m.")] = None,
    driver: Annotated[str | None, typer.Option(help="docker, or process (then every task starts cold).")] = None,
    host: Annotated[
        str, typer.Option(help="Where the page listens; elsewhere than here it needs its token.")
    ] = LOOPBACK,
    port: Annotated[str | None, typer.Option("--port", help="Of the page; 0 is any that is free.")] = None,
    ws_port: Annotated[str | None, typer.Option("--ws-port", help="Of the seed's WebSocket; 0 likewise.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="Where the page's token is; made where missing.")] = None,
    no_token: Annotated[bool, typer.Option("--no-token", help="Let in everybody on this machine.")] = False,
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="A name that the page goes by, beside localhost. Repeatable.")
    ] = None,
    open_websocket: Annotated[
        bool, typer.Option("--open-websocket", help="Programs on this machine may read at --ws-port without a token.")
    ] = False,
    no_dashboard: Annotated[bool, typer.Option("--no-dashboard", help="No page, no WebSocket: pools alone.")] = False,
    pull: options.Pull = None,
    state_dir: options.StateDirectory = None,
    as_json: Annotated[bool, typer.Option("--json", help="What happens, as JSON lines on stdout.")] = False,
    verbose: options.Verbose = False,
) -> None:
    """Hold warm pools for `wavepool pool`, and show all runs on a page, until Ctrl-C or SIGTERM: one server for each
    state directory.

    The page opens by the link that is printed on stderr, which holds its token: keep it to yourself.
    The first one takes no more tasks and waits for those that run, a second one stops them; nothing is left behind.
    Exit code: 0 after that, 2 bad input, 3 infrastructure or something was left, 130 tasks were stopped.
    """
    settings = settings_of(driver=driver, pull=pull, state_dir=state_dir, http_port=port, websocket_port=ws_port)
    page = PageOptions(
        host=host,
        token_file=token_file,
        no_token=no_token,
        allowed_hosts=allowed_host or (),
        open_websocket=open_websocket,
    )
    if no_dashboard:
        _refuse_without_page(page)
    told = {
        "preset": preset,
        "warm": warm,
        "image": image,
        "size": size,
        "min_size": min_size,
        "max_size": max_size,
        "auto_scaling": auto_scaling,
        "reuse": reuse,
        "memory": memory,
        "cpus": cpus,
        "user": user,
        "network": network,
        "workspace": workspace,
        "timeout": timeout,
    }
    usual = settings.base_image if "base_image" in settings.model_fields_set else None
    pools = load_pools(told, environ=os.environ, cwd=Path.cwd(), file=config, image=usual)
    log_to_stderr(pools.log_level or settings.log_level)
    with open_log(as_json=as_json, verbose=verbose) as log:
        ending = anyio.run(_serve, pools, settings, log, None if no_dashboard else page)
        log.say("ended", f"ended: {_words(ending)}", left_behind=ending.left, stopped=ending.stopped)
    if ending.left:
        raise InfrastructureError(
            f"{len(ending.left)} things of the pools are still there: {ending.left[0]}",
            advice="`wavepool recover --grace 0s` takes them away as soon as that is possible.",
        )
    raise typer.Exit(INTERRUPTED if ending.stopped else 0)


def _refuse_without_page(page: PageOptions) -> None:
    """Options that say something of a page that is not wanted. Raises InputError."""
    given = {
        "--host": page.host != LOOPBACK,
        "--token-file": page.token_file is not None,
        "--no-token": page.no_token,
        "--allowed-host": bool(page.allowed_hosts),
        "--open-websocket": page.open_websocket,
    }
    for option, is_given in given.items():
        if is_given:
            raise InputError(f"--no-dashboard and {option}: there is no page", advice="Leave one of them out.")


class _Ending:
    """Ctrl-C or SIGTERM: the first drains, the second stops.

    Attributes:
        asked, hurried: set by the first, and by the second.
        stopped: tasks that had not ended by themselves.
        left: what could not be removed, in sentences.
    """

    def __init__(self) -> None:
        self.asked = anyio.Event()
        self.hurried = anyio.Event()
        self.stopped = 0
        self.left: list[str] = []

    def __call__(self, force: bool) -> None:
        (self.hurried if force else self.asked).set()


async def _serve(config: PoolsConfig, settings: Settings, log: ServingLog, page: PageOptions | None) -> _Ending:
    ending = _Ending()
    state_dir = StateDir(settings.state_dir)
    place = state_dir.server()
    with place.held():
        for line in (*dead_run_lines(state_dir), *dead_pool_lines(state_dir)):
            log.notice(line)
        pool = ContainerPool(
            config=config,
            state_dir=settings.state_dir,
            driver="process" if settings.driver == "process" else "docker",
            pull=settings.pull,
            pulling=log.pulling,
            notice=log.notice,
            log_limit_bytes=settings.log_limit,
        )
        server = PoolServer(pool, place.socket, limits_of=lambda name: config.of(name).agent.limits, heard=log.served)
        async with anyio.create_task_group() as group:
            group.start_soon(forward_interrupts, ending)
            await checkpoint()  # signals are heard from here on, also while the page is begun
            with _page(settings, page, log) as tell_page, _advising():
                async with pool, server.serving():
                    tell_page()
                    log.serving(pool.session, place.socket, config)
                    await _until_ended(pool, server, ending, log)
            group.cancel_scope.cancel()
        ending.left = pool.left_behind
    return ending


@contextmanager
def _page(settings: Settings, options: PageOptions | None, log: ServingLog) -> Iterator[Callable[[], None]]:
    """The page, from here on; what is yielded says where it is, once it is certain that it stays."""
    if options is None:
        yield lambda: None
        return
    with page_of_server(settings, options, log.notice) as address:
        if address is None:
            yield lambda: log.notice(f"no page is shown, as it is not installed: {HOW_TO_GET_IT}")
        else:
            yield lambda: log.page(address)


@contextmanager
def _advising() -> Iterator[None]:
    try:
        yield
    except DriverUnavailable as error:
        error.add_note("`wavepool serve --driver process` does without: its tasks start cold, the page is the same.")
        raise


async def _until_ended(pool: ContainerPool, server: PoolServer, ending: _Ending, log: ServingLog) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(_tell_ready, pool, log)
        group.start_soon(_tell_metrics, pool, log)
        await ending.asked.wait()
        log.say("draining", _draining_words(server.tasks), tasks=server.tasks)
        group.cancel_scope.cancel()
    async with anyio.create_task_group() as group:
        group.start_soon(pool.drain)
        group.start_soon(_hurry, server, ending, log, group.cancel_scope)
        await server.drained()
        group.cancel_scope.cancel()


async def _hurry(server: PoolServer, ending: _Ending, log: ServingLog, waiting: anyio.CancelScope) -> None:
    await ending.hurried.wait()
    ending.stopped = server.tasks
    log.say("stopping", f"stopping {ending.stopped} tasks", tasks=ending.stopped)
    server.stop_all()
    await anyio.sleep(STOP_S)
    waiting.cancel()


async def _tell_ready(pool: ContainerPool, log: ServingLog) -> None:
    try:
        await pool.filled()
    except WavepoolError as error:
        log.notice(f"not every pool could be filled: {error}")
    else:
        idle = {reading.agent_type: reading.idle for reading in pool.readings()}
        log.say(
            "ready", f"ready: {', '.join(f'{n} {name}' for name, n in idle.items()) or 'no type is warm'}", idle=idle
        )


async def _tell_metrics(pool: ContainerPool, log: ServingLog) -> None:
    while True:
        await anyio.sleep(METRICS_S)
        log.metrics(pool.metrics())


def _draining_words(tasks: int) -> str:
    if not tasks:
        return "ending: no task runs"
    runs = "1 task runs" if tasks == 1 else f"{tasks} tasks run"
    return f"ending: {runs}, and nothing new begins; Ctrl-C once more stops what runs"


def _words(ending: _Ending) -> str:
    if ending.left:
        return f"{len(ending.left)} things are left"
    return "nothing is left" if not ending.stopped else f"{ending.stopped} tasks were stopped, nothing is left"
