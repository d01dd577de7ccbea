"""The seed's helper functions: short questions about single containers, asked and answered in one blocking call.

For scripts and notebooks. They work on any container of the engine, ours or not, and change nothing. Inside a running
event loop they refuse: there they would stop everything else. Each raises DriverUnavailable where the engine cannot be
reached (with advice), and InputError where a container's id can be none.

====================  =========================
here                  in the seed
====================  =========================
parse_memory          parse_memory
container_status      get_container_status
wait_for_containers   wait_for_containers
exit_code             extract_exit_code
check_docker_access   validate_docker_access
container_manifest    create_container_manifest
save_logs             log_container
====================  =========================
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import anyio

from wavepool import labels
from wavepool.blocking.loops import ask
from wavepool.config import load_settings
from wavepool.drivers.docker.remains.records import ContainerRecord, DockerRecords, checked_reference
from wavepool.engine.attempts.saving import save_chunks
from wavepool.engine.report import stamp
from wavepool.engine.steps.timeouts import TimeoutMarks
from wavepool.errors import DriverUnavailable, InputError, NoSuchAttempt
from wavepool.model import TIMEOUT_EXIT_CODE
from wavepool.statedir import StateDir
from wavepool.units import format_size, parse_size

__all__ = [
    "check_docker_access",
    "container_manifest",
    "container_status",
    "exit_code",
    "parse_memory",
    "save_logs",
    "wait_for_containers",
]

Status = Literal["running", "exited", "failed"]

REPLAY_S = 2.0
"""The daemon may send a stream's header before it listens: events since a moment before are asked for."""

RECONNECT_S = 0.2

_Answer = TypeVar("_Answer")

parse_memory = parse_size
"""Bytes of ``512m``, ``1g`` or ``100`` (no unit: bytes). Raises SizeError."""


def container_status(container_id: str) -> Status:
    """``running``; ``exited`` once it ended with 0; ``failed`` once it ended otherwise, or could not be started.

    One that is paused, or created and not started yet, has not ended: it counts as running.

    Raises:
        NoSuchAttempt: there is no such container.
    """
    return _status(_ask(container_status, lambda records: _record(records, container_id)))


def wait_for_containers(container_ids: Sequence[str], timeout_s: float) -> Literal[0, 1, 2]:
    """Wait until all have ended: 0 all with exit code 0, 1 some otherwise, 2 not all within `timeout_s`.

    Ends are known at once, by events. At the timeout nothing is stopped. A container that is gone is never a success.
    """
    if not timeout_s > 0:
        raise InputError(f"timeout_s: got {timeout_s!r}, expected seconds above zero")
    references = [checked_reference(each) for each in container_ids]
    return _ask(wait_for_containers, lambda records: _wait(records, references, timeout_s))


def exit_code(container_id: str, *, state_dir: Path | None = None) -> int:
    """What the container ended with; 124 for one that `wavepool monitor` stopped at its timeout.

    Args:
        state_dir: where spawn and monitor keep their state; None for the one of the settings.

    Raises:
        NoSuchAttempt: there is no such container, or it has not ended.
    """
    record = _ask(exit_code, lambda records: _record(records, container_id))
    if _status(record) == "running":
        raise NoSuchAttempt(f"container {record.name} has no exit code yet: it is {record.final.status}")
    run_id = record.labels.get(labels.RUN)
    if labels.OWNER in record.labels and run_id:
        marks = TimeoutMarks(StateDir(state_dir or _default_state_dir()))
        if marks.noted(run_id, record.id):
            return TIMEOUT_EXIT_CODE
    return record.final.exit_code


def check_docker_access() -> None:
    """Return if the daemon answers.

    Raises:
        DriverUnavailable: it does not, or its socket may not be used; the advice says how to mend that.
    """
    _ask(check_docker_access, lambda records: records.ping())


def container_manifest(container_id: str, batch_id: str, tier: int) -> dict[str, object]:
    """What a manifest says of one container, as `wavepool spawn` writes it and `wavepool monitor` reads it.

    Raises:
        NoSuchAttempt: there is no such container.
    """
    record = _ask(container_manifest, lambda records: _record(records, container_id))
    return {
        "container_id": record.id,
        "id": record.id,
        "container_name": record.name,
        "batch_id": batch_id,
        "tier": tier,
        "memory_limit": format_size(record.memory_bytes) if record.memory_bytes else None,
        "status": record.final.status,
        "started_at": stamp(record.final.started_at),
    }


def save_logs(container_id: str, directory: str | Path) -> Path:
    """Write all that the container has written so far to ``<directory>/<container_id>.log`` (mode 0600); returns where.

    stdout and stderr come in the order in which the engine kept them. The directory is made if it is missing.

    Raises:
        NoSuchAttempt: there is no such container.
        OSError: the file cannot be written.
    """
    path = Path(directory) / f"{checked_reference(container_id)}.log"

    async def save(records: DockerRecords) -> Path:
        record = await _record(records, container_id)
        async with records.output(record) as chunks:
            await save_chunks(chunks, path)
        return path

    return _ask(save_logs, save)


# -- behind them --


def _ask(function: Callable[..., object], work: Callable[[DockerRecords], Awaitable[_Answer]]) -> _Answer:
    """Open the engine, do `work`, close it."""

    async def asking() -> _Answer:
        async with DockerRecords() as records:
            return await work(records)

    return ask(getattr(function, "__name__", "this function"), asking)


async def _record(records: DockerRecords, container_id: str) -> ContainerRecord:
    record = await records.container(container_id)
    if record is None:
        raise NoSuchAttempt(f"there is no container {container_id}", advice="See `docker ps --all`.")
    return record


def _status(record: ContainerRecord) -> Status:
    final = record.final
    if final.status in ("exited", "dead"):
        return "exited" if final.exit_code == 0 and final.status == "exited" else "failed"
    if final.started_at is None and final.error:
        return "failed"
    return "running"


async def _wait(records: DockerRecords, references: Sequence[str], timeout_s: float) -> Literal[0, 1, 2]:
    waiting = _Waiting(records, references)
    with anyio.move_on_after(timeout_s):
        while waiting.left:
            try:
                await waiting.watch()
            except DriverUnavailable:
                await anyio.sleep(RECONNECT_S)
                await records.ping()  # an engine that is really gone is an error, a cut stream is not
    if waiting.left:
        return 2
    return 1 if waiting.failed else 0


class _Waiting:
    """Which containers (as the caller named them) have not ended, and whether one of the others did not succeed."""

    def __init__(self, records: DockerRecords, references: Sequence[str]) -> None:
        self.left = set(references)
        self.failed = False
        self._records = records
        self._died: dict[str, int] = {}

    async def watch(self) -> None:
        """Until all have ended. Listens first and looks then, so that no end is missed in between.

        Raises:
            DriverUnavailable: the engine cannot be reached, or the stream was cut; what is known by then is kept.
        """
        since_s = time.time() - REPLAY_S
        ids: dict[str, set[str]] = {}
        for reference in list(self.left):
            record = await self._records.container(reference)
            if record is None:
                self._settle(reference, None)
            else:
                ids.setdefault(record.id, set()).add(reference)
        if not ids:
            return
        async with self._records.events(frozenset(ids), since_s) as stream:
            await self._look(self.left)
            rest = b""
            while self.left:
                piece = await anext(stream, b"")
                if not piece:
                    raise DriverUnavailable("the Docker daemon ended its event stream")
                *lines, rest = (rest + piece).split(b"\n")
                for actor in (json.loads(line)["Actor"] for line in lines if line.strip()):
                    named = ids.get(str(actor["ID"]), set())
                    if "exitCode" in actor["Attributes"]:
                        self._died.update(dict.fromkeys(named, int(actor["Attributes"]["exitCode"])))
                    await self._look(named)

    async def _look(self, among: set[str]) -> None:
        for reference in self.left & among:
            record = await self._records.container(reference)
            if record is None or _status(record) != "running":
                self._settle(reference, record)

    def _settle(self, reference: str, record: ContainerRecord | None) -> None:
        """One of `docker run --rm` is gone as soon as it ends: then its event tells how. Gone without one: failed."""
        self.left.discard(reference)
        if record is not None:
            self.failed |= _status(record) == "failed"
        else:
            self.failed |= self._died.get(reference) != 0


def _default_state_dir() -> Path:
    return load_settings({}, environ=os.environ, cwd=Path.cwd()).state_dir
