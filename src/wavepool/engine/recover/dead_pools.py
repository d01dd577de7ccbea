"""Pools whose process died, told in a line each when another server starts. Only looks: `recover` reaps."""

from __future__ import annotations

from wavepool.engine.pools.session import SESSION_PREFIX
from wavepool.errors import InfrastructureError
from wavepool.statedir import RunDir, StateDir

LINES = 3
"""Dead ones that are named; of further ones only their number."""


def dead_pool_lines(state_dir: StateDir) -> list[str]:
    """A sentence for each pool session of this state directory that died in the middle. Raises nothing."""
    try:
        dead = [name for name in state_dir.runs() if is_dead_pool(state_dir.run(name))]
    except InfrastructureError:
        return []
    lines = [
        f"the process of pool {name} was killed: `wavepool recover --grace 0s --run-id {name}` removes what it left"
        for name in dead[-LINES:]
    ]
    if len(dead) > LINES:
        lines.append(f"{len(dead) - LINES} more pools were killed: `wavepool recover --dry-run` tells of all")
    return lines


def is_dead_pool(files: RunDir) -> bool:
    """A pool's session that was killed, of which something is left to be removed. Raises nothing.

    A run may have such an id too; it has a journal. Of one that `recover` took up only the empty directory is left.
    """
    try:
        return (
            files.id.startswith(SESSION_PREFIX)
            and not files.journal.exists()
            and not files.is_live()
            and any(files.slots.iterdir())
        )
    except (InfrastructureError, OSError):
        return False
