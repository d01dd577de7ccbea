"""The web server: its ports, its token, its thread, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.lowlevel
import structlog
import uvicorn

from wavepool.config import Settings
from wavepool.errors import InfrastructureError, InputError
from wavepool.monitoring.actions import Actions
from wavepool.monitoring.documents.forms import Forms
from wavepool.monitoring.logs import Logs
from wavepool.monitoring.monitor import Monitor
from wavepool.monitoring.runs.stories import Stories
from wavepool.monitoring.sources.base import Source
from wavepool.monitoring.sources.containers import OwnContainers
from wavepool.monitoring.sources.processes import ProcessesSource
from wavepool.monitoring.sources.workspaces import WorkspacesSource
from wavepool.statedir import StateDir
from wavepool.web.api import open_services
from wavepool.web.app import TASKS, page_app, socket_app
from wavepool.web.context import Context
from wavepool.web.door.guard import App, Door
from wavepool.web.door.lines import Line
from wavepool.web.door.listening import LOCALHOST, Listening, is_loopback, listen
from wavepool.web.door.token import Token, token_of
from wavepool.web.sockets.hub import Hub
from wavepool.web.sockets.seed_socket import SeedSocket
from wavepool.web.thread import in_thread

TOKEN_FILE = "web.token"
"""In the state directory."""

DRAIN_S = 0.3
"""How long answers under way have to end when the server does."""

MESSAGE_LIMIT_BYTES = 64 * 1024
"""Of a WebSocket's client."""


def _no_forms() -> Forms:
    return {"verbs": {}}


def _note(line: str) -> None:
    structlog.get_logger("wavepool.web").warning(line)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What is served, where, and to whom.

    Attributes:
        settings: with the ports and the state directory.
        host: where to listen.
        token: the value of the variable, if it is set.
        token_file: None: `TOKEN_FILE` in the state directory.
        no_token: everybody who reaches the port may come in.
        allowed_hosts: names that the server goes by, beside localhost and its addresses.
        open_socket: programs may read at the WebSocket's port without a token.
        socket: whether the WebSocket's port is served at all.
        any_port: take another port where the page's is taken.
        pools: whether this is `wavepool serve`.
        forms: what verbs of the command line can be told, for who starts them on the page; blocks.
        notice: told sentences for a person, in the thread of the web server.
    """

    settings: Settings
    host: str = LOCALHOST
    token: str | None = None
    token_file: Path | None = None
    no_token: bool = False
    allowed_hosts: Sequence[str] = ()
    open_socket: bool = False
    socket: bool = True
    any_port: bool = False
    pools: bool = True
    forms: Callable[[], Forms] = _no_forms
    notice: Callable[[str], None] = _note


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the server is found.

    Attributes:
        page: address of the page, without its token.
        link: with it: a secret, for the eyes of its user alone.
        websocket: address of the seed's WebSocket; None where it is not served.
        token_file: where the token is; None where there is none, or a variable has it.
    """

    page: str
    link: str
    websocket: str | None
    token_file: Path | None


@contextmanager
def serve_web(serving: Serving) -> Iterator[Address]:
    """Serve the page and its interfaces, from a thread of its own, until the block ends: within a second, then.

    Raises:
        InputError: the host, the token or their combination cannot be; nothing was begun.
        InfrastructureError: a port is taken.
    """
    check(serving)
    token_file = serving.token_file or serving.settings.state_dir / TOKEN_FILE
    token = None if serving.no_token else token_of(serving.token, token_file)
    with ExitStack() as stack:
        ports = _listen(serving, stack)
        page, *others = ports
        doors = [_door(serving, token, ports, open_socket=port is not page and serving.open_socket) for port in ports]
        servers = _Servers(serving, ports, doors)
        stack.enter_context(in_thread(servers.run, name="wavepool-web"))
        link = f"http://{page.place}/"
        yield Address(
            page=link,
            link=link if token is None else f"{link}?token={token.reveal()}",
            websocket=f"ws://{others[0].place}/" if others else None,
            token_file=None if token is None or serving.token else token_file,
        )


def check(serving: Serving) -> None:
    """Whether this may be at all. Raises InputError."""
    if is_loopback(serving.host):
        return
    for given, option in ((serving.no_token, "--no-token"), (serving.open_socket, "--open-websocket")):
        if given:
            raise InputError(
                f"{option} with --host {serving.host}: whoever reaches this machine could come in without a token",
                advice=f"Leave one of them out: {option} is for this machine alone.",
            )


def _listen(serving: Serving, stack: ExitStack) -> list[Listening]:
    """The page's port, and the WebSocket's."""
    settings = serving.settings
    try:
        ports = [listen(serving.host, settings.http_port, option="--port")]
    except InfrastructureError:
        if not serving.any_port:
            raise
        ports = [listen(serving.host, 0, option="--port")]
    stack.callback(ports[0].close)
    if serving.socket:
        ports.append(listen(serving.host, settings.websocket_port, option="--ws-port"))
        stack.callback(ports[1].close)
    return ports


def _door(serving: Serving, token: Token | None, ports: Sequence[Listening], *, open_socket: bool) -> Door:
    return Door(
        token=token,
        cookie=f"wavepool_{ports[0].port}",
        ports=frozenset(port.port for port in ports),
        hosts=frozenset(name.lower() for name in (*serving.allowed_hosts, serving.host)),
        any_address=not ports[0].loopback,
        open_socket=open_socket,
    )


def sources_of(state_dir: StateDir, stories: Stories, containers: OwnContainers) -> Sequence[Source]:
    """Of all members of the overview but its runs."""
    return (
        WorkspacesSource(state_dir, stories, places=(Path.cwd(),)),
        ProcessesSource(state_dir, containers=containers.ids),
    )


class _Servers:
    """Both ports, in the loop of the thread that calls `run`."""

    def __init__(self, serving: Serving, ports: Sequence[Listening], doors: Sequence[Door]) -> None:
        self._serving = serving
        self._ports = ports
        self._doors = doors

    async def run(self, ending: anyio.Event, ready: Callable[[], None]) -> None:
        """Until `ending` is set."""
        state_dir = StateDir(self._serving.settings.state_dir)
        actions = Actions(state_dir.path)
        stories = Stories(state_dir)
        async with (
            OwnContainers(state_dir) as containers,
            Monitor(state_dir.path, sources=sources_of(state_dir, stories, containers)) as monitor,
            Logs(stories, monitor.driver) as logs,
            open_services(
                state_dir,
                monitor,
                actions,
                forms=self._serving.forms,
                resumes=self._serving.pools,
                notice=self._serving.notice,
            ) as services,
        ):
            context = Context(
                settings=self._serving.settings,
                state_dir=state_dir,
                monitor=monitor,
                actions=actions,
                hub=Hub(monitor),
                services=services,
                logs=logs,
                seed=SeedSocket(containers, monitor.overview.document),
                serving=self._serving.pools,
            )
            apps = [page_app(context, self._doors[0]), *(socket_app(context, door) for door in self._doors[1:])]
            async with anyio.create_task_group() as group:
                for task in TASKS:
                    group.start_soon(task, context)
                await _answer(apps, self._ports, ending, ready)
                group.cancel_scope.cancel()


async def _answer(
    apps: Sequence[App], ports: Sequence[Listening], ending: anyio.Event, ready: Callable[[], None]
) -> None:
    """Serve each application at its port until `ending` is set."""
    servers = [_Server(app) for app in apps]
    async with anyio.create_task_group() as group:
        for server, port in zip(servers, ports, strict=True):
            group.start_soon(server.serve, list(port.sockets))
        for server in servers:
            await server.listening.wait()
        ready()
        await ending.wait()
        for server in servers:
            server.should_exit = True


class _Server(uvicorn.Server):
    """One port. It ends within `DRAIN_S` and a little, whoever is connected and does not read.

    Attributes:
        listening: set when it takes connections.
    """

    def __init__(self, app: App) -> None:
        self.listening = anyio.Event()
        _log_through_ours()
        super().__init__(
            uvicorn.Config(
                app,
                http=Line,
                ws="websockets-sansio",
                ws_max_size=MESSAGE_LIMIT_BYTES,
                ws_per_message_deflate=False,  # it would compress one text a thousand times
                lifespan="off",
                log_config=None,
                log_level="warning",  # below that it tells addresses with what stands in them
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=DRAIN_S,  # type: ignore[arg-type]  # it is only handed to wait_for
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it; then say so."""
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it; then whoever has not gone is cut off: who never reads would never go."""
        await super().shutdown(None)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await anyio.lowlevel.checkpoint()


class _ToOurLog(logging.Handler):
    """What the server says, in our own log."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger("wavepool.web")
        error = record.exc_info[1] if record.exc_info else None
        if error is None or isinstance(error, asyncio.CancelledError):  # cut off at the end
            log.debug(record.getMessage().strip())
        else:
            log.error(record.getMessage().strip(), exc_info=error)


def _log_through_ours() -> None:
    log = logging.getLogger("uvicorn.error")
    if not any(isinstance(each, _ToOurLog) for each in log.handlers):
        log.addHandler(_ToOurLog())
        log.propagate = False
