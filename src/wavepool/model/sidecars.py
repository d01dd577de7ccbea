"""What stands beside a task; field names as in Compose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wavepool.model.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck:
    """How the engine finds out whether a sidecar is ready; None stands for the default.

    Attributes:
        test: ``("CMD", argv...)``, ``("CMD-SHELL", text)`` or ``("NONE",)``; empty for the image's own.
        interval_s, timeout_s: seconds between two tests, and for one of them.
        retries: failures in a row that make it unhealthy, at least 1.
        start_period_s: seconds from the start in which failures do not count.
    """

    test: tuple[str, ...] = ()
    interval_s: float | None = None
    timeout_s: float | None = None
    retries: int | None = None
    start_period_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port of a sidecar, published on the host at `address`. `published` 0: the engine chooses one that is free."""

    target: int
    published: int = 0
    address: str = "127.0.0.1"
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """What a sidecar sees at `target` (absolute).

    `source` is an absolute path of the host, a relative one (it starts with a dot), or a name: a directory of its own
    beside the sidecar's data.
    """

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """A container beside one task, with the field names of Compose where it has them.

    Attributes:
        name: its host name on the task's own network.
        limits: the hard limits; the budget holds them with the task's.
        command, entrypoint: argv; None for the image's.
        env: variables.
        healthcheck: None for the image's own; where that has none either, a sidecar that runs is ready.
        ports: published on the host.
        expose: ports that others reach by name only.
        volumes, tmpfs: what it sees beside /data; `tmpfs` as the engine takes it: ``/path`` or ``/path:options``.
        user: as the engine takes it, None for the owner of its data directory.
        depends_on: names of sidecars that must be ready first.
        shm_bytes: size of /dev/shm, None for the engine's default.
        cap_add: capabilities, of `SIDECAR_CAPABILITIES`.
        stop_signal: None for the image's. `stop_grace_s`: None for the run's.
        outside: it is on the engine's default bridge too, and so has a way out where its own network has none.
        read_only: its root file system cannot be written to.
    """

    name: str
    image: str
    limits: Limits
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    healthcheck: Healthcheck | None = None
    ports: tuple[Port, ...] = ()
    expose: tuple[int, ...] = ()
    volumes: tuple[Volume, ...] = ()
    tmpfs: tuple[str, ...] = ()
    user: str | None = None
    working_dir: str | None = None
    depends_on: tuple[str, ...] = ()
    shm_bytes: int | None = None
    cap_add: tuple[str, ...] = ()
    stop_signal: str | None = None
    stop_grace_s: float | None = None
    outside: bool = False
    read_only: bool = False


SIDECAR_CAPABILITIES = frozenset(
    {"CHOWN", "DAC_OVERRIDE", "FOWNER", "IPC_LOCK", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"}
)
"""What a database may need that begins as root, or that locks its memory; nothing here leads out of a container."""
