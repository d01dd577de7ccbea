"""What every part of the web server works with."""

from __future__ import annotations

from dataclasses import dataclass

from wavepool.config import Settings
from wavepool.monitoring.actions import Actions
from wavepool.monitoring.logs import Logs
from wavepool.monitoring.monitor import Monitor
from wavepool.statedir import StateDir
from wavepool.web.api import Services
from wavepool.web.sockets.hub import Hub
from wavepool.web.sockets.seed_socket import SeedSocket


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Lives in the loop of the web server's thread, from before its first request until after its last.

    Attributes:
        settings: of the process that serves.
        state_dir: whose runs are shown.
        monitor: what is shown; open.
        actions: what can be done about it.
        hub: the channels, for `/ws`.
        services: what the REST interface works with.
        logs: output of attempts; open.
        seed: the seed's WebSocket.
        serving: whether this is `wavepool serve`, and not the page of one run that ends with it.
    """

    settings: Settings
    state_dir: StateDir
    monitor: Monitor
    actions: Actions
    hub: Hub
    services: Services
    logs: Logs
    seed: SeedSocket
    serving: bool
