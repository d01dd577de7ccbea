"""TLS to an engine: when the environment asks for it, and what is said of certificates that are not right."""

from __future__ import annotations

import errno
import ssl
from pathlib import Path

import pytest

from wavepool.drivers.docker.tls import failure, secured
from wavepool.drivers.docker.trouble import Refused, advice_for, unreachable
from wavepool.errors import DriverUnavailable


@pytest.mark.parametrize(
    ("address", "verify"),
    [("unix:///s", "1"), ("ssh://h", "1"), ("", "1"), ("tcp://h:2375", ""), ("tcp://h:2375", None)],
)
def test_without_tls(address: str, verify: str | None) -> None:
    environ = {} if verify is None else {"DOCKER_TLS_VERIFY": verify}
    assert secured(address, environ) is None


@pytest.mark.parametrize("verify", ["1", "yes", "0"])
def test_any_word_asks_for_it_and_the_missing_file_is_named(tmp_path: Path, verify: str) -> None:
    """As for the docker command, which takes even 0 for yes."""
    with pytest.raises(DriverUnavailable) as raised:
        secured("tcp://h:2376", {"DOCKER_TLS_VERIFY": verify, "DOCKER_CERT_PATH": str(tmp_path)})
    assert str(tmp_path / "ca.pem") in raised.value.message
    assert "DOCKER_CERT_PATH" in raised.value.advice


def test_certificates_are_looked_for_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DriverUnavailable) as raised:
        secured("tcp://h:2376", {"DOCKER_TLS_VERIFY": "1"})
    assert str(tmp_path / ".docker/ca.pem") in raised.value.message


def test_what_is_no_certificate(tmp_path: Path) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("no certificate\n")
    with pytest.raises(DriverUnavailable) as raised:
        secured("tcp://h:2376", {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)})
    assert str(tmp_path) in raised.value.message


class Wrapped(Exception):
    """Like aiohttp's connection errors, which carry the system's."""

    def __init__(self, error: OSError) -> None:
        super().__init__("cannot connect")
        self.os_error = error


def test_a_refused_certificate_is_no_missing_permission() -> None:
    """The number of an error of TLS is 1, which as one of the system's is EPERM."""
    refused = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
    assert refused.errno == errno.EPERM
    said = unreachable(Wrapped(refused), "tcp://h:2376")
    assert "certificate verify failed" in said.message
    assert "DOCKER_CERT_PATH" in said.advice
    assert failure(Wrapped(PermissionError(errno.EPERM, "not permitted"))) is None


def test_plain_http_to_a_daemon_that_speaks_tls() -> None:
    assert "DOCKER_TLS_VERIFY=1" in advice_for(Refused(400, "Client sent an HTTP request to an HTTPS server.").words)
