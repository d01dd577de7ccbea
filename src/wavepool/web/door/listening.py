"""The ports: bound before anything else is begun, so that one that is taken is told at once."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from wavepool.errors import InfrastructureError, InputError

LOCALHOST = "localhost"
BACKLOG = 1024
SILENT_S = 60
"""How long what was sent may stay unread before the kernel gives a connection up (TCP_USER_TIMEOUT)."""

TRIES = 20
"""For a free port that is free on all addresses of the host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """One port, on all addresses of its host.

    Attributes:
        host: as it was asked for.
        port: the real one.
        sockets: bound and listening; whoever made this closes them.
        loopback: whether nobody on another machine can reach them.
    """

    host: str
    port: int
    sockets: Sequence[socket.socket]
    loopback: bool

    @property
    def place(self) -> str:
        """Host and port, as they stand in an address; of all addresses at once it is this machine's own name."""
        host = LOCALHOST if _is_any(self.host) else self.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def close(self) -> None:
        """Give the port up."""
        for each in self.sockets:
            each.close()


def listen(host: str, port: int, *, option: str) -> Listening:
    """Bind `port` (0: any that is free) on all addresses of `host`.

    Raises:
        InputError: the host is unknown, or is not one of this machine.
        InfrastructureError: the port is taken, or may not be had.
    """
    addresses = addresses_of(host)
    for _ in range(TRIES):
        try:
            sockets = _bound(addresses, port)
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE:
                raise _trouble(host, port, option, error) from error
        else:
            real = sockets[0].getsockname()[1]
            return Listening(host=host, port=real, sockets=sockets, loopback=is_loopback(host))
    raise InfrastructureError(f"no port is free on all addresses of {host}", advice=f"Name one by {option}.")


def addresses_of(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """All addresses that a name, or an address, stands for. Raises InputError."""
    if host == LOCALHOST:  # whatever a resolver makes of it
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"--host: {host!r} is no address of this machine: {getattr(error, 'strerror', None) or error}",
            advice="Name an address, as 127.0.0.1, or a name that leads to one. Without --host it is localhost.",
        ) from None
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that host. Raises InputError where it is none."""
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for _, address in addresses_of(host))


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _bound(addresses: Sequence[tuple[socket.AddressFamily, str]], port: int) -> list[socket.socket]:
    """One socket for each address; one without IPv6 has to do where the machine has none."""
    with contextlib.ExitStack() as stack:
        sockets: list[socket.socket] = []
        for family, address in addresses:
            try:
                made = _listener(family, address, sockets[0].getsockname()[1] if sockets else port)
            except OSError as error:
                if sockets and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    continue
                raise
            stack.callback(made.close)
            sockets.append(made)
        stack.pop_all()
    return sockets


def _listener(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_S * 1000)  # its connections inherit it
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
        made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def _trouble(host: str, port: int, option: str, error: OSError) -> InfrastructureError | InputError:
    if error.errno == errno.EADDRNOTAVAIL:
        return InputError(f"--host: {host} is no address of this machine", advice="Without --host it is localhost.")
    advice = f"`{option} 0` takes any that is free."
    if error.errno == errno.EACCES:
        return InfrastructureError(f"port {port} of {host} may not be had: {error.strerror}", advice=advice)
    return InfrastructureError(
        f"port {port} of {host} is taken: {error.strerror}",
        advice=f"Perhaps another `wavepool serve` has it, or another program (`ss -ltnp`). {advice}",
    )
