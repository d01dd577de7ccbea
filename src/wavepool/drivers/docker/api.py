"""The one door to the Docker Engine API, and the only file that touches aiodocker.

aiodocker resolves host, context, TLS and ssh and owns the sockets; requests go through its sessions. Its known limits
end here: one connector of 100 connections (here two clients: bounded calls, unlimited streams), unbounded event queues
and log helpers that replace invalid bytes (here raw bodies), no deadlines (here each call has one).
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import aiodocker
import aiohttp
import anyio

from wavepool.drivers.docker.attachment import Attachment, Inbox
from wavepool.drivers.docker.tls import secured
from wavepool.drivers.docker.trouble import Refused, unreachable
from wavepool.errors import DriverUnavailable, Unknown

API_OLDEST = (1, 41)
"""Docker 20.10: `one-shot` stats, cgroup v2, BindOptions as we use them."""
API_NEWEST = (1, 51)
"""The newest one whose changes were read; a newer daemon is spoken to in this one."""

CALLS_AT_ONCE = 64
"""More bounded calls than this wait for a connection; the daemon serves them hardly faster in parallel."""

READ_DEADLINE_S = 30.0
CHANGE_DEADLINE_S = 60.0

Params = Mapping[str, str]
Json = Any


class DockerApi:
    """Calls with deadlines, and streams. Opens its connections on first use; `close` ends them.

    Args:
        host: address such as ``unix:///var/run/docker.sock`` or ``ssh://user@host``; None for what DOCKER_HOST, the
            current context, or the usual sockets say.
    """

    def __init__(self, host: str | None = None) -> None:
        # The docker CLI lets DOCKER_HOST beat the context chosen in its config file; aiodocker does it the other way.
        self._host = host or os.environ.get("DOCKER_HOST") or None
        self._calls: aiodocker.Docker | None = None
        self._streams: aiodocker.Docker | None = None
        self._version: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection. Open streams end with DriverUnavailable."""
        clients = [client for client in (self._calls, self._streams) if client is not None]
        self._calls = self._streams = None
        with anyio.CancelScope(shield=True):
            for client in clients:
                await client.close()

    @property
    def address(self) -> str:
        """Where the engine is, as a person would write it; empty before the first call found it."""
        client = self._calls or self._streams
        return self._host or (str(client._connection_info) if client is not None else "")

    @property
    def socket(self) -> str:
        """Path of the engine's socket on this host; empty where it has none, or before the first call found it."""
        return self.address.removeprefix("unix://") if self.address.startswith("unix://") else ""

    async def read(self, path: str, params: Params | None = None, *, deadline_s: float = READ_DEADLINE_S) -> Json:
        """GET `path` (without version) and return its JSON. May be cancelled at any time.

        Raises:
            Refused: the daemon answered with an error status.
            DriverUnavailable: it cannot be reached, or did not answer within `deadline_s`.
        """
        with anyio.move_on_after(deadline_s):
            try:
                return await self._json("GET", path, params, None)
            except _CUT as error:
                raise self._unreachable(error) from error
        raise DriverUnavailable(
            f"the Docker daemon did not answer GET /{path} within {deadline_s:.0f} s",
            advice="See `journalctl -u docker` for what it is busy with; `sudo systemctl restart docker` if it hangs.",
        )

    async def takes_calls(self) -> bool:
        """Whether the daemon takes new connections. One that stops takes none, yet serves those that it has."""
        with anyio.move_on_after(READ_DEADLINE_S):
            try:
                client = self._connect(1)
            except DriverUnavailable:
                return False
            try:
                async with client.session.get(f"{client.docker_host}/_ping"):
                    return True
            except _CUT:
                return False
            finally:
                with anyio.CancelScope(shield=True):
                    await client.close()
        return False

    async def change(
        self,
        method: str,
        path: str,
        params: Params | None = None,
        body: Json | None = None,
        *,
        deadline_s: float = CHANGE_DEADLINE_S,
    ) -> Json:
        """A call that changes something: shielded from cancellation until its outcome is known or its deadline passed.

        Raises:
            Refused: the daemon answered with an error status.
            Unknown: the answer did not come; the change may or may not have happened, or may happen yet.
            DriverUnavailable: no connection; nothing was asked.
        """
        with anyio.move_on_after(deadline_s, shield=True):
            try:
                return await self._json(method, path, params, body)
            except aiohttp.ClientConnectorError as error:
                raise self._unreachable(error) from error
            except _CUT as error:
                raise Unknown(f"{method} /{path} was cut off: {_words(error)}") from error
        raise Unknown(f"{method} /{path} got no answer within {deadline_s:.0f} s")

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        params: Params | None = None,
        *,
        open_s: float | None = READ_DEADLINE_S,
        archive: bytes | None = None,
    ) -> AsyncIterator[ByteStream]:
        """Open a stream; its bytes come as they arrive, never empty, until the daemon ends it.

        Args:
            open_s: how long its start may take; None where the daemon may wait before its first byte.
            archive: a tar file that is sent as the body.

        Raises:
            Refused: the daemon answered with an error status.
            DriverUnavailable: no connection, no start within `open_s`, or cut off on the way (while iterating).
        """
        response: aiohttp.ClientResponse | None = None
        try:
            with anyio.move_on_after(open_s):
                try:
                    response = await self._request(self._stream_client(), method, path, params, None, archive=archive)
                except _CUT as error:
                    raise self._unreachable(error) from error
            if response is None:
                raise DriverUnavailable(f"the Docker daemon did not begin to answer /{path} within {open_s} s")
            if response.status >= 400:
                raise await _refusal(response)
            yield ByteStream(response, self._unreachable)
        finally:
            if response is not None:
                response.close()  # not release(): that would wait for the end of an endless stream

    async def attach(
        self, container: str, *, stdin: bool = True, output: bool = False, deadline_s: float = READ_DEADLINE_S
    ) -> Attachment:
        """Attach to a container, best before its start; whoever asked for it closes it.

        Of `stdin` and `output` only what is asked for: attached output that nobody reads stalls the container.

        Raises:
            Refused: the daemon answered with an error status.
            DriverUnavailable: no connection, or no answer within `deadline_s`.
        """
        wanted = {"stream": "1", "stdin": _flag(stdin), "stdout": _flag(output), "stderr": _flag(output)}
        with anyio.move_on_after(deadline_s):
            try:
                response = await self._request(
                    self._stream_client(), "POST", f"containers/{container}/attach", wanted, None, upgrade=True
                )
            except _CUT as error:
                raise self._unreachable(error) from error
            if response.status >= 400:
                raise await _refusal(response)
            return self._hijack(response)
        raise DriverUnavailable(f"the Docker daemon did not attach to {container} within {deadline_s:.0f} s")

    def _hijack(self, response: aiohttp.ClientResponse) -> Attachment:
        """Take the connection of a response away from HTTP."""
        protocol = response.connection.protocol if response.connection is not None else None
        wire = protocol.transport if protocol is not None else None
        if protocol is None or wire is None:
            response.close()
            raise DriverUnavailable("the Docker daemon closed the connection that it was asked to attach")
        inbox = Inbox(wire)
        protocol.set_parser(inbox, inbox)
        protocol.force_close()
        return Attachment(wire, inbox, drained=protocol._drain_helper, release=response.close)

    async def _json(self, method: str, path: str, params: Params | None, body: Json | None) -> Json:
        response = await self._request(self._call_client(), method, path, params, body)
        async with response:
            if response.status >= 400:
                raise await _refusal(response)
            raw = await response.read()
        return json.loads(raw) if raw.strip() else None

    async def _request(
        self,
        client: aiodocker.Docker,
        method: str,
        path: str,
        params: Params | None,
        body: Json | None,
        *,
        upgrade: bool = False,
        archive: bytes | None = None,
    ) -> aiohttp.ClientResponse:
        version = self._version or await self._negotiate(client)
        headers = {"Content-Type": "application/json" if archive is None else "application/x-tar"}
        return await client.session.request(
            method,
            f"{client.docker_host}/{version}/{path}",
            params=params,
            data=archive if body is None else json.dumps(body),
            headers=headers | {"Connection": "Upgrade", "Upgrade": "tcp"} if upgrade else headers,
            read_until_eof=not upgrade,
        )

    async def _negotiate(self, client: aiodocker.Docker) -> str:
        async with client.session.get(f"{client.docker_host}/version") as response:
            if response.status >= 400:
                raise await _refusal(response)
            spoken = str((await response.json(content_type=None)).get("ApiVersion", "0.0"))
        major, minor = (int(part) for part in spoken.split(".")[:2])
        if (major, minor) < API_OLDEST:
            raise DriverUnavailable(
                f"the Docker daemon speaks API {spoken}, Wavepool needs 1.41 or newer",
                advice="Install Docker 20.10 or newer.",
            )
        self._version = "v{}.{}".format(*min((major, minor), API_NEWEST))
        return self._version

    def _call_client(self) -> aiodocker.Docker:
        if self._calls is None:
            self._calls = self._connect(CALLS_AT_ONCE)
        return self._calls

    def _stream_client(self) -> aiodocker.Docker:
        if self._streams is None:
            self._streams = self._connect(0)
        return self._streams

    def _connect(self, connections: int) -> aiodocker.Docker:
        """A client whose connector holds at most `connections` (0: no limit)."""
        url, context = secured(self._host or "", os.environ) or (self._host, None)
        try:
            client = aiodocker.Docker(url=url, ssl_context=context, timeout=aiohttp.ClientTimeout(sock_connect=10.0))
        except AssertionError:  # aiodocker asserts that one of its places has a socket
            raise unreachable(FileNotFoundError("no Docker socket was found"), "") from None
        except aiodocker.DockerError as error:  # what it made of an error of a file: its words say more than that
            raise unreachable(RuntimeError(error.message), self._host or "") from error
        except (ValueError, OSError) as error:
            raise unreachable(error, self._host or "") from error
        # aiodocker makes the connector itself from address, context and TLS settings, and has no way in for its limit;
        # aiohttp has none after construction.
        client.connector._limit = connections
        return client

    def _unreachable(self, error: BaseException) -> DriverUnavailable:
        return unreachable(error, self.address)


_CUT = (aiohttp.ClientError, OSError, TimeoutError, aiodocker.DockerError)


class ByteStream:
    """The body of an open stream, in pieces as they arrive; none is empty. Ends where the daemon ends it.

    Iterating raises DriverUnavailable where the stream is cut off.
    """

    def __init__(
        self, response: aiohttp.ClientResponse, translate: Callable[[BaseException], DriverUnavailable]
    ) -> None:
        self._response = response
        self._translate = translate

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await self._response.content.readany()
        except _CUT as error:
            raise self._translate(error) from error
        if not piece:
            raise StopAsyncIteration
        return piece


async def _refusal(response: aiohttp.ClientResponse) -> Refused:
    """The daemon's error status with its own words."""
    try:
        raw = await response.read()
    finally:
        response.close()
    try:
        words = str(json.loads(raw)["message"])
    except (ValueError, KeyError, TypeError):
        words = raw.decode("utf-8", "replace")
    return Refused(response.status, words.strip() or f"status {response.status}")


def _flag(wanted: bool) -> str:
    return "1" if wanted else "0"


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
