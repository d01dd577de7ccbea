"""TLS to an engine as the docker command does it by environment: DOCKER_TLS_VERIFY, DOCKER_CERT_PATH."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from wavepool.errors import DriverUnavailable

VERIFY, CERTIFICATES = "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"
ADVICE = f"Check {VERIFY} and the certificates in {CERTIFICATES} (or of the Docker context)."
_FILES = ("ca.pem", "cert.pem", "key.pem")


def secured(address: str, environ: Mapping[str, str]) -> tuple[str, ssl.SSLContext] | None:
    """The address to speak TLS to, and how; None where the environment does not ask for that.

    As for the docker command, any value of DOCKER_TLS_VERIFY but the empty one asks for it, and certificates lie in
    ``~/.docker`` unless DOCKER_CERT_PATH says where.

    Raises:
        DriverUnavailable: a certificate or the key is missing, or cannot be read.
    """
    scheme, _, rest = address.partition("://")
    if scheme not in ("tcp", "http", "https") or not environ.get(VERIFY):
        return None
    return f"https://{rest}", _context(Path(environ.get(CERTIFICATES) or Path.home() / ".docker"))


def _context(directory: Path) -> ssl.SSLContext:
    authority, certificate, key = (directory / name for name in _FILES)
    try:
        context = ssl.create_default_context(cafile=_readable(authority))
        context.load_cert_chain(_readable(certificate), _readable(key))
    except OSError as error:  # ssl.SSLError is one too
        said = error.strerror or str(error)
        raise DriverUnavailable(
            f"no TLS to the Docker daemon: {error.filename or directory} cannot be used: {said}",
            advice=f"{ADVICE} {', '.join(_FILES)} are looked for in {directory}.",
        ) from error
    return context


def _readable(path: Path) -> str:
    """`path`, proven to be there: the ssl module does not say which of its files is missing. Raises OSError."""
    path.open("rb").close()
    return str(path)


def failure(error: BaseException) -> ssl.SSLError | None:
    """The TLS error behind `error`, through aiohttp's wrappers: its number is no error of the operating system."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return cause
        inner = getattr(cause, "os_error", None) or getattr(cause, "certificate_error", None) or cause.__cause__
        cause = inner if isinstance(inner, BaseException) else None
    return None
