"""Containers that run one task after the other: opened, told their tasks, wiped and proved clean in between.

`Reuse` opens one. What a task cannot do to the next, and what it can, is said in decision 0020.
"""

from __future__ import annotations

from wavepool.drivers.docker.reusing.container import DockerReusable
from wavepool.drivers.docker.reusing.opening import Reuse

__all__ = ["DockerReusable", "Reuse"]
