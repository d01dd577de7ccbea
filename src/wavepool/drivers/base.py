"""The driver contract: eight methods, the values they exchange, and what each may raise.

A non-zero exit is a result; lost infrastructure is an exception. One contract suite
(``tests/contract/test_drivers.py``) runs against every driver.
What a driver can beside that stands in modules of its own: `keeping`, `parking`, `sidecars`, `stacks`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from wavepool.inputs.subnets import DEFAULT_SUBNET_POOL
from wavepool.model import LOG_LIMIT_BYTES, AttemptId, Ending, Limits, Mount, Node, Sidecar
from wavepool.model import Handle as Handle  # part of this contract; it lives in the model because facts carry it


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkNeed:
    """A network that must exist. `labels` mark it as ours if it has to be created.

    `private` True: containers on it cannot reach each other.
    """

    name: str
    labels: Mapping[str, str]
    private: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What must be there before attempts can start. `pull` is ``missing``, ``always`` or ``never``."""

    images: tuple[str, ...] = ()
    networks: tuple[NetworkNeed, ...] = ()
    pull: str = "missing"


class PullProgress(Protocol):
    """Called with an image reference and a short text as its pull goes on. Must not block."""

    def __call__(self, image: str, text: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What `prepare` did. `image_ids` maps each reference to the id that it stands for now."""

    image_ids: Mapping[str, str] = field(default_factory=dict)
    networks_created: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverFacts:
    """What a driver can do here and now.

    Attributes:
        driver: its name: docker, process, memory.
        version: of the engine behind it.
        execution_mode: ``docker`` or ``subprocess``; shown in results.
        nodes: each with the memory and CPU it has in all (not what is free).
        clock_offset_s: the engine's clock less ours.
        remote: True where the engine is not on this host (no cgroup files, no bind mounts of our directories).
        enforces_memory: True where a memory limit reaches the kernel.
        details: readings for `wavepool doctor`: cgroup version, storage driver, ...
    """

    driver: str
    version: str
    execution_mode: str
    nodes: tuple[Node, ...]
    clock_offset_s: float = 0.0
    remote: bool = False
    enforces_memory: bool = True
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarSpec:
    """All that a driver needs to start one sidecar.

    Attributes:
        sidecar: what was asked for.
        name: derived name of its container.
        data: host directory, exists; seen inside at /data. The sidecar runs as its owner unless it names a user.
        mounts: its volumes, resolved.
        labels: applied last.
        spec_hash: digest of what was asked for.
    """

    sidecar: Sidecar
    name: str
    data: Path
    mounts: tuple[Mount, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    spec_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnNetwork:
    """A network of one attempt (or one stack) alone.

    `internal`: without a way out, and without an answer to names that are not on it. `subnet_pool`: the private ranges
    to take its addresses from, as in the setting.
    """

    name: str
    labels: Mapping[str, str]
    internal: bool = False
    subnet_pool: str = DEFAULT_SUBNET_POOL


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSpec:
    """All that a driver needs to start one attempt.

    Attributes:
        attempt, owner, run_id, wave: who it is; the same values are in `labels`.
        node: name of the node whose budget holds it; the driver starts it there. Empty where nobody decided: any.
        name: derived (`labels.container_name`); starting the same spec twice never runs it twice.
        image: reference; ignored by drivers without images.
        command: argv; None for the image's own entrypoint.
        commands: instead of `command`: several, run in turn until one fails; between two of them every process that the
            last one left is killed. The last line of stderr then says which failed (`engine.attempts.commands`).
        env: variables; the driver adds TASK_PROMPT (where the prompt fits), TASK_PROMPT_FILE,
            WAVEPOOL_WORKSPACE and WAVEPOOL_SECRETS_DIR.
        prompt: delivered byte for byte as the file that TASK_PROMPT_FILE names.
        workspace: host directory, seen inside at /workspace (or, without containers, the working directory).
        directory: absolute path where it runs inside; empty for the workspace. Docker makes one that is missing.
        slot: host directory of this attempt alone; exists, belongs to us, mode 0755; the driver may write into it.
        secrets: name -> value; each becomes the file /run/secrets/<name> (mode 0400) on a tmpfs.
        network: name of a prepared network; None for no network at all.
        user: ``uid:gid``, ``uid``, or a name that the image knows; None for the owner of the workspace.
        log_limit_bytes: of its output at least so much is kept, and at most a quarter more.
        labels: applied last.
        spec_hash: digest of what was asked for; an existing thing of the same name is adopted only if it agrees.
        sidecars: started before it, and ready before it starts; only drivers that are `SupportsSidecars` get any.
        own_network: where it meets its sidecars; set exactly where there are any.
        late: what it runs is told at its claim (`drivers.parking`).
        read_only: its root file system cannot be written to.
        tmpfs: absolute path inside -> bytes: file systems in memory, writable for its user; they count as its memory.
    """

    attempt: AttemptId
    owner: str
    run_id: str
    wave: int
    name: str
    image: str
    command: tuple[str, ...] | None
    env: Mapping[str, str]
    prompt: str
    limits: Limits
    workspace: Path
    slot: Path
    mounts: tuple[Mount, ...] = ()
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    network: str | None = None
    user: str | None = None
    log_limit_bytes: int = LOG_LIMIT_BYTES
    labels: Mapping[str, str] = field(default_factory=dict)
    spec_hash: str = ""
    node: str = ""
    commands: tuple[tuple[str, ...], ...] = ()
    sidecars: tuple[SidecarSpec, ...] = ()
    own_network: OwnNetwork | None = None
    directory: str = ""
    late: bool = False
    read_only: bool = False
    tmpfs: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which of an owner's things: all, those of one run, of one wave, or (with `shared_network`) one network.

    A scope never reaches another owner's things. `detached` True: only those of `wavepool spawn`; False: only those
    of runs; None: both.
    """

    owner: str
    run_id: str | None = None
    wave: int | None = None
    detached: bool | None = None
    shared_network: str | None = None


class Phase(StrEnum):
    """What a driver sees of an attempt. `CREATED` has no result yet; `GONE` never will have one."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The state of one attempt now. `ending` is set exactly when `phase` is EXITED or GONE (then its kind is LOST)."""

    handle: Handle
    run_id: str
    wave: int
    phase: Phase
    started_at: datetime | None = None
    ending: Ending | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """All that existed when the watch (re)connected has been told; `present` are the attempts among it."""

    present: frozenset[tuple[str, AttemptId]]
    """(run id, attempt) of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChunk:
    """A piece of output as the task wrote it.

    `stream` is ``stdout`` or ``stderr``; `data` is never empty, but for a gap that nothing came after.
    """

    stream: str
    data: bytes
    gap: bool = False
    """True where output is missing before this chunk, or may be."""
    gap_reason: str = ""
    """Why; empty where the driver keeps only so much of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One reading. `memory_bytes` is usage less inactive file cache; `cpu_s` is CPU time used so far."""

    memory_bytes: int
    memory_limit_bytes: int
    memory_peak_bytes: int | None
    pids: int
    cpu_s: float
    oom_kills: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What `remove` did.

    `errors` has one sentence for each thing that is still there.
    """

    containers: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    volumes: int = 0
    errors: tuple[str, ...] = ()


class Driver(ABC):
    """Where attempts run. Use it as an async context manager: leaving closes connections, stops nothing.

    Every method has a deadline of its own and may be cancelled at any await; calls that change something are
    shielded until that deadline, so that their outcome is known or said to be unknown.
    """

    name: str

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None: ...

    @abstractmethod
    async def probe(self) -> DriverFacts:
        """Ask the engine who it is and what it has.

        Raises:
            DriverUnavailable: it cannot be reached; the advice says how to mend that.
        """

    @abstractmethod
    async def prepare(self, needs: Needs, progress: PullProgress | None = None) -> Prepared:
        """See that images and networks are there: pull and create what is missing. Safe to repeat.

        Raises:
            PrepareError: one of them cannot be had.
            DriverUnavailable: the engine cannot be reached.
        """

    @abstractmethod
    async def start(self, spec: AttemptSpec) -> Handle:
        """Start the attempt, at most once ever.

        Safe to repeat after a crash or after Unknown: what already exists under this name is adopted if owner,
        attempt and spec hash agree, and is not started again if it ever was. A mark in the slot (`start_mark`)
        remembers beyond its removal by others that it may have been.

        Raises:
            NotStarted: it did not start and never will; what was created is left for `remove`.
            MayHaveRun: it was, or was about to be, started before, and nothing of it is left.
            Unknown: the call was cut off; ask again, or watch.
            DriverUnavailable: the engine cannot be reached; nothing was asked of it.
        """

    @abstractmethod
    def watch(self, scope: Scope) -> AbstractAsyncContextManager[AsyncIterator[Observation | Synced]]:
        """States, not edges: one observation for each thing in scope, then Synced, then one for each change.

        After a lost connection the driver reconnects by itself, tells all states again and what is GONE, then Synced
        again. An observation may repeat. The iterator ends only with an exception or with the context.

        Raises:
            DriverUnavailable: the engine stayed away for longer than the driver's patience.
        """

    @abstractmethod
    def logs(
        self, handle: Handle, since: datetime | None = None, *, follow: bool = True
    ) -> AbstractAsyncContextManager[AsyncIterator[LogChunk]]:
        """The output from the start (or `since`) to now; for one that still runs, with `follow`, to its end.

        Raises:
            NoSuchAttempt: nothing of it exists.
            DriverUnavailable: the engine cannot be reached.
        """

    @abstractmethod
    async def usage(self, handles: Collection[Handle]) -> dict[Handle, Usage]:
        """A reading for each that runs; those that do not are left out.

        Raises:
            DriverUnavailable: the engine cannot be reached.
        """

    @abstractmethod
    async def stop(self, handle: Handle, grace_s: float) -> None:
        """Ask it to end (SIGTERM), and end it (SIGKILL) after `grace_s`. Returns when it is known to have ended.

        One that has ended, or was created and never started, is no error: the latter never will start.

        Raises:
            Unknown: it could not be made sure within the deadline.
            DriverUnavailable: the engine cannot be reached.
        """

    @abstractmethod
    async def remove(self, target: Scope | Handle) -> Removed:
        """Remove what has ended, or what never started, with its anonymous volumes.

        For a scope also its networks that are ours and empty. What still runs is stopped first (killed). What is
        gone already is no error.

        Never raises for a single thing that resists: that is in `Removed.errors`.

        Raises:
            DriverUnavailable: the engine cannot be reached.
        """
