"""Active processes of agents and orchestrators on this host, as the seed lists them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import anyio
import anyio.to_thread
import psutil

from wavepool.agents import registry
from wavepool.engine.report import stamp
from wavepool.errors import WavepoolError
from wavepool.monitoring.documents.overview import ProcessEntry
from wavepool.statedir import StateDir

SHOWN = 200
"""Processes at most: orchestrators first, then those that began last."""

ARGUMENT_SHOWN, LINE_SHOWN = 200, 1000
"""Characters of one argument, and of a whole command line: a prompt may be one argument."""

BLANKED = "***"

_SECRET_NAME = re.compile(
    r"(?i)(?:api[-_]?key|access[-_]?key|auth|bearer|credential|passw(?:or)?d|passphrase|private[-_]?key|secret|token)"
)
_NAMED = re.compile(r"^(-{0,2}[A-Za-z0-9_.-]+)([=:])(.+)$", re.DOTALL)
_TOKEN = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{8,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|xox[abprs]-[\w-]{10,}|AKIA[A-Z0-9]{12,}"
    r"|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*|[A-Za-z0-9+/_=-]{40,})"
)
_USER_OF_ADDRESS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_CONTAINER = re.compile(r"[0-9a-f]{64}")
_INTERPRETERS = re.compile(r"^(?:node|nodejs|bun|deno|python[0-9.]*|sh|bash)$")


class ProcessesSource:
    """The member `processes` of the overview.

    Args:
        state_dir: whose runs and server.
        ours: whether a container of this id is this owner's; agents in other containers are not shown. None: none is.
    """

    name = "processes"
    period_s = 5.0

    def __init__(self, state_dir: StateDir, *, ours: Callable[[str], bool] | None = None) -> None:
        self._state_dir = state_dir
        self._ours = ours or (lambda _: False)
        self._agents = frozenset(registry.names()) - {"command"}
        self._known: dict[int, Process] = {}
        self._turn = anyio.Lock()

    async def read(self) -> Mapping[str, Any]:
        """All of them by pid as text. Raises nothing: what ends while it is looked at is left out."""
        async with self._turn:
            return await anyio.to_thread.run_sync(self._read)

    def _read(self) -> dict[str, ProcessEntry]:
        holders = self._holders()
        pids = psutil.pids()
        self._known = {pid: self._same_or_new(pid) for pid in pids}
        wanted = [each for each in self._known.values() if self._note(each, holders)]
        wanted.sort(key=lambda each: (each.role == "agent", -each.created_s))
        entries = (each.entry() for each in wanted[:SHOWN])
        return {str(entry["pid"]): entry for entry in entries if entry is not None}

    def _same_or_new(self, pid: int) -> Process:
        known = self._known.get(pid)
        return known if known is not None and known.is_the_same() else Process(pid)

    def _note(self, process: Process, holders: Mapping[int, str]) -> bool:
        """Whether it is to be shown; says in it what it is."""
        if process.pid in holders:
            process.run_id = holders[process.pid] or None
            process.role = "orchestrator" if process.run_id else "server"
            return True
        process.run_id = None
        if process.role in ("orchestrator", "server"):
            process.role = ""
        return process.classify(self._agents, self._ours)

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


class Process:
    """One process, looked into once; its CPU time from one look to the next.

    Attributes:
        role: as `ProcessEntry` has it; empty for one that is nothing to us, None as long as that is not known.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.role: str | None = None
        self.run_id: str | None = None
        self.created_s = 0.0
        self._process: psutil.Process | None = None
        with suppress(psutil.Error):
            self._process = psutil.Process(pid)
            self.created_s = self._process.create_time()

    def is_the_same(self) -> bool:
        """False where it has ended, and the number may be another's."""
        return self._process is not None and self._process.is_running()

    def classify(self, agents: Collection[str], ours: Callable[[str], bool]) -> bool:
        """Whether it is an agent of ours, or one of our own commands."""
        if self.role is None:
            self.role = self._found_role(agents, ours)
        return self.role != ""

    def entry(self) -> ProcessEntry | None:
        """As it is now; None where it has ended."""
        if self._process is None or not self.role:
            return None
        try:
            with self._process.oneshot():
                entry = ProcessEntry(
                    pid=self.pid,
                    name=self._process.name(),
                    role=self.role,
                    cmdline=shown_command(self._process.cmdline()),
                    status=self._process.status(),
                    cpu_percent=round(self._process.cpu_percent(None), 1),
                    memory_bytes=self._process.memory_info().rss,
                    create_time=stamp(datetime.fromtimestamp(self.created_s, UTC)) or "",
                )
        except (psutil.Error, OSError):
            return None
        if self.run_id is not None:
            entry["run_id"] = self.run_id
        return entry

    def _found_role(self, agents: Collection[str], ours: Callable[[str], bool]) -> str:
        if self._process is None:
            return ""
        try:
            command = self._process.cmdline()
            program = program_of(command)
            if program == "wavepool" and self._process.uids().real == os.getuid():
                return "other"
            if program not in agents:
                return ""
            container = container_of(self.pid)
            if container is not None:
                return "agent" if ours(container) else ""
            return "agent" if self._process.uids().real == os.getuid() else ""
        except (psutil.Error, OSError):
            return ""


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


def container_of(pid: int, proc: Path = Path("/proc")) -> str | None:
    """The id of the container that a process runs in, by its cgroup; None for none. Raises OSError."""
    found = _CONTAINER.search((proc / str(pid) / "cgroup").read_text())
    return None if found is None else found[0]


def shown_command(command: Iterable[str]) -> str:
    """A command line for people: long arguments are cut, and what looks like a key is blanked."""
    shown: list[str] = []
    blank_next = False
    for word in command:
        if blank_next and not word.startswith("-"):
            shown.append(BLANKED)
            blank_next = False
            continue
        blank_next = word.startswith("-") and "=" not in word and _SECRET_NAME.search(word) is not None
        shown.append(_shown_word(word))
    line = " ".join(shown)
    return line if len(line) <= LINE_SHOWN else line[: LINE_SHOWN - 1] + "…"


def _shown_word(word: str) -> str:
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
