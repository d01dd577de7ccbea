"""Active processes of agents and orchestrators on this host, as the seed lists them."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import anyio
import anyio.to_thread

from wavepool.agents import registry
from wavepool.engine.report import stamp
from wavepool.errors import InfrastructureError, WavepoolError
from wavepool.host.processes import HostProcess, HostProcesses, container_of
from wavepool.monitoring.documents.overview import ProcessEntry
from wavepool.statedir import StateDir

SHOWN = 200
"""Processes at most: orchestrators first, then those that began last."""

ARGUMENT_SHOWN, LINE_SHOWN = 200, 1000
"""Characters of one argument, and of a whole command line: a prompt may be one argument."""

BLANKED = "***"

PATIENCE_S = 2.0
"""For the engine's list of containers."""

YOUNG = timedelta(minutes=1)

_LONG_AGO = datetime.fromtimestamp(0, UTC)

_SECRET_NAME = re.compile(
    r"(?i)(?:api[-_]?key|access[-_]?key|auth|bearer|credential|passw(?:or)?d|passphrase|private[-_]?key|pwd|secret|token|(?:^|[-_])pass(?:$|[-_]))"
)
_VARIABLES = frozenset({"-e", "--env", "--environment"})
"""Options whose value is NAME=VALUE: variables of tasks, which are shown nowhere."""
_NAMED = re.compile(r"^(-{0,2}[A-Za-z0-9_.-]+)([=:])(.+)$", re.DOTALL)
_TOKEN = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{8,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|xox[abprs]-[\w-]{10,}|AKIA[A-Z0-9]{12,}"
    r"|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*|[A-Za-z0-9+/_=-]{40,})"
)
_USER_OF_ADDRESS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_INTERPRETERS = re.compile(r"^(?:node|nodejs|bun|deno|python[0-9.]*|sh|bash)$")


class ProcessesSource:
    """The member `processes` of the overview.

    Args:
        state_dir: whose runs and server.
        containers: gives the ids of this owner's containers; agents in others are not shown. None: there are none.
    """

    name = "processes"
    period_s = 5.0

    def __init__(
        self, state_dir: StateDir, *, containers: Callable[[], Awaitable[Collection[str]]] | None = None
    ) -> None:
        self._state_dir = state_dir
        self._containers = containers
        self._ours: Collection[str] = ()
        self._agents = frozenset(registry.names()) - {"command"}
        self._processes = HostProcesses()
        self._roles: dict[HostProcess, str] = {}
        self._turn = anyio.Lock()

    async def read(self) -> Mapping[str, Any]:
        """All of them by pid as text. What ends while it is looked at is left out."""
        async with self._turn:
            if self._containers is not None:
                # Without an engine there are no containers; one that hangs must not hide all other processes.
                with suppress(InfrastructureError), anyio.move_on_after(PATIENCE_S):
                    self._ours = await self._containers()
            return await anyio.to_thread.run_sync(self._read)

    def _read(self) -> dict[str, ProcessEntry]:
        holders = self._holders()
        seen = self._processes.look()
        known, self._roles = self._roles, {}
        for process in seen:
            settled = process in known and (known[process] or not _is_young(process))
            self._roles[process] = known[process] if settled else self._role_of(process)
        shown = [each for each in seen if each.pid in holders or self._roles[each]]
        shown.sort(key=lambda each: (each.pid not in holders, -(each.created_at or _LONG_AGO).timestamp()))
        entries = (self._entry(each, holders) for each in shown[:SHOWN])
        return {str(entry["pid"]): entry for entry in entries if entry is not None}

    def _holders(self) -> dict[int, str]:
        """Process -> the run that it works on; the server's has none."""
        found: dict[int, str] = {}
        with suppress(WavepoolError):
            server = self._state_dir.server()
            if server.is_live() and (pid := _pid(server.holder())):
                found[pid] = ""
        with suppress(WavepoolError):
            for run_id in self._state_dir.runs():
                files = self._state_dir.run(run_id)
                with suppress(WavepoolError):
                    if files.control.exists() and files.is_live() and (pid := _pid(files.holder())):
                        found[pid] = run_id
        return found

    def _role_of(self, process: HostProcess) -> str:
        """An agent of ours, or one of our own commands; empty for what is nothing to us."""
        program = program_of(process.command())
        if program == "wavepool":
            return "other" if process.uid() == os.getuid() else ""
        if program not in self._agents:
            return ""
        container = container_of(process.pid)
        if container is not None:
            return "agent" if container in self._ours else ""
        return "agent" if process.uid() == os.getuid() else ""

    def _entry(self, process: HostProcess, holders: Mapping[int, str]) -> ProcessEntry | None:
        reading = process.read()
        if reading is None or process.created_at is None:
            return None
        run_id = holders.get(process.pid)
        role = self._roles[process] if run_id is None else "orchestrator" if run_id else "server"
        entry = ProcessEntry(
            pid=process.pid,
            name=reading.name,
            role=role,
            cmdline=shown_command(reading.command),
            status=reading.status,
            cpu_percent=reading.cpu_percent,
            memory_bytes=reading.memory_bytes,
            create_time=stamp(process.created_at) or "",
        )
        if run_id:
            entry["run_id"] = run_id
        return entry


def _is_young(process: HostProcess) -> bool:
    """Whether it may have been another program when it was looked at: who starts one forks first."""
    return datetime.now(UTC) - (process.created_at or _LONG_AGO) < YOUNG


def program_of(command: Sequence[str]) -> str:
    """The name of the program, of what an interpreter runs where the first word is one: ``node /usr/bin/claude``."""
    words = iter(command)
    first = PurePosixPath(next(words, "")).name
    if not _INTERPRETERS.match(first):
        return first
    for word in words:
        if word == "-m":
            return next(words, "").split(".")[0]
        if not word.startswith("-"):
            return PurePosixPath(word).name
    return first


def shown_command(command: Iterable[str]) -> str:
    """A command line for people: long arguments are cut, values of variables and what looks like a key are blanked."""
    shown: list[str] = []
    before, blank_next = "", False
    for word in command:
        option, before = before, word
        if option in _VARIABLES:
            shown.append(_variable(word))
            continue
        if blank_next and not word.startswith("-"):
            shown.append(BLANKED)
            blank_next = False
            continue
        blank_next = word.startswith("-") and "=" not in word and _SECRET_NAME.search(word) is not None
        shown.append(_shown_word(word))
    line = " ".join(shown)
    return line if len(line) <= LINE_SHOWN else line[: LINE_SHOWN - 1] + "…"


def _variable(word: str) -> str:
    name, equals, _ = word.partition("=")
    return f"{_shown_word(name)}={BLANKED}" if equals else _shown_word(word)


def _shown_word(word: str) -> str:
    option, equals, rest = word.partition("=")
    if equals and option in _VARIABLES:
        return f"{option}={_variable(rest)}"
    named = _NAMED.match(word)
    if named is not None and _SECRET_NAME.search(named[1]):
        return f"{named[1]}{named[2]}{BLANKED}"
    plain = _USER_OF_ADDRESS.sub(BLANKED, word)
    if not plain.startswith(("/", "./", "../")):
        plain = _TOKEN.sub(BLANKED, plain)
    plain = plain.encode("utf-8", "replace").decode()
    return plain if len(plain) <= ARGUMENT_SHOWN else plain[: ARGUMENT_SHOWN - 1] + "…"


def _pid(holder: str) -> int | None:
    number = holder.split(" ")[0]
    return int(number) if number.isdigit() else None
