"""The page beside `serve`, and beside the verbs that run something (`--dashboard`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wavepool.config import Settings
from wavepool.errors import InputError

if TYPE_CHECKING:
    from wavepool.monitoring.documents.forms import Forms
    from wavepool.web.server import Address

EXTRA = "fastapi", "prometheus_client", "starlette", "uvicorn", "websockets"
"""What the extra ``serve`` brings."""

HOW_TO_GET_IT = "`pip install 'wavepool[serve]'` brings it."
LOOPBACK = "localhost"
TOKEN_VARIABLE = "WAVEPOOL_TOKEN"

Dashboard = Annotated[
    bool, typer.Option("--dashboard", help="A page in the browser that shows this run, until it ends; see also serve.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOptions:
    """Of `serve`, as they were typed."""

    host: str = LOOPBACK
    token_file: Path | None = None
    no_token: bool = False
    allowed_hosts: Sequence[str] = ()
    open_websocket: bool = False


@contextmanager
def page_of_server(settings: Settings, options: PageOptions, notice: Callable[[str], None]) -> Iterator[Address | None]:
    """The page of `wavepool serve`, and the seed's WebSocket; None where the extra is missing.

    Args:
        notice: told sentences for a person, from another thread.

    Raises:
        InputError: the options cannot be.
        InfrastructureError: a port is taken.
    """
    try:
        from wavepool.web.server import Serving, serve_web
    except ModuleNotFoundError as error:
        _check_missing(error)
        yield None
        return
    serving = Serving(
        settings=settings,
        host=options.host,
        token=os.environ.get(TOKEN_VARIABLE),
        token_file=options.token_file,
        no_token=options.no_token,
        allowed_hosts=options.allowed_hosts,
        open_socket=options.open_websocket,
        forms=_forms,
        notice=notice,
    )
    with serve_web(serving) as address:
        yield address


@contextmanager
def page_of_run(settings: Settings, notice: Callable[[str], None], *, wanted: bool) -> Iterator[None]:
    """The page of one process, which says where it is, if it is wanted; on another port where the usual one is taken.

    Raises:
        InputError: the token cannot be.
        InfrastructureError: the port that was asked for is taken.
    """
    if not wanted:
        yield
        return
    from wavepool.web.server import Serving, serve_web

    serving = Serving(
        settings=settings,
        token=os.environ.get(TOKEN_VARIABLE),
        socket=False,
        any_port="http_port" not in settings.model_fields_set,
        pools=False,
        forms=_forms,
        notice=notice,
    )
    with serve_web(serving) as address:
        notice(words_of(address))
        yield


def check_page(*, wanted: bool, detach: bool) -> None:
    """See, before anything starts, that there can be a page. Raises InputError."""
    if not wanted:
        return
    if detach:
        raise InputError(
            "--dashboard and --detach: the link of the page would be in the log of the detached process",
            advice="Leave --dashboard out: `wavepool serve` shows all runs, this one too.",
        )
    try:
        import wavepool.web.server  # noqa: F401  to see whether it can be
    except ModuleNotFoundError as error:
        _check_missing(error)
        raise InputError("--dashboard: the page is not installed", advice=HOW_TO_GET_IT) from None


def words_of(address: Address) -> str:
    """Where the page is, for its user."""
    if address.link == address.page:
        return f"page: {address.page} (open to everybody on this machine)"
    return f"page, by a link that is its key (keep it to yourself):\n{address.link}"


def _forms() -> Forms:
    """Of the verbs that the page starts; they are brought in when somebody opens one."""
    from wavepool.cli.forms import forms

    return forms()


def _check_missing(error: ModuleNotFoundError) -> None:
    """Raise it again where it is not the extra that is missing, but something of ours."""
    if (error.name or "").partition(".")[0] not in EXTRA:
        raise error
