"""What one agent is given of a plan that is being made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBatch:
    """A group of files as one batch of the plan, not yet in a wave.

    Attributes:
        batch_id: ``iter<N>-batch-<k>``, N and k from 1.
        tier: 1 to 4.
        memory_bytes: what its container may use.
        files: relative to the workspace.
        errors: how many faults in them are to be mended.
        prompt: what the agent is told.
        note: what other batches own that these files have to do with; empty for nothing.
    """

    batch_id: str
    tier: int
    memory_bytes: int
    files: tuple[str, ...]
    errors: int
    prompt: str
    note: str = ""
