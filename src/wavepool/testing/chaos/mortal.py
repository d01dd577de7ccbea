"""An orchestrator that dies by SIGKILL, of its own hand, at a call that was chosen before.

`arm` changes the classes of this very process and no other: no variable and no option of `wavepool` leads here. The
calls are those of `kill_points`: each append and sync of the journal, each prepare, start, stop, remove, park and
unpark of a driver, each reading of logs; there is a point before and one after it. In the claim of a parked container
there are ``go`` (the command is sent) and ``mark`` (its start mark was seen, and is noted).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from typing import Any

from wavepool.drivers.docker import DockerDriver
from wavepool.drivers.docker.attachment import Attachment
from wavepool.drivers.docker.watching.sightings import OwnActs
from wavepool.drivers.process import ProcessDriver
from wavepool.errors import InputError
from wavepool.journal.sqlite import SqliteJournal

COMMAND = "from wavepool.cli import main; main()"


def mortal_command(point: str) -> list[str]:
    """The start of a command line that is `wavepool`, but dies at `point`; a verb and its options follow."""
    return [sys.executable, "-c", f"from wavepool.testing.chaos.mortal import arm; arm({point!r}); {COMMAND}"]


def immortal_command() -> list[str]:
    """The start of a command line that is `wavepool`, with this interpreter."""
    return [sys.executable, "-c", COMMAND]


def arm(point: str) -> None:
    """Die at the n-th point whose name matches: ``<pattern>@<n>``, as ``after append *TaskSettled@2`` or ``*@17``.

    Raises:
        InputError: it is no point.
    """
    trigger = _Trigger(point)
    _around(SqliteJournal, "append", trigger, lambda facts, **_: f"append {_kinds(facts)}")
    _around(SqliteJournal, "sync", trigger, lambda: "sync")
    for driver in (DockerDriver, ProcessDriver):
        for name in ("prepare", "start", "stop", "remove"):
            _around(driver, name, trigger, lambda *_, name=name, **__: name)
        _around_logs(driver, trigger)
    for name in ("park", "unpark"):
        _around(DockerDriver, name, trigger, lambda *_, name=name: name)
    _around_at_once(Attachment, "write", trigger, "go")
    _around_at_once(OwnActs, "note_claim", trigger, "mark")


class _Trigger:
    def __init__(self, point: str) -> None:
        self._pattern, _, number = point.rpartition("@")
        if not self._pattern or not number.isdigit():
            raise InputError(f"got {point!r}, expected a point such as 'after append *TaskSettled@2'")
        self._left = int(number)

    def at(self, name: str) -> None:
        if fnmatchcase(name, self._pattern):
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


def _kinds(facts: Sequence[Any]) -> str:
    return "+".join(type(stamped.fact).__name__ for stamped in facts) or "nothing"


def _around(owner: Any, method: str, trigger: _Trigger, named: Callable[..., str]) -> None:
    original = getattr(owner, method)

    async def call(self: Any, *arguments: Any, **options: Any) -> Any:
        name = named(*arguments, **options)
        trigger.at(f"before {name}")
        try:
            return await original(self, *arguments, **options)
        finally:
            trigger.at(f"after {name}")

    setattr(owner, method, call)


def _around_at_once(owner: Any, method: str, trigger: _Trigger, name: str) -> None:
    """Of a method that awaits nothing."""
    original = getattr(owner, method)

    def call(self: Any, *arguments: Any) -> Any:
        trigger.at(f"before {name}")
        try:
            return original(self, *arguments)
        finally:
            trigger.at(f"after {name}")

    setattr(owner, method, call)


def _around_logs(owner: Any, trigger: _Trigger) -> None:
    original = owner.logs

    @asynccontextmanager
    async def logs(self: Any, *arguments: Any, **options: Any) -> Any:
        trigger.at("before logs")
        async with original(self, *arguments, **options) as chunks:
            yield chunks
        trigger.at("after logs")

    owner.logs = logs
