"""What pools are where nobody says otherwise: the seed's agent types and its two sets of settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from wavepool.units import MIB

DEFAULT_IMAGE = "claude-flow-agent:latest"
"""The seed's."""

_SIZED: Final = {"memory": 256 * MIB, "cpus": 0.5, "pids": 2048}
"""For types that the seed gives no sizes. 2048 processes, as for every task without a limit of its own."""

AGENT_TYPES: Mapping[str, Mapping[str, object]] = {
    "coder": {
        "memory": 512 * MIB,
        "cpus": 1.0,
        "environment": {"CODER_MODE": "true", "ALLOW_CODE_EXECUTION": "true"},
    },
    "tester": {
        "memory": 256 * MIB,
        "cpus": 0.5,
        "environment": {"TESTER_MODE": "true", "TEST_FRAMEWORKS": "jest,mocha,cypress"},
    },
    "reviewer": {
        "memory": 128 * MIB,
        "cpus": 0.25,
        "environment": {"REVIEWER_MODE": "true", "ANALYSIS_TOOLS": "eslint,prettier,sonar"},
    },
    "researcher": {},
    "planner": {},
    "architect": {},
}
"""What the seed says of each; the last three are named there and nothing is said of them."""

_WARM = ("coder", "tester", "reviewer", "researcher", "planner")

PRESETS: Mapping[str, Mapping[str, object]] = {
    "default": {**_SIZED, "image": DEFAULT_IMAGE, "size": 2, "min_size": 1, "max_size": 10, "warm": _WARM},
    "production": {
        **_SIZED,
        "image": "claude-flow-agent:stable",
        "user": "swarm:swarm",
        "warm": _WARM,
        "size": 3,
        "min_size": 1,
        "max_size": 8,
        "scale_up": 75.0,
        "scale_down": 25.0,
        "max_age": 7200.0,
        "health_interval": 60.0,
        "idle_timeout": 3600.0,
        "timeout": 300.0,
        "preload_images": True,
    },
}
"""``production`` is the seed's but for `reuse`, which nobody gets who did not ask for it."""
