"""Warm pools: containers that wait for their task.

    pool.py        what callers use: `ContainerPool`
    types.py       the agent types that there are, and the stock of each
    looking.py     what tasks use and write, for whoever looks on
    lease.py       a container for one task, with its workspace open before and after
    orders.py      what is asked for, checked
    tasks.py       one task, from its submission to its verdict: `claiming.py` where a container is ready,
                   `starting.py` where one has to be made, `stopping.py` where its time is up,
                   `cancelling.py` where somebody asks for its end
    stock.py       one agent type's containers, kept as its book (`wavepool.core.pools`) says
    health.py      whether those that wait could still run a task
    disposal.py    those that nobody needs any more
    session.py     the hold on a directory and on networks, and the end of all of it
    watching.py    how containers end, and what they write
    specs.py       what a driver is asked for
    calm.py        claims come first

`progress.py`, `results.py`, `output.py`, `verdicts.py`, `containers.py` and `telling.py` are what these tell each
other.
"""

from wavepool.engine.pools.cancelling import Stop
from wavepool.engine.pools.lease import Lease
from wavepool.engine.pools.pool import ContainerPool
from wavepool.engine.pools.results import TaskExecution, Timings, Where

__all__ = ["ContainerPool", "Lease", "Stop", "TaskExecution", "Timings", "Where"]
