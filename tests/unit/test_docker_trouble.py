"""The daemon's complaints, each met with the advice that fits."""

from __future__ import annotations

import errno

import pytest

from wavepool.drivers.docker.trouble import Refused, advice_for, not_started, unreachable


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("No such image: img:1", "docker pull img:1"),
        ("network cfn-network not found", "docker network create cfn-network"),
        ("memory is too large", "Lower the memory"),
        ("Minimum memory limit allowed is 6MB", "at least 6m"),
        ("unable to set memory limit to 8388608 (current usage: 9842688, peak usage: 9879552)", "at least 16m"),
        ("write /var/lib/docker/x: no space left on device", "df -h"),
        ("could not find an available, non-overlapping IPv4 address pool", "docker network prune"),
        ("all predefined address pools have been fully subscribed", "docker network prune"),
        ('exec: "docker-init": executable file not found in $PATH', "tini"),
        ("invalid mount config: bind source path does not exist: /x", "must exist on the Docker host"),
        ("something nobody has heard of", ""),
    ],
)
def test_advice_fits_the_words(words: str, advice: str) -> None:
    found = advice_for(words, image="img:1", network="cfn-network")
    assert advice in found
    assert bool(advice) == bool(found)


@pytest.mark.parametrize(
    ("words", "transient", "code"),
    [
        ("device or resource busy", True, None),
        ("context deadline exceeded", True, None),
        ("network cfn-network is ambiguous (2 matches found on name)", True, None),
        ("no available IPv4 addresses on this network's address pools", True, None),
        ('exec: "/nope": stat /nope: no such file or directory: unknown', False, 127),
        ('exec: "nope": executable file not found in $PATH', False, 127),
        ('exec: "/x": permission denied', False, 126),
        ("No such image: x", False, None),
        ("who knows", False, None),
    ],
)
def test_what_may_pass_and_what_the_program_would_have_said(words: str, transient: bool, code: int | None) -> None:
    found = not_started(Refused(500, words), name="n", image="i", network=None)
    assert (found.transient, found.program_exit_code) == (transient, code)
    assert words in str(found)


class Wrapped(Exception):
    """Like aiohttp's connection errors, which carry the system's."""

    def __init__(self, error: OSError) -> None:
        super().__init__("cannot connect")
        self.os_error = error


@pytest.mark.parametrize(
    ("error", "address", "advice"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file"), "unix:///var/run/docker.sock", "systemctl start docker"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "unix:///x", "systemctl start docker"),
        (Wrapped(PermissionError(errno.EACCES, "denied")), "unix:///x", "usermod -aG docker $USER"),
        (Wrapped(OSError(errno.ECONNREFUSED, "refused")), "tcp://h:2375", "DOCKER_HOST"),
        (RuntimeError("asyncssh is required"), "ssh://h", "aiodocker[ssh]"),
        (RuntimeError("Permission denied for user u"), "ssh://u@h", "docker --host ssh://u@h version"),
        (RuntimeError("certificate verify failed"), "tcp://h:2376", "DOCKER_CERT_PATH"),
        (RuntimeError("Context metadata file not found"), "", "docker context use default"),
    ],
)
def test_an_engine_out_of_reach(error: BaseException, address: str, advice: str) -> None:
    assert advice in unreachable(error, address).advice
