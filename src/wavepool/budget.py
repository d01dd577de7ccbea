"""How much memory and CPU running attempts may hold together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from wavepool.errors import SettingError
from wavepool.model import Node, Resources
from wavepool.units import MIB, human_size

Budget = int | Literal["auto"]

RESERVE_FRACTION = 0.05
RESERVE_MIN_BYTES = 256 * MIB
"""What `auto` leaves to the rest of the host: a twentieth of what is available, at least this."""


def budget_nodes(budget: Budget, nodes: Sequence[Node], available_bytes: int) -> tuple[Node, ...]:
    """The nodes with the budget as their capacity.

    `budget` is ``auto`` (what is available now, less a reserve) or bytes. `nodes` say what each has in all; on several
    nodes a size is shared out in proportion to that.

    Raises:
        SettingError: more than the host has.
    """
    total_bytes = sum(node.capacity.memory_bytes for node in nodes)
    if budget == "auto":
        reserve_bytes = max(RESERVE_MIN_BYTES, round(available_bytes * RESERVE_FRACTION))
        wanted_bytes = min(total_bytes, max(0, available_bytes - reserve_bytes))
    else:
        wanted_bytes = budget
    if wanted_bytes > total_bytes:
        raise SettingError(
            "--budget",
            human_size(wanted_bytes),
            f"at most what the host has, {human_size(total_bytes)}",
            advice="Use `--budget auto` for what the host really has left.",
        )
    return tuple(
        Node(
            name=node.name,
            capacity=Resources(
                wanted_bytes * node.capacity.memory_bytes // max(1, total_bytes), node.capacity.milli_cpus
            ),
        )
        for node in nodes
    )
