"""How other processes of the same user use the warm pools that `wavepool serve` holds: a Unix socket.

protocol.py  requests, replies, results as lines
outgoing.py  the output of a task on its way to whoever reads it, bounded
server.py    the side that holds the pools: `served.py` is what these have, `answers.py` what it says
client.py    the side that asks
driver.py    a driver for runs: each of its attempts is a task of a pool
attempts.py  one of these, its state and its output
"""

from __future__ import annotations

from wavepool.engine.control.pools.client import NoServer, PoolClient, ServerGone, open_client
from wavepool.engine.control.pools.driver import PoolDriver
from wavepool.engine.control.pools.protocol import TaskOrder
from wavepool.engine.control.pools.served import Served
from wavepool.engine.control.pools.server import PoolServer

__all__ = ["NoServer", "PoolClient", "PoolDriver", "PoolServer", "Served", "ServerGone", "TaskOrder", "open_client"]
