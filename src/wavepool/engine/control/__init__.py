"""How other processes of the same user see and steer a run that a process works on: a Unix socket in its directory.

protocol.py  requests, replies, facts as lines; a socket that reads and writes lines
server.py    the side of the run
orders.py    what it answers to those who pause, cancel tasks, or retry
client.py    the side of whoever looks or cancels
sockets.py   Unix sockets by their path
pools/       the socket of `wavepool serve`, which holds warm pools for other processes
"""

from __future__ import annotations

from wavepool.engine.control.client import (
    ConnectionCut,
    Control,
    Following,
    NobodyHolds,
    OlderProcess,
    open_control,
    until_free,
)
from wavepool.engine.control.server import ControlServer

__all__ = [
    "ConnectionCut",
    "Control",
    "ControlServer",
    "Following",
    "NobodyHolds",
    "OlderProcess",
    "open_control",
    "until_free",
]
